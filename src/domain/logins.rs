//! The password grant: who gets in, and what failures do (B23).
//!
//! A wrong password, an unknown user, an INACTIVE, LOCKED or refused one and a wrong partner's client all take the
//! same way: one argon2, one write, the same words.

use serde_json::json;
use zeroize::Zeroizing;

use super::clients::{self, ClientIdentity};
use super::events::{self, Kind};
use super::tokens::{self, Granted, Opening, Origin};
use super::{Terms, passwords, throttle, unit};
use crate::access::{nobody, system_within};
use crate::app::App;
use crate::clock::{MINUTE, Millis};
use crate::error::{Error, GrantError, Result};
use crate::hashing::Whose;
use crate::model::{PartnerId, Status, User, UserId};
use crate::storage::passwords::{Stored, end_permanent, list_present, rehash};
use crate::storage::users::{self, Failures};
use crate::storage::{Tx, partners};
use crate::values;

/// How long the logins of a last ACTIVE admin are refused after every fifth failure.
const REFUSAL: Millis = 15 * MINUTE;

fn refused() -> Error {
    Error::Grant(GrantError::InvalidGrant, "wrong username or password".into())
}

/// Logs a user in (RFC 6749 §4.3).
///
/// # Errors
/// `invalid_grant`; [`Error::TooMany`] for an address with too many failures.
pub async fn grant_password(
    app: &App,
    client: &ClientIdentity,
    username: &str,
    password: Zeroizing<String>,
    origin: Origin,
) -> Result<Granted> {
    let address = origin.address;
    throttle::check(app, address).await?;
    let found = find(app, client, username).await?;
    let hashes =
        found.as_ref().map(|f| f.present.iter().map(|p| p.hash.clone()).collect()).unwrap_or_default();
    let hasher = app.hasher.on_behalf_of(Whose::address(address));
    let verdict = hasher.verify_login(password.clone(), hashes).await?;
    let Some(found) = found else {
        unit::write(&app.store, &nobody(), move |tx| {
            users::count_unknown_login(tx);
            throttle::record_failure(tx, address)
        })
        .await?;
        app.hasher.even_out(verdict.beyond).await;
        return Err(refused());
    };
    let (terms, client_id) = (app.terms, client.client_id().to_owned());
    let used = verdict.matched.and_then(|i| found.present.get(i));
    let matched = used.map(|p| p.password_id);
    let user_id = found.user_id;
    let granted = unit::write(&app.store, &system_within(found.pid), move |tx| {
        let opened = match matched {
            Some(password) => open(tx, terms, user_id, password, &client_id, &origin)?,
            None => None,
        };
        if opened.is_none() {
            // A right password that opens nothing (locked, refused, ended) is no failed guess.
            match matched {
                None => count_failure(tx, terms, user_id)?,
                Some(_) => users::count_unknown_login(tx),
            }
            // Only a refused login counts against the address; a busy server's 503 is not the client's fault.
            throttle::record_failure(tx, address)?;
        }
        Ok(opened)
    })
    .await?;
    match (granted, used) {
        (Some(granted), Some(used)) => {
            store_anew(app, &found, used, password).await;
            Ok(granted)
        }
        _ => {
            app.hasher.even_out(verdict.beyond).await;
            Err(refused())
        }
    }
}

/// Stores a permanent password as this server hashes it today, now that it is known: one that came with its user from
/// another system. Only after the login is granted, or a right password of a locked user would take longer than a
/// wrong one. Where it cannot be done, the next login does it.
async fn store_anew(app: &App, found: &Found, used: &Stored, password: Zeroizing<String>) {
    if used.is_temporary || app.hasher.is_current(&used.hash) {
        return;
    }
    let hasher = app.hasher.on_behalf_of(Whose::Partner(found.pid));
    let Ok(hash) = hasher.hash(password).await else { return };
    let (user_id, used) = (found.user_id, used.clone());
    let store = move |tx: &mut Tx<'_>| rehash(tx, user_id, &used, &hash);
    if let Err(error) = unit::write(&app.store, &system_within(found.pid), store).await {
        tracing::debug!(%error, "a password was not stored anew");
    }
}

struct Found {
    pid: PartnerId,
    user_id: UserId,
    present: Vec<Stored>,
}

async fn find(app: &App, client: &ClientIdentity, username: &str) -> Result<Option<Found>> {
    let Some(key) = values::username_key(username) else { return Ok(None) };
    let found = app.store.read(&nobody(), move |tx| users::find_username(tx, &key)).await?;
    let Some((pid, user_id)) = found.filter(|(pid, _)| client.serves(*pid)) else { return Ok(None) };
    let present = app.store.read(&system_within(pid), move |tx| list_present(tx, user_id)).await?;
    Ok(Some(Found { pid, user_id, present }))
}

/// Opens a session if everything is (still) as it must be; none = refused.
fn open(
    tx: &mut Tx<'_>,
    terms: Terms,
    user_id: UserId,
    password_id: i64,
    client_id: &str,
    origin: &Origin,
) -> Result<Option<Granted>> {
    let now = tx.now();
    let Some(user) = users::find(tx, user_id)? else { return Ok(None) };
    let failures = users::failures(tx, user_id)?;
    if user.status != Status::Active || now < failures.refused_until || !clients::is_known(tx, client_id)? {
        return Ok(None);
    }
    let present = list_present(tx, user_id)?;
    let Some(password) = present.iter().find(|p| p.password_id == password_id) else { return Ok(None) };
    if passwords::has_ended(password, now) {
        return Ok(None);
    }
    let restricted = if password.is_temporary {
        // One that was asked for stood beside the permanent one, until now.
        end_permanent(tx, user_id)?;
        Some(password.expires_at)
    } else if passwords::is_overdue(password, terms, now) {
        Some(None)
    } else {
        None
    };
    users::set_logged_in(tx, &user)?;
    let opening = Opening { client_id, user_id: Some(user_id), origin, restricted };
    let granted = tokens::open_session(tx, terms, &opening)?;
    let after = json!({ "clientId": client_id, "address": origin.address });
    events::record_user(tx, Kind::SessionStarted, user_id, None, Some(after))?;
    Ok(Some(granted))
}

/// Counts a wrong password (B23): the fifth in a row locks; the last ACTIVE admin is refused for a while instead,
/// or anybody could shut a partner out.
pub(super) fn count_failure(tx: &mut Tx<'_>, terms: Terms, user_id: UserId) -> Result<()> {
    let now = tx.now();
    let Some(user) = users::find(tx, user_id)? else { return Ok(()) };
    let failures = users::failures(tx, user_id)?;
    if user.status != Status::Active || now < failures.refused_until {
        users::count_unknown_login(tx);
        return Ok(());
    }
    let count = failures.count + 1;
    if count < terms.lockout_threshold {
        return users::set_failures(tx, user_id, Failures { count, refused_until: 0 });
    }
    if user.is_admin {
        // Two admins must not be locked at once, each for the sake of the other: whether this is the last one must
        // hold until the unit ends.
        partners::claim(tx)?;
    }
    if !is_last_admin(tx, &user)? {
        users::set_failures(tx, user_id, Failures { count, refused_until: 0 })?;
        return super::users::lock(tx, &user);
    }
    let refused_until = if count % terms.lockout_threshold == 0 { now + REFUSAL } else { 0 };
    users::set_failures(tx, user_id, Failures { count, refused_until })?;
    if refused_until > 0 {
        events::record_user(tx, Kind::UserLoginRefused, user_id, None, None)?;
    }
    Ok(())
}

fn is_last_admin(tx: &mut Tx<'_>, user: &User) -> Result<bool> {
    Ok(user.is_admin && users::active_admins(tx, 2)? == [user.user_id])
}
