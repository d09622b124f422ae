//! To come.

/// To come.
pub async fn deliver_due(app: &crate::app::App, mailer: &crate::mail::Mailer) -> crate::error::Result<()> {
    let _ = (app, mailer);
    Ok(())
}
