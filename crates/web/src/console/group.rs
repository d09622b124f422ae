//! One group: its name, what it is nested in, the groups nested in it, and its members.

use askama::Template;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;

use super::group_form::{GroupAttempt, no_parent};
use super::groups::{Row, SIZE};
use super::new_group::OFFERED;
use super::pager::{Pager, ROWS, offset, read_page};
use super::shell::{Said, Section, Shell};
use super::user_form::{refusal, status_name};
use super::visit::Visit;
use crate::assets;
use crate::person::shown_name;
use tenantry_core::error::{Error, Missing, Result as Outcome};
use tenantry_core::languages::Language;
use tenantry_core::model::{Group, GroupId, User, UserId};
use tenantry_core::values::{self, whole_number};
use tenantry_domain::groups::{self, GroupChange};
use tenantry_domain::{console, memberships, unit, users};
use tenantry_http::page_error::PageError;
use tenantry_http::pages::{PageForm, see_other};
use tenantry_http::state::AppState;
use tenantry_store::listing::lists::Position;
use tenantry_store::listing::user_queries::UserQuery;

#[derive(Template)]
#[template(path = "console/group.html")]
struct GroupPage<'a> {
    shell: &'a Shell,
    section: Section,
    said: Said,
    id: GroupId,
    name: String,
    ancestors: Vec<(GroupId, String)>,
    form: GroupAttempt,
    /// The fields in both versions, if the form was out of date.
    versions: Vec<(&'static str, String, String)>,
    offered: Vec<String>,
    rows: Vec<Row>,
    children: String,
    has_more_children: bool,
    members: Vec<Member>,
    total: String,
    count: i64,
    pager: Pager,
    user_typed: String,
}

struct Member {
    id: UserId,
    name: String,
    username: String,
    status: &'static str,
    status_name: &'static str,
}

#[derive(Template)]
#[template(path = "console/unknown_group.html")]
struct UnknownGroup<'a> {
    shell: &'a Shell,
    section: Section,
    id: &'a str,
}

fn unknown(visit: &Visit, id: &str) -> Result<Response, PageError> {
    let page = UnknownGroup { shell: &visit.shell, section: Section::Groups, id };
    visit.shell.send(StatusCode::NOT_FOUND, &page)
}

/// What a page shows beside the group: what was typed, and what was said about it.
#[derive(Default)]
struct Shown {
    status: StatusCode,
    said: Said,
    attempt: Option<GroupAttempt>,
    is_stale: bool,
    user_typed: String,
}

/// What is read for a page.
struct Found {
    group: Group,
    ancestors: Vec<(GroupId, String)>,
    children: (tenantry_store::listing::lists::Total, Vec<console::Branch>),
    members: (tenantry_store::listing::lists::Total, Vec<User>),
    offered: Vec<String>,
}

async fn page(app: &AppState, visit: &Visit, id: &str, shown: Shown) -> Result<Response, PageError> {
    let Some(group_id) = whole_number(id).filter(|id| *id > 0).map(GroupId) else {
        return unknown(visit, id);
    };
    let (shell, l, number) = (&visit.shell, visit.l(), read_page(&visit.shell.view));
    let from = Position::Offset(offset(number, ROWS));
    let read = app.store.scan(&visit.admin, move |tx| {
        let group = groups::get_head(tx, group_id)?;
        let query = UserQuery { groups: vec![group_id], ..UserQuery::all() };
        Ok(Found {
            ancestors: console::list_ancestors(tx, group_id)?,
            children: console::list_children(tx, Some(group_id), 0, SIZE)?,
            members: users::list_page(tx, &query, &from, ROWS)?,
            offered: console::list_first_groups(tx, OFFERED)?,
            group,
        })
    });
    let Found { group, ancestors, children, members, offered } = match read.await {
        Err(Error::NotFound(Missing::Group)) => return unknown(visit, id),
        read => read?,
    };
    let current = GroupAttempt::of(&group, ancestors.last());
    let mut form = shown.attempt.unwrap_or_else(|| current.clone());
    if shown.is_stale {
        form.rebase(&current);
    }
    let versions = if shown.is_stale { versions(&current, &form, l) } else { Vec::new() };
    let member = |user: User| Member {
        id: user.user_id,
        name: shown_name(&user),
        status: user.status.as_str(),
        status_name: status_name(user.status, l),
        username: user.username,
    };
    let page = GroupPage {
        shell,
        section: Section::Groups,
        said: shown.said,
        id: group_id,
        offered: offered.into_iter().filter(|name| *name != group.name).collect(),
        name: group.name,
        ancestors,
        form,
        versions,
        children: shell.number(children.0.count),
        has_more_children: children.0.count > SIZE,
        rows: children.1.into_iter().map(|branch| Row::of_branch(branch, shell)).collect(),
        members: members.1.into_iter().map(member).collect(),
        total: shell.number(members.0.count),
        count: members.0.count,
        pager: Pager::of(
            shell,
            &format!("/console/groups/{group_id}"),
            Vec::new(),
            (number, ROWS),
            members.0,
        ),
        user_typed: shown.user_typed,
    };
    shell.send(shown.status, &page)
}

fn versions(
    current: &GroupAttempt,
    typed: &GroupAttempt,
    l: Language,
) -> Vec<(&'static str, String, String)> {
    [
        (text!(l, "console-name"), &current.name, &typed.name),
        (text!(l, "console-description"), &current.description, &typed.description),
        (text!(l, "console-parent"), &current.parent, &typed.parent),
    ]
    .into_iter()
    .filter(|(_, theirs, yours)| theirs != yours)
    .map(|(label, theirs, yours)| (label, theirs.clone(), yours.clone()))
    .collect()
}

/// Shows the group.
pub async fn show(
    State(app): State<AppState>,
    Path(id): Path<String>,
    visit: Visit,
) -> Result<Response, PageError> {
    let l = visit.l();
    let notice = match visit.shell.view.parameter("done").as_deref() {
        Some("created") => Some(text!(l, "console-group-created")),
        Some("saved") => Some(text!(l, "console-saved")),
        _ => None,
    };
    page(&app, &visit, &id, Shown { said: Said::notice(notice), ..Shown::default() }).await
}

/// Does what the button says.
pub async fn submit(
    State(app): State<AppState>,
    Path(id): Path<String>,
    visit: Visit,
    mut form: PageForm,
) -> Result<Response, PageError> {
    visit.check(&app, &mut form)?;
    let Some(group_id) = whole_number(&id).filter(|id| *id > 0).map(GroupId) else {
        return unknown(&visit, &id);
    };
    let action = form.take("do").as_str().to_owned();
    if action == "save" {
        return save(&app, &visit, group_id, form).await;
    }
    let typed = values::trim(&form.take("user")).to_owned();
    match act(&app, &visit, group_id, (&action, &typed)).await {
        Ok("deleted") => see_other("/console/groups?done=deleted", None),
        Ok(_) => see_other(&format!("/console/groups/{group_id}?done=saved"), None),
        Err(Error::NotFound(Missing::Group)) => unknown(&visit, &id),
        Err(Error::NotFound(_)) => {
            let said = Said::problem(text!(visit.l(), "console-no-such-member"));
            let shown = Shown { status: StatusCode::NOT_FOUND, said, user_typed: typed, ..Shown::default() };
            page(&app, &visit, &id, shown).await
        }
        Err(error) => {
            let (status, _, problem) = refusal(error, visit.l())?;
            page(&app, &visit, &id, Shown { status, said: Said::problem(problem), ..Shown::default() }).await
        }
    }
}

async fn act(
    app: &AppState,
    visit: &Visit,
    id: GroupId,
    (action, typed): (&str, &str),
) -> Outcome<&'static str> {
    let (store, by, typed) = (&app.store, &visit.admin, typed.to_owned());
    match action {
        "delete" => unit::write(store, by, move |tx| groups::delete(tx, id)).await.map(|()| "deleted"),
        "add-user" => {
            let added = unit::write(store, by, move |tx| {
                groups::get_head(tx, id)?;
                let user = console::get_user_named(tx, &typed)?;
                memberships::add(tx, id, user.user_id)
            });
            added.await.map(|()| "saved")
        }
        action => {
            let user = action.strip_prefix("remove-user ").and_then(whole_number);
            let Some(user) = user.map(UserId) else { return Err(Error::NotFound(Missing::Membership)) };
            unit::write(store, by, move |tx| memberships::remove(tx, id, user)).await.map(|()| "saved")
        }
    }
}

/// Saves the fields, unless somebody else has changed the group since the form was opened.
async fn save(app: &AppState, visit: &Visit, id: GroupId, mut form: PageForm) -> Result<Response, PageError> {
    let mut attempt = GroupAttempt::read(&mut form);
    let saved = match attempt.check() {
        Err(errors) => Err(Error::Invalid(errors)),
        Ok(()) => {
            let typed = attempt.clone();
            let done = unit::write(&app.store, &visit.admin, move |tx| {
                let group = groups::get_head(tx, id)?;
                // Not its tag, which changes with every member.
                let current = GroupAttempt::of(&group, console::list_ancestors(tx, id)?.last());
                if current.was != typed.was {
                    return Err(Error::Precondition);
                }
                let parent = match typed.parent.as_str() {
                    "" => None,
                    name => match console::get_group_named(tx, name) {
                        Err(Error::NotFound(_)) => return Err(Error::Invalid(vec![no_parent()])),
                        found => Some(found?),
                    },
                };
                let (name, description) = (Some(typed.name.clone()), Some(typed.description.clone()));
                let change = GroupChange { name, description, parent: Some(parent) };
                groups::update(tx, id, &change)
            });
            done.await
        }
    };
    let error = match saved {
        Ok(_) => return see_other(&format!("/console/groups/{id}?done=saved"), None),
        Err(Error::NotFound(Missing::Group)) => return unknown(visit, &id.to_string()),
        Err(error) => error,
    };
    let mut shown = Shown::default();
    if matches!(error, Error::Precondition) {
        shown.status = StatusCode::PRECONDITION_FAILED;
        shown.said = Said::problem(text!(visit.l(), "console-stale-group"));
        shown.is_stale = true;
    } else {
        let (status, errors, problem) = refusal(error, visit.l())?;
        attempt.errors = errors;
        (shown.status, shown.said) = (status, Said::problem(problem));
    }
    shown.attempt = Some(attempt);
    page(app, visit, &id.to_string(), shown).await
}
