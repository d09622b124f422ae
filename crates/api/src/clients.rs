//! The OAuth clients of a partner, for its admins.

use axum::extract::State;
use axum::response::Response;

use crate::client_bodies::{
    ClientBody, ClientWithSecret, Whose, created, read_change, read_new, read_nothing, shown,
};
use crate::responses::{
    AdminErrors, ChangedError, ConflictError, InvalidError, MissingError, UnchangedResponse,
};
use tenantry_core::clients::Client;
use tenantry_core::error::Result;
use tenantry_core::json::Presence;
use tenantry_core::model::PartnerId;
use tenantry_domain::conditions::{self, Target};
use tenantry_domain::factors::step_up;
use tenantry_domain::{bulk_operations, client_changes, signing_keys};
use tenantry_http::conditional::{Conditions, show};
use tenantry_http::extract::{Admin, ClientPath, NoParams, QueryParams, SecretPath};
use tenantry_http::json_body::JsonBody;
use tenantry_http::paging::{FoundRows, ListAddress, Page, PageRequest, Params, Start, page_response};
use tenantry_http::parameters::{CURSOR, DESCENDING, Of, PAGE, PAGE_SIZE, Parameter, ReadFrom};
use tenantry_http::problem::Problem;
use tenantry_http::responses::written;
use tenantry_http::state::AppState;
use tenantry_http::writes::{IdempotentBody, Write, WriteResponse};
use tenantry_store::access::{self, Scope as _};
use tenantry_store::listing::lists::{SortKey, Total};
use tenantry_store::tables::clients::ClientPosition;

static SORT_BY: Parameter = Parameter::sort_by(|| SORTS.map(|(name, ())| name).to_vec());
const SORTS: [(&str, ()); 1] = [("createdAt", ())];

/// The query of a list of clients.
pub(super) struct ClientList {
    pub(super) descending: bool,
    pub(super) from: ClientPosition,
    pub(super) address: ListAddress,
    pub(super) page: PageRequest,
}

impl ReadFrom for ClientList {
    const PARAMETERS: &'static [&'static Parameter] = &[&PAGE, &PAGE_SIZE, &SORT_BY, &DESCENDING, &CURSOR];
}

impl ClientList {
    /// Reads the query; `more` are parameters that were read already.
    pub(super) fn read(
        mut params: Params,
        path: &'static str,
        pid: PartnerId,
        more: Vec<(&'static str, String)>,
    ) -> Result<Self> {
        params.sort_by(&SORTS, ());
        let descending = params.flag(&DESCENDING).unwrap_or(false);
        let mut parameters = more;
        parameters.push(("sortBy", String::from("createdAt")));
        if descending {
            parameters.push(("descending", String::from("true")));
        }
        let address = ListAddress { path: path.into(), pid, parameters };
        let page = params.page(&address, true);
        params.finish()?;
        let page = page.unwrap_or_default();
        let from = match (&page.start, page.offset()) {
            (Start::After(SortKey::Text(id), at), _) => ClientPosition::After(*at, id.clone()),
            (_, offset) => ClientPosition::Offset(offset.unwrap_or(0)),
        };
        Ok(Self { descending, from, address, page })
    }
}

pub(super) type ClientPage<'a> = Page<ClientBody<'a>>;

/// A page of clients.
pub(super) fn page_of(
    address: &ListAddress,
    page: &PageRequest,
    (count, rows): (i64, Vec<Client>),
) -> Response {
    // The id is text, so it takes the place of the key, and the time that of the id.
    let key_of = |client: &Client| (SortKey::Text(client.client_id.clone()), client.created_at);
    let total = Total { count, is_exact: true };
    page_response(address, page, FoundRows { total, rows: &rows[..] }, key_of, ClientBody::of)
}

/// List the partner's OAuth clients.
///
/// Always a page, by creation time.
#[utoipa::path(
    get, path = "/api/v1/clients", tag = "clients", params(Of<ClientList>),
    responses(
        (status = 200, description = "A page of clients", body = ClientPage),
        InvalidError, AdminErrors,
    ),
)]
pub async fn list_clients(
    State(app): State<AppState>,
    Admin(by): Admin,
    QueryParams(params): QueryParams,
) -> Result<Response, Problem> {
    let list = ClientList::read(params, "/api/v1/clients", by.pid(), Vec::new())?;
    let ClientList { descending, from, address, page } = list;
    let size = page.size + 1;
    let found = app.store.scan(&by, move |tx| client_changes::list_page(tx, descending, &from, size)).await?;
    Ok(page_of(&address, &page, found))
}

/// Create an OAuth client.
///
/// With a redirect URI it logs users in through pages, by authorization code. Its secret is in the first response only: if a
/// repeated request (`Idempotency-Key`) is answered again, add another secret.
#[utoipa::path(
    post, path = "/api/v1/clients", tag = "clients", params(Of<IdempotentBody>, Of<Write>),
    request_body(content = ref("#/components/schemas/CreateClient")),
    responses(
        (status = 201, description = "Created", body = ClientWithSecret, headers(("Location" = String, description = "Its path"), ("ETag" = String, description = "Its version"))),
        InvalidError, AdminErrors, ConflictError,
    ),
)]
pub async fn create_client(
    State(app): State<AppState>,
    Admin(by): Admin,
    write: Write,
    IdempotentBody { body, key }: IdempotentBody,
) -> Result<Response, Problem> {
    let (_, new) = read_new(&body, Whose::Partner)?;
    step_up::expect_strong_admin(&app, &by).await?;
    let dry_run = write.is_dry_run();
    let answer = write
        .idempotency_key(key)
        .run(&app, &by, move |tx| {
            let made = client_changes::create(tx, &new)?;
            let location = format!("/api/v1/clients/{}", made.client.client_id);
            created(location, &made.client, made.secret.as_deref())
        })
        .await?;
    if !dry_run {
        signing_keys::make_missing(&app);
    }
    Ok(answer)
}

/// Get an OAuth client.
///
/// Its secrets are not shown, only when they were made.
#[utoipa::path(
    get, path = "/api/v1/clients/{clientId}", tag = "clients", params(Of<ClientPath>),
    responses(
        (status = 200, description = "The client", body = ClientBody, headers(("ETag" = String, description = "Its version"))),
        UnchangedResponse, AdminErrors, MissingError,
    ),
)]
pub async fn get_client(
    State(app): State<AppState>,
    Admin(by): Admin,
    ClientPath(id): ClientPath,
    _: NoParams,
    conditions: Conditions,
) -> Result<Response, Problem> {
    let client = app.store.scan(&by, move |tx| client_changes::get(tx, &id)).await?;
    Ok(show(&conditions, &conditions::tag_of_client(&client), written(&ClientBody::of(&client))?))
}

/// Update an OAuth client.
///
/// All properties but `name` are unchanged if omitted. `kind` cannot be changed.
#[utoipa::path(
    put, path = "/api/v1/clients/{clientId}", tag = "clients", params(Of<ClientPath>, Of<Write>),
    request_body(content = ref("#/components/schemas/UpdateClient")),
    responses(
        (status = 200, description = "The client", body = ClientBody, headers(("ETag" = String, description = "Its version"))),
        InvalidError, AdminErrors, MissingError, ChangedError,
    ),
)]
pub async fn update_client(
    State(app): State<AppState>,
    Admin(by): Admin,
    ClientPath(id): ClientPath,
    write: Write,
    JsonBody(body): JsonBody,
) -> Result<Response, Problem> {
    change_client(&app, &by, id, write, &body, Presence::Required).await
}

/// Change some properties of an OAuth client.
///
/// A merge patch (RFC 7396): only the given properties change. `kind` cannot be changed.
#[utoipa::path(
    patch, path = "/api/v1/clients/{clientId}", tag = "clients", params(Of<ClientPath>, Of<Write>),
    request_body(content = ref("#/components/schemas/PatchClient"), content_type = "application/merge-patch+json"),
    responses(
        (status = 200, description = "The client", body = ClientBody, headers(("ETag" = String, description = "Its version"))),
        InvalidError, AdminErrors, MissingError, ChangedError,
    ),
)]
pub async fn patch_client(
    State(app): State<AppState>,
    Admin(by): Admin,
    ClientPath(id): ClientPath,
    write: Write,
    JsonBody(body): JsonBody,
) -> Result<Response, Problem> {
    change_client(&app, &by, id, write, &body, Presence::Optional).await
}

async fn change_client(
    app: &AppState,
    by: &access::Admin,
    id: String,
    write: Write,
    body: &[u8],
    presence: Presence,
) -> Result<Response, Problem> {
    let known = id.clone();
    let current = app.store.scan(by, move |tx| client_changes::get(tx, &known)).await?;
    let change = read_change(body, &current, presence, Whose::Partner)?;
    step_up::expect_strong_admin(app, by).await?;
    let (dry_run, target) = (write.is_dry_run(), Target::Client(id.clone()));
    let answer =
        write.of(target).run(app, by, move |tx| shown(&client_changes::update(tx, &id, &change)?)).await?;
    if !dry_run {
        signing_keys::make_missing(app);
    }
    Ok(answer)
}

/// Delete an OAuth client.
///
/// All its tokens and sessions end, and what users have allowed it is forgotten. More than 5,000 sessions are deleted in
/// steps that always complete; the client is unknown from the first one on.
#[utoipa::path(
    delete, path = "/api/v1/clients/{clientId}", tag = "clients", params(Of<ClientPath>, Of<Write>),
    responses((status = 204, description = "Deleted"), AdminErrors, MissingError, ChangedError),
)]
pub async fn delete_client(
    State(app): State<AppState>,
    Admin(by): Admin,
    ClientPath(id): ClientPath,
    write: Write,
) -> Result<Response, Problem> {
    write
        .of(Target::Client(id.clone()))
        .run_stored(async |options| bulk_operations::revoke_client(&app, &by, options, &id).await)
        .await
}

/// Add a secret to an OAuth client.
///
/// A client has at most two, so that a new one can be put in place before the old one is removed. The secret is in the first
/// response only.
#[utoipa::path(
    post, path = "/api/v1/clients/{clientId}/secrets", tag = "clients", params(Of<ClientPath>, Of<IdempotentBody>, Of<Write>),
    request_body(content = ref("#/components/schemas/NoMembers")),
    responses(
        (status = 201, description = "Added", body = ClientWithSecret, headers(("Location" = String, description = "The path of the client"), ("ETag" = String, description = "Its version"))),
        InvalidError, AdminErrors, MissingError, ConflictError, ChangedError,
    ),
)]
pub async fn add_client_secret(
    State(app): State<AppState>,
    Admin(by): Admin,
    ClientPath(id): ClientPath,
    write: Write,
    IdempotentBody { body, key }: IdempotentBody,
) -> Result<Response, Problem> {
    read_nothing(&body)?;
    step_up::expect_strong_admin(&app, &by).await?;
    write
        .of(Target::Client(id.clone()))
        .idempotency_key(key)
        .run(&app, &by, move |tx| {
            let (client, secret) = client_changes::add_secret(tx, &id)?;
            created(format!("/api/v1/clients/{id}"), &client, Some(&secret))
        })
        .await
}

/// Remove a secret of an OAuth client.
///
/// The last one cannot be removed (`409`). Tokens that were obtained with it stay valid.
#[utoipa::path(
    delete, path = "/api/v1/clients/{clientId}/secrets/{secretId}", tag = "clients",
    params(Of<ClientPath>, Of<SecretPath>, Of<Write>),
    responses((status = 204, description = "Removed"), AdminErrors, MissingError, ConflictError, ChangedError),
)]
pub async fn remove_client_secret(
    State(app): State<AppState>,
    Admin(by): Admin,
    ClientPath(id): ClientPath,
    SecretPath(secret): SecretPath,
    write: Write,
) -> Result<Response, Problem> {
    write
        .of(Target::Client(id.clone()))
        .run(&app, &by, move |tx| {
            client_changes::remove_secret(tx, &id, secret).map(|_| WriteResponse::gone())
        })
        .await
}
