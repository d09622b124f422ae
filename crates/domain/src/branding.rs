//! The branding of a partner: the name, color and logo that sign-in pages show in place of the product's own. It is a
//! stranger's content on a page that takes passwords, so it is nothing else: no markup, no style of its own, no link.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use quick_cache::sync::Cache;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::events::{self, EventKind};
use crate::services::Services;
use tenantry_core::error::{Error, Missing, Result};
use tenantry_core::model::PartnerId;
use tenantry_store::access::{Admin, system_within};
use tenantry_store::engine::cache::Freshness;
use tenantry_store::engine::tx::{CacheKey, Tx};
use tenantry_store::tables::branding;
pub use tenantry_store::tables::branding::{Branding, LogoFacts};

mod colors;
mod logo;

pub use colors::{Color, ModeColors, PageColors};
pub use logo::Logo;

/// A name and color to set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewBranding {
    /// The name that pages show. Checked by [`tenantry_core::values::partner_name`].
    pub name: String,
    /// The color that the colors of the pages are made of.
    pub color: Color,
}

/// What a page shows of a partner.
#[derive(Debug, PartialEq, Eq)]
pub struct PageBranding {
    /// The name, which the page escapes.
    pub name: String,
    /// The partner's colors as a stylesheet.
    pub stylesheet: String,
    /// The path of the stylesheet, relative to the public URL.
    pub stylesheet_path: String,
    /// The logo, if there is one.
    pub logo: Option<PageLogo>,
}

/// The logo on a page.
#[derive(Debug, PartialEq, Eq)]
pub struct PageLogo {
    /// Its path, relative to the public URL.
    pub path: String,
    /// Width in pixels.
    pub width: i64,
    /// Height in pixels.
    pub height: i64,
    hash: String,
}

/// Brandings that pages have shown, or that a partner has none: of as many partners as [`CACHED`].
#[derive(Debug)]
pub(super) struct BrandingCache(Cache<PartnerId, (Freshness, Option<Arc<PageBranding>>)>);

/// The most partners whose branding is cached, each of some hundred bytes.
const CACHED: usize = 4_096;

impl Default for BrandingCache {
    fn default() -> Self {
        Self(Cache::new(CACHED))
    }
}

/// What pages show of a partner: `None` if it has set no branding, is suspended or does not exist, which nobody can tell
/// apart. From the cache.
///
/// # Errors
/// Of the store.
pub async fn find(services: &Services, pid: PartnerId) -> Result<Option<Arc<PageBranding>>> {
    let cache = &services.brandings.0;
    if let Some((freshness, page)) = cache.get(&pid)
        && services.store.is_fresh(&freshness)
    {
        return Ok(page);
    }
    let freshness = services.store.freshness(&CacheKey::Partner(pid));
    let found = services.store.read(&system_within(pid), |tx| branding::find_shown(tx)).await?;
    let page = found.map(|branding| Arc::new(PageBranding::of(branding)));
    cache.insert(pid, (freshness, page.clone()));
    Ok(page)
}

impl PageBranding {
    fn of(branding: Branding) -> Self {
        let pid = branding.pid;
        // It was checked when it was stored.
        let stylesheet =
            Color::parse(&branding.color).map(|color| PageColors::of(color).stylesheet()).unwrap_or_default();
        Self {
            name: branding.name,
            stylesheet_path: format!("/branding/{pid}/colors.{}.css", hash(stylesheet.as_bytes())),
            stylesheet,
            logo: branding.logo.map(|logo| PageLogo {
                path: logo_path(pid, &logo),
                width: logo.width,
                height: logo.height,
                hash: logo.hash,
            }),
        }
    }
}

/// The path of a logo, relative to the public URL.
pub fn logo_path(pid: PartnerId, logo: &LogoFacts) -> String {
    format!("/branding/{pid}/logo.{}.png", logo.hash)
}

/// The logo of a partner whose path is `path`, as PNG.
///
/// # Errors
/// Of the store.
pub async fn find_logo(services: &Services, pid: PartnerId, path: &str) -> Result<Option<Vec<u8>>> {
    let page = find(services, pid).await?;
    let logo = page.as_ref().and_then(|page| page.logo.as_ref()).filter(|logo| logo.path == path);
    let Some(hash) = logo.map(|logo| logo.hash.clone()) else { return Ok(None) };
    let logo = services.store.scan(&system_within(pid), move |tx| branding::find_logo(tx, &hash)).await?;
    let decode = |text: String| {
        STANDARD.decode(text).map_err(|e| Error::internal(format!("a stored logo is not base64: {e}")))
    };
    logo.map(decode).transpose()
}

/// Names a file in its URL: 96 bits, in hexadecimal digits.
fn hash(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().take(12).fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}

/// The branding of the admin's partner.
///
/// # Errors
/// Not found if none is set.
pub fn get(tx: &mut Tx<'_, Admin>) -> Result<Branding> {
    branding::find(tx)?.ok_or(Error::NotFound(Missing::Branding))
}

/// Sets name and color; a logo stays.
///
/// # Errors
/// None of its own.
pub fn set(tx: &mut Tx<'_, Admin>, new: &NewBranding) -> Result<Branding> {
    let before = branding::find(tx)?;
    let color = new.color.to_string();
    if let Some(same) = before.as_ref().filter(|before| before.name == new.name && before.color == color) {
        return Ok(same.clone());
    }
    let version = next_version(tx, before.as_ref());
    branding::set(tx, &new.name, &color, version)?;
    record(tx, before.as_ref())
}

/// Sets the logo, or removes it.
///
/// # Errors
/// Not found if no branding is set.
pub fn set_logo(tx: &mut Tx<'_, Admin>, logo: Option<&Logo>) -> Result<Branding> {
    let before = get(tx)?;
    let facts = logo.map(|logo| LogoFacts {
        hash: hash(&logo.png),
        width: logo.width.into(),
        height: logo.height.into(),
    });
    if facts == before.logo {
        return Ok(before);
    }
    let version = next_version(tx, Some(&before));
    let bytes = logo.map(|logo| STANDARD.encode(&logo.png));
    branding::set_logo(tx, bytes.as_deref().zip(facts.as_ref()), version)?;
    record(tx, Some(&before))
}

/// Removes name, color and logo.
///
/// # Errors
/// Not found if none is set.
pub fn delete(tx: &mut Tx<'_, Admin>) -> Result<()> {
    let before = get(tx)?;
    branding::delete(tx)?;
    events::record(tx, EventKind::BrandingDeleted, Some(of_branding(&before)), None)
}

/// A branding that is set anew is no earlier version of the one that was deleted.
fn next_version(tx: &mut Tx<'_, Admin>, before: Option<&Branding>) -> i64 {
    match before {
        Some(before) => {
            tx.now_after(before.updated_at);
            before.version + 1
        }
        None => tx.now(),
    }
}

/// Records the change, and returns the branding after it.
fn record(tx: &mut Tx<'_, Admin>, before: Option<&Branding>) -> Result<Branding> {
    let after = get(tx)?;
    let (old, new) = match before.map(of_branding) {
        Some(old) => events::difference(old, of_branding(&after)).unzip(),
        None => (None, Some(of_branding(&after))),
    };
    events::record(tx, EventKind::BrandingUpdated, old, new)?;
    Ok(after)
}

/// A branding as an event shows it.
fn of_branding(branding: &Branding) -> Value {
    let logo = branding.logo.as_ref().map(|logo| &logo.hash);
    json!({ "name": branding.name, "color": branding.color, "logo": logo })
}

/// Decodes an uploaded logo and encodes it again, one at a time, partners in turn.
///
/// # Errors
/// `malformed-image`, `image-too-large`; unavailable if too many wait.
pub async fn read_logo(
    services: &Services,
    pid: PartnerId,
    file: impl AsRef<[u8]> + Send + 'static,
) -> Result<Logo> {
    let slot = services.image_slots.take(pid).await?;
    let logo = tokio::task::spawn_blocking(move || {
        let _slot = slot;
        logo::encode_again(file.as_ref())
    });
    logo.await.map_err(|e| Error::internal(format!("decoding a logo failed: {e}")))?
}
