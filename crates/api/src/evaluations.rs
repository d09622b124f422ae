//! The question products ask on every request: OpenID AuthZEN, Authorization API 1.0
//! (<https://openid.net/specs/authorization-api-1_0.html>).
//!
//! What the specification leaves to others (`properties`, `context`, further options and members) is taken and
//! changes nothing, since senders of the protocol add to it freely.

mod asked;
pub(super) mod schemas;

use std::borrow::Cow;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde::{Deserialize as _, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use asked::{EvaluationRequest, Part, Read};

use crate::permissions::read_object_id;
use crate::responses::{EvaluationErrors, InvalidError, TooLargeError};
use crate::sources::SourceBody;
use tenantry_core::error::{Error, FieldError, Result};
use tenantry_core::model::UserId;
use tenantry_core::values;
use tenantry_domain::evaluations::{self, AccessRequest, Decision, Denial, Semantic};
use tenantry_http::extract::{EvaluationRequester, QueryParams};
use tenantry_http::incoming::BULK;
use tenantry_http::json_body::JsonBody;
use tenantry_http::parameters::{Of, Parameter, ReadFrom};
use tenantry_http::problem::Problem;
use tenantry_http::responses::json;
use tenantry_http::state::AppState;
use tenantry_store::access::Requester;
use tenantry_store::engine::tx::Tx;

/// The most requests of a batch.
const MAX_BATCH: usize = 1_000;

/// From this size on a batch leaves the thread that serves requests.
const IN_PLACE: usize = 8;

/// Whether the response includes reasons.
pub(super) static EXPLAIN: Parameter = Parameter::flag("explain", "Also returns the reason.");

/// The query parameter for it.
struct Explain(bool);

impl ReadFrom for Explain {
    const PARAMETERS: &'static [&'static Parameter] = &[&EXPLAIN];
}

/// Whether it is allowed.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Decision)]
pub struct DecisionBody<'a> {
    /// True or false.
    #[schema(example = true)]
    decision: bool,
    /// The reason, if requested.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(required = false)]
    context: Option<DecisionContext<'a>>,
}

/// Why it is allowed or not.
#[derive(Debug, Serialize, ToSchema)]
pub struct DecisionContext<'a> {
    /// `granted`, or why not: `unknown-subject`, `subject-not-active`, `unknown-resource-type`, `unknown-action`,
    /// `not-granted`.
    #[schema(example = "granted")]
    reason: &'static str,
    /// The sources of the permission, at most 100; empty if it is not granted.
    sources: Vec<SourceBody<'a>>,
}

/// Decisions in the order of the evaluations.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Decisions)]
pub struct DecisionsBody<'a> {
    evaluations: Vec<DecisionBody<'a>>,
}

/// The response to a batch.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
pub enum DecisionOrDecisions<'a> {
    /// Of a batch.
    Many(DecisionsBody<'a>),
    /// For a batch without evaluations: that of the top-level one (section 7.1).
    One(DecisionBody<'a>),
}

impl<'a> DecisionBody<'a> {
    fn of(decision: &'a Decision, with_reason: bool) -> Self {
        let reason = match decision.denial {
            None => "granted",
            Some(Denial::UnknownUser) => "unknown-subject",
            Some(Denial::UserNotActive) => "subject-not-active",
            Some(Denial::UnknownObjectType) => "unknown-resource-type",
            Some(Denial::UnknownAction) => "unknown-action",
            Some(Denial::NotGranted) => "not-granted",
        };
        let sources = decision.sources.iter().map(SourceBody::of);
        let context = with_reason.then(|| DecisionContext { reason, sources: sources.collect() });
        Self { decision: decision.is_allowed, context }
    }
}

/// The errors of a request, found at their places.
struct Reader {
    errors: Vec<FieldError>,
}

impl Reader {
    fn error<T>(
        &mut self,
        at: String,
        code: &'static str,
        detail: impl Into<Cow<'static, str>>,
    ) -> Option<T> {
        // A batch of a thousand mistakes needs no thousand explanations.
        if self.errors.len() < 100 {
            self.errors.push(FieldError::new(at, code, detail));
        }
        None
    }

    fn object<'v, T>(&mut self, read: Option<&'v Read<T>>, at: &str) -> Option<&'v T> {
        match read {
            Some(Read::Object(object)) => Some(object),
            Some(Read::Other) => self.error(at.to_owned(), "wrong-type", "must be an object"),
            None => self.error(at.to_owned(), "required", "is required"),
        }
    }

    fn text<'v>(&mut self, value: Option<&'v Value>, name: &str, at: &str) -> Option<&'v str> {
        match value {
            Some(Value::String(text)) => Some(text),
            Some(_) => self.error(format!("{at}/{name}"), "wrong-type", "must be a string"),
            None => self.error(format!("{at}/{name}"), "required", "is required"),
        }
    }

    /// One request for access; members it omits default to those of `top`.
    fn request(
        &mut self,
        app: &AppState,
        own: &EvaluationRequest,
        top: Option<&EvaluationRequest>,
        at: &str,
    ) -> Option<AccessRequest> {
        fn of<'v>(
            own: &'v EvaluationRequest,
            top: Option<&'v EvaluationRequest>,
            part: fn(&EvaluationRequest) -> Option<&Read<Part>>,
        ) -> Option<&'v Read<Part>> {
            part(own).or_else(|| part(top?))
        }
        let subject_at = format!("{at}/subject");
        let subject = self.object(of(own, top, |asked| asked.subject.as_ref()), &subject_at);
        let user_id = subject.and_then(|subject| self.subject(subject, &subject_at));
        let action_at = format!("{at}/action");
        let action = self.object(of(own, top, |asked| asked.action.as_ref()), &action_at);
        let action = action.and_then(|action| self.text(action.name.as_ref(), "name", &action_at));
        let resource_at = format!("{at}/resource");
        let resource = self.object(of(own, top, |asked| asked.resource.as_ref()), &resource_at);
        let object_type =
            resource.and_then(|resource| self.text(resource.kind.as_ref(), "type", &resource_at));
        let (resource, object_type, action) = (resource?, object_type?, action?);
        let known = app.catalogue.object_type(object_type);
        let object_id = match &resource.id {
            Some(id) => match read_object_id(id) {
                Ok(id) => Some(id.text),
                Err(error) => self.error(format!("{resource_at}/id"), error.code, error.detail),
            },
            // A wildcard is about every object of the type.
            None if known.is_some_and(|known| known.has_wildcard(action)) => Some(String::new()),
            None => self.error(format!("{resource_at}/id"), "required", "is required"),
        };
        Some(AccessRequest {
            user_id: user_id?,
            action: action.to_owned(),
            object_type: object_type.to_owned(),
            object_id: object_id?,
        })
    }

    /// The user that a subject is, or `Some(None)` for one that can be none: its number is written in one way only.
    fn subject(&mut self, subject: &Part, at: &str) -> Option<Option<UserId>> {
        let kind = self.text(subject.kind.as_ref(), "type", at)?;
        let id = match &subject.id {
            Some(Value::String(text)) => values::whole_number(text),
            Some(Value::Number(number)) => number.as_i64(),
            Some(_) => return self.error(format!("{at}/id"), "wrong-type", "must be a string or an integer"),
            None => return self.error(format!("{at}/id"), "required", "is required"),
        };
        Some(id.filter(|id| *id > 0 && kind == "user").map(UserId))
    }

    /// The subject, action and resource of the top that no question takes: they are checked all the same.
    fn unused(&mut self, top: &EvaluationRequest, [subject, action, resource]: [bool; 3]) {
        if let Some(part) = top.subject.as_ref().filter(|_| !subject)
            && let Some(part) = self.object(Some(part), "/subject")
        {
            self.subject(part, "/subject");
        }
        if let Some(part) = top.action.as_ref().filter(|_| !action)
            && let Some(part) = self.object(Some(part), "/action")
        {
            self.text(part.name.as_ref(), "name", "/action");
        }
        if let Some(part) = top.resource.as_ref().filter(|_| !resource)
            && let Some(part) = self.object(Some(part), "/resource")
        {
            self.text(part.kind.as_ref(), "type", "/resource");
        }
    }

    fn finish<T>(self, read: Option<T>) -> Result<T> {
        match read.filter(|_| self.errors.is_empty()) {
            Some(read) => Ok(read),
            None => Err(Error::Invalid(self.errors)),
        }
    }
}

/// The body, which must be an object.
fn parse(body: &[u8]) -> Result<EvaluationRequest> {
    let text = tenantry_core::json::text(body, "an object")?;
    match serde_json::from_str(text).map_err(|e| tenantry_core::json::syntax(&e, "an object"))? {
        Read::Object(asked) => Ok(asked),
        Read::Other => Err(FieldError::new("", "wrong-type", "the body must be an object").into()),
    }
}

/// Whether reasons are asked for, by the query or by the options.
fn explains(params: &mut tenantry_http::paging::Params, body: &EvaluationRequest) -> bool {
    let option = body.options.as_ref().and_then(|options| options.get("explain"));
    let Explain(explain) = Explain(params.flag(&EXPLAIN).unwrap_or(false));
    explain || option == Some(&Value::Bool(true))
}

async fn decide_one(
    app: &AppState,
    by: &Requester,
    request: AccessRequest,
    with_reason: bool,
) -> Result<Response, Problem> {
    let parts = app.clone();
    let work =
        move |tx: &mut Tx<'_, Requester>| evaluations::decide(tx, parts.rules(), &request, with_reason);
    // With reasons it is several statements.
    let decision =
        if with_reason { app.store.scan(by, work).await? } else { app.store.read(by, work).await? };
    Ok(json(StatusCode::OK, &DecisionBody::of(&decision, with_reason)))
}

/// Evaluate whether a user may do something.
///
/// OpenID AuthZEN, Authorization API 1.0, Access Evaluation. Admins and technical accounts can evaluate any user of the
/// partner, others themselves. A user of another partner, an unknown user and an invalid id get the same response.
#[utoipa::path(
    post, path = "/access/v1/evaluation", tag = "evaluations",
    request_body(content = ref("#/components/schemas/EvaluationRequest")),
    params(Of<Explain>),
    responses(
        (status = 200, description = "The decision", body = DecisionBody, example = json!({ "decision": true })),
        InvalidError, EvaluationErrors,
    ),
)]
pub async fn evaluate_access(
    State(app): State<AppState>,
    EvaluationRequester(by): EvaluationRequester,
    QueryParams(mut params): QueryParams,
    JsonBody(body): JsonBody,
) -> Result<Response, Problem> {
    let body = parse(&body)?;
    let with_reason = explains(&mut params, &body);
    params.finish()?;
    let mut reader = Reader { errors: Vec::new() };
    let request = reader.request(&app, &body, None, "");
    decide_one(&app, &by, reader.finish(request)?, with_reason).await
}

/// How the decisions of a batch are combined, by name; the first is the default.
const SEMANTICS: [(&str, Semantic); 3] = [
    ("execute_all", Semantic::ExecuteAll),
    ("deny_on_first_deny", Semantic::DenyOnFirstDeny),
    ("permit_on_first_permit", Semantic::PermitOnFirstPermit),
];

fn read_semantic(reader: &mut Reader, body: &EvaluationRequest) -> Semantic {
    let Some(options) = &body.options else { return Semantic::default() };
    if !options.is_object() {
        let _: Option<()> = reader.error(String::from("/options"), "wrong-type", "must be an object");
    }
    match options.get("evaluations_semantic").map(Value::as_str) {
        None => Semantic::default(),
        Some(Some(name)) if let Some((_, known)) = SEMANTICS.iter().find(|(known, _)| *known == name) => {
            *known
        }
        Some(_) => {
            let detail = "must be execute_all, deny_on_first_deny or permit_on_first_permit";
            let at = String::from("/options/evaluations_semantic");
            let _: Option<()> = reader.error(at, "wrong-value", detail);
            Semantic::default()
        }
    }
}

/// The questions of a batch; none = the one at the top is meant.
fn read_batch(reader: &mut Reader, app: &AppState, body: &EvaluationRequest) -> Option<Vec<AccessRequest>> {
    let list = match &body.evaluations {
        None => return Some(Vec::new()),
        Some(Value::Array(list)) if list.len() <= MAX_BATCH => list,
        Some(Value::Array(_)) => {
            let detail = format!("at most {MAX_BATCH} evaluations can be asked at once");
            return reader.error(String::from("/evaluations"), "too-many", detail);
        }
        Some(_) => {
            return reader.error(String::from("/evaluations"), "wrong-type", "must be an array of objects");
        }
    };
    let (mut requests, mut used) = (Vec::with_capacity(list.len()), [false; 3]);
    for (index, value) in list.iter().enumerate() {
        let at = format!("/evaluations/{index}");
        let own: Read<EvaluationRequest> = Read::deserialize(value).unwrap_or(Read::Other);
        if let Some(own) = reader.object(Some(&own), &at) {
            let parts = [&own.subject, &own.action, &own.resource];
            used.iter_mut().zip(parts).for_each(|(used, part)| *used |= part.is_none());
            requests.extend(reader.request(app, own, Some(body), &at));
        }
    }
    reader.unused(body, used);
    Some(requests)
}

/// Evaluate up to 1,000 requests at once.
///
/// OpenID AuthZEN, Authorization API 1.0, Access Evaluations. All are decided on one snapshot of the data. If
/// `evaluations` is empty or absent, the top-level evaluation is decided, as by a single evaluation.
#[utoipa::path(
    post, path = "/access/v1/evaluations", tag = "evaluations",
    request_body(content = ref("#/components/schemas/EvaluationsRequest")),
    params(Of<Explain>),
    responses(
        (status = 200, description = "The decisions, in the order of the evaluations; or one decision, if `evaluations` is empty or absent", body = DecisionOrDecisions,
            example = json!({ "evaluations": [{ "decision": true }, { "decision": false }] })),
        InvalidError, EvaluationErrors, TooLargeError<BULK>,
    ),
)]
pub async fn evaluate_accesses(
    State(app): State<AppState>,
    EvaluationRequester(by): EvaluationRequester,
    QueryParams(mut params): QueryParams,
    JsonBody(body): JsonBody<BULK>,
) -> Result<Response, Problem> {
    let body = parse(&body)?;
    let with_reason = explains(&mut params, &body);
    params.finish()?;
    let mut reader = Reader { errors: Vec::new() };
    let semantic = read_semantic(&mut reader, &body);
    let is_batch =
        body.evaluations.as_ref().is_some_and(|list| list.as_array().is_none_or(|l| !l.is_empty()));
    if !is_batch {
        let request = reader.request(&app, &body, None, "");
        return decide_one(&app, &by, reader.finish(request)?, with_reason).await;
    }
    let requests = read_batch(&mut reader, &app, &body);
    let requests = reader.finish(requests)?;
    // Where a read in place is one statement, several questions need a transaction to be decided on one state.
    let is_one_state = requests.len() == 1 || !app.store.is_shared();
    let in_place = requests.len() <= IN_PLACE && !with_reason && is_one_state;
    let parts = app.clone();
    let work = move |tx: &mut Tx<'_, Requester>| {
        evaluations::decide_many(tx, parts.rules(), &requests, semantic, with_reason)
    };
    let decisions =
        if in_place { app.store.read(&by, work).await? } else { app.store.scan(&by, work).await? };
    let evaluations = decisions.iter().map(|decision| DecisionBody::of(decision, with_reason)).collect();
    Ok(json(StatusCode::OK, &DecisionsBody { evaluations }))
}
