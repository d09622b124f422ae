//! The branding of partners: one row of each that has set it.

use crate::engine::driver::Row;
use crate::engine::tx::{CacheKey, Tx};
use tenantry_core::clock::Millis;
use tenantry_core::error::Result;
use tenantry_core::model::PartnerId;

/// The branding of a partner, without the bytes of its logo.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Branding {
    /// The partner.
    pub pid: PartnerId,
    /// The name that pages show.
    pub name: String,
    /// The color, `#rrggbb` in lower case.
    pub color: String,
    /// The logo, if there is one.
    pub logo: Option<LogoFacts>,
    /// Greater after each change.
    pub version: i64,
    /// When it was set.
    pub created_at: Millis,
    /// When it was changed.
    pub updated_at: Millis,
}

/// What is known of a logo without its bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogoFacts {
    /// Names it in its URL.
    pub hash: String,
    /// Width in pixels.
    pub width: i64,
    /// Height in pixels.
    pub height: i64,
}

const COLUMNS: &str = "b.pid, b.name, b.color, b.logo_hash, b.logo_width, b.logo_height, b.version, b.created_at, \
     b.updated_at";

fn read(row: &dyn Row) -> Result<Branding> {
    let hash = row.opt_text(3)?.map(str::to_owned);
    let (width, height) = (row.int(4)?, row.int(5)?);
    Ok(Branding {
        pid: PartnerId(row.int(0)?),
        name: row.text(1)?.to_owned(),
        color: row.text(2)?.to_owned(),
        logo: hash.map(|hash| LogoFacts { hash, width, height }),
        version: row.int(6)?,
        created_at: row.int(7)?,
        updated_at: row.int(8)?,
    })
}

/// The branding of the transaction's partner.
pub fn find(tx: &mut Tx<'_>) -> Result<Option<Branding>> {
    tx.row(&format!("SELECT {COLUMNS} FROM partner_branding b WHERE b.pid = $1"), &[], read)
}

/// As [`find`], of a partner that is not suspended.
pub fn find_shown(tx: &mut Tx<'_>) -> Result<Option<Branding>> {
    tx.row(
        &format!(
            "SELECT {COLUMNS} FROM partner_branding b JOIN partners p ON p.pid = b.pid \
             WHERE b.pid = $1 AND p.suspended = 0"
        ),
        &[],
        read,
    )
}

/// Its version, for preconditions.
pub fn version(tx: &mut Tx<'_>) -> Result<Option<i64>> {
    tx.row("SELECT b.version FROM partner_branding b WHERE b.pid = $1", &[], |row| row.int(0))
}

/// The logo with this hash, in base64.
pub fn find_logo(tx: &mut Tx<'_>, hash: &str) -> Result<Option<String>> {
    let logo = tx.row(
        "SELECT b.logo FROM partner_branding b WHERE b.pid = $1 AND b.logo_hash = $2",
        &[hash.into()],
        |row| Ok(row.opt_text(0)?.map(str::to_owned)),
    )?;
    Ok(logo.flatten())
}

/// Stores name and color; a logo stays. Waits for another transaction that changes the same row.
pub fn set(tx: &mut Tx<'_>, name: &str, color: &str, version: i64) -> Result<()> {
    let now = tx.now();
    tx.execute(
        "INSERT INTO partner_branding (pid, name, color, version, created_at, updated_at) \
         VALUES ($1, $2, $3, $4, $5, $5) \
         ON CONFLICT (pid) DO UPDATE SET name = excluded.name, color = excluded.color, version = excluded.version, \
         updated_at = excluded.updated_at",
        &[name.into(), color.into(), version.into(), now.into()],
    )?;
    forget(tx);
    Ok(())
}

/// Stores a logo, or removes it.
pub fn set_logo(tx: &mut Tx<'_>, logo: Option<(&str, &LogoFacts)>, version: i64) -> Result<()> {
    let now = tx.now();
    let (bytes, facts) = logo.unzip();
    tx.execute(
        "UPDATE partner_branding SET logo = $2, logo_hash = $3, logo_width = $4, logo_height = $5, version = $6, \
         updated_at = $7 WHERE pid = $1",
        &[
            bytes.into(),
            facts.map(|facts| facts.hash.as_str()).into(),
            facts.map_or(0, |facts| facts.width).into(),
            facts.map_or(0, |facts| facts.height).into(),
            version.into(),
            now.into(),
        ],
    )?;
    forget(tx);
    Ok(())
}

/// Deletes it.
pub fn delete(tx: &mut Tx<'_>) -> Result<()> {
    tx.execute("DELETE FROM partner_branding WHERE pid = $1", &[])?;
    forget(tx);
    Ok(())
}

fn forget(tx: &mut Tx<'_>) {
    let pid = tx.pid();
    tx.invalidate(CacheKey::Partner(pid));
}
