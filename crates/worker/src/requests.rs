//! Mails temporary passwords for forgotten-password requests.

use tenantry_core::error::Result;
use tenantry_core::model::UserId;
use tenantry_domain::services::Services;
use tenantry_domain::{forgot_password, unit};
use tenantry_store::access::{nobody, system_within};

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
            let mut after = UserId(0);
            loop {
                let wanted = request.clone();
                let found = services
                    .store
                    .scan(&nobody(), move |tx| forgot_password::find(tx, &wanted, after))
                    .await?;
                let Some(&(_, last)) = found.last() else { break };
                for (pid, user_id) in found {
                    unit::write(&services.store, &system_within(pid), move |tx| {
                        forgot_password::issue(tx, user_id)
                    })
                    .await?;
                }
                after = last;
            }
            unit::write(&services.store, &nobody(), move |tx| forgot_password::settle(tx, &request)).await?;
        }
    }
}
