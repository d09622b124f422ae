//! Checks of values, and the folded form by which strings are compared.
//!
//! A check takes the value as it was sent and returns it as it is stored: nothing is trimmed or corrected silently
//! (B19). It returns an error without a field; the edge knows the field and adds it.

use std::fmt::Write as _;
use std::ops::RangeInclusive;

use oxilangtag::LanguageTag;
use precis_profiles::UsernameCaseMapped;
use precis_profiles::precis_core::{
    Error as PrecisError, UnexpectedError, profile::PrecisFastInvocation as _,
};
use serde_json::{Value, json};
use unicode_normalization::UnicodeNormalization as _;

use crate::error::FieldError;
use crate::model::{Status, Username};

/// Longest name of anything, in characters (Unicode scalar values).
pub const NAME_MAX: usize = 255;
/// Longest description, in characters.
pub const DESCRIPTION_MAX: usize = 2_000;
/// Longest e-mail address (RFC 5321 §4.5.3.1.3: a path of 256 octets, less its two angle brackets).
pub const EMAIL_MAX: usize = 254;

/// Longest language tag, in characters.
pub const LOCALE_MAX: usize = 35;

/// The format of a kind of text, for the OpenAPI document. The checks of this file hold values to it.
#[derive(Debug)]
pub struct Text {
    /// The fewest and the most characters.
    pub length: RangeInclusive<usize>,
    /// A regular expression (ECMA-262) that every good value matches.
    pub pattern: Option<&'static str>,
    /// A format of JSON Schema.
    pub format: Option<&'static str>,
    /// The values, where there are few.
    pub choices: &'static [&'static str],
}

impl Text {
    /// Some characters of which nothing else is known.
    pub const fn long(length: RangeInclusive<usize>) -> Self {
        Self { length, pattern: None, format: None, choices: &[] }
    }

    /// Some characters that match a pattern.
    pub const fn like(length: RangeInclusive<usize>, pattern: &'static str) -> Self {
        Self { pattern: Some(pattern), ..Self::long(length) }
    }

    /// One of a few.
    pub const fn one_of(choices: &'static [&'static str]) -> Self {
        Self { choices, ..Self::long(0..=usize::MAX) }
    }

    /// As a JSON Schema.
    pub fn schema(&self) -> Value {
        let mut keywords = serde_json::Map::from_iter([(String::from("type"), json!("string"))]);
        let mut say = |name: &str, value: Value| drop(keywords.insert(name.to_owned(), value));
        if let Some(format) = self.format {
            say("format", json!(format));
        }
        if *self.length.start() > 0 {
            say("minLength", json!(self.length.start()));
        }
        if *self.length.end() < usize::MAX {
            say("maxLength", json!(self.length.end()));
        }
        if let Some(pattern) = self.pattern {
            say("pattern", json!(pattern));
        }
        if !self.choices.is_empty() {
            say("enum", json!(self.choices));
        }
        Value::Object(keywords)
    }
}

/// Any text.
pub const ANY_TEXT: Text = Text::long(0..=usize::MAX);
/// A name of somebody or something: see [`person_name`].
pub const LINE: Text =
    Text::like(1..=NAME_MAX, r"^[^\s\x00-\x1F\x7F-\x9F]([^\x00-\x1F\x7F-\x9F]*[^\s\x00-\x1F\x7F-\x9F])?$");
/// See [`optional_text`].
pub const OPTIONAL_LINE: Text = Text::like(0..=NAME_MAX, OPTIONAL);
/// See [`description`].
pub const DESCRIPTION: Text = Text::like(0..=DESCRIPTION_MAX, OPTIONAL);
const OPTIONAL: &str = r"^([^\s\x00-\x1F\x7F-\x9F]([^\x00-\x1F\x7F-\x9F]*[^\s\x00-\x1F\x7F-\x9F])?)?$";
/// See [`username`]; the pattern says only the most of it.
pub const USERNAME: Text = Text::like(1..=NAME_MAX, r"^\S+$");
/// See [`email`].
pub const EMAIL: Text = Text { format: Some("email"), ..Text::long(1..=EMAIL_MAX) };
/// See [`locale`].
pub const LOCALE: Text = Text::like(2..=LOCALE_MAX, "^[A-Za-z0-9]{1,8}(-[A-Za-z0-9]{1,8})*$");
/// See [`object_id`].
pub const OBJECT_ID: Text = Text::like(1..=NAME_MAX, r"^[^\x00-\x1F\x7F-\x9F]*$");
/// A text without control characters: see [`no_control`].
pub const ONE_LINE: Text = Text::like(0..=usize::MAX, r"^[^\x00-\x1F\x7F-\x9F]*$");
/// See [`Status`].
pub const STATUS: Text = Text::one_of(&Status::NAMES);

/// Parses a non-negative integer in canonical form (B17): digits only, without a sign or leading zeros.
pub fn whole_number(text: &str) -> Option<i64> {
    let is_plain = match text.as_bytes() {
        [b'0'] => true,
        [b'1'..=b'9', rest @ ..] => rest.iter().all(u8::is_ascii_digit),
        _ => false,
    };
    text.parse().ok().filter(|_| is_plain)
}

/// The form by which strings are searched, sorted and compared (B26, B27): NFC, full default case folding (Unicode
/// §3.13), and NFC again, so that folding is idempotent.
pub fn fold(s: &str) -> String {
    if s.is_ascii() {
        return s.to_ascii_lowercase();
    }
    let composed: String = s.nfc().collect();
    caseless::default_case_fold_str(&composed).nfc().collect()
}

/// A username (B8): 1 to 255 characters that RFC 8265's UsernameCaseMapped allows.
pub fn username(s: &str) -> Result<Username, FieldError> {
    length(s, 1, NAME_MAX)?;
    let key = enforce(s)?;
    Ok(Username { shown: s.to_owned(), key })
}

/// The key by which a user of this name is found, or `None` if no user can have this name.
pub fn username_key(s: &str) -> Option<String> {
    username(s).ok().map(|name| name.key)
}

/// RFC 8265 §3.3.3 (UsernameCaseMapped), repeated until it is stable (RFC 8264 §7: at most three more times).
fn enforce(s: &str) -> Result<String, FieldError> {
    // In ASCII the profile allows exactly the visible characters (RFC 8264 §9.11) and only lowercases them.
    if !s.is_empty() && s.bytes().all(|b| b.is_ascii_graphic()) {
        return Ok(s.to_ascii_lowercase());
    }
    let mut key = UsernameCaseMapped::enforce(s).map_err(|e| not_allowed(&e))?.into_owned();
    for _ in 0..3 {
        let again = UsernameCaseMapped::enforce(key.as_str()).map_err(|e| not_allowed(&e))?;
        if again == key {
            return Ok(key);
        }
        key = again.into_owned();
    }
    Err(not_allowed(&PrecisError::Invalid))
}

fn not_allowed(error: &PrecisError) -> FieldError {
    let mut detail = match error {
        PrecisError::BadCodepoint(info)
        | PrecisError::Unexpected(
            UnexpectedError::ContextRuleNotApplicable(info) | UnexpectedError::MissingContextRule(info),
        ) => {
            let mut detail = format!("a username cannot contain U+{:04X}", info.cp);
            match char::from_u32(info.cp) {
                Some(' ') => detail.push_str(" (a space)"),
                Some(c) if c.is_alphanumeric() || c.is_ascii_graphic() => {
                    let _ = write!(detail, " ({c})");
                }
                _ => {}
            }
            detail
        }
        _ => String::from("this username mixes writing directions or has characters that cannot be combined"),
    };
    detail.push_str(": use letters and digits of any script and . - _ + @ (RFC 8265)");
    FieldError::of_value("invalid-username", detail)
}

/// A first or last name: 1 to 255 characters (B19).
pub fn person_name(s: &str) -> Result<&str, FieldError> {
    text(s, 1, NAME_MAX)
}

/// A title or phone number: up to 255 characters, possibly empty (B19).
pub fn optional_text(s: &str) -> Result<&str, FieldError> {
    text(s, 0, NAME_MAX)
}

/// A user's language and region (B3): a well-formed BCP 47 tag (RFC 5646 §2.1) of at most 35 characters, the length
/// that RFC 5646 §4.4.1 recommends to support. It is not canonicalized, and its subtags need not be registered.
pub fn locale(s: &str) -> Result<&str, FieldError> {
    length(s, 1, LOCALE_MAX)?;
    match LanguageTag::parse(s) {
        Ok(_) => Ok(s),
        Err(_) => Err(FieldError::of_value(
            "invalid-locale",
            "not a BCP 47 language tag: expected one like en, pt-BR or zh-Hant-TW, with hyphens",
        )),
    }
}

/// The product's own key of a user (B3): 1 to 255 characters. It cannot be empty: keys are unique in the partner, so
/// only one user could have it. A user without a key has null.
pub fn external_id(s: &str) -> Result<&str, FieldError> {
    text(s, 1, NAME_MAX)
}

/// A group's name: 1 to 255 characters.
pub fn group_name(s: &str) -> Result<&str, FieldError> {
    text(s, 1, NAME_MAX)
}

/// The id of an object that permissions refer to: 1 to 255 characters.
pub fn object_id(s: &str) -> Result<&str, FieldError> {
    length(s, 1, NAME_MAX)?;
    no_control(s)?;
    Ok(s)
}

/// A group's description: up to 2,000 characters, possibly empty.
pub fn description(s: &str) -> Result<&str, FieldError> {
    text(s, 0, DESCRIPTION_MAX)
}

/// A partner's name: 1 to 255 characters.
pub fn partner_name(s: &str) -> Result<&str, FieldError> {
    text(s, 1, NAME_MAX)
}

/// The name of a client or a token: 1 to 255 characters.
pub fn label(s: &str) -> Result<&str, FieldError> {
    text(s, 1, NAME_MAX)
}

/// An e-mail address (B19): at most 254 characters, of the form that HTML's `type=email` accepts, and one that the mail
/// library can send to, so that it fails here and not in the outbox.
pub fn email(s: &str) -> Result<&str, FieldError> {
    if s.is_empty() {
        return Err(empty());
    }
    // First, so that the other checks see a short string.
    if s.chars().count() > EMAIL_MAX {
        return Err(too_long(EMAIL_MAX));
    }
    if !is_html_email(s) {
        return Err(FieldError::of_value(
            "invalid-email",
            "not an e-mail address: expected one like name@example.com, in ASCII, without spaces or quotes",
        ));
    }
    if s.parse::<lettre::Address>().is_err() {
        return Err(FieldError::of_value(
            "invalid-email",
            "mail cannot be sent to this address: before the @, use at most 64 characters and no dot at either end or beside another",
        ));
    }
    Ok(s)
}

/// A search term (B27) in folded form; an empty one means no search.
pub fn search_term(s: &str) -> Result<String, FieldError> {
    no_control(s)?;
    Ok(fold(s))
}

fn text(s: &str, min: usize, max: usize) -> Result<&str, FieldError> {
    length(s, min, max)?;
    no_control(s)?;
    if s.starts_with(char::is_whitespace) || s.ends_with(char::is_whitespace) {
        return Err(FieldError::of_value(
            "surrounding-space",
            "begins or ends with white space: remove it (it is not trimmed silently)",
        ));
    }
    Ok(s)
}

fn length(s: &str, min: usize, max: usize) -> Result<(), FieldError> {
    if min > 0 && s.is_empty() {
        return Err(empty());
    }
    // A character has 1 to 4 bytes, so most strings need not be counted.
    if s.len() > max && s.chars().count() > max {
        return Err(too_long(max));
    }
    Ok(())
}

fn empty() -> FieldError {
    FieldError::of_value("empty", "must not be empty")
}

fn too_long(max: usize) -> FieldError {
    FieldError::of_value("too-long", format!("must have at most {max} characters"))
}

/// Checks that a text has no control characters.
///
/// # Errors
/// Names the character.
pub fn no_control(s: &str) -> Result<(), FieldError> {
    match s.chars().find(|c| c.is_control()) {
        None => Ok(()),
        Some(c) => Err(FieldError::of_value(
            "control-character",
            format!("contains the control character U+{:04X}: remove it", u32::from(c)),
        )),
    }
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

    fn code<T: std::fmt::Debug>(result: Result<T, FieldError>) -> &'static str {
        result.expect_err("an error").code
    }

    #[test]
    fn folding_makes_equivalent_strings_equal() {
        assert_eq!(fold("Straße"), fold("STRASSE"));
        assert_eq!(fold("Åse"), fold("A\u{30a}SE"));
        assert_eq!(fold("ΣΊΣΥΦΟΣ"), fold("σίσυφος"));
        assert_eq!(fold("ǰ"), fold("J\u{30c}"));
        assert_eq!(fold("ᾳ"), fold("Α\u{345}"));
        assert_ne!(fold("e"), fold("é"), "accents count");
        assert_eq!(fold(""), "");
    }

    #[test]
    fn folding_any_single_character_is_stable() {
        for c in (0..=u32::from(char::MAX)).filter_map(char::from_u32) {
            let once = fold(&c.to_string());
            assert_eq!(fold(&once), once, "U+{:04X}", u32::from(c));
        }
    }

    #[test]
    fn usernames_are_shown_as_typed_and_compared_mapped() {
        let name = username("Jörg.Müller+x@Example.com").unwrap();
        assert_eq!(
            (name.shown.as_str(), name.key.as_str()),
            ("Jörg.Müller+x@Example.com", "jörg.müller+x@example.com")
        );
        assert_eq!(username("ＡＤＡ").unwrap().key, "ada", "full-width letters map to ordinary ones");
        assert_eq!(username("JO\u{308}RG").unwrap().key, username("jörg").unwrap().key);
        assert_eq!(username_key("Ada"), Some("ada".into()));
        assert_eq!(username("Олег").unwrap().key, "олег");
        assert_eq!(username("דוד").unwrap().key, "דוד");
    }

    #[test]
    fn invalid_usernames_are_refused() {
        assert_eq!(code(username("")), "empty");
        assert_eq!(code(username(&"é".repeat(256))), "too-long");
        assert!(username(&"é".repeat(255)).is_ok());
        for bad in
            ["a b", " ada", "a\u{a0}b", "a\tb", "a\0", "☃", "ﬁ", "aדוד", "a\u{200d}b", "\u{378}", "a·b"]
        {
            assert_eq!(code(username(bad)), "invalid-username", "{bad:?}");
            assert_eq!(username_key(bad), None);
        }
        let bad = username("a b").unwrap_err();
        assert!(
            bad.detail.starts_with("a username cannot contain U+0020 (a space): use letters"),
            "{}",
            bad.detail
        );
    }

    #[test]
    fn texts() {
        for ok in ["O'Brien", "李", "a\u{2028}b", "a  b", "🙂", "מֹשֶׁה", "<script>", "%_\\"] {
            assert_eq!(person_name(ok), Ok(ok));
        }
        assert_eq!(optional_text(""), Ok(""));
        assert_eq!(description(""), Ok(""));
        for check in [person_name, external_id, group_name, partner_name] {
            assert_eq!(code(check("")), "empty");
        }
        for check in [person_name, optional_text, external_id, group_name, description, partner_name] {
            assert_eq!(code(check("a\0")), "control-character");
            assert_eq!(code(check("a\u{85}b")), "control-character");
            assert_eq!(code(check("a\nb")), "control-character");
            assert_eq!(code(check(" a")), "surrounding-space");
            assert_eq!(code(check("a\u{3000}")), "surrounding-space");
            assert_eq!(code(check(&"ü".repeat(2_001))), "too-long");
        }
        assert!(person_name(&"🙂".repeat(255)).is_ok());
        assert_eq!(code(person_name(&"🙂".repeat(256))), "too-long");
        assert!(description(&"ü".repeat(2_000)).is_ok());
    }

    #[test]
    fn locales() {
        let longest = format!("en-x-{}", ["12345678", "12345678", "12345678", "123"].join("-"));
        assert_eq!(longest.len(), 35);
        for ok in
            ["en", "pt-BR", "PT-br", "zh-Hant-TW", "sl-rozaj-biske", "de-DE-u-co-phonebk", "x-own", &longest]
        {
            assert_eq!(locale(ok), Ok(ok));
        }
        assert_eq!(code(locale("")), "empty");
        assert_eq!(code(locale(&format!("{longest}4"))), "too-long");
        for bad in [
            "e",
            "en_US",
            "en-",
            "-en",
            "en--US",
            " en",
            "en\0",
            "english language",
            "de-ü",
            "en-US-toolongsub",
        ] {
            assert_eq!(code(locale(bad)), "invalid-locale", "{bad:?}");
        }
    }

    #[test]
    fn addresses() {
        let longest =
            format!("{}@{}.{}.{}.de", "a".repeat(64), "b".repeat(63), "c".repeat(63), "d".repeat(58));
        for ok in
            ["ada@example.com", "a+b.c_d@x-y.example", "root@localhost", "!#$%&'*+/=?^_`{|}~-@a.b", &longest]
        {
            assert_eq!(email(ok), Ok(ok));
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
            "ü@b.de",
            "a@bü.de",
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
    fn search_terms_are_folded() {
        assert_eq!(search_term("Ma\u{df}").unwrap(), "mass");
        assert_eq!(search_term("").unwrap(), "");
        assert_eq!(search_term(" a ").unwrap(), " a ", "white space is part of a substring");
        assert_eq!(code(search_term("a\0b")), "control-character");
    }

    proptest! {
        #[test]
        fn folding_is_stable(s in "\\PC*|[a-zA-ZΑ-Ωα-ωἀ-ῼ\u{300}-\u{36f}ſßİıǰŉ]*") {
            let once = fold(&s);
            prop_assert_eq!(fold(&once), once);
        }

        #[test]
        fn folding_ascii_is_lowering(s in "[\\x00-\\x7f]*") {
            let whole: String = caseless::default_case_fold_str(&s).nfc().collect();
            prop_assert_eq!(fold(&s), whole);
        }

        #[test]
        fn the_ascii_path_answers_like_the_profile(s in "[\\x00-\\x7f]{0,12}|[!-~]{1,12}") {
            let profile = UsernameCaseMapped::enforce(s.as_str()).ok().map(std::borrow::Cow::into_owned);
            prop_assert_eq!(username_key(&s), profile);
        }

        #[test]
        fn a_key_is_its_own_key(s in "\\PC{1,8}|[a-zA-ZÀ-žΑ-ωЀ-ӿא-ת0-9＀-～\u{300}-\u{36f}._@]{1,8}") {
            if let Some(key) = username_key(&s).filter(|k| k.chars().count() <= NAME_MAX) {
                prop_assert_eq!(username_key(&key), Some(key));
            }
        }

        #[test]
        fn accepted_values_are_returned_unchanged(s in "\\PC{0,300}") {
            for check in [person_name, optional_text, external_id, group_name, description, partner_name] {
                if let Ok(same) = check(&s) {
                    prop_assert_eq!(same, s.as_str());
                }
            }
        }
    }
}
