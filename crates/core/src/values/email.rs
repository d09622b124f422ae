//! E-mail addresses (B19). An internationalized domain is stored as typed; compared and mailed is its ASCII form (UTS 46).

use std::borrow::Cow;

use idna::uts46::{AsciiDenyList, DnsLength, Hyphens, Uts46};

use super::visible::is_ignorable;
use super::{EMAIL_MAX, empty, fold, too_long};
use crate::error::FieldError;

/// An e-mail address (B19): at most 254 characters, of the form that HTML's `type=email` accepts or with an
/// internationalized domain, and one that the mail library can send to, so that it fails here and not in the outbox.
pub fn email(s: &str) -> Result<&str, FieldError> {
    if s.is_empty() {
        return Err(empty());
    }
    // First, so that the other checks see a short string.
    if s.chars().count() > EMAIL_MAX {
        return Err(too_long(EMAIL_MAX));
    }
    let address = if s.is_ascii() { Cow::Borrowed(s) } else { Cow::Owned(in_ascii(s)?) };
    if !is_html_email(&address) {
        return Err(invalid(
            "not an e-mail address: expected one like name@example.com, without spaces or quotes",
        ));
    }
    if address.len() > EMAIL_MAX {
        return Err(FieldError::of_value(
            "too-long",
            format!("must have at most {EMAIL_MAX} characters, also with its domain in ASCII (xn--…)"),
        ));
    }
    if address.parse::<lettre::Address>().is_err() {
        return Err(invalid(
            "mail cannot be sent to this address: before the @, use at most 64 characters and no dot at either end or beside another",
        ));
    }
    Ok(s)
}

/// The address that mail is sent to: its domain in ASCII. An invalid one is returned as it is.
pub fn mail_address(s: &str) -> Cow<'_, str> {
    if s.is_ascii() {
        return Cow::Borrowed(s);
    }
    in_ascii(s).map_or(Cow::Borrowed(s), Cow::Owned)
}

/// The form by which addresses are compared: that with the domain in ASCII, folded.
pub fn email_key(s: &str) -> String {
    fold(&mail_address(s))
}

/// Converts an internationalized domain. Only the domain: few mail servers accept other local parts (RFC 6531).
fn in_ascii(s: &str) -> Result<String, FieldError> {
    let (local, domain) = s.rsplit_once('@').ok_or_else(|| {
        invalid("not an e-mail address: expected one like name@example.com, without spaces or quotes")
    })?;
    if !local.is_ascii() {
        return Err(invalid(
            "the part before the @ must be ASCII: only the domain may have other characters",
        ));
    }
    // UTS 46 drops most of them, but joiners have a meaning in some scripts.
    if let Some(c) = domain.chars().find(|&c| is_ignorable(c) && !matches!(c, '\u{200c}' | '\u{200d}')) {
        let detail = format!("the domain has the invisible character U+{:04X}: remove it", u32::from(c));
        return Err(FieldError::of_value("invalid-email", detail));
    }
    let ascii = Uts46::new()
        .to_ascii(domain.as_bytes(), AsciiDenyList::STD3, Hyphens::CheckFirstLast, DnsLength::Verify)
        .map_err(|_| invalid("the domain is not a valid internationalized domain name (UTS 46)"))?;
    Ok(format!("{local}@{ascii}"))
}

fn invalid(detail: &'static str) -> FieldError {
    FieldError::of_value("invalid-email", detail)
}

/// The production of the HTML standard (§4.10.5.1.5, valid e-mail address), whose expression is
/// ``/^[a-zA-Z0-9.!#$%&'*+\/=?^_`{|}~-]+@[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?(?:\.[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?)*$/``.
fn is_html_email(s: &str) -> bool {
    let Some((local, domain)) = s.split_once('@') else { return false };
    !local.is_empty()
        && local.bytes().all(|b| b.is_ascii_alphanumeric() || b".!#$%&'*+/=?^_`{|}~-".contains(&b))
        && domain.split('.').all(is_label)
}

/// A label of a host name: 1 to 63 letters, digits and hyphens, no hyphen at either end.
fn is_label(s: &str) -> bool {
    (1..=63).contains(&s.len())
        && s.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
        && !s.starts_with('-')
        && !s.ends_with('-')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn code(result: Result<&str, FieldError>) -> &'static str {
        result.expect_err("an error").code
    }

    #[test]
    fn addresses() {
        let longest =
            format!("{}@{}.{}.{}.de", "a".repeat(64), "b".repeat(63), "c".repeat(63), "d".repeat(58));
        for ok in
            ["ada@example.com", "a+b.c_d@x-y.example", "root@localhost", "!#$%&'*+/=?^_`{|}~-@a.b", &longest]
        {
            assert_eq!(email(ok), Ok(ok));
            assert_eq!(mail_address(ok), ok);
            assert_eq!(email_key(ok), ok);
        }
        assert_eq!(longest.len(), 254);
        assert_eq!(code(email("")), "empty");
        assert_eq!(code(email(&format!("e{longest}"))), "too-long");
        for bad in [
            "ada",
            "@example.com",
            "ada@",
            "a@b@c",
            "a b@c.de",
            "a@b..c",
            "a@-b.de",
            "a@b-.de",
            "a@b.de.",
            "a@.b",
            "\"a\"@b.de",
            "a@b.de\n",
            "a@[127.0.0.1]",
            "a,b@c.de",
            "a@b_c.de",
        ] {
            assert_eq!(code(email(bad)), "invalid-email", "{bad:?}");
            assert!(!is_html_email(bad), "{bad:?}");
        }
        // HTML accepts these, the mail library does not.
        for bad in [".a@b.de", "a.@b.de", "a..b@c.de", &format!("{}@b.de", "a".repeat(65))] {
            assert!(is_html_email(bad), "{bad:?}");
            assert_eq!(code(email(bad)), "invalid-email", "{bad:?}");
        }
        assert!(is_html_email(&format!("a@{}", "b".repeat(63))));
        assert!(!is_html_email(&format!("a@{}", "b".repeat(64))));
    }

    #[test]
    fn an_internationalized_domain_is_compared_and_mailed_in_ascii() {
        for (typed, ascii) in [
            ("ada@bücher.example", "ada@xn--bcher-kva.example"),
            ("Ada@BÜCHER.example", "Ada@xn--bcher-kva.example"),
            ("ada@bu\u{308}cher.example", "ada@xn--bcher-kva.example"),
            ("ada@例え.jp", "ada@xn--r8jz45g.jp"),
            ("ada@例え。jp", "ada@xn--r8jz45g.jp"),
            ("ada@ｅxample.com", "ada@example.com"),
            ("x@straße.de", "x@xn--strae-oqa.de"),
            ("a+b@кц.рф", "a+b@xn--j1ay.xn--p1ai"),
            ("a@xn--bcher-kva.bücher.de", "a@xn--bcher-kva.xn--bcher-kva.de"),
        ] {
            assert_eq!(email(typed), Ok(typed));
            assert_eq!(mail_address(typed), ascii);
            assert_eq!(email_key(typed), ascii.to_ascii_lowercase());
            assert_eq!(email_key(&email_key(typed)), email_key(typed));
        }
        assert_ne!(email_key("x@straße.de"), email_key("x@strasse.de"), "two domains");
    }

    #[test]
    fn what_is_no_internationalized_domain_is_named() {
        for (bad, word) in [
            ("ëva@example.com", "before the @ must be ASCII"),
            ("пример@кц.рф", "before the @ must be ASCII"),
            ("ada bücher.example", "expected one like"),
            ("a@b\u{ad}.de", "U+00AD"),
            ("a@bü\u{200b}.de", "U+200B"),
            ("a@bü .de", "internationalized"),
            ("a@bü.de.", "internationalized"),
            ("a@bü_c.de", "internationalized"),
            ("a@-bü.de", "internationalized"),
            ("a@bü..de", "internationalized"),
            ("a@אa.de", "internationalized"),
            ("a@bü.de\n", "internationalized"),
            ("a@☃\u{3000}.de", "internationalized"),
        ] {
            let error = email(bad).expect_err(bad);
            assert_eq!(error.code, "invalid-email", "{bad:?}");
            assert!(error.detail.contains(word), "{bad:?}: {}", error.detail);
            assert!(!email_key(bad).is_empty());
        }
        // 4 x 62 characters, but more in ASCII.
        let long = ["ü".repeat(50), "é".repeat(50), "è".repeat(50), "à".repeat(50), "ö".repeat(40)].join(".");
        let long = format!("a@{long}.de");
        assert!(long.chars().count() < EMAIL_MAX);
        assert_eq!(code(email(&long)), "invalid-email");
    }

    proptest! {
        #[test]
        fn a_valid_address_is_sent_to_in_ascii_and_its_key_is_final(s in "[a-z]{1,3}@\\PC{1,12}(\\.[a-zà-ü]{1,4})?") {
            if email(&s).is_ok() {
                let address = mail_address(&s);
                prop_assert!(address.is_ascii() && is_html_email(&address) && address.len() <= EMAIL_MAX);
                prop_assert_eq!(email(&address), Ok(&*address));
                prop_assert_eq!(email_key(&email_key(&s)), email_key(&s));
                prop_assert_eq!(email_key(&address), email_key(&s));
            }
        }
    }
}
