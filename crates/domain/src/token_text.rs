//! The format of tokens and client ids: they begin with the partner, so that they are looked up in its rows.

use tenantry_core::model::PartnerId;
use tenantry_core::values;

/// The partner of a token of this kind; `None` if it is malformed.
pub(super) fn partner_of(token: &str, kind: &str) -> Option<PartnerId> {
    let (pid, secret) = token.strip_prefix(kind)?.strip_prefix('.')?.split_once('.')?;
    let pid = values::whole_number(pid).filter(|pid| *pid > 0)?;
    // Nothing else was ever issued, and PostgreSQL refuses NUL characters in queries.
    (!secret.is_empty() && secret.bytes().all(|b| b.is_ascii_graphic())).then_some(PartnerId(pid))
}
