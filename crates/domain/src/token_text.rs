//! How tokens and client ids are written: the partner leads, so that they are looked up in its rows.

use tenantry_core::model::PartnerId;
use tenantry_core::values;

/// The partner that a token of this kind names; none when it is not of that form.
pub(super) fn partner_of(token: &str, kind: &str) -> Option<PartnerId> {
    let (pid, secret) = token.strip_prefix(kind)?.strip_prefix('.')?.split_once('.')?;
    let pid = values::whole_number(pid).filter(|pid| *pid > 0)?;
    // Nothing else was ever given out, and PostgreSQL refuses to look for a NUL character.
    (!secret.is_empty() && secret.bytes().all(|b| b.is_ascii_graphic())).then_some(PartnerId(pid))
}
