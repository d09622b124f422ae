//! Second factors: the caller's own, and those of other users, which admins list and remove.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;
use zeroize::Zeroizing;

use crate::responses::{AdminErrors, ConflictError, InvalidError, MemberErrors, MissingError};
use crate::user_bodies::Time;
use tenantry_core::json::{Fields, Members, Presence, Property, Shape};
use tenantry_core::values::Text;
use tenantry_domain::factors::{self, Factor, UserFactors, recovery_codes, step_up, totp};
use tenantry_http::extract::{Admin, FactorPath, Member, MemberAddingFactor, NoParams, UserPath};
use tenantry_http::json_body::JsonBody;
use tenantry_http::parameters::Of;
use tenantry_http::problem::Problem;
use tenantry_http::responses::json as answer;
use tenantry_http::state::AppState;
use tenantry_http::writes::{Write, WriteResponse};

/// A second factor.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Factor)]
pub struct FactorBody {
    /// Identifies it among those of its user.
    #[schema(example = "totp")]
    factor_id: String,
    /// `totp` is an authenticator app.
    #[schema(value_type = String, example = "totp")]
    factor: &'static str,
    /// The name that the user has given it, or null.
    #[schema(required = true)]
    name: Option<String>,
    /// When it was added. RFC 3339, UTC.
    #[schema(value_type = String, format = DateTime, example = "2026-11-23T09:00:00.000Z")]
    created_at: Time,
    /// When it was last used, or null. RFC 3339, UTC.
    #[schema(required = true, value_type = Option<String>, format = DateTime, example = "2026-11-23T09:00:00.000Z")]
    last_used_at: Option<Time>,
}

/// The second factors of a user.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Factors)]
pub struct FactorsBody {
    /// Oldest first.
    factors: Vec<FactorBody>,
    /// How many recovery codes are left.
    #[schema(example = 10)]
    recovery_codes_left: i64,
    /// The number of devices on which no second factor is asked for.
    #[schema(example = 1)]
    remembered_devices: i64,
    /// From when on the user cannot do without a second factor, or null. RFC 3339, UTC.
    #[schema(required = true, value_type = Option<String>, format = DateTime, example = "2026-11-30T09:00:00.000Z")]
    required_from: Option<Time>,
}

impl From<UserFactors> for FactorsBody {
    fn from(found: UserFactors) -> Self {
        let body = |factor: factors::ListedFactor| FactorBody {
            factor_id: factor.factor_id,
            factor: factor.factor.name(),
            name: factor.name,
            created_at: Time(factor.created_at),
            last_used_at: factor.last_used_at.map(Time),
        };
        Self {
            factors: found.factors.into_iter().map(body).collect(),
            recovery_codes_left: found.recovery_codes.left,
            remembered_devices: found.remembered_devices,
            required_from: found.required_from.map(Time),
        }
    }
}

/// The secret of an authenticator app, which is shown once.
#[derive(Serialize, ToSchema)]
pub struct TotpSecret<'a> {
    /// The key to type into the app, in base32.
    #[schema(example = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ")]
    key: &'a str,
    /// The same as a URI, which apps read as a QR code.
    #[schema(example = "otpauth://totp/Example:ada?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ&issuer=Example")]
    uri: &'a str,
}

/// Recovery codes, which are shown once.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct RecoveryCodes<'a> {
    /// Ten codes, each good for one sign-in; empty if the former ones are still good.
    #[schema(example = json!(["0123-4567-89ab-cdef"]))]
    recovery_codes: Vec<&'a str>,
}

impl<'a> RecoveryCodes<'a> {
    fn of(codes: &'a [Zeroizing<String>]) -> Self {
        Self { recovery_codes: codes.iter().map(|code| code.as_str()).collect() }
    }
}

const KIND: Text = Text::one_of(&["totp"]);
const FACTOR: Property =
    Property::new("factor", "The kind: `totp`, an authenticator app.").of(&KIND).like("totp");
const CODE: Property = Property::new("code", "The code that the app shows now.").like("123456");

/// The schemas of request bodies.
pub(super) fn schemas() -> Vec<(&'static str, Value)> {
    vec![
        ("AddFactor", Shape::of_new("A second factor to add.").asked(new_factor)),
        ("ConfirmFactor", Shape::of_new("A first code of the authenticator app.").asked(first_code)),
    ]
}

fn new_factor(from: &mut impl Members) -> Option<()> {
    from.text(Presence::Required, &FACTOR, |text| {
        if text == Factor::Totp.name() { Ok(()) } else { Err(("unknown", "must be totp")) }
    })
}

fn first_code(from: &mut impl Members) -> Option<Zeroizing<String>> {
    from.text(Presence::Required, &CODE, |text| {
        if text.chars().any(char::is_control) {
            return Err((
                "wrong-code",
                "has a control character: it must be the six digits that the app shows",
            ));
        }
        Ok(Zeroizing::new(text.to_owned()))
    })
}

/// List the caller's own second factors.
///
/// An authenticator app that is not confirmed is none.
#[utoipa::path(
    get, path = "/api/v1/users/self/factors", tag = "self",
    responses((status = 200, description = "The factors", body = FactorsBody), MemberErrors),
)]
pub async fn list_own_factors(
    State(app): State<AppState>,
    MemberAddingFactor(member): MemberAddingFactor,
    _: NoParams,
) -> Result<Response, Problem> {
    let found = app.store.scan(&member, factors::list_own).await?;
    Ok(answer(StatusCode::OK, &FactorsBody::from(found)))
}

/// Add an authenticator app: make its secret.
///
/// It counts when a first code has confirmed it, within an hour. The sign-in must not be older than 5 minutes; otherwise `401`
/// with a challenge of RFC 9470.
#[utoipa::path(
    post, path = "/api/v1/users/self/factors", tag = "self",
    request_body(content = ref("#/components/schemas/AddFactor")),
    responses((status = 200, description = "The secret", body = TotpSecret), InvalidError, MemberErrors, ConflictError),
)]
pub async fn add_own_factor(
    State(app): State<AppState>,
    MemberAddingFactor(member): MemberAddingFactor,
    _: NoParams,
    JsonBody(body): JsonBody,
) -> Result<Response, Problem> {
    let mut fields = Fields::parse(&body)?;
    let factor = new_factor(&mut fields);
    fields.finish_with(|| factor)?;
    let secret = totp::begin(&app, &member, &app.settings().authenticator_name()).await?;
    Ok(answer(StatusCode::OK, &TotpSecret { key: &secret.key, uri: &secret.uri }))
}

/// Confirm an authenticator app by a first code.
///
/// From then on it is asked for at sign-ins. With the first factor of a user come ten recovery codes.
#[utoipa::path(
    post, path = "/api/v1/users/self/factors/confirm", tag = "self",
    request_body(content = ref("#/components/schemas/ConfirmFactor")),
    responses(
        (status = 200, description = "Added", body = RecoveryCodes),
        InvalidError, MemberErrors, MissingError, ConflictError,
    ),
)]
pub async fn confirm_own_factor(
    State(app): State<AppState>,
    MemberAddingFactor(member): MemberAddingFactor,
    _: NoParams,
    JsonBody(body): JsonBody,
) -> Result<Response, Problem> {
    let mut fields = Fields::parse(&body)?;
    let code = first_code(&mut fields);
    let code = fields.finish_with(|| code)?;
    let confirmed = totp::confirm(&app, &member, &code).await?;
    let codes = confirmed.recovery_codes.unwrap_or_default();
    Ok(answer(StatusCode::OK, &RecoveryCodes::of(&codes)))
}

/// Make new recovery codes.
///
/// The former ones are no longer good.
#[utoipa::path(
    post, path = "/api/v1/users/self/factors/recovery-codes", tag = "self",
    responses((status = 200, description = "The codes", body = RecoveryCodes), MemberErrors, ConflictError),
)]
pub async fn make_own_recovery_codes(
    State(app): State<AppState>,
    Member(member): Member,
    _: NoParams,
) -> Result<Response, Problem> {
    let codes = recovery_codes::make(&app, &member).await?;
    Ok(answer(StatusCode::OK, &RecoveryCodes::of(&codes)))
}

/// Remove one of the caller's own second factors.
///
/// The sign-in must not be older than 5 minutes. `409` for the last one, if a second factor is required of the caller.
#[utoipa::path(
    delete, path = "/api/v1/users/self/factors/{factorId}", tag = "self", params(Of<FactorPath>, Of<Write>),
    responses((status = 204, description = "Removed"), MemberErrors, MissingError, ConflictError),
)]
pub async fn remove_own_factor(
    State(app): State<AppState>,
    Member(member): Member,
    FactorPath(factor_id): FactorPath,
    write: Write,
) -> Result<Response, Problem> {
    step_up::expect_fresh(&app, &member).await?;
    write
        .run(&app, &member, move |tx| factors::remove_own(tx, &factor_id).map(|()| WriteResponse::gone()))
        .await
}

/// List a user's second factors.
///
/// Their secrets are shown to nobody.
#[utoipa::path(
    get, path = "/api/v1/users/{userId}/factors", tag = "users", params(Of<UserPath>),
    responses((status = 200, description = "The factors", body = FactorsBody), AdminErrors, MissingError),
)]
pub async fn list_user_factors(
    State(app): State<AppState>,
    Admin(by): Admin,
    UserPath(id): UserPath,
    _: NoParams,
) -> Result<Response, Problem> {
    let found = app.store.scan(&by, move |tx| factors::list(tx, id)).await?;
    Ok(answer(StatusCode::OK, &FactorsBody::from(found)))
}

/// Remove all second factors of a user.
///
/// For a user who has lost them. Its sessions end; it is mailed a notice, and signs in with the password alone. `409` for the
/// caller's own.
#[utoipa::path(
    delete, path = "/api/v1/users/{userId}/factors", tag = "users", params(Of<UserPath>, Of<Write>),
    responses((status = 204, description = "Removed"), AdminErrors, MissingError, ConflictError),
)]
pub async fn remove_user_factors(
    State(app): State<AppState>,
    Admin(by): Admin,
    UserPath(id): UserPath,
    write: Write,
) -> Result<Response, Problem> {
    step_up::expect_strong_admin(&app, &by).await?;
    write.run(&app, &by, move |tx| factors::remove(tx, id, None).map(|_| WriteResponse::gone())).await
}

/// Remove one second factor of a user.
///
/// Its sessions end, and it is mailed a notice. `409` for the caller's own.
#[utoipa::path(
    delete, path = "/api/v1/users/{userId}/factors/{factorId}", tag = "users",
    params(Of<UserPath>, Of<FactorPath>, Of<Write>),
    responses((status = 204, description = "Removed"), AdminErrors, MissingError, ConflictError),
)]
pub async fn remove_user_factor(
    State(app): State<AppState>,
    Admin(by): Admin,
    UserPath(id): UserPath,
    FactorPath(factor_id): FactorPath,
    write: Write,
) -> Result<Response, Problem> {
    step_up::expect_strong_admin(&app, &by).await?;
    write
        .run(&app, &by, move |tx| factors::remove(tx, id, Some(&factor_id)).map(|_| WriteResponse::gone()))
        .await
}
