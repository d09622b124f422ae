//! Sealing of rows with the master key, which is not in the database: whoever has only the database, such as a backup,
//! cannot use what they contain.
//!
//! On SQLite the key is a file of the data directory, made at the first start. On PostgreSQL it is a setting; without it
//! rows stand unsealed. The database has a value that the key has sealed, so that a server with another key, or none, is
//! refused when it starts.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use base64::Engine as _;
use base64::alphabet;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use zeroize::Zeroizing;

use crate::events::{self, EventKind};
use crate::sealing::SealingKey;
use crate::services::Services;
use crate::unit;
use serde_json::json;
use tenantry_core::error::{Conflict, Error, Result};
use tenantry_core::model::{PartnerId, UserId};
use tenantry_core::random::Random;
use tenantry_store::access::{Operator, nobody};
use tenantry_store::engine::tx::Tx;
use tenantry_store::tables::{factors, server_keys, signing_keys};

/// The use that the sealing key is derived for.
const USE: &str = "tenantry rows";

/// The length of a master key in bytes.
const LENGTH: usize = 32;

/// What the master key seals, so that it can be recognized.
const KNOWN: &[u8] = b"tenantry";

/// The table of that value.
const SERVER_KEYS: &str = "server_keys";

/// The prefix of sealed values.
const SEALED: &str = "sealed.";

/// Stands before what is not, since there is no master key.
const UNSEALED: &str = "plain.";

/// A key of 256 bits that seals rows. `Debug` redacts it; it is overwritten in memory when dropped.
#[derive(Clone, PartialEq, Eq)]
pub struct MasterKey(Zeroizing<[u8; LENGTH]>);

impl std::fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("[redacted]")
    }
}

impl MasterKey {
    /// A new key.
    pub fn generate(random: &Random) -> Self {
        let mut key = Zeroizing::new([0; LENGTH]);
        random.fill(&mut *key);
        Self(key)
    }

    /// Parses 32 bytes in base64, of either alphabet and with or without padding, or in hex. `None` if it is anything
    /// else.
    pub fn parse(text: &str) -> Option<Self> {
        const LENIENT: GeneralPurposeConfig =
            GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
        let bytes = Zeroizing::new(if text.len() == 2 * LENGTH {
            hex(text)?
        } else {
            let alphabet = if text.contains(['-', '_']) { &alphabet::URL_SAFE } else { &alphabet::STANDARD };
            GeneralPurpose::new(alphabet, LENIENT).decode(text).ok()?
        });
        let mut key = Zeroizing::new([0; LENGTH]);
        if bytes.len() != LENGTH {
            return None;
        }
        key.copy_from_slice(&bytes);
        Some(Self(key))
    }

    /// The key as text, base64.
    pub fn to_text(&self) -> Zeroizing<String> {
        Zeroizing::new(STANDARD.encode(*self.0))
    }
}

fn hex(text: &str) -> Option<Vec<u8>> {
    let digits = text.as_bytes().chunks_exact(2);
    digits.map(|two| u8::from_str_radix(std::str::from_utf8(two).ok()?, 16).ok()).collect()
}

/// Why the rows of a database cannot be unsealed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MasterKeyProblem {
    /// Rows are sealed, and there is no key.
    Missing,
    /// Rows are sealed with another key.
    Wrong,
}

/// Seals and opens rows.
#[derive(Debug)]
pub struct Sealer {
    key: Option<SealingKey>,
    random: Random,
    problem: Option<MasterKeyProblem>,
    is_forgiven: AtomicBool,
}

impl Sealer {
    /// The sealer of a database with this [check](tenantry_store::store::Store::master_check).
    pub(super) fn new(key: Option<&MasterKey>, random: &Random, check: Option<&str>) -> Self {
        let key = key.map(|key| SealingKey::new(&*key.0, USE));
        let is_forgiven = AtomicBool::new(false);
        let mut sealer = Self { key, random: random.clone(), problem: None, is_forgiven };
        sealer.problem = sealer.examine(check);
        sealer
    }

    /// Why rows cannot be unsealed; a server with a problem must not start.
    pub fn problem(&self) -> Option<MasterKeyProblem> {
        self.problem.filter(|_| !self.is_forgiven.load(Ordering::Relaxed))
    }

    /// The lost key is given up: from now on this one counts.
    pub(super) fn forgive(&self) {
        self.is_forgiven.store(true, Ordering::Relaxed);
    }

    /// Whether there is a master key.
    pub fn has_key(&self) -> bool {
        self.key.is_some()
    }

    /// Refuses if rows cannot be unsealed.
    ///
    /// # Errors
    /// A conflict, if the rows of this database are sealed with another key.
    pub fn expect_key(&self) -> Result<()> {
        self.problem().map_or(Ok(()), |problem| Err(refusal(problem)))
    }

    /// Seals the value of a row, which is named by its key. Without a master key the value is only encoded.
    ///
    /// # Errors
    /// A conflict, if the rows of this database are sealed with another key.
    pub fn seal(&self, table: &str, row: &str, value: &[u8]) -> Result<String> {
        self.expect_key()?;
        Ok(match &self.key {
            Some(key) => format!("{SEALED}{}", key.seal(&self.random, &context(table, row), value)?),
            None => format!("{UNSEALED}{}", URL_SAFE_NO_PAD.encode(value)),
        })
    }

    /// Opens the value of a row; `None` if it was sealed with another key or for another row, or was changed. With a
    /// master key, values that are not sealed are not accepted: anybody could have written them.
    pub fn open(&self, table: &str, row: &str, stored: &str) -> Option<Zeroizing<Vec<u8>>> {
        match &self.key {
            Some(key) => key.open(&context(table, row), stored.strip_prefix(SEALED)?),
            None => open_unsealed(stored),
        }
    }

    /// What is wrong with this key for a database with this check.
    fn examine(&self, check: Option<&str>) -> Option<MasterKeyProblem> {
        let check = check?;
        if self.key.is_none() {
            return Some(MasterKeyProblem::Missing);
        }
        let known = self.open(SERVER_KEYS, server_keys::MASTER, check);
        known.is_none_or(|known| *known != KNOWN).then_some(MasterKeyProblem::Wrong)
    }

    /// Call it before a unit seals rows: it refuses a database that another server has begun to seal meanwhile, or seals
    /// differently, and has the database recognize this key from now on.
    ///
    /// # Errors
    /// A conflict.
    pub(super) fn claim(&self, tx: &mut Tx<'_>) -> Result<()> {
        server_keys::claim(tx)?;
        let check = server_keys::find_master(tx)?;
        match self.examine(check.as_deref()) {
            Some(problem) => Err(refusal(problem)),
            None if check.is_none() && self.has_key() => server_keys::set_master(tx, &self.check()?),
            None => Ok(()),
        }
    }

    fn check(&self) -> Result<String> {
        self.seal(SERVER_KEYS, server_keys::MASTER, KNOWN)
    }
}

fn open_unsealed(stored: &str) -> Option<Zeroizing<Vec<u8>>> {
    Some(Zeroizing::new(URL_SAFE_NO_PAD.decode(stored.strip_prefix(UNSEALED)?).ok()?))
}

/// What a sealed value is bound to. A NUL separates the two: no table has one in its name.
fn context(table: &str, row: &str) -> Vec<u8> {
    [table.as_bytes(), b"\0", row.as_bytes()].concat()
}

/// For operations that need the key; the start of a server has a message of its own, with the name of the file.
fn refusal(problem: MasterKeyProblem) -> Error {
    let detail = match problem {
        MasterKeyProblem::Missing => {
            "keys in this database are sealed with a master key, which this process does not have: set master-key-file"
        }
        MasterKeyProblem::Wrong => {
            "keys in this database are sealed with another master key: set master-key-file to that one"
        }
    };
    let (detail, users) = (detail.into(), Vec::new());
    Error::Conflict(Conflict { code: "master-key", detail, field: None, users })
}

/// Seals unsealed rows, if there is a master key now. A key that was `given` is recognized from now on, so that no
/// other server can start with another one or none; one that was made when the data directory was is not before something
/// is sealed with it. Of several servers that start with different keys, one succeeds.
///
/// # Errors
/// A conflict, if the database is sealed with another key.
pub async fn adopt(services: &Services, given: bool) -> Result<()> {
    if !services.sealer.has_key() || services.store.master_check().is_some() {
        return Ok(());
    }
    let is_unsealed =
        |tx: &mut Tx<'_>| Ok(signing_keys::list(tx)?.iter().any(|row| open_unsealed(&row.key).is_some()));
    if !given && !services.store.read(&nobody(), move |tx| is_unsealed(tx)).await? {
        return Ok(());
    }
    let sealer = Arc::clone(&services.sealer);
    let sealed = unit::write(&services.store, &nobody(), move |tx| adopt_in(tx, &sealer)).await?;
    if sealed > 0 {
        tracing::info!(
            count = sealed,
            "keys that stood unsealed in the database were sealed with the master key"
        );
    }
    Ok(())
}

/// The number of rows that were sealed.
fn adopt_in(tx: &mut Tx<'_>, sealer: &Sealer) -> Result<usize> {
    sealer.claim(tx)?;
    let mut sealed = 0;
    for row in signing_keys::list(tx)? {
        let Some(value) = open_unsealed(&row.key) else { continue };
        let key = sealer.seal(signing_keys::TABLE, &row.kid, &value)?;
        signing_keys::set_key(tx, &row.kid, &key, row.is_private)?;
        sealed += 1;
    }
    Ok(sealed)
}

/// Seals everything anew with another master key, in one transaction. Servers that have the former key must be stopped: they
/// could not open anything afterwards. Returns the number of values.
///
/// # Errors
/// A conflict, if this process cannot open what is sealed, or `same-master-key`.
pub async fn reseal(services: &Services, by: Operator, new: &MasterKey) -> Result<usize> {
    let former = Arc::clone(&services.sealer);
    former.expect_key()?;
    let new = Sealer::new(Some(new), &services.random, None);
    if former.has_key() && new.open(SERVER_KEYS, server_keys::MASTER, &former.check()?).is_some() {
        let detail = "this is the master key that everything is sealed with already".into();
        let (code, users) = ("same-master-key", Vec::new());
        return Err(Error::Conflict(Conflict { code, detail, field: None, users }));
    }
    let work = move |tx: &mut Tx<'_, Operator>| {
        former.claim(tx)?;
        let count = reseal_in(tx, &former, &new)?;
        server_keys::set_master(tx, &new.check()?)?;
        tracing::warn!(count, "everything was sealed with another master key");
        events::record(tx, EventKind::KeysResealed, None, Some(json!({ "values": count })))?;
        Ok(count)
    };
    unit::write_large(&services.store, &by, work).await
}

fn reseal_in(tx: &mut Tx<'_>, former: &Sealer, new: &Sealer) -> Result<usize> {
    /// Rows per query.
    const CHUNK: i64 = 1_000;
    let lost = |what: &str| Error::internal(format!("{what} cannot be unsealed: nothing was changed"));
    let mut count = 0;
    for row in signing_keys::list(tx)? {
        let table = signing_keys::TABLE;
        let value = former.open(table, &row.kid, &row.key).ok_or_else(|| lost("a signing key"))?;
        signing_keys::set_key(tx, &row.kid, &new.seal(table, &row.kid, &value)?, row.is_private)?;
        count += 1;
    }
    let mut after = (PartnerId(0), UserId(0));
    loop {
        let rows = factors::list_totp_after(tx, after, CHUNK)?;
        let Some(last) = rows.last() else { return Ok(count) };
        after = (last.pid, last.user_id);
        for row in rows {
            let name = factors::sealed_row(row.pid, row.user_id);
            let value = former.open(factors::TOTP_SECRETS, &name, &row.secret);
            let value = value.ok_or_else(|| lost("the secret of an authenticator app"))?;
            let secret = new.seal(factors::TOTP_SECRETS, &name, &value)?;
            factors::set_totp_secret(tx, &factors::SealedTotp { secret, ..row })?;
            count += 1;
        }
    }
}

/// Replaces a lost master key: from now on the database recognizes the one of this process, or none. The caller removes
/// what was sealed with the lost one.
pub(super) fn replace(tx: &mut Tx<'_>, sealer: &Sealer) -> Result<()> {
    if sealer.has_key() {
        server_keys::set_master(tx, &sealer.check()?)
    } else {
        server_keys::remove_master(tx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(seed: u64) -> MasterKey {
        MasterKey::generate(&Random::seeded(seed))
    }

    fn sealer(key: Option<&MasterKey>, check: Option<&str>) -> Sealer {
        Sealer::new(key, &Random::seeded(9), check)
    }

    #[test]
    fn a_master_key_is_base64_or_hex() {
        let key = key(1);
        let text = key.to_text();
        assert_eq!(text.len(), 44);
        let bytes = &key.0[..];
        let hex = bytes.iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"));
        let url_safe = URL_SAFE_NO_PAD.encode(bytes);
        for text in [&**text, text.trim_end_matches('='), &hex, &hex.to_uppercase(), &url_safe] {
            assert_eq!(MasterKey::parse(text).as_ref(), Some(&key), "{text}");
        }
        for bad in [
            "",
            "secret",
            &format!("{} ", &**text),
            &text[1..],
            &hex[2..],
            &format!("{hex}00"),
            &format!("AA{}", &**text),
            &"+x".repeat(32),
        ] {
            assert_eq!(MasterKey::parse(bad), None, "{bad:?}");
        }
        assert_eq!(format!("{key:?}"), "[redacted]");
    }

    #[test]
    fn a_row_is_opened_by_the_same_key_for_the_same_row() {
        let [mine, other] = [key(1), key(2)];
        let of_mine = sealer(Some(&mine), None);
        let sealed = of_mine.seal("t", "r", b"value").unwrap();
        assert!(!sealed.contains("value"));
        assert_eq!(of_mine.open("t", "r", &sealed).unwrap().as_slice(), b"value");
        for (table, row) in [("t", "s"), ("u", "r"), ("", "t\0r"), ("t\0", "r"), ("tr", "")] {
            assert_eq!(of_mine.open(table, row, &sealed), None, "{table:?} {row:?}");
        }
        assert_eq!(sealer(Some(&other), None).open("t", "r", &sealed), None);
        assert_eq!(sealer(None, None).open("t", "r", &sealed), None);
    }

    #[test]
    fn unsealed_values_are_only_accepted_without_a_key() {
        let without = sealer(None, None);
        let stored = without.seal("t", "r", b"value").unwrap();
        assert_eq!(without.open("t", "r", &stored).unwrap().as_slice(), b"value");
        assert_eq!(sealer(Some(&key(1)), None).open("t", "r", &stored), None);
        assert_eq!(without.open("t", "r", "value"), None);
    }

    #[test]
    fn a_database_recognizes_its_key() {
        let [mine, other] = [key(1), key(2)];
        let check = sealer(Some(&mine), None).check().unwrap();
        assert_eq!(sealer(Some(&mine), Some(&check)).problem(), None);
        let wrong = sealer(Some(&other), Some(&check));
        assert_eq!(wrong.problem(), Some(MasterKeyProblem::Wrong));
        wrong.seal("t", "r", b"value").unwrap_err();
        assert_eq!(sealer(None, Some(&check)).problem(), Some(MasterKeyProblem::Missing));
        assert_eq!(sealer(None, None).problem(), None);
        assert_eq!(sealer(Some(&mine), Some("sealed.AAAA")).problem(), Some(MasterKeyProblem::Wrong));
    }
}
