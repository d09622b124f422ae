//! OAuth clients in bodies of requests and responses: those of a partner and product clients alike.

use serde::Serialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

use crate::user_bodies::Time;
use tenantry_core::clients::{Client, ClientAuthMethod, ClientGrant, ClientKind, ClientSecret};
use tenantry_core::error::{FieldError, Result};
use tenantry_core::json::{Fields, Members, Presence, Property, Shape};
use tenantry_core::model::PartnerId;
use tenantry_core::redirect_uris::{MAX_URIS, URI_MAX};
use tenantry_core::scopes::TokenScope;
use tenantry_core::signing_alg::SigningAlg;
use tenantry_core::values::{self, LINE, Text};
use tenantry_domain::client_changes::{ClientChange, MAX_PARTNERS, NewClient};
use tenantry_domain::conditions;
use tenantry_domain::user_records::owned;
use tenantry_http::writes::WriteResponse;

/// An OAuth client.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Client)]
pub struct ClientBody<'a> {
    /// Its `client_id`.
    #[schema(example = "cl_1_c2hvcC1zaG9wLXNo")]
    client_id: &'a str,
    /// The partner it belongs to; null for a product client, which is for the users of several partners.
    #[schema(required = true, example = 1)]
    pid: Option<i64>,
    /// For people.
    #[schema(example = "Shop")]
    name: &'a str,
    /// Whether it has secrets (`confidential`) or none (`public`).
    #[schema(example = "confidential")]
    kind: &'static str,
    /// Whether its technical account is a partner admin.
    #[schema(example = false)]
    is_admin: bool,
    /// Where users are sent back to after a login.
    #[schema(example = json!(["https://shop.example/callback"]))]
    redirect_uris: &'a [String],
    /// Where users may be sent after logging out.
    #[schema(example = json!(["https://shop.example/"]))]
    post_logout_redirect_uris: &'a [String],
    /// The grants it may use.
    #[schema(example = json!(["authorization_code", "refresh_token"]))]
    grants: Vec<&'static str>,
    /// The scopes it may request.
    #[schema(example = json!(["openid", "profile", "email"]))]
    scopes: Vec<&'static str>,
    /// What its ID tokens are signed with.
    #[schema(example = "RS256")]
    id_token_alg: &'static str,
    /// How it authenticates; `client_secret` is either `client_secret_basic` or `client_secret_post`.
    #[schema(example = "client_secret")]
    token_endpoint_auth_method: &'static str,
    /// Whether users are asked before it learns about them.
    #[schema(example = true)]
    require_consent: bool,
    /// Whether its authorization requests need PKCE.
    #[schema(example = true)]
    require_pkce: bool,
    /// Whether users who have a second factor may log in through it with the password alone, by the grant `password`.
    #[schema(example = false)]
    password_without_second_factor: bool,
    /// The partners whose users a product client is for; null for all. Null for a client of a partner.
    #[schema(required = true, value_type = Option<Vec<i64>>, example = json!([1]))]
    partners: Option<&'a [PartnerId]>,
    /// Its secrets, without their text.
    secrets: Vec<SecretBody>,
    /// RFC 3339, UTC.
    #[schema(value_type = String, format = DateTime, example = "2026-11-23T09:00:00.000Z")]
    created_at: Time,
    /// When it was last changed. RFC 3339, UTC.
    #[schema(value_type = String, format = DateTime, example = "2026-11-23T09:00:00.000Z")]
    updated_at: Time,
}

/// A secret of a client, without its text.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = ClientSecret)]
pub struct SecretBody {
    /// Distinguishes it from the other one.
    #[schema(example = 1)]
    secret_id: i64,
    /// RFC 3339, UTC.
    #[schema(value_type = String, format = DateTime, example = "2026-11-23T09:00:00.000Z")]
    created_at: Time,
}

/// A client with a new secret.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = ClientWithSecret)]
pub struct ClientWithSecret<'a> {
    #[serde(flatten)]
    client: ClientBody<'a>,
    /// The new secret, shown only now; absent for a public client, and if a repeated request (`Idempotency-Key`) is answered
    /// again.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "kq3Zt5u8x1Bv0nYdQeRcTgUjWlOpAsHf2m4i6k8o0q2")]
    client_secret: Option<&'a str>,
}

impl<'a> ClientBody<'a> {
    /// A client as every response shows it.
    pub(super) fn of(client: &'a Client) -> Self {
        let secret = |secret: &ClientSecret| SecretBody {
            secret_id: secret.secret_id,
            created_at: Time(secret.created_at),
        };
        Self {
            client_id: &client.client_id,
            pid: Some(client.pid.0).filter(|_| !client.is_product()),
            name: &client.name,
            kind: client.kind.name(),
            is_admin: client.is_admin,
            redirect_uris: &client.redirect_uris,
            post_logout_redirect_uris: &client.post_logout_redirect_uris,
            grants: client.grants.iter().map(ClientGrant::name).collect(),
            scopes: client.scopes.iter().map(TokenScope::name).collect(),
            id_token_alg: client.id_token_alg.name(),
            token_endpoint_auth_method: client.auth_method.name(),
            require_consent: client.needs_consent,
            require_pkce: client.needs_pkce,
            password_without_second_factor: client.password_alone,
            partners: client.partners.as_deref(),
            secrets: client.secrets.iter().map(secret).collect(),
            created_at: Time(client.created_at),
            updated_at: Time(client.updated_at),
        }
    }
}

/// A client as the response of a write, with its tag.
pub(super) fn shown(client: &Client) -> Result<WriteResponse> {
    Ok(WriteResponse::ok(&ClientBody::of(client))?.tagged(conditions::tag_of_client(client)))
}

/// A client that was just made, or that got a secret. The secret is in the first response only.
pub(super) fn created(location: String, client: &Client, secret: Option<&String>) -> Result<WriteResponse> {
    let body = |secret| ClientWithSecret { client: ClientBody::of(client), client_secret: secret };
    let response = WriteResponse::created(location, &body(None))?.tagged(conditions::tag_of_client(client));
    match secret {
        Some(secret) => response.shown_once(&body(Some(secret))),
        None => Ok(response),
    }
}

const KIND: Text = Text::one_of(&["confidential", "public"]);
const ALG: Text = Text::one_of(&["RS256", "ES256", "EdDSA"]);
const METHOD: Text = Text::one_of(&["client_secret", "client_secret_basic", "client_secret_post", "none"]);

const OF_PARTNER: Property =
    Property::new("pid", "The partner it belongs to. Omit it, or null, for a product client.").like("1");
const NAME: Property = Property::new("name", "For people; 1 to 255 characters.").of(&LINE).like("Shop");
const KIND_OF_CLIENT: Property = Property::new(
    "kind",
    "`confidential` (the default): it has a secret. `public`: it has none, since it runs in a browser or on a device.",
)
.of(&KIND)
.like("confidential");
const IS_ADMIN: Property = Property::new(
    "isAdmin",
    "Whether its technical account has the rights of a partner admin; needs the grant `client_credentials`.",
)
.like("false");
const REDIRECT_URIS: Property = Property::new(
    "redirectUris",
    "Where users are sent back to after a login; compared exactly, only the port of a loopback IP address may vary. `https`; \
     `http` for `127.0.0.1`, `[::1]` and `localhost`; for public clients also a scheme with a dot, such as \
     `com.example.app:/callback`. No fragment, wildcard or user name.",
)
.like(r#"["https://shop.example/callback"]"#);
const POST_LOGOUT: Property = Property::new(
    "postLogoutRedirectUris",
    "Where users may be sent after logging out. The same rules as for `redirectUris`.",
)
.like(r#"["https://shop.example/"]"#);
const GRANTS: Property = Property::new(
    "grants",
    "The grants it may use. By default `authorization_code` and `refresh_token` if it has a redirect URI, otherwise all \
     others.",
)
.like(r#"["authorization_code", "refresh_token"]"#);
const SCOPES: Property = Property::new(
    "scopes",
    "The scopes it may request. By default those of OpenID Connect if it has a redirect URI, otherwise `read` and `write`.",
)
.like(r#"["openid", "profile", "email"]"#);
const ID_TOKEN_ALG: Property =
    Property::new("idTokenAlg", "What its ID tokens are signed with; RS256 by default.")
        .of(&ALG)
        .like("RS256");
const AUTH_METHOD: Property = Property::new(
    "tokenEndpointAuthMethod",
    "How it authenticates: `client_secret_basic`, `client_secret_post`, either (`client_secret`, the default), or `none`, \
     which every public client has.",
)
.of(&METHOD)
.like("client_secret");
const REQUIRE_CONSENT: Property = Property::new(
    "requireConsent",
    "Whether users are asked before it learns about them; true by default, always false for a product client.",
)
.like("true");
const PASSWORD_ALONE: Property = Property::new(
    "passwordWithoutSecondFactor",
    "Whether users who have a second factor may log in through it with the password alone, by the grant `password`; false by \
     default.",
)
.like("false");
const REQUIRE_PKCE: Property = Property::new(
    "requirePkce",
    "Whether its authorization requests need PKCE (RFC 7636); true by default, always for a public client. Without PKCE \
     they need a nonce.",
)
.like("true");
const PARTNERS: Property = Property::new(
    "partners",
    "The partners whose users a product client is for, by id; null for all, as by default.",
)
.like("[1]");

/// The schemas of request bodies.
pub(super) fn schemas() -> Vec<(&'static str, Value)> {
    let of_admin = |presence| move |from: &mut Shape| drop(change(from, presence, Whose::Partner, None));
    let of_operator = |presence| move |from: &mut Shape| drop(change(from, presence, Whose::Operator, None));
    let update = || Shape::of_change("A value that was read can be sent back.");
    let patch = || {
        Shape::of_change("A merge patch (RFC 7396): only the given properties change.")
            .like(json!({ "name": "Web shop" }))
    };
    vec![
        ("CreateClient", Shape::of_new("A new client.").asked(|from| drop(new(from, Whose::Partner)))),
        ("UpdateClient", update().asked(of_admin(Presence::Required))),
        ("PatchClient", patch().asked(of_admin(Presence::Optional))),
        ("CreateAnyClient", Shape::of_new("A new client.").asked(|from| drop(new(from, Whose::Operator)))),
        ("UpdateAnyClient", update().asked(of_operator(Presence::Required))),
        ("PatchAnyClient", patch().asked(of_operator(Presence::Optional))),
        ("NoMembers", Shape::of_new("An empty object.").like(json!({})).asked(|_| ())),
    ]
}

/// Whose API it is: product clients, and the partner of a new client, are for operators only.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Whose {
    Partner,
    Operator,
}

fn strings(value: &Value, max: usize) -> Result<Vec<String>, FieldError> {
    let wrong = || FieldError::of_value("wrong-type", "must be an array of strings");
    let list = value.as_array().ok_or_else(wrong)?;
    if list.len() > max {
        return Err(FieldError::of_value("too-many", format!("must have at most {max} elements")));
    }
    list.iter().map(|text| text.as_str().map(str::to_owned).ok_or_else(wrong)).collect()
}

fn uris(from: &mut impl Members, member: &Property) -> Option<Vec<String>> {
    let schema = || {
        let uri = json!({ "type": "string", "minLength": 1, "maxLength": URI_MAX });
        json!({ "type": "array", "maxItems": MAX_URIS, "items": uri })
    };
    from.value(Presence::Optional, member, schema, |value| strings(value, MAX_URIS))
}

/// A list of names of which there are few.
fn named<T, C: FromIterator<T>, const N: usize>(
    from: &mut impl Members,
    member: &Property,
    known: [&'static str; N],
    parse: fn(&str) -> Option<T>,
) -> Option<C> {
    let schema = || json!({ "type": "array", "items": { "type": "string", "enum": known.as_slice() } });
    from.value(Presence::Optional, member, schema, |value| {
        let parse = |name: String| {
            parse(&name).ok_or_else(|| {
                FieldError::of_value("unknown-value", format!("must be some of {}", known.join(", ")))
            })
        };
        strings(value, 100)?.into_iter().map(parse).collect()
    })
}

fn one<T>(from: &mut impl Members, member: &Property, parse: fn(&str) -> Option<T>) -> Option<T> {
    let known = member.text.choices;
    from.text(Presence::Optional, member, |name| {
        parse(name).ok_or_else(|| {
            FieldError::of_value("unknown-value", format!("must be one of {}", known.join(", ")))
        })
    })
}

/// The list of partners: null for all.
fn partners(from: &mut impl Members) -> Option<Option<Vec<PartnerId>>> {
    let schema = || {
        let id = tenantry_core::json::id_schema();
        json!({ "type": ["array", "null"], "maxItems": MAX_PARTNERS, "items": id })
    };
    from.value(Presence::Optional, &PARTNERS, schema, |value| {
        let wrong = || FieldError::of_value("wrong-type", "must be an array of ids, or null");
        match value {
            Value::Null => Ok(None),
            Value::Array(list) if list.len() > MAX_PARTNERS => {
                Err(FieldError::of_value("too-many", format!("must have at most {MAX_PARTNERS} elements")))
            }
            Value::Array(list) => {
                let id = |id: &Value| id.as_i64().filter(|id| *id > 0).map(PartnerId).ok_or_else(wrong);
                list.iter().map(id).collect::<Result<_, _>>().map(Some)
            }
            _ => Err(wrong()),
        }
    })
}

fn settings(from: &mut impl Members, presence: Presence, whose: Whose) -> ClientChange {
    let name = from.text(presence, &NAME, owned(values::label));
    let is_admin = from.truth(&IS_ADMIN);
    let redirect_uris = uris(from, &REDIRECT_URIS);
    let post_logout_redirect_uris = uris(from, &POST_LOGOUT);
    let grants = named(from, &GRANTS, ClientGrant::ALL.map(ClientGrant::name), ClientGrant::parse);
    let scopes = named(from, &SCOPES, TokenScope::ALL.map(TokenScope::name), TokenScope::parse);
    let id_token_alg = one(from, &ID_TOKEN_ALG, SigningAlg::parse);
    let auth_method = one(from, &AUTH_METHOD, ClientAuthMethod::parse);
    let needs_consent = from.truth(&REQUIRE_CONSENT);
    let needs_pkce = from.truth(&REQUIRE_PKCE);
    let password_alone = from.truth(&PASSWORD_ALONE);
    let partners = match whose {
        Whose::Operator => partners(from),
        Whose::Partner => {
            from.response_only("partners", Some(Value::Null));
            None
        }
    };
    ClientChange {
        name,
        is_admin,
        redirect_uris,
        post_logout_redirect_uris,
        grants,
        scopes,
        id_token_alg,
        auth_method,
        needs_consent,
        needs_pkce,
        password_alone,
        partners,
    }
}

/// Reads the fields that only responses have: they are accepted when they agree with what is there.
fn read_back(from: &mut impl Members, current: Option<&Client>) {
    let shown = current.and_then(|client| serde_json::to_value(ClientBody::of(client)).ok());
    let expected =
        |name: &str| Some(shown.as_ref().and_then(|shown| shown.get(name)).cloned().unwrap_or(Value::Null));
    from.response_only("clientId", expected("clientId"));
    from.response_only("secrets", expected("secrets"));
    from.ignored("createdAt");
    from.ignored("updatedAt");
}

/// A new client, and its partner if the operator's API names one.
fn new(from: &mut impl Members, whose: Whose) -> Option<(Option<PartnerId>, NewClient)> {
    read_back(from, None);
    let pid = match whose {
        Whose::Operator => from.nullable_id(&OF_PARTNER).value().map(PartnerId),
        Whose::Partner => {
            from.ignored("pid");
            None
        }
    };
    let kind = one(from, &KIND_OF_CLIENT, ClientKind::parse).unwrap_or(ClientKind::Confidential);
    let settings = settings(from, Presence::Required, whose);
    settings.name.as_ref()?;
    Some((pid, NewClient { kind, settings }))
}

fn change(
    from: &mut impl Members,
    presence: Presence,
    whose: Whose,
    current: Option<&Client>,
) -> ClientChange {
    read_back(from, current);
    let pid = current.filter(|client| !client.is_product()).map(|client| client.pid.0);
    from.response_only("pid", current.map(|_| json!(pid)));
    from.response_only("kind", current.map(|client| json!(client.kind.name())));
    settings(from, presence, whose)
}

/// Reads the body of a create.
pub(super) fn read_new(body: &[u8], whose: Whose) -> Result<(Option<PartnerId>, NewClient)> {
    let mut fields = Fields::parse(body)?;
    let new = new(&mut fields, whose);
    fields.finish_with(|| new)
}

/// Reads the body of an update of this client.
pub(super) fn read_change(
    body: &[u8],
    current: &Client,
    presence: Presence,
    whose: Whose,
) -> Result<ClientChange> {
    let mut fields = Fields::parse(body)?;
    let change = change(&mut fields, presence, whose, Some(current));
    fields.finish()?;
    Ok(change)
}

/// Reads a body that says nothing.
pub(super) fn read_nothing(body: &[u8]) -> Result<()> {
    Fields::parse(body)?.finish()
}
