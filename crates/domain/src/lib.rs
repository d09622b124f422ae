//! The business rules. Every edge calls these functions, so a rule exists once.
//!
//! Functions that take a [`Tx`](tenantry_store::engine::tx::Tx) are rules inside a transaction and can be combined; the
//! few `async` ones do something outside of it (hash a password, wait until a login is answered).

/// Authorization codes.
pub mod authorization_codes;
/// Authorization requests, from the client to the answer.
pub mod authorization_requests;
/// The branding of partners, which pages show.
pub mod branding;
/// Sessions of browsers.
pub mod browser_sessions;
/// The kinds of bulk operations.
pub mod bulk_changes;
/// Changes of many rows, in one transaction or in steps.
pub mod bulk_operations;
/// Claims about users.
pub mod claims;
/// Making, changing and revoking OAuth clients.
pub mod client_changes;
/// OAuth clients.
pub mod clients;
/// Entity tags of users and groups, and preconditions.
pub mod conditions;
/// What users have allowed clients to learn.
pub mod consents;
/// What only the pages for partner admins need.
pub mod console;
/// The key that authenticates cursors.
pub mod cursors;
/// Deleted users.
pub mod deleted_users;
/// Side effects of deletions.
pub mod effects;
/// Whether addresses are proven to be those of their users.
pub mod email_verifications;
/// Erasing of personal data.
pub mod erasures;
/// Permission evaluations.
pub mod evaluations;
/// Events: the audit log.
pub mod events;
/// Passwords whose hash costs more than one of our own.
pub mod expensive_hashes;
/// Second factors of users.
pub mod factors;
/// Forgotten passwords.
pub mod forgot_password;
/// Forgotten usernames.
pub mod forgot_username;
/// Groups.
pub mod groups;
/// `id_token_hint`.
mod id_token_hints;
/// ID tokens.
mod id_tokens;
/// Idempotency keys.
pub mod idempotency;
/// Large units of work: carried out in steps, one at a time per partner.
pub mod large_units;
/// The rule that a partner keeps an admin.
mod last_admin;
/// Handling of wrong passwords.
mod login_failures;
/// The password grant.
pub mod logins;
/// Logout that a client asks for.
pub mod logouts;
/// Group memberships.
pub mod memberships;
/// Nested groups: no cycles, limited depth.
mod nesting;
/// Delivery of mail: retries and dead letters.
pub mod outbox;
/// The own profile, as the account page shows it.
pub mod own_profile;
/// Partners, the first start, and the rule that a partner keeps an admin.
pub mod partners;
/// Passkeys.
pub mod passkeys;
/// Password changes and resets.
pub mod password_changes;
/// The life of a password: temporary, permanent, changed, reset.
pub mod passwords;
/// Permission lists that are too large for one transaction.
pub mod permission_lists;
/// Permissions and wildcards of groups.
pub mod permissions;
/// The policies of a partner.
pub mod policies;
/// The password policy (contract, part C, Passwords).
pub mod policy;
/// The refresh token grant.
pub mod refresh;
/// Limits of the mails that somebody asks for.
mod requested_mails;
/// Values that travel through a browser and come back unchanged.
pub mod sealed;
/// Sealing of rows with the master key.
pub mod sealer;
/// Values that only the bearer of a secret can open.
mod sealing;
/// The dependencies of the rules.
pub mod services;
/// Listing and ending of sessions.
pub mod sessions;
/// Times that are ahead of a clock that was set back.
pub mod set_clocks;
/// Sign-ins by outcome, for the metrics.
pub mod sign_in_counts;
/// The keys that sign ID tokens.
pub mod signing_keys;
/// Services for tests.
#[cfg(any(test, feature = "testing"))]
pub mod testing;
/// Limits per address on failed logins and forgotten-password requests.
pub mod throttle;
/// The format of tokens.
mod token_text;
/// Access and refresh tokens.
pub mod tokens;
/// Units of work: one transaction each, with the rules that hold at the end of every one.
pub mod unit;
/// Bulk creation and bulk changes of users.
pub mod user_bulk;
/// Exports of users.
pub mod user_export;
/// Imports of users.
pub mod user_import;
/// Users as JSON.
pub mod user_records;
/// Users as rows of a file.
pub mod user_rows;
/// The userinfo endpoint.
pub mod userinfo;
/// Users.
pub mod users;
/// When sessions were last used.
pub mod uses;
/// WebAuthn, as a relying party.
pub mod webauthn;
