//! The business rules. Every edge calls these functions, so a rule exists once.
//!
//! Functions that take a [`Tx`](tenantry_store::engine::tx::Tx) are rules inside a transaction and can be combined; the
//! few `async` ones do something outside of it (hash a password, wait until a login is answered).

/// The kinds of bulk operations.
pub mod bulk_changes;
/// Changes of many rows, in one transaction or in steps.
pub mod bulk_operations;
/// OAuth clients.
pub mod clients;
/// Entity tags of users and groups, and preconditions.
pub mod conditions;
/// The key that authenticates cursors.
pub mod cursors;
/// Deleted users.
pub mod deleted_users;
/// Side effects of deletions.
pub mod effects;
/// Erasing of personal data.
pub mod erasures;
/// Permission evaluations.
pub mod evaluations;
/// Events: the audit log.
pub mod events;
/// Passwords whose hash costs more than one of our own.
pub mod expensive_hashes;
/// Forgotten passwords.
pub mod forgot_password;
/// Groups.
pub mod groups;
/// Large units of work: carried out in steps, one at a time per partner.
pub mod large_units;
/// The rule that a partner keeps an admin.
mod last_admin;
/// Handling of wrong passwords.
mod login_failures;
/// The password grant.
pub mod logins;
/// Group memberships.
pub mod memberships;
/// Nested groups: no cycles, limited depth.
mod nesting;
/// Idempotency keys.
pub mod once;
/// Delivery of mail: retries and dead letters.
pub mod outbox;
/// Partners, the first start, and the rule that a partner keeps an admin.
pub mod partners;
/// Password changes and resets.
pub mod password_changes;
/// The life of a password: temporary, permanent, changed, reset.
pub mod passwords;
/// Permission lists that are too large for one transaction.
pub mod permission_lists;
/// Permissions and wildcards of groups.
pub mod permissions;
/// The password policy (contract, part C, Passwords).
pub mod policy;
/// The dependencies of the rules.
pub mod services;
/// Listing and ending of sessions.
pub mod sessions;
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
/// Imports of users.
pub mod user_import;
/// Users as JSON.
pub mod user_records;
/// Users as rows of a file.
pub mod user_rows;
/// Users.
pub mod users;
/// When sessions were last used.
pub mod uses;
