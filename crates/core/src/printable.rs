//! Text from elsewhere as it is shown to people: no character of it controls a terminal or a log.

use std::borrow::Cow;
use std::fmt::Write as _;

/// The text with escapes (`\u{1b}`) instead of control characters, line separators and characters that change the
/// direction of what follows.
pub fn printable(text: &str) -> Cow<'_, str> {
    if !text.contains(is_control) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        if is_control(c) {
            // Writing to a string cannot fail.
            let _ = write!(shown, "{}", c.escape_unicode());
        } else {
            shown.push(c);
        }
    }
    Cow::Owned(shown)
}

/// A JSON text with escapes (`\u009b`) instead of such characters: JSON does not escape all of them.
pub fn printable_json(json: &str) -> Cow<'_, str> {
    if !json.contains(is_control) {
        return Cow::Borrowed(json);
    }
    let mut shown = String::with_capacity(json.len() + 8);
    for c in json.chars() {
        if is_control(c) {
            let _ = write!(shown, "\\u{:04x}", u32::from(c));
        } else {
            shown.push(c);
        }
    }
    Cow::Owned(shown)
}

fn is_control(c: char) -> bool {
    c.is_control() || matches!(c, '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_controls_a_terminal() {
        for text in ["", "Ærø, 日本", "a\u{200f}b", "\\u{1b}"] {
            assert!(matches!(printable(text), Cow::Borrowed(same) if same == text));
        }
        assert_eq!(printable("\u{1b}[31mred\u{7}\0"), "\\u{1b}[31mred\\u{7}\\u{0}");
        assert_eq!(printable("\u{9b}2J\u{7f}\r\n"), "\\u{9b}2J\\u{7f}\\u{d}\\u{a}");
        assert_eq!(printable_json("{\"a\":\"\u{9b}2J\u{2028}\"}"), "{\"a\":\"\\u009b2J\\u2028\"}");
        assert_eq!(printable("a\u{202e}b\u{2066}c\u{2028}"), "a\\u{202e}b\\u{2066}c\\u{2028}");
    }
}
