//! The format of tokens and client ids: they begin with the partner, so that they are looked up in its rows.

use tenantry_core::model::PartnerId;
use tenantry_core::values;

/// The partner of a token of this kind; `None` if it is malformed. The parts are separated by `_`, or by `.` as in earlier
/// versions.
pub(super) fn partner_of(token: &str, kind: &str) -> Option<PartnerId> {
    parse(token, kind).filter(|pid| pid.0 > 0)
}

/// The partner of a client id; 0 for a product client.
pub(super) fn partner_of_client(client_id: &str) -> Option<PartnerId> {
    parse(client_id, "cl")
}

fn parse(token: &str, kind: &str) -> Option<PartnerId> {
    let rest = token.strip_prefix(kind)?;
    let separator = if rest.starts_with('.') { '.' } else { '_' };
    let (pid, secret) = rest.strip_prefix(separator)?.split_once(separator)?;
    let pid = values::whole_number(pid)?;
    // Nothing else was ever issued, and PostgreSQL refuses NUL characters in queries.
    (!secret.is_empty() && secret.bytes().all(|b| b.is_ascii_graphic())).then_some(PartnerId(pid))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_are_read() {
        for (token, kind, expected) in [
            ("at_1_a_b-c", "at", Some(1)),
            ("at.1.abc", "at", Some(1)),
            ("at.12.a_b-c", "at", Some(12)),
            ("at_1.abc", "at", None),
            ("at.1_abc", "at", None),
            ("at_1_", "at", None),
            ("at__abc", "at", None),
            ("at_01_abc", "at", None),
            ("at_-1_abc", "at", None),
            ("at_0_abc", "at", None),
            ("rt_1_abc", "at", None),
            ("at1_abc", "at", None),
            ("at_1_a\u{0}b", "at", None),
            ("at_1_a b", "at", None),
            ("", "at", None),
        ] {
            assert_eq!(partner_of(token, kind).map(|pid| pid.0), expected, "{token:?}");
        }
        for (id, expected) in [
            ("cl_0_abc", Some(0)),
            ("cl.0.abc", Some(0)),
            ("cl_7_abc", Some(7)),
            ("cl.7.abc", Some(7)),
            ("cl", None),
        ] {
            assert_eq!(partner_of_client(id).map(|pid| pid.0), expected, "{id:?}");
        }
    }
}
