//! One user: its fields, its status, its groups, and what ends it.

use askama::Template;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;

use super::shell::{Said, Section, Shell, ShownTime};
use super::user::{Asked, Head, Tab, find, unknown};
use super::user_form::{Attempt, FIELDS, FieldView, field_name, fields, refusal, value_of};
use super::visit::Visit;
use crate::assets;
use tenantry_core::error::{Error, Missing, Result as Outcome};
use tenantry_core::json::Presence;
use tenantry_core::languages::Language;
use tenantry_core::model::{GroupId, Status, User, UserId};
use tenantry_core::values;
use tenantry_domain::conditions::tag_of_user;
use tenantry_domain::user_records::read_change;
use tenantry_domain::users::UserChange;
use tenantry_domain::{console, memberships, password_changes, unit, users};
use tenantry_http::page_error::PageError;
use tenantry_http::pages::{PageForm, see_other};
use tenantry_http::state::AppState;

/// The names of groups that the page offers while one is typed.
const OFFERED: i64 = 100;

#[derive(Template)]
#[template(path = "console/user.html")]
struct ProfilePage<'a> {
    shell: &'a Shell,
    section: Section,
    tab: Tab,
    head: Head,
    said: Said,
    fields: Vec<FieldView>,
    is_admin: bool,
    was_admin: bool,
    tag: String,
    /// What was typed, beside what somebody else has saved meanwhile.
    versions: Vec<Versions>,
    groups: Vec<(GroupId, String)>,
    offered: Vec<String>,
    actions: Vec<(&'static str, &'static str)>,
    created: ShownTime,
    updated: ShownTime,
    last_login: Option<ShownTime>,
    group_typed: String,
}

/// A field in both versions.
struct Versions {
    label: &'static str,
    theirs: String,
    yours: String,
}

/// What a page shows beside the user: what was typed, and what was said about it.
#[derive(Default)]
struct Shown {
    status: StatusCode,
    said: Said,
    attempt: Option<Attempt>,
    is_stale: bool,
    /// The version that the form began with, if that is not the current one.
    tag: Option<String>,
    group_typed: String,
}

async fn page(app: &AppState, visit: &Visit, user: &User, shown: Shown) -> Result<Response, PageError> {
    let (l, ids) = (visit.l(), user.groups.clone());
    let read = app.store.scan(&visit.admin, move |tx| {
        Ok((console::group_names(tx, &ids)?, console::list_first_groups(tx, OFFERED)?))
    });
    let (names, offered) = read.await?;
    let mut groups: Vec<(GroupId, String)> =
        names.into_iter().map(|(id, name)| (GroupId(id), name)).collect();
    groups.sort_by_cached_key(|(_, name)| values::fold(name));
    let attempt = shown.attempt.as_ref();
    let page = ProfilePage {
        shell: &visit.shell,
        section: Section::Users,
        tab: Tab::Profile,
        head: Head::of(user, visit),
        said: shown.said,
        fields: fields(Some(user), attempt, l),
        is_admin: attempt.map_or(user.is_admin, |attempt| attempt.is_admin),
        was_admin: attempt.map_or(user.is_admin, |attempt| attempt.was_admin),
        tag: shown.tag.unwrap_or_else(|| tag_of_user(user)),
        versions: if shown.is_stale { versions(user, attempt, l) } else { Vec::new() },
        offered: offered.into_iter().filter(|name| !groups.iter().any(|(_, own)| own == name)).collect(),
        groups,
        actions: actions(user.status, l),
        created: ShownTime::of(user.created_at),
        updated: ShownTime::of(user.updated_at),
        last_login: user.last_login_at.map(ShownTime::of),
        group_typed: shown.group_typed,
    };
    visit.shell.send(shown.status, &page)
}

/// What can be done to the status.
fn actions(status: Status, l: Language) -> Vec<(&'static str, &'static str)> {
    let (lock, unlock) = (("lock", text!(l, "console-lock")), ("unlock", text!(l, "console-unlock")));
    let (activate, deactivate) =
        (("activate", text!(l, "console-activate")), ("deactivate", text!(l, "console-deactivate")));
    match status {
        Status::Active => vec![lock, deactivate],
        Status::Inactive => vec![activate],
        Status::Locked => vec![unlock, deactivate],
    }
}

/// The fields that differ between what is stored now and what was typed.
fn versions(user: &User, attempt: Option<&Attempt>, l: Language) -> Vec<Versions> {
    let Some(attempt) = attempt else { return Vec::new() };
    let differ = |field: &_| value_of(*field, user) != attempt.typed(*field);
    let mut versions: Vec<Versions> = FIELDS
        .into_iter()
        .filter(differ)
        .map(|field| Versions {
            label: field_name(field, l),
            theirs: value_of(field, user).to_owned(),
            yours: attempt.typed(field).to_owned(),
        })
        .collect();
    if attempt.is_admin != user.is_admin {
        let said = |yes| if yes { text!(l, "console-yes") } else { text!(l, "console-no") }.to_owned();
        let (theirs, yours) = (said(user.is_admin), said(attempt.is_admin));
        versions.push(Versions { label: text!(l, "console-is-admin"), theirs, yours });
    }
    versions
}

/// Shows the user.
pub async fn show(
    State(app): State<AppState>,
    Path(id): Path<String>,
    visit: Visit,
) -> Result<Response, PageError> {
    let user = match find(&app, &visit, &id).await? {
        Asked::Known(user) => user,
        Asked::Unknown(page) => return Ok(page),
    };
    let l = visit.l();
    let notice = match visit.shell.view.parameter("done").as_deref() {
        Some("created") => Some(text!(l, "console-created-user")),
        Some("saved") => Some(text!(l, "console-saved")),
        Some("restored") => Some(text!(l, "console-restored")),
        Some("restored-some") => Some(text!(l, "console-restored-some")),
        Some("reset") => Some(text!(l, "console-password-reset")),
        _ => None,
    };
    page(&app, &visit, &user, Shown { said: Said::notice(notice), ..Shown::default() }).await
}

/// Does what the button says.
pub async fn submit(
    State(app): State<AppState>,
    Path(id): Path<String>,
    visit: Visit,
    mut form: PageForm,
) -> Result<Response, PageError> {
    visit.check(&app, &mut form)?;
    let user = match find(&app, &visit, &id).await? {
        Asked::Known(user) => user,
        Asked::Unknown(page) => return Ok(page),
    };
    let action = form.take("do");
    if action.as_str() == "save" {
        return save(&app, &visit, &user, form).await;
    }
    let typed = values::trim(&form.take("group")).to_owned();
    let done = act(&app, &visit, user.user_id, (&action, &typed)).await;
    match done {
        Ok("deleted") => see_other("/console/deleted?done=deleted", None),
        Ok(done) => see_other(&format!("{}?done={done}", Tab::Profile.path(user.user_id)), None),
        Err(Error::NotFound(Missing::User)) => unknown(&visit, &id),
        Err(Error::NotFound(Missing::Group | Missing::Membership)) => {
            let said = Said::problem(text!(visit.l(), "console-no-such-group"));
            let shown = Shown { status: StatusCode::NOT_FOUND, said, group_typed: typed, ..Shown::default() };
            page(&app, &visit, &user, shown).await
        }
        Err(error) => {
            let (status, _, problem) = refusal(error, visit.l())?;
            page(&app, &visit, &user, Shown { status, said: Said::problem(problem), ..Shown::default() })
                .await
        }
    }
}

async fn act(
    app: &AppState,
    visit: &Visit,
    id: UserId,
    (action, typed): (&str, &str),
) -> Outcome<&'static str> {
    let (store, by, typed) = (&app.store, &visit.admin, typed.to_owned());
    let to = async |status| {
        let change = UserChange { status: Some(status), ..UserChange::default() };
        unit::write(store, by, move |tx| users::update(tx, id, &change)).await.map(|_| "saved")
    };
    match action {
        "lock" => to(Status::Locked).await,
        "activate" => to(Status::Active).await,
        "deactivate" => to(Status::Inactive).await,
        "unlock" => unit::write(store, by, move |tx| users::unlock(tx, id)).await.map(|_| "saved"),
        "reset-password" => {
            unit::write(store, by, move |tx| password_changes::reset(tx, id)).await.map(|()| "reset")
        }
        "delete" => unit::write(store, by, move |tx| users::delete(tx, id)).await.map(|()| "deleted"),
        "add-group" => {
            let added = unit::write(store, by, move |tx| {
                let group = console::get_group_named(tx, &typed)?;
                memberships::add(tx, group, id)
            });
            added.await.map(|()| "saved")
        }
        action => {
            let group = action.strip_prefix("remove-group ").and_then(values::whole_number);
            let Some(group) = group.map(GroupId) else { return Err(Error::NotFound(Missing::Group)) };
            unit::write(store, by, move |tx| memberships::remove(tx, group, id)).await.map(|()| "saved")
        }
    }
}

/// Saves the fields, unless somebody else has changed the user since the form was opened.
async fn save(app: &AppState, visit: &Visit, user: &User, mut form: PageForm) -> Result<Response, PageError> {
    let tag = form.take("tag").as_str().to_owned();
    let mut attempt = Attempt::read(&mut form);
    if attempt.is_admin
        && !user.is_admin
        && let Some(elsewhere) = visit.expect_strong(app).await?
    {
        return Ok(elsewhere);
    }
    let (id, body) = (user.user_id, attempt.body(user.status));
    let saved = match read_change(&app.store, &visit.admin, user, &body, Presence::Required).await {
        Ok(change) => {
            // The form does not have the status: a lock of a moment ago stays.
            let change = UserChange { status: None, ..change };
            let known = tag.clone();
            unit::write(&app.store, &visit.admin, move |tx| console::update_user(tx, id, &known, &change))
                .await
        }
        Err(error) => Err(error),
    };
    let error = match saved {
        Ok(_) => return see_other(&format!("{}?done=saved", Tab::Profile.path(id)), None),
        Err(Error::NotFound(Missing::User)) => return unknown(visit, &id.to_string()),
        Err(error) => error,
    };
    // As it is now: the form that is shown again is about that.
    let current = match find(app, visit, &id.to_string()).await? {
        Asked::Known(user) => user,
        Asked::Unknown(page) => return Ok(page),
    };
    let mut shown = Shown::default();
    if matches!(error, Error::Precondition) {
        attempt.rebase(&current);
        shown.status = StatusCode::PRECONDITION_FAILED;
        shown.said = Said::problem(text!(visit.l(), "console-stale"));
        shown.is_stale = true;
    } else {
        let (status, errors, problem) = refusal(error, visit.l())?;
        attempt.errors = errors;
        (shown.status, shown.said, shown.tag) = (status, Said::problem(problem), Some(tag));
    }
    shown.attempt = Some(attempt);
    page(app, visit, &current, shown).await
}
