//! Authenticator data (WebAuthn §6.1).

use ciborium::Value;

/// User present.
const UP: u8 = 1;
/// User verified.
const UV: u8 = 1 << 2;
/// Backup eligible.
const BE: u8 = 1 << 3;
/// Backed up.
const BS: u8 = 1 << 4;
/// Attested credential data follow.
const AT: u8 = 1 << 6;
/// Extensions follow.
const ED: u8 = 1 << 7;

/// The longest id of a credential, in bytes (§5.8.3).
const LONGEST_ID: usize = 1_023;

/// Parsed authenticator data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct AuthenticatorData {
    pub(super) rp_id_hash: [u8; 32],
    flags: u8,
    pub(super) sign_count: u32,
    pub(super) credential: Option<AttestedCredential>,
}

/// A new credential.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct AttestedCredential {
    pub(super) id: Vec<u8>,
    /// A COSE_Key, as it came.
    pub(super) public_key: Vec<u8>,
}

impl AuthenticatorData {
    /// Reads all of `bytes`; `None` if they are malformed.
    pub(super) fn parse(bytes: &[u8]) -> Option<Self> {
        let (rp_id_hash, rest) = bytes.split_first_chunk::<32>()?;
        let (&[flags], rest) = rest.split_first_chunk::<1>()?;
        let (sign_count, mut rest) = rest.split_first_chunk::<4>()?;
        let mut credential = None;
        if flags & AT != 0 {
            let (_aaguid, after) = rest.split_first_chunk::<16>()?;
            let (length, after) = after.split_first_chunk::<2>()?;
            let length = usize::from(u16::from_be_bytes(*length));
            if length == 0 || length > LONGEST_ID {
                return None;
            }
            let (id, key) = after.split_at_checked(length)?;
            rest = key;
            read_map(&mut rest)?;
            let public_key = key.get(..key.len() - rest.len())?;
            credential = Some(AttestedCredential { id: id.to_vec(), public_key: public_key.to_vec() });
        }
        if flags & ED != 0 {
            read_map(&mut rest)?;
        }
        // A backup needs a credential that can have one (§6.1.3).
        let is_sound = rest.is_empty() && (flags & BS == 0 || flags & BE != 0);
        let sign_count = u32::from_be_bytes(*sign_count);
        is_sound.then_some(Self { rp_id_hash: *rp_id_hash, flags, sign_count, credential })
    }

    pub(super) fn is_user_present(&self) -> bool {
        self.flags & UP != 0
    }

    pub(super) fn is_user_verified(&self) -> bool {
        self.flags & UV != 0
    }

    pub(super) fn is_backup_eligible(&self) -> bool {
        self.flags & BE != 0
    }

    pub(super) fn is_backed_up(&self) -> bool {
        self.flags & BS != 0
    }
}

/// How deeply CBOR may be nested.
const DEPTH: usize = 8;

/// The members of the CBOR map that `bytes` begin with, which are advanced behind it.
pub(super) fn read_map(bytes: &mut &[u8]) -> Option<Vec<(Value, Value)>> {
    let value: Value = ciborium::de::from_reader_with_recursion_limit(bytes, DEPTH).ok()?;
    let members = value.into_map().ok()?;
    let is_twice = |at: usize, key: &Value| members.iter().take(at).any(|(known, _)| known == key);
    (!members.iter().enumerate().any(|(at, (key, _))| is_twice(at, key))).then_some(members)
}
