//! What all writes have in common: preconditions (`If-Match`), dry runs (`?dryRun=true`), idempotency
//! (`Idempotency-Key`), and the shape of the response.
//!
//! A handler takes `Write` and, if a POST creates or deletes, its body as `IdempotentBody`; the rest happens here.

use axum::body::Body;
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::header::CONTENT_TYPE;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse as _, Response};
use hyper::body::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Value, json};

use crate::conditional;
use crate::extract;
use crate::incoming::ORDINARY;
use crate::json_body::JsonBody;
use crate::paging::Params;
use crate::parameters::{DRY_RUN, IDEMPOTENCY_KEY, LONGEST_KEY, Parameter, ReadFrom};
use crate::problem::Problem;
use crate::state::AppState;
use tenantry_core::error::{Error, FieldError, Result};
use tenantry_core::model::{PartnerId, UserId};
use tenantry_core::secret::Secret;
use tenantry_domain::bulk_changes::BulkOperation;
use tenantry_domain::bulk_operations;
use tenantry_domain::conditions::Target;
use tenantry_domain::idempotency::{self, IdempotencyKey, Storable, StoredResponse};
use tenantry_domain::unit::{self, Done, WriteOptions};
use tenantry_store::access::{Admin, Scope};
use tenantry_store::engine::sequences::FreshIds;
use tenantry_store::engine::tx::Tx;

/// The header of a replayed response.
pub const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");
const JSON: HeaderValue = HeaderValue::from_static("application/json");
/// The value of that header.
pub const TRUE: HeaderValue = HeaderValue::from_static("true");

/// The response of a write. It is built inside the transaction, so that it can be stored with the change.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct WriteResponse(StoredResponse);

impl Storable for WriteResponse {
    fn length(&self) -> usize {
        self.0.length()
    }

    fn users(&self) -> Vec<(PartnerId, UserId)> {
        self.0.users()
    }

    fn hide_ids(&mut self, fresh: &FreshIds) {
        self.0.hide_ids(fresh);
    }
}

impl WriteResponse {
    /// 200 with a body.
    ///
    /// # Errors
    /// The body cannot be serialized.
    pub fn ok(body: &impl Serialize) -> Result<Self> {
        Self::with(StatusCode::OK, body)
    }

    /// 201 with a body and `Location`.
    ///
    /// # Errors
    /// The body cannot be serialized.
    pub fn created(location: String, body: &impl Serialize) -> Result<Self> {
        let Self(made) = Self::with(StatusCode::CREATED, body)?;
        Ok(Self(StoredResponse { location: Some(location), ..made }))
    }

    /// 204.
    pub fn gone() -> Self {
        Self(StoredResponse { status: StatusCode::NO_CONTENT.as_u16(), ..StoredResponse::default() })
    }

    fn with(status: StatusCode, body: &impl Serialize) -> Result<Self> {
        let body = serde_json::to_string(body)
            .map_err(|e| Error::internal(format!("a response cannot be serialized: {e}")))?;
        Ok(Self(StoredResponse { status: status.as_u16(), body, ..StoredResponse::default() }))
    }

    /// With an `ETag`.
    #[must_use]
    pub fn tagged(self, tag: String) -> Self {
        Self(StoredResponse { tag: Some(tag), ..self.0 })
    }

    /// With another body for this response: one with a secret, which is neither stored for a repeated request nor shown by
    /// a dry run.
    ///
    /// # Errors
    /// The body cannot be serialized.
    pub fn shown_once(self, body: &impl Serialize) -> Result<Self> {
        let Self(StoredResponse { body, .. }) = Self::ok(body)?;
        Ok(Self(StoredResponse { shown_once: Some(Secret::new(body)), ..self.0 }))
    }

    /// With the side effects of a dry run.
    #[must_use]
    pub fn taking(self, effects: Option<Value>) -> Self {
        Self(StoredResponse { effects, ..self.0 })
    }

    /// The response; a preview for a dry run.
    pub fn respond(self, dry_run: bool) -> Result<Response> {
        if dry_run { self.into_preview() } else { self.into_response() }
    }

    fn into_response(self) -> Result<Response> {
        let bad = |_| Error::internal("a response has an invalid status or header");
        let StoredResponse { status, location, tag, body, shown_once, .. } = self.0;
        let body = shown_once.map_or(body, |shown| shown.expose().to_owned());
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::from_u16(status).map_err(|_| bad(()))?;
        let headers = response.headers_mut();
        if let Some(location) = location {
            let value = HeaderValue::try_from(location).map_err(|_| bad(()))?;
            headers.insert(axum::http::header::LOCATION, value);
        }
        if let Some(tag) = tag {
            let value = HeaderValue::try_from(conditional::etag(&tag)).map_err(|_| bad(()))?;
            headers.insert(axum::http::header::ETAG, value);
        }
        if !body.is_empty() {
            headers.insert(CONTENT_TYPE, JSON);
            *response.body_mut() = Body::from(body);
        }
        Ok(response)
    }

    /// The response of a dry run.
    fn into_preview(self) -> Result<Response> {
        let StoredResponse { status, body, effects, .. } = self.0;
        let body = Some(body).filter(|body| !body.is_empty());
        let result = body
            .map(RawValue::from_string)
            .transpose()
            .map_err(|e| Error::internal(format!("a response is not JSON: {e}")))?;
        let preview = DryRun { dry_run: true, status, result, effects };
        Self::ok(&preview)?.into_response()
    }
}

/// The response of a dry run: what the request would do. Nothing was changed.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct DryRun {
    dry_run: bool,
    status: u16,
    result: Option<Box<RawValue>>,
    effects: Option<Value>,
}

/// The JSON Schema of the response of a dry run.
pub fn dry_run_schema() -> Value {
    json!({
        "type": "object",
        "description": "The result of a dry run: what the request would do. Nothing was changed.",
        "required": ["dryRun", "status", "result", "effects"],
        "properties": {
            "dryRun": { "type": "boolean", "description": "Always true.", "example": true },
            "status": {
                "type": "integer", "format": "int32", "minimum": 200, "maximum": 299, "example": 204,
                "description": "The status that the response would have.",
            },
            // Of any type: it is what each operation returns, but for ids that are null.
            "result": {
                "description": "The body that the response would have, with null instead of each new id; null if there is none.",
                "example": null,
            },
            "effects": {
                "type": ["object", "null"],
                "description": "What a deletion would also remove, with counts; null for other requests.",
            },
        },
    })
}

/// The options of a write, from its query and preconditions, and how its errors are mapped.
#[derive(Debug)]
pub struct Write {
    options: WriteOptions,
    map_error: fn(Error) -> Error,
}

impl FromRequestParts<AppState> for Write {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &AppState) -> Result<Self, Problem> {
        let (write, params) = Self::read(parts)?;
        params.finish()?;
        Ok(write)
    }
}

impl ReadFrom for Write {
    const PARAMETERS: &'static [&'static Parameter] = &[&DRY_RUN];
}

/// A write whose operation has its own query parameters, which are still unparsed.
#[derive(Debug)]
pub struct WriteWith(pub Write, pub Params);

impl FromRequestParts<AppState> for WriteWith {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &AppState) -> Result<Self, Problem> {
        let (write, params) = Write::read(parts)?;
        Ok(Self(write, params))
    }
}

impl Write {
    fn read(parts: &Parts) -> Result<(Self, Params)> {
        let mut params = Params::parse(parts.uri.query());
        let dry_run = params.flag(&DRY_RUN).unwrap_or(false);
        let condition = conditional::read(&parts.headers)?;
        let options = WriteOptions { dry_run, condition, ..WriteOptions::default() };
        Ok((Self { options, map_error: |error| error }, params))
    }

    /// Whether it is a dry run.
    pub fn is_dry_run(&self) -> bool {
        self.options.dry_run
    }

    /// The resource of its preconditions.
    #[must_use]
    pub fn of(mut self, target: Target) -> Self {
        self.options.target = Some(target);
        self
    }

    /// Marks a write that may change thousands of rows.
    #[must_use]
    pub fn large(mut self) -> Self {
        self.options.is_large = true;
        self
    }

    /// Maps its errors, some of which occur only at the commit, after its work.
    #[must_use]
    pub fn map_error(self, map_error: fn(Error) -> Error) -> Self {
        Self { map_error, ..self }
    }

    /// Makes it idempotent.
    #[must_use]
    pub fn idempotency_key(mut self, key: Option<IdempotencyKey>) -> Self {
        self.options.idempotency_key = key;
        self
    }

    /// Runs `work` in one transaction and builds the response.
    ///
    /// # Errors
    /// Those of `work`; a failed precondition.
    pub async fn run<S, F>(self, app: &AppState, by: &S, work: F) -> Result<Response, Problem>
    where
        S: Scope + Clone + Send + 'static,
        F: Fn(&mut Tx<'_, S>) -> Result<WriteResponse> + Send + 'static,
    {
        self.run_by(async |options| unit::write_in(&app.store, by, options, work).await).await
    }

    /// Calls `work` with these options, which uses its own transactions, and builds the response.
    ///
    /// # Errors
    /// Those of `work`.
    pub async fn run_by(
        self,
        work: impl AsyncFnOnce(WriteOptions) -> Result<Done<WriteResponse>>,
    ) -> Result<Response, Problem> {
        let Self { options, map_error } = self;
        let dry_run = options.dry_run;
        Ok(match work(options).await.map_err(map_error)? {
            Done::Now(response) => response.respond(dry_run)?,
            Done::Replayed(response) => replay(response)?,
        })
    }

    /// Changes many rows, in one transaction or in steps, and builds the response at the end.
    ///
    /// # Errors
    /// Those of [`bulk_operations::write`]; a failed precondition.
    pub async fn run_bulk(
        self,
        app: &AppState,
        by: &Admin,
        operation: BulkOperation,
    ) -> Result<Response, Problem> {
        self.run_stored(async |options| bulk_operations::write(app, by, options, operation).await).await
    }

    /// As [`Self::run_by`], of work whose response the domain makes.
    ///
    /// # Errors
    /// Those of `work`.
    pub async fn run_stored(
        self,
        work: impl AsyncFnOnce(WriteOptions) -> Result<Done<StoredResponse>>,
    ) -> Result<Response, Problem> {
        self.run_by(async |options| {
            Ok(match work(options).await? {
                Done::Now(answer) => Done::Now(WriteResponse(answer)),
                Done::Replayed(answer) => Done::Replayed(WriteResponse(answer)),
            })
        })
        .await
    }
}

fn replay(stored: WriteResponse) -> Result<Response> {
    let mut response = stored.into_response()?;
    response.headers_mut().insert(REPLAYED, TRUE);
    Ok(response)
}

/// The body of a POST that creates or deletes, of at most `LIMIT` bytes, with its idempotency key if the request has
/// an `Idempotency-Key`. A replayed response is returned here, so this comes after authorization.
#[derive(Debug)]
pub struct IdempotentBody<const LIMIT: u64 = ORDINARY> {
    /// The body.
    pub body: Bytes,
    /// For [`Write::idempotency_key`].
    pub key: Option<IdempotencyKey>,
}

impl<const LIMIT: u64> ReadFrom for IdempotentBody<LIMIT> {
    const PARAMETERS: &'static [&'static Parameter] = &[&IDEMPOTENCY_KEY];
}

impl<const LIMIT: u64> FromRequest<AppState> for IdempotentBody<LIMIT> {
    type Rejection = Response;

    async fn from_request(request: Request, app: &AppState) -> Result<Self, Response> {
        let (mut parts, body) = request.into_parts();
        let key = idempotency_key(&parts.headers).map_err(|error| Problem::from(error).into_response())?;
        let whole = Request::from_parts(parts.clone(), body);
        let JsonBody::<LIMIT>(body) =
            JsonBody::from_request(whole, app).await.map_err(Problem::into_response)?;
        let Some(key) = key else { return Ok(Self { body, key: None }) };
        let key = acquire(app, &mut parts, &key, &body).await.map_err(Problem::into_response)?;
        match find(app, key).await.map_err(Problem::into_response)? {
            KeyLookup::Stored(response) => Err(response),
            KeyLookup::New(key) => Ok(Self { body, key: Some(key) }),
        }
    }
}

/// The `Idempotency-Key` of a request, if it has one.
pub fn idempotency_key(headers: &HeaderMap) -> Result<Option<String>, FieldError> {
    let mut values = headers.get_all(IDEMPOTENCY_KEY.name).iter();
    let Some(value) = values.next() else { return Ok(None) };
    let error = || {
        let detail =
            format!("must be one key of 1 to {LONGEST_KEY} visible ASCII characters, such as a UUID");
        FieldError::new(IDEMPOTENCY_KEY.name, "malformed-key", detail)
    };
    let text = value.to_str().map_err(|_| error())?;
    let is_good = (1..=LONGEST_KEY).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic());
    if !is_good || values.next().is_some() {
        return Err(error());
    }
    Ok(Some(text.to_owned()))
}

async fn acquire(
    app: &AppState,
    parts: &mut Parts,
    key: &str,
    body: &[u8],
) -> Result<IdempotencyKey, Problem> {
    let (pid, caller) = extract::caller_name(parts, app).await?;
    let request = idempotency::IdempotentRequest {
        pid,
        caller: &caller,
        method: parts.method.as_str(),
        path: parts.uri.path(),
        query: parts.uri.query().unwrap_or(""),
        key,
        body,
    };
    Ok(app.keys_in_use.acquire(request).await?)
}

enum KeyLookup {
    Stored(Response),
    New(IdempotencyKey),
}

/// Looks for a stored response before the body is validated: what was valid the first time may be invalid by now.
async fn find(app: &AppState, key: IdempotencyKey) -> Result<KeyLookup, Problem> {
    let (stored, key) = app
        .store
        .read(&tenantry_store::access::nobody(), move |tx| {
            Ok((idempotency::find::<WriteResponse>(tx, &key)?, key))
        })
        .await?;
    Ok(match stored {
        Some(response) => KeyLookup::Stored(replay(response)?),
        None => KeyLookup::New(key),
    })
}
