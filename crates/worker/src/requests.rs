//! Mails temporary passwords and usernames that somebody has asked for.

use tenantry_core::error::Result;
use tenantry_core::model::UserId;
use tenantry_domain::services::Services;
use tenantry_domain::{forgot_password, forgot_username, unit};
use tenantry_store::access::{Within, nobody, system_within};
use tenantry_store::engine::tx::Tx;
use tenantry_store::tables::forgot_password::{PasswordRequest, Wanted};

/// Requests per batch.
const REQUESTS: i64 = 100;

/// Puts the requested mails into the outbox. After a crash in the middle a request is processed again; no user gets a
/// second mail, since they are counted.
///
/// # Errors
/// Errors of the store.
pub async fn issue_requested(services: &Services) -> Result<()> {
    loop {
        let waiting = services.store.read(&nobody(), |tx| forgot_password::list(tx, REQUESTS)).await?;
        if waiting.is_empty() {
            return Ok(());
        }
        for request in waiting {
            issue_to_all(services, &request).await?;
            unit::write(&services.store, &nobody(), move |tx| forgot_password::settle(tx, &request)).await?;
        }
    }
}

/// Mails the users of a request, the lowest ids first.
async fn issue_to_all(services: &Services, request: &PasswordRequest) -> Result<()> {
    let (mut after, wanted, mut count) = (UserId(0), request.wanted, 0);
    loop {
        let request = request.clone();
        let found =
            services.store.scan(&nobody(), move |tx| forgot_password::find(tx, &request, after)).await?;
        let Some(&(_, last)) = found.last() else { return Ok(()) };
        for (pid, user_id) in found {
            let issue = move |tx: &mut Tx<'_, Within>| match wanted {
                Wanted::Password => forgot_password::issue(tx, user_id),
                Wanted::Username => forgot_username::issue(tx, user_id),
            };
            count += usize::from(unit::write(&services.store, &system_within(pid), issue).await?);
            if wanted == Wanted::Username && count == forgot_username::MOST {
                return Ok(());
            }
        }
        after = last;
    }
}
