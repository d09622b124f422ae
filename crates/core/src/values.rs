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

mod email;
mod visible;

pub use email::{email, email_key, mail_address};

/// Longest name of anything, in characters (Unicode scalar values).
pub const NAME_MAX: usize = 255;
/// Longest description, in characters.
pub const DESCRIPTION_MAX: usize = 2_000;
/// Longest e-mail address (RFC 5321 §4.5.3.1.3: a path of 256 octets, less its two angle brackets), as typed and in its
/// ASCII form.
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
/// See [`email()`].
pub const EMAIL: Text = Text { format: Some("idn-email"), ..Text::long(1..=EMAIL_MAX) };
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

/// The composed form of a text (NFC).
pub fn compose(s: &str) -> String {
    s.nfc().collect()
}

/// The form by which strings are sorted and compared (B26), and searched without its accents (B27): NFC, full default
/// case folding (Unicode §3.13), and NFC again, so that folding is idempotent.
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

/// A username or e-mail address that is only looked up, without the white space that keyboards of phones and the clipboard
/// add to it. The characters of zero width are not white space for Unicode, but belong to no username or address.
pub fn trim(s: &str) -> &str {
    s.trim_matches(|c: char| c.is_whitespace() || matches!(c, '\u{200b}' | '\u{2060}' | '\u{feff}'))
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

/// A first or last name: 1 to 255 characters, one of them visible (B19).
pub fn person_name(s: &str) -> Result<&str, FieldError> {
    name(s, 1)
}

/// A name to display: up to 255 characters, possibly empty, otherwise with a visible one (B19).
pub fn display_name(s: &str) -> Result<&str, FieldError> {
    name(s, 0)
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

/// A group's name: 1 to 255 characters, one of them visible.
pub fn group_name(s: &str) -> Result<&str, FieldError> {
    name(s, 1)
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

/// A partner's name: 1 to 255 characters, one of them visible.
pub fn partner_name(s: &str) -> Result<&str, FieldError> {
    name(s, 1)
}

/// The name of a client or a token: 1 to 255 characters, one of them visible.
pub fn label(s: &str) -> Result<&str, FieldError> {
    name(s, 1)
}

/// A text by which people know somebody or something.
fn name(s: &str, min: usize) -> Result<&str, FieldError> {
    let s = text(s, min, NAME_MAX)?;
    if !s.is_empty() && !visible::has_visible(s) {
        return Err(FieldError::of_value(
            "invisible",
            "has only invisible characters: write a name that can be seen",
        ));
    }
    Ok(s)
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn code<T: std::fmt::Debug>(result: Result<T, FieldError>) -> &'static str {
        result.expect_err("an error").code
    }

    #[test]
    fn white_space_around_what_is_looked_up_is_ignored() {
        for space in [
            " ", "  ", "\t", "\r\n", "\u{a0}", "\u{2003}", "\u{2007}", "\u{202f}", "\u{3000}", "\u{85}",
            "\u{2028}", "\u{200b}", "\u{feff}", "\u{2060}",
        ] {
            assert_eq!(trim(&format!("{space}ada lovelace{space}{space}")), "ada lovelace", "{space:?}");
            assert_eq!(username_key(&format!("ada{space}")), None, "no username has it: {space:?}");
            assert_eq!(trim(space), "");
        }
        // A joiner can end a username of an Indic script.
        assert_eq!(trim("\u{915}\u{94d}\u{200d}"), "\u{915}\u{94d}\u{200d}");
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
        assert_eq!(display_name(""), Ok(""));
        for check in [person_name, external_id, group_name, partner_name, label] {
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
        for check in [person_name, display_name, group_name, partner_name, label] {
            for blank in ["\u{200b}", "\u{2060}\u{feff}", "\u{ad}", "\u{3164}", "\u{200e}", "\u{2800}"] {
                assert_eq!(code(check(blank)), "invisible", "{blank:?}");
            }
            assert_eq!(check("\u{200e}A"), Ok("\u{200e}A"), "comes back as it was sent");
        }
        assert_eq!(optional_text("\u{200b}"), Ok("\u{200b}"), "not a name");
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
