//! The rules. Every edge calls these functions, so a rule exists once.
//!
//! Functions that take a [`Tx`](tenantry_store::engine::tx::Tx) are rules inside a transaction and can be combined; the few
//! `async` ones have something to do outside of it (hash a password, look at the clock of logins).

/// What is done to many users or groups at a time.
pub mod bulk_changes;
/// Changes of many rows at a time, in one transaction or in steps.
pub mod bulk_operations;
/// OAuth clients.
pub mod clients;
/// Tags of users and groups, and writes on condition.
pub mod conditions;
/// The key that authenticates cursors.
pub mod cursors;
/// Deleted users.
pub mod deleted_users;
/// What a deletion takes along.
pub mod effects;
/// Erasing: what is left of a user who is gone for good.
pub mod erasures;
/// What users may do, and why.
pub mod evaluations;
/// Events: what is recorded of a change.
pub mod events;
/// Passwords whose hash costs more than one of our own.
pub mod expensive_hashes;
/// Forgotten passwords.
pub mod forgot_password;
/// Groups.
pub mod groups;
/// Large units of work: done in steps, one at a time for a partner.
pub mod large_units;
/// The rule that a partner keeps an admin.
mod last_admin;
/// What a wrong password does.
mod login_failures;
/// The password grant: who gets in, what failures do.
pub mod logins;
/// Who is in which group, from the group's side.
pub mod memberships;
/// Groups in groups: no cycles, and not too deep.
mod nesting;
/// Work that is done once however often it is asked for.
pub mod once;
/// Letters on their way: when they are tried again, and when no more.
pub mod outbox;
/// Partners, the first start, and the rule that a partner keeps an admin.
pub mod partners;
/// Passwords that somebody changes or resets.
pub mod password_changes;
/// The life of a password: temporary, permanent, changed, reset.
pub mod passwords;
/// Lists of permissions that are too large for one transaction.
pub mod permission_lists;
/// Which permissions and wildcards groups have.
pub mod permissions;
/// What a password must look like (contract, part C, Passwords).
pub mod policy;
/// What the rules work with.
pub mod services;
/// Sessions: which there are, and ending them.
pub mod sessions;
/// Services for tests.
#[cfg(any(test, feature = "testing"))]
pub mod testing;
/// Failed logins, and other things that are counted, per address.
pub mod throttle;
/// How tokens are written.
mod token_text;
/// Access and refresh tokens.
pub mod tokens;
/// Units of work: one transaction each, with the rules that hold at the end of every one.
pub mod unit;
/// Users, created and changed many at a time.
pub mod user_bulk;
/// Users that come from elsewhere, a file of them.
pub mod user_import;
/// Users as JSON.
pub mod user_records;
/// Users as rows of a file.
pub mod user_rows;
/// Users.
pub mod users;
/// When sessions were last used.
pub mod uses;
