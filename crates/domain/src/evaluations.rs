//! Permission evaluations and their reasons (contract, part C).

use serde_json::json;

use tenantry_core::catalogue::{Catalogue, ObjectType};
use tenantry_core::error::{Error, Missing, Result};
use tenantry_core::model::{Effective, Holder, Source, Status, UserId};
use tenantry_store::access::{Admin, Requester};
use tenantry_store::engine::tx::Tx;
use tenantry_store::listing::lists::Total;
use tenantry_store::tables::effective_permissions::{self, ObjectPosition};
use tenantry_store::tables::evaluations::{self, HolderPosition, Question};
use tenantry_store::tables::{partners, users};

/// The rules of evaluations, in addition to the permissions of groups.
#[derive(Debug, Clone, Copy)]
pub struct Rules<'a> {
    /// The permission catalogue.
    pub catalogue: &'a Catalogue,
    /// Whether partner admins have all permissions.
    pub admins_have_all: bool,
}

/// A requested evaluation. Nothing in it need exist.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccessRequest {
    /// The user; `None` for an id that cannot be a user's.
    pub user_id: Option<UserId>,
    /// The action.
    pub action: String,
    /// The object's type.
    pub object_type: String,
    /// The object's id, as text.
    pub object_id: String,
}

/// Why an evaluation is denied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Denial {
    /// There is no such user in the partner; users of other partners and malformed ids are treated the same.
    UnknownUser,
    /// The user is INACTIVE or LOCKED.
    UserNotActive,
    /// The catalogue does not have the object type.
    UnknownObjectType,
    /// The object type does not have the action.
    UnknownAction,
    /// No group of the user has it.
    NotGranted,
}

/// The result of an evaluation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// Whether it is allowed.
    pub is_allowed: bool,
    /// The sources, if requested and allowed.
    pub sources: Vec<Source>,
    /// The reason, if requested and denied.
    pub denial: Option<Denial>,
}

impl Decision {
    fn of(is_allowed: bool) -> Self {
        Self { is_allowed, sources: Vec::new(), denial: None }
    }
}

impl Rules<'_> {
    fn question(&self, object_type: &ObjectType, action: &str, object_id: &str) -> Question {
        let is_wildcard = object_type.has_wildcard(action);
        Question {
            object_type: object_type.name.clone(),
            // A wildcard applies to every object, so the requested one does not matter.
            object_id: if is_wildcard { String::new() } else { object_id.to_owned() },
            action: action.to_owned(),
            wildcards: object_type.wildcards_for(action).map(str::to_owned).collect(),
        }
    }

    /// The query, if user, type and action can exist.
    fn read(&self, request: &AccessRequest) -> Result<Question, Denial> {
        let object_type =
            self.catalogue.object_type(&request.object_type).ok_or(Denial::UnknownObjectType)?;
        if object_type.knows(&request.action) {
            Ok(self.question(object_type, &request.action, &request.object_id))
        } else {
            Err(Denial::UnknownAction)
        }
    }
}

/// Evaluates a request. One statement, unless reasons are requested.
///
/// # Errors
/// `not-yourself` if a member asks about another user.
pub fn decide(
    tx: &mut Tx<'_, Requester>,
    rules: Rules<'_>,
    request: &AccessRequest,
    with_reason: bool,
) -> Result<Decision> {
    tx.scope().may_ask_about(request.user_id)?;
    let question = rules.read(request);
    let (Some(user_id), Ok(question)) = (request.user_id, &question) else {
        let denial = if with_reason { Some(explain_denial(tx, request, question.err())?) } else { None };
        return Ok(Decision { denial, ..Decision::of(false) });
    };
    let facts = evaluations::find_facts(tx, user_id, question)?;
    let is_allowed = facts.is_some_and(|facts| facts.is_granted || (facts.is_admin && rules.admins_have_all));
    let mut decision = Decision::of(is_allowed);
    if with_reason && is_allowed {
        decision.sources = evaluations::list_sources(tx, user_id, question)?;
        if rules.admins_have_all && facts.is_some_and(|facts| facts.is_admin) {
            decision.sources.insert(0, Source::Admin);
        }
    } else if with_reason {
        decision.denial = Some(explain_denial(tx, request, None)?);
    }
    Ok(decision)
}

/// Checks the user first: the catalogue is not secret, but the users of the partner are.
fn explain_denial(tx: &mut Tx<'_>, request: &AccessRequest, unknown: Option<Denial>) -> Result<Denial> {
    let user = match request.user_id {
        Some(id) => users::find(tx, id)?,
        None => None,
    };
    Ok(match user {
        None => Denial::UnknownUser,
        Some(user) if user.status != Status::Active => Denial::UserNotActive,
        Some(_) => unknown.unwrap_or(Denial::NotGranted),
    })
}

/// How a batch is evaluated (OpenID AuthZEN, Authorization API 1.0, Evaluations semantics).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Semantic {
    /// All requests.
    #[default]
    ExecuteAll,
    /// Up to the first denied one.
    DenyOnFirstDeny,
    /// Up to the first permitted one.
    PermitOnFirstPermit,
}

/// Evaluates requests in order, on one snapshot.
///
/// # Errors
/// As [`decide`], also for requests after the end of the batch.
pub fn decide_many(
    tx: &mut Tx<'_, Requester>,
    rules: Rules<'_>,
    requests: &[AccessRequest],
    semantic: Semantic,
    with_reason: bool,
) -> Result<Vec<Decision>> {
    for request in requests {
        tx.scope().may_ask_about(request.user_id)?;
    }
    let mut decisions = Vec::with_capacity(requests.len());
    for request in requests {
        let decision = decide(tx, rules, request, with_reason)?;
        let is_last = match semantic {
            Semantic::ExecuteAll => false,
            Semantic::DenyOnFirstDeny => !decision.is_allowed,
            Semantic::PermitOnFirstPermit => decision.is_allowed,
        };
        decisions.push(decision);
        if is_last {
            break;
        }
    }
    Ok(decisions)
}

/// The start of a page of a user's permissions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EffectivePosition {
    /// After this many rows.
    Offset(i64),
    /// After this type, id and permission; no id means every object.
    After(String, Option<String>, String),
}

/// A page of a user's permissions, and the total, from one snapshot. First those on every object of a type, in the
/// catalogue's order, then those on single objects, by type, id and permission.
///
/// # Errors
/// Not found; `not-yourself`: a member asks about another.
pub fn list_effective(
    tx: &mut Tx<'_, Requester>,
    rules: Rules<'_>,
    user_id: UserId,
    from: &EffectivePosition,
    size: i64,
    with_sources: bool,
) -> Result<(Total, Vec<Effective>)> {
    tx.scope().may_ask_about(Some(user_id))?;
    let user = users::find(tx, user_id)?.ok_or(Error::NotFound(Missing::User))?;
    let pid = tx.pid();
    if user.status != Status::Active || partners::is_suspended(tx, pid)? {
        return Ok((Total { count: 0, is_exact: true }, Vec::new()));
    }
    let is_almighty = user.is_admin && rules.admins_have_all;
    let wide = effective_on_all(tx, rules, user_id, is_almighty)?;
    let known = rules.known_permissions();
    let single = effective_permissions::count_on_objects(tx, user_id, &known)?;
    let wide_count = i64::try_from(wide.len()).unwrap_or(i64::MAX);
    let total = Total { count: wide_count.saturating_add(single), is_exact: true };
    let (skip, object_from) = match from {
        EffectivePosition::Offset(offset) => {
            (*offset, ObjectPosition::Offset(offset.saturating_sub(wide_count).max(0)))
        }
        EffectivePosition::After(object_type, None, permission) => {
            let is_it = |row: &Effective| row.object_type == *object_type && row.permission == *permission;
            let at = wide.iter().position(is_it).map_or(wide.len(), |at| at + 1);
            (i64::try_from(at).unwrap_or(i64::MAX), ObjectPosition::Offset(0))
        }
        EffectivePosition::After(object_type, Some(id), permission) => {
            let key = [object_type, id, permission].map(String::clone);
            (wide_count, ObjectPosition::After(key))
        }
    };
    let skip = usize::try_from(skip).unwrap_or(usize::MAX);
    let wanted = usize::try_from(size).unwrap_or(usize::MAX);
    let mut rows: Vec<Effective> = wide.into_iter().skip(skip).take(wanted).collect();
    let rest = size.saturating_sub(i64::try_from(rows.len()).unwrap_or(i64::MAX));
    if rest > 0 {
        rows.extend(effective_permissions::list_on_objects(tx, user_id, &known, &object_from, rest)?);
    }
    if with_sources {
        add_sources(tx, rules, user_id, &mut rows, is_almighty)?;
    }
    Ok((total, rows))
}

fn add_sources(
    tx: &mut Tx<'_>,
    rules: Rules<'_>,
    user_id: UserId,
    rows: &mut [Effective],
    is_almighty: bool,
) -> Result<()> {
    let question = |row: &Effective| {
        let object_type = rules.catalogue.object_type(&row.object_type)?;
        let id = row.object_id.as_ref().map_or("", |id| &id.text);
        Some(rules.question(object_type, &row.permission, id))
    };
    let (known, questions): (Vec<&mut Effective>, Vec<Question>) =
        rows.iter_mut().filter_map(|row| question(row).map(|question| (row, question))).unzip();
    let sources = effective_permissions::list_sources(tx, user_id, &questions)?;
    for (row, sources) in known.into_iter().zip(sources) {
        row.sources = sources;
        if is_almighty {
            row.sources.insert(0, Source::Admin);
        }
    }
    Ok(())
}

/// A user's permissions on every object of a type.
fn effective_on_all(
    tx: &mut Tx<'_>,
    rules: Rules<'_>,
    user_id: UserId,
    is_almighty: bool,
) -> Result<Vec<Effective>> {
    let own = effective_permissions::wildcards_of(tx, user_id)?;
    let mut rows = Vec::new();
    for object_type in rules.catalogue.types() {
        let names = object_type.per_object.iter().chain(object_type.wildcards.iter().map(|w| &w.name));
        for action in names {
            if is_almighty || object_type.wildcards_for(action).any(|name| own.iter().any(|w| w == name)) {
                rows.push(Effective {
                    object_type: object_type.name.clone(),
                    object_id: None,
                    permission: action.clone(),
                    sources: Vec::new(),
                });
            }
        }
    }
    Ok(rows)
}

impl Rules<'_> {
    /// `TYPE PERMISSION` of all per-object permissions, as a JSON array.
    fn known_permissions(&self) -> String {
        let types = self.catalogue.types().iter();
        let names = types.flat_map(|t| t.per_object.iter().map(move |p| format!("{} {p}", t.name)));
        json!(names.collect::<Vec<_>>()).to_string()
    }
}

/// A query for the holders of a permission, checked against the catalogue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HolderQuery {
    /// The object's type.
    pub object_type: String,
    /// The object's id, as text; empty if the permission is the name of a wildcard.
    pub object_id: String,
    /// A per-object permission, or the name of a wildcard.
    pub permission: String,
}

/// A page of the ACTIVE users who have a permission, with their sources, and the total, from one snapshot.
///
/// # Errors
/// Not found if the object type is unknown.
pub fn list_holders(
    tx: &mut Tx<'_, Admin>,
    rules: Rules<'_>,
    query: &HolderQuery,
    from: HolderPosition,
    size: i64,
) -> Result<(Total, Vec<Holder>)> {
    let object_type =
        rules.catalogue.object_type(&query.object_type).ok_or(Error::NotFound(Missing::ObjectType))?;
    let question = rules.question(object_type, &query.permission, &query.object_id);
    let total = evaluations::count_holders(tx, &question, rules.admins_have_all)?;
    let rows = evaluations::list_holders(tx, &question, rules.admins_have_all, from, size, total)?;
    let ids: Vec<UserId> = rows.iter().map(|row| row.user_id).collect();
    let mut sources = evaluations::list_sources_of(tx, &ids, &question)?;
    let holders = rows.into_iter().map(|row| {
        let mut sources = sources.remove(&row.user_id).unwrap_or_default();
        if rules.admins_have_all && row.is_admin {
            sources.insert(0, Source::Admin);
        }
        Holder { user_id: row.user_id, username: row.username, sources }
    });
    Ok((total, holders.collect()))
}
