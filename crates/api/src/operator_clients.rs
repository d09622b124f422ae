//! OAuth clients for operators: product clients, and those of any partner.

use axum::extract::State;
use axum::response::Response;

use crate::client_bodies::{
    ClientBody, ClientWithSecret, Whose, created, read_change, read_new, read_nothing, shown,
};
use crate::clients::{ClientList, ClientPage, page_of};
use crate::responses::{
    ChangedError, ConflictError, InvalidError, MissingError, OperatorErrors, UnchangedResponse,
};
use tenantry_core::clients::Client;
use tenantry_core::error::{Error, FieldError, Missing, Result};
use tenantry_core::json::Presence;
use tenantry_core::model::PartnerId;
use tenantry_domain::conditions::{self, Target};
use tenantry_domain::{bulk_operations, client_changes, clients, signing_keys};
use tenantry_http::conditional::{Conditions, show};
use tenantry_http::extract::{ByOperator, ClientPath, NoParams, QueryParams, SecretPath};
use tenantry_http::json_body::JsonBody;
use tenantry_http::parameters::{Of, Parameter, ReadFrom};
use tenantry_http::problem::Problem;
use tenantry_http::responses::written;
use tenantry_http::state::AppState;
use tenantry_http::writes::{IdempotentBody, Write, WriteResponse};
use tenantry_store::access::{Admin, Operator};

static PID: Parameter =
    Parameter::integer("pid", 1, i64::MAX, "The clients of this partner. Omit it for the product clients.");

/// Whose clients to list.
struct OfPartner;

impl ReadFrom for OfPartner {
    const PARAMETERS: &'static [&'static Parameter] = &[&PID];
}

/// Who manages a client: the operator with the rights of an admin of its partner, or as operator.
enum Reach {
    Partner(Admin),
    Product(Operator),
}

impl Reach {
    fn of(by: Operator, pid: PartnerId) -> Self {
        if pid == PartnerId(0) { Self::Product(by) } else { Self::Partner(by.as_admin_of(pid)) }
    }

    fn of_client(by: Operator, client_id: &str) -> Result<Self> {
        Ok(Self::of(by, clients::partner_of(client_id)?))
    }

    async fn get(&self, app: &AppState, client_id: &str) -> Result<Client> {
        let id = client_id.to_owned();
        match self {
            Self::Partner(by) => app.store.scan(by, move |tx| client_changes::get(tx, &id)).await,
            Self::Product(by) => app.store.scan(by, move |tx| client_changes::get_product(tx, &id)).await,
        }
    }
}

/// A partner that the request names, not its path.
fn unknown_partner(error: Error, field: &'static str) -> Error {
    match error {
        Error::NotFound(Missing::Partner) => {
            FieldError::new(field, "unknown-partner", "there is no such partner").into()
        }
        other => other,
    }
}

/// List OAuth clients.
///
/// The product clients, or with `pid` those of a partner. Always a page, by creation time.
#[utoipa::path(
    get, path = "/operator/v1/clients", operation_id = "list_any_clients", tag = "operator",
    params(Of<OfPartner>, Of<ClientList>),
    responses(
        (status = 200, description = "A page of clients", body = ClientPage),
        InvalidError, OperatorErrors,
    ),
)]
pub async fn list_any_clients(
    State(app): State<AppState>,
    ByOperator(by): ByOperator,
    QueryParams(mut params): QueryParams,
) -> Result<Response, Problem> {
    let pid = params.integer(&PID);
    let more = pid.map(|pid| ("pid", pid.to_string())).into_iter().collect();
    let list = ClientList::read(params, "/operator/v1/clients", PartnerId(0), more)?;
    let ClientList { descending, from, address, page } = list;
    let size = page.size + 1;
    let found = match Reach::of(by, PartnerId(pid.unwrap_or(0))) {
        Reach::Partner(by) => {
            app.store.scan(&by, move |tx| client_changes::list_page(tx, descending, &from, size)).await
        }
        Reach::Product(by) => {
            app.store.scan(&by, move |tx| client_changes::list_products(tx, descending, &from, size)).await
        }
    }
    .map_err(|error| unknown_partner(error, PID.name))?;
    Ok(page_of(&address, &page, found))
}

/// Create an OAuth client.
///
/// A product client, which is for the users of all partners or of those listed, or with `pid` one of that partner. Its secret
/// is in the first response only: if a repeated request (`Idempotency-Key`) is answered again, add another secret.
#[utoipa::path(
    post, path = "/operator/v1/clients", operation_id = "create_any_client", tag = "operator",
    params(Of<IdempotentBody>, Of<Write>),
    request_body(content = ref("#/components/schemas/CreateAnyClient")),
    responses(
        (status = 201, description = "Created", body = ClientWithSecret, headers(("Location" = String, description = "Its path"), ("ETag" = String, description = "Its version"))),
        InvalidError, OperatorErrors, ConflictError,
    ),
)]
pub async fn create_any_client(
    State(app): State<AppState>,
    ByOperator(by): ByOperator,
    write: Write,
    IdempotentBody { body, key }: IdempotentBody,
) -> Result<Response, Problem> {
    let (pid, new) = read_new(&body, Whose::Operator)?;
    let write = write.idempotency_key(key).map_error(|error| unknown_partner(error, "/pid"));
    let shown = |made: client_changes::MadeClient| {
        let location = format!("/operator/v1/clients/{}", made.client.client_id);
        created(location, &made.client, made.secret.as_deref())
    };
    let dry_run = write.is_dry_run();
    let answer = match Reach::of(by, pid.unwrap_or(PartnerId(0))) {
        Reach::Partner(by) => write.run(&app, &by, move |tx| shown(client_changes::create(tx, &new)?)).await,
        Reach::Product(by) => {
            write.run(&app, &by, move |tx| shown(client_changes::create_product(tx, &new)?)).await
        }
    }?;
    if !dry_run {
        signing_keys::make_missing(&app);
    }
    Ok(answer)
}

/// Get an OAuth client.
///
/// A product client, or one of any partner. Its secrets are not shown, only when they were made.
#[utoipa::path(
    get, path = "/operator/v1/clients/{clientId}", operation_id = "get_any_client", tag = "operator",
    params(Of<ClientPath>),
    responses(
        (status = 200, description = "The client", body = ClientBody, headers(("ETag" = String, description = "Its version"))),
        UnchangedResponse, OperatorErrors, MissingError,
    ),
)]
pub async fn get_any_client(
    State(app): State<AppState>,
    ByOperator(by): ByOperator,
    ClientPath(id): ClientPath,
    _: NoParams,
    conditions: Conditions,
) -> Result<Response, Problem> {
    let client = Reach::of_client(by, &id)?.get(&app, &id).await?;
    Ok(show(&conditions, &conditions::tag_of_client(&client), written(&ClientBody::of(&client))?))
}

/// Update an OAuth client.
///
/// All properties but `name` are unchanged if omitted. The sessions of partners that a product client is no longer for end at
/// once.
#[utoipa::path(
    put, path = "/operator/v1/clients/{clientId}", operation_id = "update_any_client", tag = "operator",
    params(Of<ClientPath>, Of<Write>),
    request_body(content = ref("#/components/schemas/UpdateAnyClient")),
    responses(
        (status = 200, description = "The client", body = ClientBody, headers(("ETag" = String, description = "Its version"))),
        InvalidError, OperatorErrors, MissingError, ChangedError,
    ),
)]
pub async fn update_any_client(
    State(app): State<AppState>,
    ByOperator(by): ByOperator,
    ClientPath(id): ClientPath,
    write: Write,
    JsonBody(body): JsonBody,
) -> Result<Response, Problem> {
    change_client(&app, by, id, write, &body, Presence::Required).await
}

/// Change some properties of an OAuth client.
///
/// A merge patch (RFC 7396): only the given properties change. The sessions of partners that a product client is no longer
/// for end at once.
#[utoipa::path(
    patch, path = "/operator/v1/clients/{clientId}", operation_id = "patch_any_client", tag = "operator",
    params(Of<ClientPath>, Of<Write>),
    request_body(content = ref("#/components/schemas/PatchAnyClient"), content_type = "application/merge-patch+json"),
    responses(
        (status = 200, description = "The client", body = ClientBody, headers(("ETag" = String, description = "Its version"))),
        InvalidError, OperatorErrors, MissingError, ChangedError,
    ),
)]
pub async fn patch_any_client(
    State(app): State<AppState>,
    ByOperator(by): ByOperator,
    ClientPath(id): ClientPath,
    write: Write,
    JsonBody(body): JsonBody,
) -> Result<Response, Problem> {
    change_client(&app, by, id, write, &body, Presence::Optional).await
}

async fn change_client(
    app: &AppState,
    by: Operator,
    id: String,
    write: Write,
    body: &[u8],
    presence: Presence,
) -> Result<Response, Problem> {
    let reach = Reach::of_client(by, &id)?;
    let current = reach.get(app, &id).await?;
    let change = read_change(body, &current, presence, Whose::Operator)?;
    let dry_run = write.is_dry_run();
    let write = write.of(Target::Client(id.clone()));
    let answer = match reach {
        Reach::Partner(by) => {
            write.run(app, &by, move |tx| shown(&client_changes::update(tx, &id, &change)?)).await
        }
        Reach::Product(by) => {
            write.run(app, &by, move |tx| shown(&client_changes::update_product(tx, &id, &change)?)).await
        }
    }?;
    if !dry_run {
        signing_keys::make_missing(app);
    }
    Ok(answer)
}

/// Delete an OAuth client.
///
/// All its tokens and sessions end at once, those of a product client for the users of all partners.
#[utoipa::path(
    delete, path = "/operator/v1/clients/{clientId}", operation_id = "delete_any_client", tag = "operator",
    params(Of<ClientPath>, Of<Write>),
    responses((status = 204, description = "Deleted"), OperatorErrors, MissingError, ChangedError),
)]
pub async fn delete_any_client(
    State(app): State<AppState>,
    ByOperator(by): ByOperator,
    ClientPath(id): ClientPath,
    write: Write,
) -> Result<Response, Problem> {
    let write = write.of(Target::Client(id.clone()));
    match Reach::of_client(by, &id)? {
        Reach::Partner(by) => {
            write
                .run_stored(async |options| bulk_operations::revoke_client(&app, &by, options, &id).await)
                .await
        }
        Reach::Product(by) => {
            write
                .run(&app, &by, move |tx| {
                    client_changes::revoke_product(tx, &id).map(|()| WriteResponse::gone())
                })
                .await
        }
    }
}

/// Add a secret to an OAuth client.
///
/// A client has at most two, so that a new one can be put in place before the old one is removed. The secret is in the first
/// response only.
#[utoipa::path(
    post, path = "/operator/v1/clients/{clientId}/secrets", operation_id = "add_any_client_secret", tag = "operator",
    params(Of<ClientPath>, Of<IdempotentBody>, Of<Write>),
    request_body(content = ref("#/components/schemas/NoMembers")),
    responses(
        (status = 201, description = "Added", body = ClientWithSecret, headers(("Location" = String, description = "The path of the client"), ("ETag" = String, description = "Its version"))),
        InvalidError, OperatorErrors, MissingError, ConflictError, ChangedError,
    ),
)]
pub async fn add_any_client_secret(
    State(app): State<AppState>,
    ByOperator(by): ByOperator,
    ClientPath(id): ClientPath,
    write: Write,
    IdempotentBody { body, key }: IdempotentBody,
) -> Result<Response, Problem> {
    read_nothing(&body)?;
    let reach = Reach::of_client(by, &id)?;
    let write = write.of(Target::Client(id.clone())).idempotency_key(key);
    let location = format!("/operator/v1/clients/{id}");
    match reach {
        Reach::Partner(by) => {
            write
                .run(&app, &by, move |tx| {
                    let (client, secret) = client_changes::add_secret(tx, &id)?;
                    created(location.clone(), &client, Some(&secret))
                })
                .await
        }
        Reach::Product(by) => {
            write
                .run(&app, &by, move |tx| {
                    let (client, secret) = client_changes::add_product_secret(tx, &id)?;
                    created(location.clone(), &client, Some(&secret))
                })
                .await
        }
    }
}

/// Remove a secret of an OAuth client.
///
/// The last one cannot be removed (`409`). Tokens that were obtained with it stay valid.
#[utoipa::path(
    delete, path = "/operator/v1/clients/{clientId}/secrets/{secretId}", operation_id = "remove_any_client_secret",
    tag = "operator", params(Of<ClientPath>, Of<SecretPath>, Of<Write>),
    responses((status = 204, description = "Removed"), OperatorErrors, MissingError, ConflictError, ChangedError),
)]
pub async fn remove_any_client_secret(
    State(app): State<AppState>,
    ByOperator(by): ByOperator,
    ClientPath(id): ClientPath,
    SecretPath(secret): SecretPath,
    write: Write,
) -> Result<Response, Problem> {
    let reach = Reach::of_client(by, &id)?;
    let write = write.of(Target::Client(id.clone()));
    match reach {
        Reach::Partner(by) => {
            write
                .run(&app, &by, move |tx| {
                    client_changes::remove_secret(tx, &id, secret).map(|_| WriteResponse::gone())
                })
                .await
        }
        Reach::Product(by) => {
            write
                .run(&app, &by, move |tx| {
                    client_changes::remove_product_secret(tx, &id, secret).map(|_| WriteResponse::gone())
                })
                .await
        }
    }
}
