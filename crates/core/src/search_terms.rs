//! Search terms: words, and the form without accents in which users are searched (B27).

use std::borrow::Cow;
use std::fmt;

use unicode_normalization::UnicodeNormalization as _;
use unicode_normalization::char::is_combining_mark;

use crate::error::FieldError;
use crate::values::{fold, no_control};

/// Maximum number of words in a term.
pub const MAX_WORDS: usize = 8;

/// Folded letters that have no canonical decomposition, by the letters they count as. These are the Latin small letters
/// named "... WITH ..." in the Unicode Character Database, and those whose name is that of their base letter: dotless i
/// and j, eng, eth, thorn and the ligatures.
const BASE_LETTERS: [(&str, &str); 30] = [
    ("a", "ⱥᶏ"),
    ("ae", "æ"),
    ("b", "ƀƃɓᵬᶀꞗ"),
    ("c", "ƈȼɕꞓꞔ"),
    ("d", "ðđƌȡɖɗᵭᶁᶑꟈ"),
    ("e", "ɇᶒⱸꬴ"),
    ("f", "ƒᵮᶂꞙ"),
    ("g", "ǥɠᶃꞡ"),
    ("h", "ħɦⱨꞕ"),
    ("i", "ıɨᶖ"),
    ("ij", "ĳ"),
    ("j", "ȷɉɟʄʝ"),
    ("k", "ƙᶄⱪꝁꝃꝅꞣ"),
    ("l", "ŀłƚȴɫɬɭᶅⱡꝉꞎꬷꬸꬹ"),
    ("m", "ɱᵯᶆꬺ"),
    ("n", "ŋƞȵɲɳᵰᶇꞑꞥꬻꬼ"),
    ("o", "øⱺꝋꝍ"),
    ("oe", "œ"),
    ("p", "ƥᵱᵽᶈꝑꝓꝕ"),
    ("q", "ɋʠꝗꝙ"),
    ("r", "ɍɼɽɾᵲᵳᶉꞧꭉ"),
    ("s", "ȿʂᵴᶊꞩꟊ"),
    ("t", "ŧƫƭȶʈᵵⱦ"),
    ("th", "þꝥꝧ"),
    ("u", "ʉᶙꞹꭎꭒ"),
    ("v", "ʋᶌⱱⱴꝟ"),
    ("w", "ⱳ"),
    ("x", "ᶍꭖꭗꭘꭙ"),
    ("y", "ƴɏỿꭚ"),
    ("z", "ƶȥɀʐʑᵶᶎⱬ"),
];

/// A folded text without accents: canonically decomposed, without combining marks, and letters that do not decompose as
/// their base letters. Each character is mapped on its own, so a part of a text is a part of its form without accents.
pub fn without_accents(folded: &str) -> Cow<'_, str> {
    if folded.is_ascii() {
        return Cow::Borrowed(folded);
    }
    let mut plain = String::with_capacity(folded.len());
    for c in folded.nfd().filter(|c| !is_combining_mark(*c)) {
        match base_letters(c) {
            Some(letters) => plain.push_str(letters),
            None => plain.push(c),
        }
    }
    Cow::Owned(plain)
}

fn base_letters(c: char) -> Option<&'static str> {
    let is_latin = matches!(c, '\u{80}'..='\u{2ff}' | '\u{1d00}'..='\u{1eff}' | '\u{2c60}'..='\u{2c7f}' | '\u{a720}'..='\u{ab6f}');
    is_latin.then(|| BASE_LETTERS.iter().find(|(_, all)| all.contains(c)))?.map(|(base, _)| *base)
}

/// The words of a search, folded. A row matches if it has each of them.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct SearchTerm(Vec<String>);

impl SearchTerm {
    /// Reads a term as it was sent; `None` if it has no words, which is no search.
    ///
    /// # Errors
    /// A control character, or more than [`MAX_WORDS`].
    pub fn parse(text: &str) -> Result<Option<Self>, FieldError> {
        no_control(text)?;
        if text.split_whitespace().nth(MAX_WORDS).is_some() {
            return Err(FieldError::of_value(
                "too-many-words",
                format!("must be at most {MAX_WORDS} words, separated by spaces"),
            ));
        }
        Ok(Self::of(text.split_whitespace().map(fold)))
    }

    /// The same words without accents.
    #[must_use]
    pub fn without_accents(&self) -> Option<Self> {
        Self::of(self.words().map(|word| without_accents(word).into_owned()))
    }

    /// Without repeated words, and those that have nothing left: a combining mark alone.
    fn of(words: impl Iterator<Item = String>) -> Option<Self> {
        let mut kept: Vec<String> = Vec::new();
        for word in words {
            if !word.is_empty() && !kept.contains(&word) {
                kept.push(word);
            }
        }
        (!kept.is_empty()).then_some(Self(kept))
    }

    /// The words, at least one; none is empty or contains white space.
    pub fn words(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }

    /// Whether it is a single word.
    pub fn is_one_word(&self) -> bool {
        self.0.len() == 1
    }
}

impl fmt::Display for SearchTerm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join(" "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn plain(text: &str) -> String {
        without_accents(&fold(text)).into_owned()
    }

    #[test]
    fn accents_do_not_count() {
        for (text, expected) in [
            ("José", "jose"),
            ("Jose\u{301}", "jose"),
            ("Łukasz", "lukasz"),
            ("Müller", "muller"),
            ("Søren", "soren"),
            ("Çelik", "celik"),
            ("Ångström", "angstrom"),
            ("Å", "a"),
            ("Dvořák", "dvorak"),
            ("Nguyễn", "nguyen"),
            ("Đặng", "dang"),
            ("Þór", "thor"),
            ("Guðrún", "gudrun"),
            ("Straße", "strasse"),
            ("STRASSE", "strasse"),
            ("ẞ", "ss"),
            ("ﬁﬂ", "fifl"),
            ("Œuvre", "oeuvre"),
            ("Ægir", "aegir"),
            ("ǽ ǿ", "ae o"),
            ("ısı", "isi"),
            ("İstanbul", "istanbul"),
            ("Ħaż-Żabbar", "haz-zabbar"),
            ("Ŋŧĸ", "ntĸ"),
            ("Ĳ", "ij"),
            ("Ñandú ÿ", "nandu y"),
            ("Ἀθῆναι", "αθηναι"),
            ("Алексей", "алексеи"),
            ("مُحَمَّد", "محمد"),
            ("ガ", "カ"),
            ("各", "各"),
            ("\u{301}", ""),
        ] {
            assert_eq!(plain(text), expected, "{text}");
        }
        assert_eq!(plain("\u{d55c}"), "\u{1112}\u{1161}\u{11ab}", "syllables are letters, which decompose");
        assert!(matches!(without_accents("plain ascii"), Cow::Borrowed(_)));
    }

    #[test]
    fn base_letters_are_of_folded_letters_that_do_not_decompose() {
        let mut seen = std::collections::HashSet::new();
        for (base, letters) in BASE_LETTERS {
            assert!(base.bytes().all(|b| b.is_ascii_lowercase()), "{base}");
            for letter in letters.chars() {
                let text = letter.to_string();
                assert!(seen.insert(letter) && fold(&text) == text, "{letter}");
                assert_eq!(text.nfd().collect::<String>(), text, "{letter}");
                assert_eq!(base_letters(letter), Some(base), "{letter}");
            }
        }
    }

    #[test]
    fn the_form_without_accents_of_any_character_is_stable() {
        for c in (0..=u32::from(char::MAX)).filter_map(char::from_u32) {
            let once = plain(&c.to_string());
            assert_eq!(plain(&once), once, "U+{:04X}", u32::from(c));
            assert!(!once.contains(char::is_whitespace) || c.is_whitespace(), "U+{:04X}", u32::from(c));
        }
    }

    #[test]
    fn a_term_is_words() {
        let words = |text: &str| -> Vec<String> {
            let term = SearchTerm::parse(text).unwrap();
            term.iter().flat_map(SearchTerm::words).map(str::to_owned).collect()
        };
        assert_eq!(words("Ada"), ["ada"]);
        assert_eq!(words("  Ada\u{a0}LOVELACE \u{3000}ada"), ["ada", "lovelace"]);
        assert_eq!(words("Ma\u{df}"), ["mass"]);
        assert_eq!(words(""), [""; 0]);
        assert_eq!(words(" \u{2003} "), [""; 0]);
        assert_eq!(words("1 2 3 4 5 6 7 8").len(), MAX_WORDS);
        for (text, code) in [
            ("a\0b", "control-character"),
            ("a\tb", "control-character"),
            ("1 2 3 4 5 6 7 8 9", "too-many-words"),
            ("a a a a a a a a a", "too-many-words"),
        ] {
            assert_eq!(SearchTerm::parse(text).unwrap_err().code, code, "{text:?}");
        }
        let term = SearchTerm::parse("é e \u{301}").unwrap().unwrap();
        assert_eq!(term.to_string(), "é e \u{301}");
        assert_eq!(term.without_accents().unwrap().to_string(), "e");
        assert_eq!(SearchTerm::parse("\u{301}").unwrap().unwrap().without_accents(), None);
    }

    proptest! {
        #[test]
        fn a_part_of_a_text_is_a_part_of_its_form_without_accents(
            a in "\\PC{0,4}", b in "[a-zßæœøłıİéçǽﬁ가각ṩ\u{300}-\u{310}]{0,4}", c in "\\PC{0,4}"
        ) {
            let all = fold(&[a.as_str(), &b, &c].concat());
            let part: String = all.chars().skip(1).take(3).collect();
            prop_assert!(without_accents(&all).contains(&*without_accents(&part)));
        }
    }
}
