//! What commands ask for on users of any partner.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::cli::args::UserRef;
use crate::cli::operations::checks::{Checks, Described, PAGE};
use crate::cli::operations::partner::add_password;
use tenantry_core::clock::rfc3339;
use tenantry_core::error::Result;
use tenantry_core::model::{PartnerId, Status, User, UserId};
use tenantry_core::search_terms::SearchTerm;
use tenantry_core::user_fields::{self, UserField};
use tenantry_domain::factors::{self, ListedFactor};
use tenantry_domain::services::Services;
use tenantry_domain::users::{self, UserChange};
use tenantry_domain::{partners, password_changes, unit};
use tenantry_store::access::{Admin, Operator};
use tenantry_store::listing::lists::SortKey;
use tenantry_store::listing::user_queries::UserQuery;

/// Operations on users of any partner. The fields are the flags of these names, see args.rs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", rename_all_fields = "camelCase", deny_unknown_fields)]
pub enum UserOperation {
    /// A partner's users after one, or the first.
    List { pid: PartnerId, search: Option<String>, after: Option<UserId> },
    /// Show one.
    Get { user: UserRef },
    /// Make one.
    Create {
        pid: PartnerId,
        username: String,
        email: String,
        first_name: String,
        last_name: String,
        admin: bool,
        status: Status,
        print_password: bool,
    },
    /// Keep one out.
    Lock { user: UserRef, force: bool },
    /// Let one in again.
    Unlock { user: UserRef },
    /// End its password and sessions.
    ResetPassword { user: UserRef, print_password: bool },
    /// End one.
    Delete { user: UserRef, force: bool },
    /// Its second factors.
    ListFactors { user: UserRef },
    /// Take one of them away, or all.
    RemoveFactors { user: UserRef, factor: Option<String> },
}

impl UserOperation {
    /// See [`super::Operation::run`].
    pub(crate) async fn run(self, services: &Services, by: Operator) -> Result<Value> {
        let store = &services.store;
        match self {
            Self::List { pid, search, after } => list(services, by, pid, search, after).await,
            Self::Get { user } => {
                let (admin, user_id) = locate(services, by, user).await?;
                Ok(shape(&store.scan(&admin, move |tx| users::get(tx, user_id)).await?))
            }
            Self::Create { pid, username, email, first_name, last_name, admin, status, print_password } => {
                let described = Described {
                    username: &username,
                    email: &email,
                    first_name: &first_name,
                    last_name: &last_name,
                    is_admin: admin,
                    status,
                };
                create(services, by, pid, described, print_password).await
            }
            Self::Lock { user, force } => {
                let (admin, user_id) = locate(services, by, user).await?;
                let change = UserChange { status: Some(Status::Locked), ..UserChange::default() };
                let locked = unit::write(store, &admin, move |tx| {
                    if force {
                        tx.waive_admin_rule(by);
                    }
                    users::update(tx, user_id, &change)
                });
                Ok(shape(&locked.await?))
            }
            Self::Unlock { user } => {
                let (admin, user_id) = locate(services, by, user).await?;
                let unlocked = unit::write(store, &admin, move |tx| users::unlock(tx, user_id));
                Ok(shape(&unlocked.await?))
            }
            Self::ResetPassword { user, print_password } => reset(services, by, user, print_password).await,
            Self::Delete { user, force } => {
                let (admin, user_id) = locate(services, by, user).await?;
                let deleted = unit::write(store, &admin, move |tx| {
                    if force {
                        tx.waive_admin_rule(by);
                    }
                    users::delete(tx, user_id)
                });
                deleted.await?;
                Ok(json!({ "userId": user_id, "deleted": true }))
            }
            Self::ListFactors { user } => {
                let (admin, user_id) = locate(services, by, user).await?;
                let found = store.scan(&admin, move |tx| factors::list(tx, user_id)).await?;
                Ok(found.factors.iter().map(factor_shape).collect())
            }
            Self::RemoveFactors { user, factor } => {
                let (admin, user_id) = locate(services, by, user).await?;
                let removed =
                    unit::write(store, &admin, move |tx| factors::remove(tx, user_id, factor.as_deref()));
                Ok(json!({ "userId": user_id, "removed": removed.await? }))
            }
        }
    }
}

/// Finds a user of any partner. A separate read: an id is searched in each partner, and the writer should not wait for
/// that.
async fn locate(services: &Services, by: Operator, user: UserRef) -> Result<(Admin, UserId)> {
    services
        .store
        .scan(&by, move |tx| match user {
            UserRef::Id(id) => Ok((users::locate(tx, id)?, id)),
            UserRef::Username(name) => users::locate_username(tx, &name),
        })
        .await
}

async fn list(
    services: &Services,
    by: Operator,
    pid: PartnerId,
    search: Option<String>,
    after: Option<UserId>,
) -> Result<Value> {
    let mut checks = Checks::default();
    let term = checks.see("--search", SearchTerm::parse(search.as_deref().unwrap_or_default()));
    let term = checks.finish(term)?.and_then(|term| term.without_accents());
    let admin = by.as_admin_of(pid);
    let found = services
        .store
        .scan(&admin, move |tx| {
            partners::require_own(tx)?;
            let query = UserQuery { search: term, ..UserQuery::all() };
            users::list_chunk(tx, &query, after.map(|id| (SortKey::Int(id.0), id)), PAGE)
        })
        .await?;
    Ok(found.iter().map(shape).collect())
}

async fn create(
    services: &Services,
    by: Operator,
    pid: PartnerId,
    new: Described<'_>,
    returns_password: bool,
) -> Result<Value> {
    let mut checks = Checks::default();
    let new = new.check(&mut checks, ["--username", "--email", "--first-name", "--last-name"]);
    let (new, admin) = (checks.finish(new)?, by.as_admin_of(pid));
    let (user, password) = unit::write(&services.store, &admin, move |tx| {
        partners::require_own(tx)?;
        if returns_password {
            users::create_and_return_password(tx, &new)
        } else {
            Ok((users::create(tx, &new)?, None))
        }
    })
    .await?;
    let mut shape = shape(&user);
    // A user who may not log in gets the password by mail when the status first becomes ACTIVE (B16).
    if user.status == Status::Active {
        add_password(&mut shape, password);
    }
    Ok(shape)
}

async fn reset(services: &Services, by: Operator, user: UserRef, returns_password: bool) -> Result<Value> {
    let (admin, user_id) = locate(services, by, user).await?;
    let password = unit::write(&services.store, &admin, move |tx| {
        if returns_password {
            password_changes::reset_and_return_password(tx, user_id).map(Some)
        } else {
            password_changes::reset(tx, user_id).map(|()| None)
        }
    })
    .await?;
    let mut shape = json!({ "userId": user_id });
    add_password(&mut shape, password);
    Ok(shape)
}

fn factor_shape(factor: &ListedFactor) -> Value {
    json!({
        "factorId": factor.factor_id,
        "factor": factor.factor.name(),
        "name": factor.name,
        "createdAt": rfc3339(factor.created_at),
        "lastUsedAt": factor.last_used_at.map(rfc3339),
    })
}

/// A user, with the names of B3.
fn shape(user: &User) -> Value {
    user_fields::to_json(user, UserField::ALL)
}
