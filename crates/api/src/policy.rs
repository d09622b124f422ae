//! The policies of the admin's partner: who needs a second factor, and which rules passwords follow.

use axum::extract::State;
use axum::response::Response;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use crate::responses::{AdminErrors, ChangedError, InvalidError, UnchangedResponse};
use tenantry_core::account_policy::{PasswordPolicy, SecondFactorPolicy};
use tenantry_core::error::Result;
use tenantry_core::json::{Fields, Members, Patch, Presence, Property, Shape};
use tenantry_core::values::Text;
use tenantry_domain::conditions::Target;
use tenantry_domain::factors::step_up;
use tenantry_domain::policies::{self, PolicyChange, ShownPolicy};
use tenantry_http::conditional::{Conditions, show};
use tenantry_http::extract::{Admin, NoParams};
use tenantry_http::json_body::JsonBody;
use tenantry_http::parameters::Of;
use tenantry_http::problem::Problem;
use tenantry_http::responses::written;
use tenantry_http::state::AppState;
use tenantry_http::writes::{Write, WriteResponse};

/// The policies of a partner.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Policy)]
pub struct PolicyBody {
    /// Who needs a second factor, by this partner: `off`, `optional`, `admins` or `everybody`. What the server requires
    /// applies as well.
    #[schema(value_type = String, example = "admins")]
    second_factor: &'static str,
    /// The rules of passwords, `contract` or `nist`; null for those of the server.
    #[schema(required = true, value_type = Option<String>, example = "nist")]
    password_policy: Option<&'static str>,
    /// What applies, with the settings of the server.
    effective: EffectivePolicyBody,
}

/// The policies that apply to the users of a partner.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = EffectivePolicy)]
pub struct EffectivePolicyBody {
    /// Who needs a second factor.
    #[schema(value_type = String, example = "admins")]
    second_factor: &'static str,
    /// The rules of passwords.
    #[schema(value_type = String, example = "nist")]
    password_policy: &'static str,
}

impl From<&ShownPolicy> for PolicyBody {
    fn from(shown: &ShownPolicy) -> Self {
        Self {
            second_factor: shown.own.second_factor.name(),
            password_policy: shown.own.password_policy.map(PasswordPolicy::name),
            effective: EffectivePolicyBody {
                second_factor: shown.effective.second_factor.name(),
                password_policy: shown.effective.password_policy.name(),
            },
        }
    }
}

const SECOND_FACTORS: Text = Text::one_of(&SecondFactorPolicy::NAMES);
// Not an enumeration: null is none of its values.
const PASSWORD_POLICIES: Text = Text::like(4..=8, "^(contract|nist)$");
const SECOND_FACTOR: Property = Property::new(
    "secondFactor",
    "Who needs a second factor: `off`, `optional`, `admins` or `everybody`. Users of whom one is required from now on have 7 \
     days to add it.",
)
.of(&SECOND_FACTORS)
.like("admins");
const PASSWORD_POLICY: Property = Property::new(
    "passwordPolicy",
    "The rules of passwords that are set from now on: `contract`, or `nist` (15 to 128 characters of any script).",
)
.of(&PASSWORD_POLICIES)
.like("nist");

/// The schemas of request bodies.
pub(super) fn schemas() -> Vec<(&'static str, Value)> {
    vec![("PatchPolicy", Shape::of_change("Only the given properties change.").asked(policy_change))]
}

fn policy_change(from: &mut impl Members) -> PolicyChange {
    let second_factor = from.text(Presence::Optional, &SECOND_FACTOR, |text| {
        SecondFactorPolicy::parse(text).ok_or(("unknown", "must be off, optional, admins or everybody"))
    });
    let password_policy = from.nullable_text(&PASSWORD_POLICY, |text| {
        PasswordPolicy::parse(text).ok_or(("unknown", "must be contract or nist, or null for the server's"))
    });
    let password_policy = match password_policy {
        Patch::Absent => None,
        Patch::Null => Some(None),
        Patch::Value(policy) => Some(Some(policy)),
    };
    PolicyChange { second_factor, password_policy }
}

fn read_change(body: &[u8]) -> Result<PolicyChange> {
    let mut fields = Fields::parse(body)?;
    let change = policy_change(&mut fields);
    fields.finish()?;
    Ok(change)
}

/// Get the policies of the partner.
///
/// `effective` is what applies: the stricter of the partner's and the server's second factor, and the rules of passwords.
#[utoipa::path(
    get, path = "/api/v1/policy", tag = "policy",
    responses(
        (status = 200, description = "The policies", body = PolicyBody, headers(("ETag" = String, description = "Their version"))),
        UnchangedResponse, AdminErrors,
    ),
)]
pub async fn get_policy(
    State(app): State<AppState>,
    Admin(by): Admin,
    _: NoParams,
    conditions: Conditions,
) -> Result<Response, Problem> {
    let policy = app.store.read(&by, policies::get).await?;
    Ok(show(&conditions, &policy.tag(), written(&PolicyBody::from(&policy))?))
}

/// Change the policies of the partner.
///
/// A merge patch (RFC 7396). A caller who has a second factor must have given it within the last hour; otherwise `401` with a
/// challenge of RFC 9470.
#[utoipa::path(
    patch, path = "/api/v1/policy", tag = "policy", params(Of<Write>),
    request_body(content = ref("#/components/schemas/PatchPolicy"), content_type = "application/merge-patch+json"),
    responses(
        (status = 200, description = "The policies", body = PolicyBody, headers(("ETag" = String, description = "Their version"))),
        InvalidError, AdminErrors, ChangedError,
    ),
)]
pub async fn patch_policy(
    State(app): State<AppState>,
    Admin(by): Admin,
    write: Write,
    JsonBody(body): JsonBody,
) -> Result<Response, Problem> {
    let change = read_change(&body)?;
    step_up::expect_strong_admin(&app, &by).await?;
    write
        .of(Target::Policy)
        .run(&app, &by, move |tx| {
            let policy = policies::update(tx, &change)?;
            Ok(WriteResponse::ok(&PolicyBody::from(&policy))?.tagged(policy.tag()))
        })
        .await
}
