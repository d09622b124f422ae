//! The key that authenticates cursors: only a server of this database can create or modify one.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

use tenantry_core::error::{Error, Result};

/// The size of a code in bytes: half of an HMAC-SHA256 (RFC 2104 section 5).
pub const CODE_LENGTH: usize = 16;

/// HMAC-SHA256 with a key that all servers of a database share.
#[derive(Clone)]
pub struct CursorKey(Hmac<Sha256>);

impl std::fmt::Debug for CursorKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("CursorKey")
    }
}

impl CursorKey {
    /// The key as it is stored, base64url ([`tenantry_store::store::Store::cursor_key`]).
    ///
    /// # Errors
    /// It is malformed.
    pub fn parse(stored: &str) -> Result<Self> {
        let broken = || Error::internal("the stored key of cursors is malformed");
        let bytes = URL_SAFE_NO_PAD.decode(stored).map_err(|_| broken())?;
        Hmac::new_from_slice(&bytes).map(Self).map_err(|_| broken())
    }

    /// The code of a list and a position in it.
    pub fn code(&self, list: &[u8], place: &[u8]) -> [u8; CODE_LENGTH] {
        let mut code = [0; CODE_LENGTH];
        code.iter_mut().zip(self.mac(list, place).finalize().into_bytes()).for_each(|(to, byte)| *to = byte);
        code
    }

    /// Whether this is the code, compared in constant time.
    pub fn is_code(&self, code: &[u8], list: &[u8], place: &[u8]) -> bool {
        code.len() == CODE_LENGTH && self.mac(list, place).verify_truncated_left(code).is_ok()
    }

    fn mac(&self, list: &[u8], place: &[u8]) -> Hmac<Sha256> {
        let mut mac = self.0.clone();
        mac.update(&list.len().to_le_bytes());
        mac.update(list);
        mac.update(place);
        mac
    }
}
