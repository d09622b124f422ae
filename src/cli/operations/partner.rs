//! What commands ask for on partners.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::cli::operations::checks::{Checks, Described, PAGE};
use tenantry_core::account_policy::{PasswordPolicy, SecondFactorPolicy};
use tenantry_core::clock::rfc3339;
use tenantry_core::error::{FieldError, Result};
use tenantry_core::model::{Partner, PartnerId, Status};
use tenantry_core::values;
use tenantry_domain::bulk_operations;
use tenantry_domain::partners::{self, PartnerChange};
use tenantry_domain::policies::{self, PolicyChange};
use tenantry_domain::services::Services;
use tenantry_domain::unit;
use tenantry_store::access::Operator;
use tenantry_store::tables::partners::PartnerPosition;

/// Operations on partners. The fields are the flags of these names, see args.rs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", rename_all_fields = "camelCase", deny_unknown_fields)]
pub enum PartnerOperation {
    /// Make one with its first admin.
    Create {
        name: String,
        admin_username: String,
        admin_email: String,
        admin_first_name: String,
        admin_last_name: String,
        print_password: bool,
    },
    /// Those after one, or the first.
    List { after: Option<PartnerId> },
    /// Show one.
    Get { pid: PartnerId },
    /// Rename one.
    Rename { pid: PartnerId, name: String },
    /// Keep its people out, or let them in again.
    Suspend { pid: PartnerId, suspended: bool },
    /// Show or change its policies.
    Policy { pid: PartnerId, require_second_factor: Option<String>, password_rules: Option<String> },
    /// End one.
    Delete { pid: PartnerId, force: bool },
}

impl PartnerOperation {
    /// See [`super::Operation::run`].
    pub(crate) async fn run(self, services: &Services, by: Operator) -> Result<Value> {
        let store = &services.store;
        match self {
            Self::Create {
                name,
                admin_username,
                admin_email,
                admin_first_name,
                admin_last_name,
                print_password,
            } => {
                let admin = Described {
                    username: &admin_username,
                    email: &admin_email,
                    first_name: &admin_first_name,
                    last_name: &admin_last_name,
                    is_admin: true,
                    status: Status::Active,
                };
                let mut checks = Checks::default();
                let name = checks.see("--name", values::partner_name(&name)).map(str::to_owned);
                let flags = ["--admin-username", "--admin-email", "--admin-first-name", "--admin-last-name"];
                let admin = admin.check(&mut checks, flags);
                let (name, admin) = checks.finish(name.zip(admin))?;
                let created =
                    unit::write(store, &by, move |tx| partners::create(tx, &name, &admin, print_password))
                        .await?;
                let mut shape = shape(&created.partner);
                put(&mut shape, "adminUserId", json!(created.admin.user_id));
                put(&mut shape, "adminUsername", json!(created.admin.username));
                add_password(&mut shape, created.password);
                Ok(shape)
            }
            Self::List { after } => {
                let from = PartnerPosition::After(after.unwrap_or(PartnerId(0)));
                let (_, found) = store.scan(&by, move |tx| partners::list_page(tx, None, from, PAGE)).await?;
                Ok(found.iter().map(shape).collect())
            }
            Self::Get { pid } => Ok(shape(&store.scan(&by, move |tx| partners::get(tx, pid)).await?)),
            Self::Rename { pid, name } => {
                let mut checks = Checks::default();
                let name = checks.see("NAME", values::partner_name(&name)).map(str::to_owned);
                let change = PartnerChange { name: Some(checks.finish(name)?), ..PartnerChange::default() };
                update(services, by, pid, change).await
            }
            Self::Suspend { pid, suspended } => {
                update(
                    services,
                    by,
                    pid,
                    PartnerChange { suspended: Some(suspended), ..PartnerChange::default() },
                )
                .await
            }
            Self::Policy { pid, require_second_factor, password_rules } => {
                policy(services, by, pid, (require_second_factor, password_rules)).await
            }
            Self::Delete { pid, force } => {
                bulk_operations::delete_partner(services, by, pid, force, false).await?;
                Ok(json!({ "pid": pid, "deleted": true }))
            }
        }
    }
}

async fn update(services: &Services, by: Operator, pid: PartnerId, change: PartnerChange) -> Result<Value> {
    let partner = unit::write(&services.store, &by, move |tx| partners::update(tx, pid, &change)).await?;
    Ok(shape(&partner))
}

/// Shows the policies of a partner, or changes those that are given.
async fn policy(
    services: &Services,
    by: Operator,
    pid: PartnerId,
    (second_factor, rules): (Option<String>, Option<String>),
) -> Result<Value> {
    let mut checks = Checks::default();
    let bad = |detail: &'static str| FieldError::of_value("unknown", detail);
    let second_factor = second_factor.map(|text| {
        let known = SecondFactorPolicy::parse(&text);
        known.ok_or_else(|| bad("must be off, optional, admins or everybody"))
    });
    let rules = rules.map(|text| match text.as_str() {
        "server" => Ok(None),
        text => PasswordPolicy::parse(text).map(Some).ok_or_else(|| bad("must be contract, nist or server")),
    });
    let change = PolicyChange {
        second_factor: second_factor.and_then(|known| checks.see("--require-second-factor", known)),
        password_policy: rules.and_then(|known| checks.see("--password-rules", known)),
    };
    let change = checks.finish(Some(change))?;
    let admin = by.as_admin_of(pid);
    let shown = unit::write(&services.store, &admin, move |tx| policies::update(tx, &change)).await?;
    Ok(json!({
        "pid": pid,
        "secondFactor": shown.own.second_factor.name(),
        "passwordPolicy": shown.own.password_policy.map(PasswordPolicy::name),
        "effectiveSecondFactor": shown.effective.second_factor.name(),
        "effectivePasswordPolicy": shown.effective.password_policy.name(),
    }))
}

/// Adds a returned password, or says that it is being mailed.
pub(crate) fn add_password(shape: &mut Value, password: Option<String>) {
    match password {
        Some(password) => put(shape, "password", Value::from(password)),
        // With no server running, the outbox is delivered by the next one.
        None => put(shape, "mail", Value::from("queued")),
    }
}

/// Adds a property.
fn put(shape: &mut Value, key: &str, value: Value) {
    if let Value::Object(properties) = shape {
        properties.insert(key.to_owned(), value);
    }
}

fn shape(partner: &Partner) -> Value {
    json!({
        "pid": partner.pid,
        "name": partner.name,
        "users": partner.users,
        "suspended": partner.suspended,
        "createdAt": rfc3339(partner.created_at),
    })
}
