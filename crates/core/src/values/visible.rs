//! Characters that nobody sees.

use icu_properties::CodePointSetData;
use icu_properties::props::DefaultIgnorableCodePoint;

/// Whether a text has a character that can be seen.
pub(super) fn has_visible(s: &str) -> bool {
    // Nearly every text begins with one.
    s.chars().any(|c| c.is_ascii_graphic() || !(is_ignorable(c) || is_blank(c)))
}

/// Characters that are displayed as nothing where they are not supported: zero-width characters, joiners, directional
/// marks, variation selectors, fillers of Hangul syllables and others (Unicode, `Default_Ignorable_Code_Point`).
pub(super) fn is_ignorable(c: char) -> bool {
    const IGNORABLE: icu_properties::CodePointSetDataBorrowed<'static> =
        CodePointSetData::new::<DefaultIgnorableCodePoint>();
    IGNORABLE.contains(c)
}

/// White space, and the Braille pattern without dots, which Unicode counts as a symbol.
fn is_blank(c: char) -> bool {
    c.is_whitespace() || c == '\u{2800}'
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_of_invisible_characters_has_no_visible_one() {
        for blank in [
            "",
            " ",
            "\u{a0}",
            "\u{200b}",
            "\u{200c}\u{200d}",
            "\u{2060}\u{feff}",
            "\u{ad}",
            "\u{34f}",
            "\u{61c}",
            "\u{115f}\u{1160}",
            "\u{17b4}",
            "\u{180e}",
            "\u{200e} \u{202e}",
            "\u{3000}",
            "\u{3164}",
            "\u{fe0f}",
            "\u{ffa0}",
            "\u{2800}",
            "\u{e0041}",
        ] {
            assert!(!has_visible(blank), "{blank:?}");
        }
        for seen in ["A", "李", "\u{200e}A", "ﾠא", "🙂", "\u{301}", ".", "\u{200b}é", "ﬁ", "\u{2801}"]
        {
            assert!(has_visible(seen), "{seen:?}");
        }
    }
}
