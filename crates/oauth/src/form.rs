//! The forms that clients send (RFC 6749 §3.2), and their JSON Schemas.

use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::request::Parts;
use serde_json::{Map, Value, json};
use zeroize::Zeroizing;

use tenantry_core::error::{Error, GrantError, Result};
use tenantry_http::incoming::{FORM, read_body};
use tenantry_http::media_type::content_type;
use tenantry_http::problem::Problem;

/// A parameter of a form.
pub(crate) struct Field {
    name: &'static str,
    about: &'static str,
    example: Option<&'static str>,
    choices: &'static [&'static str],
}

impl Field {
    const fn new(name: &'static str, about: &'static str) -> Self {
        Self { name, about, example: None, choices: &[] }
    }

    const fn like(self, example: &'static str) -> Self {
        Self { example: Some(example), ..self }
    }
}

const GRANTS: [&str; 4] = ["authorization_code", "refresh_token", "client_credentials", "password"];
pub(crate) const GRANT_TYPE: Field =
    Field { choices: &GRANTS, ..Field::new("grant_type", "The grant type.").like("password") };
pub(crate) const USERNAME: Field = Field::new("username", "Required for the grant `password`.").like("ada");
pub(crate) const PASSWORD: Field =
    Field::new("password", "Required for the grant `password`.").like("Old.Tea-Cup.12");
pub(crate) const REFRESH_TOKEN: Field =
    Field::new("refresh_token", "Required for the grant `refresh_token`.");
pub(crate) const SCOPE_ASKED: Field = Field::new(
    "scope",
    "`read`, `write` or both, separated by a space. Others are ignored; if neither is named, the token has both, \
        or as many as were granted at the login (`refresh_token`).",
);
pub(crate) const CODE: Field = Field::new("code", "Required for the grant `authorization_code`.")
    .like("ac_1_d2hhdGV2ZXIgeW91IHNheSBoZXJlIGlzIHJhbmRvbSE");
pub(crate) const REDIRECT_URI: Field =
    Field::new("redirect_uri", "For the grant `authorization_code`: the one of the authorization request.")
        .like("https://shop.example/callback");
pub(crate) const CODE_VERIFIER: Field = Field::new(
    "code_verifier",
    "For the grant `authorization_code`: the PKCE verifier (RFC 7636), if the authorization request had a `code_challenge`.",
)
.like("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk");
pub(crate) const TOKEN: Field = Field::new("token", "An access or refresh token.")
    .like("at_1_d2hhdGV2ZXIgeW91IHNheSBoZXJlIGlzIHJhbmRvbSE");
const HINT: Field = Field::new("token_type_hint", "`access_token` or `refresh_token`; not needed.");
pub(crate) const CLIENT_ID: Field = Field::new(
    "client_id",
    "`tenantry`, the built-in public client, or a confidential client that does not use HTTP Basic.",
)
.like("tenantry");
pub(crate) const CLIENT_SECRET: Field =
    Field::new("client_secret", "The secret of a confidential client that does not use HTTP Basic.");

/// The JSON Schemas of the forms, by name.
pub fn schemas() -> Vec<(&'static str, Value)> {
    let form = |about: &str, required: &Field, others: &[&Field]| {
        let property = |field: &Field| {
            let mut schema = json!({ "type": "string", "description": field.about });
            if let Some(schema) = schema.as_object_mut() {
                schema.extend(field.example.map(|example| (String::from("example"), json!(example))));
                if !field.choices.is_empty() {
                    schema.insert(String::from("enum"), json!(field.choices));
                }
            }
            (field.name.to_owned(), schema)
        };
        let properties: Map<String, Value> =
            std::iter::once(required).chain(others.iter().copied()).map(property).collect();
        json!({ "type": "object", "description": about, "required": [required.name], "properties": properties })
    };
    let of_tokens = [
        &CODE,
        &REDIRECT_URI,
        &CODE_VERIFIER,
        &USERNAME,
        &PASSWORD,
        &REFRESH_TOKEN,
        &CLIENT_ID,
        &CLIENT_SECRET,
        &SCOPE_ASKED,
    ];
    let of_token = [&HINT, &CLIENT_ID, &CLIENT_SECRET];
    vec![
        ("TokenRequest", form("The form of a token request.", &GRANT_TYPE, &of_tokens)),
        ("TokenForm", form("The form of a revocation or an introspection.", &TOKEN, &of_token)),
    ]
}

/// Parameters come in the body only (RFC 6749 §2.3.1, §3.2; B29): a password in a URL ends up in logs.
pub(crate) struct NoQuery;

impl<S: Sync> FromRequestParts<S> for NoQuery {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        match parts.uri.query() {
            None | Some("") => Ok(Self),
            Some(_) => Err(invalid_request("send the parameters in the body, not in the URL").into()),
        }
    }
}

/// The parameters of a form, each at most once (RFC 6749 §3.2).
pub(crate) struct Form(Vec<(String, Zeroizing<String>)>);

impl Form {
    pub(crate) fn take(&mut self, field: &Field) -> Option<Zeroizing<String>> {
        // A parameter without a value counts as left out (RFC 6749 §3.2).
        let at = self.0.iter().position(|(name, _)| name == field.name)?;
        Some(self.0.swap_remove(at).1).filter(|value| !value.is_empty())
    }

    pub(crate) fn require(&mut self, field: &Field) -> Result<Zeroizing<String>> {
        self.take(field).ok_or_else(|| invalid_request(format!("the parameter {} is missing", field.name)))
    }
}

impl<S: Sync> FromRequest<S> for Form {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        let is_form = content_type(request.headers()).is_some_and(|media_type| {
            media_type.essence().to_string().eq_ignore_ascii_case("application/x-www-form-urlencoded")
        });
        if !is_form {
            return Err(invalid_request("send the parameters as application/x-www-form-urlencoded").into());
        }
        let body = read_body(request, FORM).await?;
        let mut form: Vec<(String, Zeroizing<String>)> = Vec::new();
        for (name, value) in form_urlencoded::parse(&body) {
            if form.iter().any(|(n, _)| *n == name) {
                return Err(invalid_request("a parameter stands there twice").into());
            }
            if name.contains('\0') || value.contains('\0') {
                return Err(invalid_request("a parameter contains the control character U+0000").into());
            }
            form.push((name.into_owned(), Zeroizing::new(value.into_owned())));
        }
        Ok(Self(form))
    }
}

pub(crate) fn invalid_request(detail: impl Into<std::borrow::Cow<'static, str>>) -> Error {
    Error::Grant(GrantError::InvalidRequest, detail.into())
}
