//! Partners, for operators: products that sign up tenants from code.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde::Serialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

use crate::responses::{ConflictError, InvalidError, MissingError, OperatorErrors};
use crate::user_bodies::{Time, UserBody, example_of};
use tenantry_core::error::{Conflict, Error, Result};
use tenantry_core::json::{Fields, Members, Presence, Property, Shape};
use tenantry_core::model::{Partner, PartnerId, Profile, Status};
use tenantry_core::search_terms::SearchTerm;
use tenantry_core::user_fields::UserField;
use tenantry_core::values::{self, EMAIL, LINE, USERNAME};
use tenantry_domain::bulk_operations;
use tenantry_domain::partners::{self, PartnerChange};
use tenantry_domain::user_records::owned;
use tenantry_domain::users::NewUser;
use tenantry_http::extract::{ByOperator, NoParams, PartnerPath, QueryParams};
use tenantry_http::json_body::JsonBody;
use tenantry_http::paging::{FoundRows, ListAddress, Page, PageRequest, Params, Start, page_response};
use tenantry_http::parameters::{CURSOR, Of, PAGE, PAGE_SIZE, Parameter, ReadFrom, SEARCH};
use tenantry_http::problem::Problem;
use tenantry_http::responses::json;
use tenantry_http::state::AppState;
use tenantry_http::writes::{IdempotentBody, Write, WriteResponse, WriteWith};
use tenantry_store::listing::lists::SortKey;
use tenantry_store::tables::partners::PartnerPosition;

/// A partner.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Partner)]
pub struct PartnerBody<'a> {
    /// Its id.
    #[schema(example = 2)]
    pid: i64,
    /// Unique on the server, compared folded.
    #[schema(example = "Example Ltd")]
    name: &'a str,
    /// Users of a suspended partner cannot log in, and its tokens are refused.
    suspended: bool,
    /// The number of its users.
    #[schema(example = 1)]
    users: i64,
    /// RFC 3339, UTC.
    #[schema(value_type = String, format = DateTime, example = "2026-11-23T09:00:00.000Z")]
    created_at: Time,
}

impl<'a> PartnerBody<'a> {
    fn of(partner: &'a Partner) -> Self {
        Self {
            pid: partner.pid.0,
            name: &partner.name,
            suspended: partner.suspended,
            users: partner.users,
            created_at: Time(partner.created_at),
        }
    }
}

/// A new partner with its admin.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct PartnerCreated<'a> {
    #[serde(flatten)]
    partner: PartnerBody<'a>,
    /// Its first admin, who is mailed a temporary password.
    admin: UserBody<'a>,
}

const NAME: Property =
    Property::new("name", "Unique on the server; 1 to 255 characters.").of(&LINE).like("Example Ltd");
const ADMIN_USERNAME: Property =
    Property::new("adminUsername", "The admin's username.").of(&USERNAME).like("ada@example.com");
const ADMIN_EMAIL: Property =
    Property::new("adminEmail", "The e-mail address for the admin's temporary password.")
        .of(&EMAIL)
        .like("ada@example.com");
const ADMIN_FIRST_NAME: Property =
    Property::new("adminFirstName", "The admin's given name; \"Admin\" by default.").of(&LINE).like("Ada");
const ADMIN_LAST_NAME: Property =
    Property::new("adminLastName", "The admin's family name; \"Admin\" by default.")
        .of(&LINE)
        .like("Lovelace");
const SUSPENDED: Property =
    Property::new("suspended", "Users of a suspended partner cannot log in, and its tokens are refused.")
        .like("true");

/// The schemas of request bodies.
pub(super) fn schemas() -> Vec<(&'static str, Value)> {
    vec![
        ("CreatePartner", Shape::of_new("A new partner and its first admin.").asked(new_partner)),
        ("UpdatePartner", Shape::of_change("Only the given properties change.").asked(partner_change)),
    ]
}

/// The admin in the example of a create.
fn admin_example() -> Value {
    let mut admin = example_of(UserField::ALL);
    for (name, value) in [("pid", json!(2)), ("username", json!("ada@example.com")), ("isAdmin", json!(true))]
    {
        admin.insert(name.to_owned(), value);
    }
    Value::Object(admin)
}

/// The admin's username has another name in this body.
fn in_create(error: Error) -> Error {
    match error {
        Error::Conflict(conflict) if conflict.field.as_deref() == Some("/username") => {
            Error::Conflict(Conflict { field: Some("/adminUsername".into()), ..conflict })
        }
        other => other,
    }
}

/// Create a partner and its first admin.
///
/// The admin is mailed a temporary password.
#[utoipa::path(
    post, path = "/operator/v1/partners", tag = "operator", params(Of<IdempotentBody>, Of<Write>),
    request_body(content = ref("#/components/schemas/CreatePartner")),
    responses(
        (status = 201, description = "Created", body = PartnerCreated, headers(("Location" = String, description = "Its path")), example = json!({
            "pid": 2, "name": "Example Ltd", "suspended": false, "users": 1, "createdAt": "2026-11-23T09:00:00.000Z",
            "admin": admin_example(),
        })),
        InvalidError, OperatorErrors, ConflictError,
    ),
)]
pub async fn create_partner(
    State(app): State<AppState>,
    ByOperator(by): ByOperator,
    write: Write,
    IdempotentBody { body, key }: IdempotentBody,
) -> Result<Response, Problem> {
    let (name, admin) = read_new(&body)?;
    let state = app.clone();
    write
        .idempotency_key(key)
        .map_error(in_create)
        .run(&app, &by, move |tx| {
            let made = partners::create(tx, &name, &admin, false)?;
            let (partner, admin) = (PartnerBody::of(&made.partner), UserBody::of(&made.admin, &state));
            let location = format!("/operator/v1/partners/{}", made.partner.pid);
            WriteResponse::created(location, &PartnerCreated { partner, admin })
        })
        .await
}

fn new_partner(from: &mut impl Members) -> Option<(String, NewUser)> {
    let name = from.text(Presence::Required, &NAME, owned(values::partner_name));
    let username = from.text(Presence::Required, &ADMIN_USERNAME, values::username);
    let email = from.text(Presence::Required, &ADMIN_EMAIL, owned(values::email));
    let first_name = from.text(Presence::Optional, &ADMIN_FIRST_NAME, owned(values::person_name));
    let last_name = from.text(Presence::Optional, &ADMIN_LAST_NAME, owned(values::person_name));
    let admin = NewUser {
        username: username?,
        status: Status::Active,
        profile: Profile {
            first_name: first_name.unwrap_or_else(|| String::from("Admin")),
            last_name: last_name.unwrap_or_else(|| String::from("Admin")),
            email: email?,
            ..Profile::default()
        },
        groups: Vec::new(),
        is_admin: true,
    };
    Some((name?, admin))
}

fn read_new(body: &[u8]) -> Result<(String, NewUser)> {
    let mut fields = Fields::parse(body)?;
    let new = new_partner(&mut fields);
    fields.finish_with(|| new)
}

fn partner_change(from: &mut impl Members) -> PartnerChange {
    let name = from.text(Presence::Optional, &NAME, owned(values::partner_name));
    PartnerChange { name, suspended: from.truth(&SUSPENDED) }
}

/// Get a partner.
///
/// Includes the number of its users.
#[utoipa::path(
    get, path = "/operator/v1/partners/{pid}", tag = "operator", params(Of<PartnerPath>),
    responses((status = 200, description = "The partner", body = PartnerBody), OperatorErrors, MissingError),
)]
pub async fn get_partner(
    State(app): State<AppState>,
    ByOperator(by): ByOperator,
    PartnerPath(pid): PartnerPath,
    _: NoParams,
) -> Result<Response, Problem> {
    let partner = app.store.scan(&by, move |tx| partners::get(tx, pid)).await?;
    Ok(json(StatusCode::OK, &PartnerBody::of(&partner)))
}

/// Rename, suspend or resume a partner.
///
/// Only the given properties change. A suspended partner keeps its data; none of its users can log in, and its tokens
/// are refused.
#[utoipa::path(
    patch, path = "/operator/v1/partners/{pid}", tag = "operator",
    params(Of<PartnerPath>, Of<Write>),
    request_body(content = ref("#/components/schemas/UpdatePartner")),
    responses(
        (status = 200, description = "The partner", body = PartnerBody),
        InvalidError, OperatorErrors, MissingError, ConflictError,
    ),
)]
pub async fn update_partner(
    State(app): State<AppState>,
    ByOperator(by): ByOperator,
    PartnerPath(pid): PartnerPath,
    write: Write,
    JsonBody(body): JsonBody,
) -> Result<Response, Problem> {
    let mut fields = Fields::parse(&body)?;
    let change = partner_change(&mut fields);
    fields.finish()?;
    write
        .run(&app, &by, move |tx| WriteResponse::ok(&PartnerBody::of(&partners::update(tx, pid, &change)?)))
        .await
}

/// Delete a partner with all its data.
///
/// A partner with more than one user is refused (`409`) unless `?force=true` confirms it. It is deleted in steps that
/// always complete, suspended from the first one on; the response is sent at their end.
#[utoipa::path(
    delete, path = "/operator/v1/partners/{pid}", tag = "operator",
    params(Of<PartnerPath>, Of<Force>, Of<Write>),
    responses((status = 204, description = "Deleted"), InvalidError, OperatorErrors, MissingError, ConflictError),
)]
pub async fn delete_partner(
    State(app): State<AppState>,
    ByOperator(by): ByOperator,
    PartnerPath(pid): PartnerPath,
    WriteWith(write, mut params): WriteWith,
) -> Result<Response, Problem> {
    let Force(force) = Force(params.flag(&FORCE).unwrap_or(false));
    params.finish()?;
    bulk_operations::delete_partner(&app, by, pid, force, write.is_dry_run()).await?;
    Ok(WriteResponse::gone().respond(write.is_dry_run())?)
}

static FORCE: Parameter = Parameter::flag("force", "Deletes the partner with all its users.");
static SORT_BY: Parameter = Parameter::sort_by(|| SORTS.map(|(name, ())| name).to_vec());
const SORTS: [(&str, ()); 1] = [("pid", ())];

/// A deletion of a partner with everybody in it.
struct Force(bool);

impl ReadFrom for Force {
    const PARAMETERS: &'static [&'static Parameter] = &[&FORCE];
}

/// The query of the list of partners.
struct PartnerList {
    search: Option<SearchTerm>,
    address: ListAddress,
    page: PageRequest,
}

impl ReadFrom for PartnerList {
    const PARAMETERS: &'static [&'static Parameter] = &[&PAGE, &PAGE_SIZE, &SORT_BY, &SEARCH, &CURSOR];
}

type PartnerPage<'a> = Page<PartnerBody<'a>>;

fn read_list(mut params: Params) -> Result<PartnerList> {
    let search = params.search();
    params.sort_by(&SORTS, ());
    let parameters = search.as_ref().map(|term| ("search", term.to_string())).into_iter().collect();
    let address = ListAddress { path: "/operator/v1/partners".into(), pid: PartnerId(0), parameters };
    let page = params.page(&address, true);
    params.finish()?;
    Ok(PartnerList { search, address, page: page.unwrap_or_default() })
}

/// List partners.
///
/// Always a page, ascending by id.
#[utoipa::path(
    get, path = "/operator/v1/partners", tag = "operator", params(Of<PartnerList>),
    responses(
        (status = 200, description = "A page of partners", body = PartnerPage),
        InvalidError, OperatorErrors,
    ),
)]
pub async fn list_partners(
    State(app): State<AppState>,
    ByOperator(by): ByOperator,
    QueryParams(params): QueryParams,
) -> Result<Response, Problem> {
    let PartnerList { search, address, page: request } = read_list(params)?;
    let from = match (&request.start, request.offset()) {
        (Start::After(_, pid), _) => PartnerPosition::After(PartnerId(*pid)),
        (Start::Page(_), offset) => PartnerPosition::Offset(offset.unwrap_or(0)),
    };
    let size = request.size + 1;
    let (total, rows) =
        app.store.scan(&by, move |tx| partners::list_page(tx, search.as_ref(), from, size)).await?;
    let key_of = |partner: &Partner| (SortKey::Int(partner.pid.0), partner.pid.0);
    Ok(page_response(&address, &request, FoundRows { total, rows: &rows[..] }, key_of, PartnerBody::of))
}
