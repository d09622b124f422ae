//! The first start: creates partner 1 and its admin from the settings.

use zeroize::Zeroizing;

use crate::cli::operations::checks::{Checks, Described};
use crate::config::{Config, ConfigError, Origin};
use tenantry_core::error::{Error, Result};
use tenantry_core::model::{PartnerId, Status};
use tenantry_core::random::Random;
use tenantry_domain::policy::{self, Person};
use tenantry_domain::services::Services;
use tenantry_domain::users::NewUser;
use tenantry_domain::{partners, unit};
use tenantry_store::access::Operator;

/// The admin to create, validated.
pub(super) struct FirstAdmin {
    user: NewUser,
    password: Zeroizing<String>,
    is_generated: bool,
}

/// The created admin, for the start-up lines. The password is only for standard output.
pub(super) struct Made {
    pub(super) pid: PartnerId,
    pub(super) username: String,
    /// `None` if the setting has it.
    pub(super) password: Option<Zeroizing<String>>,
}

/// The admin of the settings, checked by the rules for users and passwords.
///
/// # Errors
/// All errors, by setting.
pub(super) fn describe(config: &Config, random: &Random) -> Result<FirstAdmin, Vec<ConfigError>> {
    const SETTINGS: [&str; 4] = ["admin-username", "admin-email", "admin-first-name", "admin-last-name"];
    let described = Described {
        username: &config.admin_username,
        email: &config.admin_email,
        first_name: &config.admin_first_name,
        last_name: &config.admin_last_name,
        is_admin: true,
        status: Status::Active,
    };
    let person = Person {
        username: &config.admin_username,
        first_name: &config.admin_first_name,
        last_name: &config.admin_last_name,
        email: &config.admin_email,
    };
    let mut checks = Checks::default();
    let user = described.check(&mut checks, SETTINGS);
    let (password, is_generated) = match &config.admin_password {
        Some(given) => {
            for bad in
                policy::check_by(config.password_policy, given.expose(), &person).err().into_iter().flatten()
            {
                checks.see("admin-password", Err::<(), _>(bad));
            }
            (policy::composed(Zeroizing::new(given.expose().to_owned())), false)
        }
        None => (policy::generate(random, &person), true),
    };
    match checks.finish(user) {
        Ok(user) => Ok(FirstAdmin { user, password, is_generated }),
        Err(Error::Invalid(errors)) => {
            Err(errors.into_iter().map(|f| error(config, &f.field, &f.detail)).collect())
        }
        Err(other) => Err(vec![error(config, "admin-username", &other.to_string())]),
    }
}

/// An error of a setting, with its origin. The value is not shown: one of them is a password.
fn error(config: &Config, setting: &str, what: &str) -> ConfigError {
    // Errors of passwords are worded to follow a name; others are not.
    let what = if setting == "admin-password" { what.to_owned() } else { format!("is refused: {what}") };
    ConfigError {
        setting: setting.to_owned(),
        value: None,
        origin: config.origin(setting).cloned().unwrap_or(Origin::Default),
        what,
    }
}

/// Whether the database is empty.
pub(super) async fn is_due(services: &Services, by: Operator) -> Result<bool> {
    services.store.read(&by, |tx| partners::is_first_start(tx)).await
}

/// Creates partner 1 and its admin, both or none. `None` if another process has just created them.
pub(super) async fn make(services: &Services, by: Operator, admin: FirstAdmin) -> Result<Option<Made>> {
    let FirstAdmin { user, password, is_generated } = admin;
    let hash = services.hasher.hash(password.clone()).await?;
    let made = unit::write(&services.store, &by, move |tx| partners::bootstrap(tx, &user, &hash)).await;
    match made {
        Ok(made) => {
            let password = is_generated.then_some(password);
            Ok(Some(Made { pid: made.pid, username: made.username, password }))
        }
        Err(Error::Conflict(_)) if !is_due(services, by).await? => Ok(None),
        Err(error) => Err(error),
    }
}
