//! The branding of the admin's partner: what sign-in pages show of it.

use axum::extract::State;
use axum::response::Response;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use crate::responses::{AdminErrors, ChangedError, InvalidError, MissingError, UnchangedResponse};
use crate::user_bodies::Time;
use tenantry_core::error::Result;
use tenantry_core::json::{Fields, Members, Presence, Property, Shape};
use tenantry_core::values::{self, LINE, Text};
use tenantry_domain::branding::{self, Branding, Color, NewBranding};
use tenantry_domain::conditions::{self, Target};
use tenantry_domain::user_records::owned;
use tenantry_http::conditional::{Conditions, show};
use tenantry_http::extract::{Admin, NoParams};
use tenantry_http::json_body::JsonBody;
use tenantry_http::parameters::Of;
use tenantry_http::png_body::PngBody;
use tenantry_http::problem::Problem;
use tenantry_http::responses::written;
use tenantry_http::state::AppState;
use tenantry_http::writes::{Write, WriteResponse};
use tenantry_store::access::Scope as _;

/// What sign-in pages show of a partner.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Branding)]
pub struct BrandingBody<'a> {
    /// The name that pages show.
    #[schema(example = "Example Ltd")]
    name: &'a str,
    /// The color that the colors of pages are made of, darkened or lightened so that texts can be read.
    #[schema(example = "#0b57d0")]
    color: &'a str,
    /// The logo, or null.
    logo: Option<LogoBody>,
    /// RFC 3339, UTC.
    #[schema(value_type = String, format = DateTime, example = "2026-11-23T09:00:00.000Z")]
    created_at: Time,
    /// RFC 3339, UTC.
    #[schema(value_type = String, format = DateTime, example = "2026-11-23T09:00:00.000Z")]
    updated_at: Time,
}

/// A logo.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = BrandingLogo)]
pub struct LogoBody {
    /// Its path, which changes with the image.
    #[schema(example = "/branding/1/logo.0f3a5d7c9e1b2a4c6d8e0f12.png")]
    path: String,
    /// Width in pixels.
    #[schema(example = 320, minimum = 1, maximum = 1024)]
    width: i64,
    /// Height in pixels.
    #[schema(example = 80, minimum = 1, maximum = 1024)]
    height: i64,
}

impl<'a> BrandingBody<'a> {
    fn of(branding: &'a Branding) -> Self {
        let logo = branding.logo.as_ref().map(|logo| LogoBody {
            path: branding::logo_path(branding.pid, logo),
            width: logo.width,
            height: logo.height,
        });
        Self {
            name: &branding.name,
            color: &branding.color,
            logo,
            created_at: Time(branding.created_at),
            updated_at: Time(branding.updated_at),
        }
    }
}

fn answer(branding: &Branding) -> Result<WriteResponse> {
    Ok(WriteResponse::ok(&BrandingBody::of(branding))?.tagged(conditions::tag_of_branding(branding)))
}

const NAME: Property =
    Property::new("name", "The name that pages show; 1 to 255 characters.").of(&LINE).like("Example Ltd");
const COLOR_TEXT: Text = Text::like(7..=7, "^#[0-9A-Fa-f]{6}$");
const COLOR: Property = Property::new(
    "color",
    "`#` and six hexadecimal digits. Pages darken or lighten it as far as needed, so that texts can be read (WCAG 2.2, AA).",
)
.of(&COLOR_TEXT)
.like("#0b57d0");

/// The schemas of request bodies.
pub(super) fn schemas() -> Vec<(&'static str, Value)> {
    vec![("SetBranding", Shape::of_new("What sign-in pages show of the partner.").asked(new_branding))]
}

fn new_branding(from: &mut impl Members) -> Option<NewBranding> {
    let name = from.text(Presence::Required, &NAME, owned(values::partner_name));
    let color = from.text(Presence::Required, &COLOR, Color::parse);
    Some(NewBranding { name: name?, color: color? })
}

fn read_new(body: &[u8]) -> Result<NewBranding> {
    let mut fields = Fields::parse(body)?;
    let new = new_branding(&mut fields);
    fields.finish_with(|| new)
}

/// Get the branding of the partner.
///
/// `404` until it is set: sign-in pages then show nothing of the partner.
#[utoipa::path(
    get, path = "/api/v1/branding", tag = "branding",
    responses(
        (status = 200, description = "The branding", body = BrandingBody, headers(("ETag" = String, description = "Its version"))),
        UnchangedResponse, AdminErrors, MissingError,
    ),
)]
pub async fn get_branding(
    State(app): State<AppState>,
    Admin(by): Admin,
    _: NoParams,
    conditions: Conditions,
) -> Result<Response, Problem> {
    let branding = app.store.read(&by, branding::get).await?;
    Ok(show(&conditions, &conditions::tag_of_branding(&branding), written(&BrandingBody::of(&branding))?))
}

/// Set the branding of the partner.
///
/// From then on, sign-in pages that are restricted to this partner show its name and color to anybody. A logo stays.
#[utoipa::path(
    put, path = "/api/v1/branding", tag = "branding", params(Of<Write>),
    request_body(content = ref("#/components/schemas/SetBranding")),
    responses(
        (status = 200, description = "The branding", body = BrandingBody, headers(("ETag" = String, description = "Its version"))),
        InvalidError, AdminErrors, ChangedError,
    ),
)]
pub async fn set_branding(
    State(app): State<AppState>,
    Admin(by): Admin,
    write: Write,
    JsonBody(body): JsonBody,
) -> Result<Response, Problem> {
    let new = read_new(&body)?;
    write.of(Target::Branding).run(&app, &by, move |tx| answer(&branding::set(tx, &new)?)).await
}

/// Remove the branding of the partner.
///
/// Its logo goes with it. Sign-in pages then show nothing of the partner.
#[utoipa::path(
    delete, path = "/api/v1/branding", tag = "branding", params(Of<Write>),
    responses((status = 204, description = "Deleted"), AdminErrors, MissingError, ChangedError),
)]
pub async fn delete_branding(
    State(app): State<AppState>,
    Admin(by): Admin,
    write: Write,
) -> Result<Response, Problem> {
    write.of(Target::Branding).run(&app, &by, |tx| branding::delete(tx).map(|()| WriteResponse::gone())).await
}

/// Set the logo of the partner.
///
/// A PNG image of at most 256 KiB and 1024 x 1024 pixels. Its pixels are encoded again; texts, profiles and everything
/// else in the file is dropped. `404` until a branding is set.
#[utoipa::path(
    put, path = "/api/v1/branding/logo", tag = "branding", params(Of<Write>),
    request_body(content = Vec<u8>, content_type = "image/png", description = "The image"),
    responses(
        (status = 200, description = "The branding", body = BrandingBody, headers(("ETag" = String, description = "Its version"))),
        InvalidError, AdminErrors, MissingError, ChangedError,
    ),
)]
pub async fn set_branding_logo(
    State(app): State<AppState>,
    Admin(by): Admin,
    write: Write,
    PngBody(file): PngBody,
) -> Result<Response, Problem> {
    let logo = branding::read_logo(&app, by.pid(), file).await?;
    write.of(Target::Branding).run(&app, &by, move |tx| answer(&branding::set_logo(tx, Some(&logo))?)).await
}

/// Remove the logo of the partner.
///
/// Its name and color stay.
#[utoipa::path(
    delete, path = "/api/v1/branding/logo", tag = "branding", params(Of<Write>),
    responses((status = 204, description = "Removed"), AdminErrors, MissingError, ChangedError),
)]
pub async fn delete_branding_logo(
    State(app): State<AppState>,
    Admin(by): Admin,
    write: Write,
) -> Result<Response, Problem> {
    write
        .of(Target::Branding)
        .run(&app, &by, |tx| branding::set_logo(tx, None).map(|_| WriteResponse::gone()))
        .await
}
