//! The languages that pages and mails are written in, and which of them a person wants.
//!
//! What a person asks for is a language range (RFC 4647 §2.1): the user's setting, an element of `ui_locales` (OpenID
//! Connect Core §3.1.2.1) or of `Accept-Language` (RFC 9110 §12.5.4). It is looked up as RFC 4647 §3.4 says: `nl-BE`
//! finds Dutch. A script that a reader of the range may not know is not offered: `zh-TW` does not find Simplified Chinese.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A language that pages and mails are written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub enum Language {
    /// English, the default.
    #[default]
    En,
    /// Dutch.
    Nl,
    /// Swedish.
    Sv,
    /// French.
    Fr,
    /// Chinese in simplified characters.
    ZhHans,
    /// Italian.
    It,
}

impl Language {
    /// All languages, in the order in which a person chooses from them.
    pub const ALL: [Self; 6] = [Self::En, Self::Nl, Self::Sv, Self::Fr, Self::ZhHans, Self::It];

    /// The language tag (RFC 5646): of `lang` attributes, of the user's setting, and the name of the folder of texts.
    pub const fn tag(self) -> &'static str {
        match self {
            Self::En => "en",
            Self::Nl => "nl",
            Self::Sv => "sv",
            Self::Fr => "fr",
            Self::ZhHans => "zh-Hans",
            Self::It => "it",
        }
    }

    /// What the language is called in the language itself.
    pub const fn own_name(self) -> &'static str {
        match self {
            Self::En => "English",
            Self::Nl => "Nederlands",
            Self::Sv => "Svenska",
            Self::Fr => "Français",
            Self::ZhHans => "简体中文",
            Self::It => "Italiano",
        }
    }

    /// The language that a language range finds, or a language tag; `None` if it is none of ours. `*` finds none, so that
    /// the next in order decides (RFC 4647 §3.4).
    pub fn parse(range: &str) -> Option<Self> {
        let mut subtags = range.split('-');
        let is_subtag = |s: &str| (1..=8).contains(&s.len()) && s.bytes().all(|b| b.is_ascii_alphanumeric());
        if !subtags.clone().all(is_subtag) {
            return None;
        }
        let primary = subtags.next()?;
        let is = |language: &str| primary.eq_ignore_ascii_case(language);
        let of_primary = [Self::En, Self::Nl, Self::Sv, Self::Fr, Self::It];
        match of_primary.into_iter().find(|language| is(language.tag())) {
            Some(language) => Some(language),
            None if is("zh") || is("cmn") => Some(Self::ZhHans).filter(|_| reads_simplified(subtags)),
            None => None,
        }
    }

    /// The language that `ui_locales` asks for: tags separated by spaces, the most wanted first.
    pub fn of_ui_locales(ui_locales: &str) -> Option<Self> {
        ui_locales.split(' ').find_map(Self::parse)
    }

    /// The language that an `Accept-Language` header asks for: the one of ours with the greatest weight, the first among
    /// equals. An element that cannot be parsed is ignored, and so is a language whose weight is 0.
    pub fn of_accept_language(header: &str) -> Option<Self> {
        let mut best: Option<(Self, u16)> = None;
        for (language, weight) in header.split(',').filter_map(weighted) {
            if weight > best.map_or(0, |(_, weight)| weight) {
                best = Some((language, weight));
            }
        }
        best.map(|(language, _)| language)
    }
}

/// Whether the subtags after `zh` name the simplified script, or a region that writes it.
fn reads_simplified<'a>(subtags: impl Iterator<Item = &'a str>) -> bool {
    let mut is_simplified = true;
    for subtag in subtags {
        // what follows a single character is an extension or private
        if subtag.len() == 1 {
            break;
        }
        match subtag.to_ascii_lowercase().as_str() {
            "hans" => return true,
            // Cantonese, Hokkien and Hakka are other languages (RFC 5646 §2.2.2)
            "hant" | "yue" | "nan" | "hak" | "tw" | "hk" | "mo" => is_simplified = false,
            _ => {}
        }
    }
    is_simplified
}

/// An element of `Accept-Language` that finds a language, with its weight in thousandths (RFC 9110 §12.4.2).
fn weighted(element: &str) -> Option<(Language, u16)> {
    let (range, weight) = match element.split_once(';') {
        None => (element, 1_000),
        Some((range, parameter)) => {
            let (name, value) = parameter.split_once('=')?;
            if !name.trim().eq_ignore_ascii_case("q") {
                return None;
            }
            (range, thousandths(value.trim())?)
        }
    };
    Some((Language::parse(range.trim())?, weight))
}

/// A `qvalue`: `0` to `1` with at most three digits after the point.
fn thousandths(qvalue: &str) -> Option<u16> {
    let (whole, fraction) = qvalue.split_once('.').unwrap_or((qvalue, ""));
    if fraction.len() > 3 || !fraction.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let thousandths = format!("{fraction:0<3}").parse().ok()?;
    match whole {
        "0" => Some(thousandths),
        "1" if thousandths == 0 => Some(1_000),
        _ => None,
    }
}

/// As its tag.
impl Serialize for Language {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.tag())
    }
}

/// From a tag that finds it.
impl<'de> Deserialize<'de> for Language {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let tag = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        Self::parse(&tag).ok_or_else(|| serde::de::Error::custom("not a language of ours"))
    }
}

#[cfg(test)]
mod tests {
    use super::Language::{self, *};

    #[test]
    fn ranges_find_languages() {
        let table = [
            ("en", Some(En)),
            ("EN", Some(En)),
            ("en-GB", Some(En)),
            ("nl-BE", Some(Nl)),
            ("nl-BE-x-informal", Some(Nl)),
            ("sv-FI", Some(Sv)),
            ("fr-CA-u-co-phonebk", Some(Fr)),
            ("it-CH", Some(It)),
            ("zh", Some(ZhHans)),
            ("zh-CN", Some(ZhHans)),
            ("zh-SG", Some(ZhHans)),
            ("zh-Hans", Some(ZhHans)),
            ("ZH-hans-cn", Some(ZhHans)),
            ("zh-Hans-TW", Some(ZhHans)),
            ("zh-cmn-Hans-CN", Some(ZhHans)),
            ("cmn-Hans", Some(ZhHans)),
            ("zh-CN-x-tw", Some(ZhHans)),
            ("zh-TW", None),
            ("zh-Hant", None),
            ("zh-hant-CN", None),
            ("zh-HK", None),
            ("zh-MO", None),
            ("zh-yue", None),
            ("de", None),
            ("enm", None),
            ("eng", None),
            ("*", None),
            ("*-CH", None),
            ("", None),
            ("-en", None),
            ("en-", None),
            ("en--GB", None),
            ("en_GB", None),
            ("en-verylongsubtag", None),
            ("nl\u{e9}", None),
            (" en", None),
        ];
        for (range, expected) in table {
            assert_eq!(Language::parse(range), expected, "{range:?}");
        }
    }

    #[test]
    fn tags_find_themselves() {
        for language in Language::ALL {
            assert_eq!(Language::parse(language.tag()), Some(language));
            let json = serde_json::to_string(&language).unwrap();
            assert_eq!(json, format!("\"{}\"", language.tag()));
            assert_eq!(serde_json::from_str::<Language>(&json).unwrap(), language);
            assert!(!language.own_name().is_empty());
        }
        assert!(serde_json::from_str::<Language>("\"de\"").is_err());
        assert_eq!(Language::default(), En);
    }

    #[test]
    fn ui_locales_are_in_order() {
        let table = [
            ("nl en", Some(Nl)),
            ("de-AT fr-CA en", Some(Fr)),
            ("zh-TW it", Some(It)),
            ("  sv  ", Some(Sv)),
            ("de", None),
            ("", None),
            ("* nl", Some(Nl)),
        ];
        for (ui_locales, expected) in table {
            assert_eq!(Language::of_ui_locales(ui_locales), expected, "{ui_locales:?}");
        }
    }

    #[test]
    fn accept_language_is_ordered_by_weight() {
        let table = [
            ("nl", Some(Nl)),
            ("nl-NL,nl;q=0.9,en-US;q=0.8,en;q=0.7", Some(Nl)),
            ("en;q=0.5, fr", Some(Fr)),
            ("en;q=0.5, fr;q=0.501", Some(Fr)),
            ("fr;q=0.5, en;q=0.5", Some(Fr)),
            ("zh-TW, zh;q=0.8, en;q=0.7", Some(ZhHans)),
            ("zh-TW, en;q=0.7", Some(En)),
            ("de, *;q=0.5", None),
            ("nl;q=0", None),
            ("nl;q=0.000, it;q=0.001", Some(It)),
            ("nl ; Q = 0.3 , it ; q = 1.000", Some(It)),
            ("nl;q=2, it;q=0.1", Some(It)),
            ("nl;q=1.001, it;q=0.1", Some(It)),
            ("nl;q=0.1234, it;q=0.1", Some(It)),
            ("nl;q=, it;q=0.1", Some(It)),
            ("nl;q, it;q=0.1", Some(It)),
            ("nl;level=1, it;q=0.1", Some(It)),
            ("nl;q=-1, it;q=0.1", Some(It)),
            ("nl;q=1., it;q=0.1", Some(Nl)),
            (",,, sv ,", Some(Sv)),
            ("", None),
            ("\u{e9}", None),
        ];
        for (header, expected) in table {
            assert_eq!(Language::of_accept_language(header), expected, "{header:?}");
        }
    }
}
