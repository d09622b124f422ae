//! What happened to a user: the events of the audit log, each with what it changed.

use askama::Template;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;
use serde_json::Value;

use super::pager::{Pager, ROWS, offset, read_page};
use super::shell::{Section, Shell, ShownTime};
use super::user::{Asked, Head, Tab, find};
use super::user_form::{field_name, status_name};
use super::visit::Visit;
use crate::assets;
use tenantry_core::languages::Language;
use tenantry_core::model::{Event, Status, UserId};
use tenantry_core::user_fields::UserField;
use tenantry_core::values::whole_number;
use tenantry_domain::{console, events};
use tenantry_http::page_error::PageError;
use tenantry_http::state::AppState;
use tenantry_store::tables::events::{EventPosition, EventQuery};

#[derive(Template)]
#[template(path = "console/user_history.html")]
struct HistoryPage<'a> {
    shell: &'a Shell,
    section: Section,
    tab: Tab,
    head: Head,
    rows: Vec<Row>,
    total: String,
    count: i64,
    pager: Pager,
}

/// An event as pages show it.
pub struct Row {
    /// When it happened.
    pub time: ShownTime,
    /// What happened.
    pub what: String,
    /// The type of the event.
    pub kind: String,
    /// Who did it.
    pub actor: String,
    /// The page of who did it, if it is a user.
    pub actor_href: Option<String>,
    /// The user whom it happened to.
    pub user: Option<UserId>,
    /// Whether that user still exists.
    pub has_page: bool,
    /// What it changed.
    pub changes: Vec<Change>,
}

/// A member of an event that has changed.
pub struct Change {
    /// Whether it names the user, or the group.
    pub is_name: bool,
    /// Its name, for people.
    pub name: String,
    /// Its value before; `None` if there was none.
    pub before: Option<String>,
    /// Its value after; `None` if there is none.
    pub after: Option<String>,
}

/// A value as text.
fn shown(value: &Value, l: Language) -> Option<String> {
    match value {
        Value::Null => None,
        Value::Bool(true) => Some(text!(l, "console-yes").to_owned()),
        Value::Bool(false) => Some(text!(l, "console-no").to_owned()),
        Value::String(text) if text.is_empty() => None,
        Value::String(text) => Some(text.clone()),
        Value::Array(list) => {
            Some(list.iter().filter_map(|value| shown(value, l)).collect::<Vec<_>>().join(", "))
                .filter(|text| !text.is_empty())
        }
        other => Some(other.to_string()),
    }
}

/// The value of a field as text.
fn shown_of(field: Option<UserField>, value: &Value, l: Language) -> Option<String> {
    match (field, value.as_str().and_then(Status::parse)) {
        (Some(UserField::Status), Some(status)) => Some(status_name(status, l).to_owned()),
        _ => shown(value, l),
    }
}

fn changes(event: &Event, l: Language) -> Vec<Change> {
    let members = |value: &Option<Value>| match value {
        Some(Value::Object(members)) => members.clone(),
        _ => serde_json::Map::new(),
    };
    let (before, after) = (members(&event.before), members(&event.after));
    let mut names: Vec<&String> =
        before.keys().chain(after.keys().filter(|name| !before.contains_key(*name))).collect();
    let place = |name: &str| UserField::ALL.into_iter().position(|field| field.name() == name);
    names.sort_by_key(|name| place(name).unwrap_or(usize::MAX));
    let change = |name: &String| {
        let field = UserField::ALL.into_iter().find(|field| field.name() == name);
        let change = Change {
            is_name: matches!(name.as_str(), "username" | "name"),
            name: field.map_or_else(|| name.clone(), |field| field_name(field, l).to_owned()),
            before: before.get(name).and_then(|value| shown_of(field, value, l)),
            after: after.get(name).and_then(|value| shown_of(field, value, l)),
        };
        (change.before != change.after).then_some(change)
    };
    names.into_iter().filter_map(change).collect()
}

/// The users whom events name: whom they happened to, and who did it.
pub fn users_of(events: &[Event]) -> Vec<i64> {
    let actor = |event: &Event| event.actor.strip_prefix("user:").and_then(whole_number);
    let mut ids: Vec<i64> = events.iter().filter_map(|event| event.user_id.map(|id| id.0)).collect();
    ids.extend(events.iter().filter_map(actor));
    ids.sort_unstable();
    ids.dedup();
    ids
}

/// An event as pages show it. Users who do not exist any more have no page to lead to.
pub fn row(event: Event, shell: &Shell, (own, unknown): (UserId, &[i64])) -> Row {
    let l = shell.l;
    let (actor, actor_href) = match event.actor.split_once(':') {
        Some(("user", id)) if *id == own.to_string() => (text!(l, "console-you").to_owned(), None),
        Some(("user", id)) => {
            (text!(l, "console-user-number", id = id), Some(format!("{}/console/users/{id}", shell.base())))
        }
        Some((_, id)) => (id.to_owned(), None),
        None if event.actor == "operator" => (text!(l, "console-operator").to_owned(), None),
        None => (text!(l, "console-server").to_owned(), None),
    };
    Row {
        time: ShownTime::of(event.at),
        what: super::event_names::name(&event.kind, l).to_owned(),
        actor,
        actor_href,
        has_page: event.user_id.is_some_and(|id| !unknown.contains(&id.0)),
        user: event.user_id,
        changes: changes(&event, l),
        kind: event.kind,
    }
}

/// As [`row`], in a list of everything: of a whole user, as when it is created, only the name.
pub fn brief(event: Event, shell: &Shell, of: (UserId, &[i64])) -> Row {
    let is_whole = event.before.is_none() || event.after.is_none();
    let mut row = row(event, shell, of);
    if is_whole {
        row.changes.retain(|change| change.is_name);
    }
    row
}

/// Shows the events of a user, newest first.
pub async fn show(
    State(app): State<AppState>,
    Path(id): Path<String>,
    visit: Visit,
) -> Result<Response, PageError> {
    let user = match find(&app, &visit, &id).await? {
        Asked::Known(user) => user,
        Asked::Unknown(page) => return Ok(page),
    };
    let (shell, number) = (&visit.shell, read_page(&visit.shell.view));
    let query = EventQuery { users: vec![user.user_id], kinds: Vec::new(), descending: true };
    let from = EventPosition::Offset(offset(number, ROWS));
    let read = app.store.scan(&visit.admin, move |tx| {
        let (total, rows) = events::list_page(tx, &query, from, ROWS)?;
        let unknown = console::list_unknown_users(tx, &users_of(&rows))?;
        Ok((total, rows, unknown))
    });
    let (total, rows, unknown) = read.await?;
    let of = (visit.session.user_id, &unknown[..]);
    let page = HistoryPage {
        shell,
        section: Section::Users,
        tab: Tab::History,
        head: Head::of(&user, &visit),
        rows: rows.into_iter().map(|event| row(event, shell, of)).collect(),
        total: shell.number(total.count),
        count: total.count,
        pager: Pager::of(shell, &Tab::History.path(user.user_id), Vec::new(), (number, ROWS), total),
    };
    shell.send(StatusCode::OK, &page)
}
