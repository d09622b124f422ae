//! Password changes and resets (contract, part C, Passwords).

use zeroize::Zeroizing;

use crate::events::{self, EventKind};
use crate::expensive_hashes::{self, Candidate, Compared};
use crate::passwords::{HISTORY, address_for, has_ended, mail_temporary, make_temporary, notify, person};
use crate::services::Services;
use crate::{browser_sessions, login_failures, policies, policy, unit, users};
use tenantry_core::error::{Error, FieldError, Result};
use tenantry_core::model::{Status, User, UserId};
use tenantry_mail::{EmailContent, Reason};
use tenantry_passwords::Whose;
use tenantry_store::access::{Admin, Member, Scope as _, Within};
use tenantry_store::engine::tx::Tx;
use tenantry_store::tables::passwords as stored;
use tenantry_store::tables::passwords::NewPassword;
use tenantry_store::tables::sessions;
use tenantry_store::tables::{factors, outbox};

/// The old password and every session end in this transaction; only the mailed password works (A5, B20, B21).
///
/// # Errors
/// An error if the user is not ACTIVE: the password would be unusable.
pub fn reset(tx: &mut Tx<'_, Admin>, user_id: UserId) -> Result<()> {
    let user = users::get(tx, user_id)?;
    reset_user(tx, &user, false).map(drop)
}

/// As [`reset`], but returns the password instead of mailing it.
///
/// # Errors
/// As [`reset`].
pub fn reset_and_return_password(tx: &mut Tx<'_, Admin>, user_id: UserId) -> Result<String> {
    let user = users::get(tx, user_id)?;
    reset_user(tx, &user, true)
}

/// The caller's own reset (A5). The caller's session ends as well.
///
/// # Errors
/// As [`reset`].
pub fn reset_self(tx: &mut Tx<'_, Member>) -> Result<()> {
    let user = users::get_self(tx)?;
    reset_user(tx, &user, false).map(drop)
}

fn reset_user(tx: &mut Tx<'_>, user: &User, returns_password: bool) -> Result<String> {
    if user.status != Status::Active {
        let status = user.status.as_str();
        let detail = format!("this user is {status}: only an ACTIVE user gets a password");
        return Err(FieldError::new("/status", "not-active", detail).into());
    }
    let (password, expires_at) = make_temporary(tx);
    outbox::withdraw(tx, user.user_id)?;
    let hash = tenantry_passwords::system_generated(&password);
    let address = if returns_password { None } else { Some(address_for(tx, user, Reason::Reset)?) };
    let mailed_to = address.as_deref();
    let new = NewPassword { hash: &hash, is_temporary: true, expires_at: Some(expires_at), mailed_to };
    stored::replace(tx, user.user_id, &new, HISTORY)?;
    sessions::end_all_of(tx, user.user_id, None)?;
    factors::forget_devices(tx, user.user_id)?;
    events::record_user(tx, EventKind::PasswordReset, user.user_id, None, None)?;
    let Some(address) = address else { return Ok(password.as_str().to_owned()) };
    mail_temporary(tx, user, &address, password, expires_at, Reason::Reset)?;
    Ok(String::new())
}

/// The caller changes its own password (A4, B21). Every other session ends; the caller's continues, and one that was
/// opened with a temporary password becomes an ordinary one. Returns the new cookie of a browser session.
///
/// # Errors
/// Errors at `/oldPassword` and `/newPassword`, all of them; a wrong old password counts as a failed login (B23).
pub async fn change_own(
    services: &Services,
    member: &Member,
    old: Zeroizing<String>,
    new: Zeroizing<String>,
) -> Result<Option<Zeroizing<String>>> {
    let (old, new) = (policy::composed(old), policy::composed(new));
    let (user, present, history, failures, rules) = services
        .store
        .scan(member, move |tx| {
            let user = users::get_self(tx)?;
            let rules = policies::effective(tx)?.password_policy;
            let present = stored::list_present(tx, user.user_id)?;
            let history = stored::list_history(tx, user.user_id, HISTORY)?;
            let failures = tenantry_store::tables::users::failures(tx, user.user_id)?;
            Ok((user, present, history, failures, rules))
        })
        .await?;

    let time = services.clock.read();
    let refused = login_failures::is_refused(&failures, time.steady);
    // Nothing is compared for a caller that is refused anyway.
    let hashes =
        if refused { Vec::new() } else { present.iter().map(|p| p.hash.clone()).collect::<Vec<_>>() };
    let hasher = services.hasher.on_behalf_of(Whose::Partner(member.pid()));
    let verdict = hasher.verify_login(old.clone(), hashes).await?;
    let mut is_counted = false;
    let matched = match verdict.expensive.first().and_then(|at| present.get(*at)) {
        Some(expensive) if verdict.matched.is_none() => {
            let (pid, user_id) = (member.pid(), user.user_id);
            let candidate = Candidate { pid, user_id, stored: expensive.clone() };
            match expensive_hashes::compare(services, candidate, old, expensive_hashes::patiently()).await {
                Compared::Same => Some(expensive),
                Compared::Different => {
                    is_counted = true;
                    None
                }
                Compared::Not => return Err(expensive_hashes::busy()),
            }
        }
        _ => verdict.matched.and_then(|at| present.get(at)),
    };
    let matched = matched.filter(|p| !has_ended(p, time.latest)).cloned();
    let mut errors = Vec::new();
    if matched.is_none() {
        errors.push(FieldError::new("/oldPassword", "wrong-password", "this is not your current password"));
    }
    if let Err(bad) = policy::check_by(rules, &new, &person(&user)) {
        errors.extend(bad.into_iter().map(|b| b.at("/newPassword")));
    }
    // Only a caller who knows the old password learns whether the new one was used before.
    if errors.is_empty() {
        let mut used: Vec<String> = history.iter().map(|p| p.hash.clone()).collect();
        used.extend(present.iter().filter(|p| p.is_temporary).map(|p| p.hash.clone()));
        if expensive_hashes::is_any_of(services, member.pid(), &new, used).await? {
            errors.push(used_before());
        }
    }
    let Some(matched) = matched.filter(|_| errors.is_empty()) else {
        if errors.iter().any(|f| f.code == "wrong-password") && !refused && !is_counted {
            let user_id = user.user_id;
            let count = move |tx: &mut Tx<'_, Within>| login_failures::count(tx, user_id);
            unit::write(&services.store, &tenantry_store::access::system_within(member.pid()), count).await?;
        }
        return Err(Error::Invalid(errors));
    };
    let hash = hasher.hash(new).await?;
    unit::write(&services.store, member, move |tx| set_own(tx, Some(matched.password_id), &hash)).await
}

/// Sets the first password of its own of a caller who has just signed in with a temporary or expired one (B22), which is
/// not asked for again. As [`change_own`] otherwise. A form that is sent twice at once succeeds twice.
///
/// # Errors
/// Errors at `/newPassword`, all of them; at `/oldPassword` if another form of the session has set another password.
pub async fn set_first(
    services: &Services,
    member: &Member,
    new: Zeroizing<String>,
) -> Result<Option<Zeroizing<String>>> {
    let new = policy::composed(new);
    let set = set_first_once(services, member, new.clone()).await;
    let Err(Error::Invalid(errors)) = set else { return set };
    match repeat_first(services, member, new).await? {
        Some(cookie) => Ok(Some(cookie)),
        None => Err(Error::Invalid(errors)),
    }
}

/// The new cookie of a browser whose form has just set this password: the browser shows the response to the second request,
/// and may never have read the first one's.
async fn repeat_first(
    services: &Services,
    member: &Member,
    new: Zeroizing<String>,
) -> Result<Option<Zeroizing<String>>> {
    let find = |tx: &mut Tx<'_, Member>| {
        let session_id = tx.scope().session_id().to_owned();
        let is_set = tx.scope().is_browser() && !browser_sessions::is_restricted(tx, &session_id)?;
        let user_id = tx.scope().user_id();
        let present = if is_set { stored::list_present(tx, user_id)? } else { Vec::new() };
        Ok(present.into_iter().find(|password| !password.is_temporary))
    };
    let Some(present) = services.store.scan(member, find).await? else { return Ok(None) };
    if !expensive_hashes::is_any_of(services, member.pid(), &new, vec![present.hash.clone()]).await? {
        return Ok(None);
    }
    let renew = move |tx: &mut Tx<'_, Member>| {
        let (user_id, session_id) = (tx.scope().user_id(), tx.scope().session_id().to_owned());
        let is_present =
            stored::list_present(tx, user_id)?.iter().any(|p| p.password_id == present.password_id);
        is_present.then(|| browser_sessions::renew_cookie(tx, &session_id)).transpose()
    };
    unit::write(&services.store, member, renew).await
}

async fn set_first_once(
    services: &Services,
    member: &Member,
    new: Zeroizing<String>,
) -> Result<Option<Zeroizing<String>>> {
    let (user, used, rules) = services
        .store
        .scan(member, move |tx| {
            let user = users::get_self(tx)?;
            let rules = policies::effective(tx)?.password_policy;
            let present = stored::list_present(tx, user.user_id)?;
            let history = stored::list_history(tx, user.user_id, HISTORY)?;
            let hashes = history.into_iter().chain(present).map(|p| p.hash);
            Ok((user, hashes.collect::<Vec<_>>(), rules))
        })
        .await?;
    if let Err(bad) = policy::check_by(rules, &new, &person(&user)) {
        return Err(Error::Invalid(bad.into_iter().map(|b| b.at("/newPassword")).collect()));
    }
    if expensive_hashes::is_any_of(services, member.pid(), &new, used).await? {
        return Err(used_before().into());
    }
    let hash = services.hasher.on_behalf_of(Whose::Partner(member.pid())).hash(new).await?;
    unit::write(&services.store, member, move |tx| set_own(tx, None, &hash)).await
}

fn used_before() -> FieldError {
    let detail = format!("the last {HISTORY} passwords and the temporary one cannot be used again");
    FieldError::new("/newPassword", "used-before", detail)
}

/// `matched` is the password that the caller has given, `None` for one whose session must first set a password. Returns the
/// new cookie of a browser session.
fn set_own(tx: &mut Tx<'_, Member>, matched: Option<i64>, hash: &str) -> Result<Option<Zeroizing<String>>> {
    let user = users::get_self(tx)?;
    let user_id = user.user_id;
    let session_id = tx.scope().session_id().to_owned();
    // Hashing took a while: the old password must still be the current one.
    let is_current = match matched {
        Some(matched) => stored::list_present(tx, user_id)?.iter().any(|p| p.password_id == matched),
        None => browser_sessions::is_restricted(tx, &session_id)?,
    };
    if !is_current {
        let error =
            FieldError::new("/oldPassword", "wrong-password", "your password was changed a moment ago");
        return Err(error.into());
    }
    outbox::withdraw(tx, user_id)?;
    let new = NewPassword { hash, is_temporary: false, expires_at: None, mailed_to: None };
    stored::replace(tx, user_id, &new, HISTORY)?;
    sessions::end_all_of(tx, user_id, Some(&session_id))?;
    factors::forget_devices(tx, user_id)?;
    let cookie = if tx.scope().is_browser() {
        browser_sessions::lift_restriction(tx, &session_id)?;
        Some(browser_sessions::renew_cookie(tx, &session_id)?)
    } else {
        sessions::lift_restriction(tx, &session_id)?;
        None
    };
    tenantry_store::tables::users::set_failures(
        tx,
        user_id,
        tenantry_store::tables::users::Failures::default(),
    )?;
    events::record_user(tx, EventKind::PasswordChanged, user_id, None, None)?;
    notify(
        tx,
        &user,
        &user.profile.email,
        EmailContent::PasswordChanged { username: user.username.clone() },
    )?;
    Ok(cookie)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::partners;
    use crate::passwords::set_permanent;
    use crate::sessions::{self as domain_sessions, Opening};
    use crate::tokens::{self, Origin};
    use crate::users::NewUser;
    use tenantry_core::account_policy::AccountPolicy;
    use tenantry_core::clock::{Clock, HOUR};
    use tenantry_core::error::TokenError;
    use tenantry_core::model::{PartnerId, Profile};
    use tenantry_core::random::Random;
    use tenantry_core::values;
    use tenantry_store::access::{Caller, Operator, system_within};
    use tenantry_store::store::Store;

    const PID: PartnerId = PartnerId(1);
    const POLICY: AccountPolicy = AccountPolicy {
        access_token: HOUR,
        refresh_token: HOUR,
        temporary_password: HOUR,
        forgotten_per_address: 1,
        email_hold: 0,
        deleted_users: 0,
        ..AccountPolicy::DEFAULT
    };

    /// A partner's admin and another user, who is logged in with a permanent password.
    async fn logged_in(dir: &tempfile::TempDir) -> (Store, Member, i64) {
        let (clock, random) = (Clock::manual(1_000), Random::seeded(1));
        let store = Store::open_sqlite(&dir.path().join("test.db"), clock, random, POLICY).unwrap();
        let person = |username: &str| NewUser {
            username: values::username(username).unwrap(),
            status: Status::Active,
            profile: Profile {
                first_name: String::from("Fenna"),
                last_name: String::from("Jansen"),
                email: String::from("fenna@example.com"),
                ..Profile::default()
            },
            groups: Vec::new(),
            is_admin: username == "admin",
        };
        let (by, admin, fenna) = (Operator::of_this_machine(), person("admin"), person("fenna"));
        unit::write(&store, &by, move |tx| partners::bootstrap(tx, &admin, "hash")).await.unwrap();
        let (token, password) = unit::write(&store, &system_within(PID), move |tx| {
            let user_id = users::insert(tx, &fenna)?.user_id;
            set_permanent(tx, user_id, "hash")?;
            let origin = Origin { address: [127, 0, 0, 1].into(), user_agent: None };
            let opening = Opening {
                client_id: tenantry_core::model::PUBLIC_CLIENT,
                user_id: Some(user_id),
                origin: &origin,
                scopes: tenantry_core::scopes::TokenScopes::ALL_API,
                browser_session: None,
                restricted: None,
                signed_in: tenantry_store::access::SignInFacts::default(),
                by_code: None,
            };
            let session = domain_sessions::open(tx, &opening)?;
            let granted = tokens::issue(tx, &session)?;
            Ok((granted.access_token, stored::list_present(tx, user_id)?.remove(0).password_id))
        })
        .await
        .unwrap();
        let facts = store.find_token(PID, &tokens::hash(&token)).await.unwrap().unwrap();
        (store, Member::of(Caller::admit(&facts, 1_000).unwrap()).unwrap(), password)
    }

    /// Changes between the hashing of a new password and its transaction.
    type Overtaking = fn(&mut Tx<'_, Admin>, UserId, &str) -> Result<()>;

    #[tokio::test]
    async fn a_change_with_a_conflict_stores_nothing() {
        let overtakings: [(&str, Overtaking); 5] = [
            ("reset", |tx, user_id, _| reset(tx, user_id)),
            ("lock", |tx, user_id, _| {
                let user = users::get(tx, user_id)?;
                users::lock(tx, &user)
            }),
            ("deletion", |tx, user_id, _| users::delete(tx, user_id)),
            ("logout", |tx, _, session_id| sessions::end(tx, session_id).map(drop)),
            ("change from elsewhere", |tx, user_id, _| {
                sessions::end_all_of(tx, user_id, None)?;
                set_permanent(tx, user_id, "other")
            }),
        ];
        for (what, overtake) in overtakings {
            let dir = tempfile::tempdir().unwrap();
            let (store, member, matched) = logged_in(&dir).await;
            let (by, who) = (Operator::of_this_machine().as_admin_of(PID), member.clone());
            unit::write(&store, &by, move |tx| overtake(tx, who.user_id(), who.session_id())).await.unwrap();
            let set = unit::write(&store, &member, move |tx| set_own(tx, Some(matched), "new")).await;
            assert!(matches!(set, Err(Error::Unauthenticated(TokenError::Invalid))), "{what}: {set:?}");
        }
    }

    #[tokio::test]
    async fn of_two_password_changes_in_one_session_the_later_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let (store, member, matched) = logged_in(&dir).await;
        for (hash, is_first) in [("first", true), ("second", false)] {
            let set = unit::write(&store, &member, move |tx| set_own(tx, Some(matched), hash)).await;
            match set {
                Ok(_) => assert!(is_first),
                Err(Error::Invalid(errors)) => {
                    assert!(!is_first);
                    assert_eq!(
                        (errors[0].field.as_ref(), errors[0].code),
                        ("/oldPassword", "wrong-password")
                    );
                }
                Err(other) => panic!("{other}"),
            }
        }
        let id = member.user_id();
        let present = store.read(&member, move |tx| stored::list_present(tx, id)).await.unwrap();
        assert_eq!(present.iter().map(|p| p.hash.as_str()).collect::<Vec<_>>(), ["first"]);
    }
}
