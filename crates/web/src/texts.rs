//! The texts of pages, in all languages: Fluent files under `i18n/`. `text!` checks at compile time that a text exists.

use std::sync::{LazyLock, OnceLock};

use i18n_embed::LanguageLoader as _;
use i18n_embed::fluent::FluentLanguageLoader;
use rust_embed::RustEmbed;
use unic_langid::LanguageIdentifier;

use tenantry_core::languages::Language;

/// The number of languages.
pub const LANGUAGES: usize = Language::ALL.len();

#[derive(RustEmbed)]
#[folder = "i18n/"]
struct Files;

/// The loader of each language, which falls back to English.
static LOADERS: LazyLock<Vec<FluentLanguageLoader>> = LazyLock::new(|| Language::ALL.map(load).into());

fn load(language: Language) -> FluentLanguageLoader {
    let id = |tag: &str| tag.parse::<LanguageIdentifier>().unwrap_or_default();
    let loader = FluentLanguageLoader::new("tenantry_web", id(Language::En.tag()));
    // The files are in the binary; the tests load all of them.
    if let Err(error) = loader.load_languages(&Files, &[id(language.tag())]) {
        tracing::error!(language = language.tag(), %error, "the texts of pages cannot be loaded");
    }
    loader.set_use_isolating(false);
    loader
}

fn place(language: Language) -> usize {
    Language::ALL.iter().position(|known| *known == language).unwrap_or(0)
}

/// The loader of a language.
pub fn loader(language: Language) -> &'static FluentLanguageLoader {
    static NONE: LazyLock<FluentLanguageLoader> = LazyLock::new(|| load(Language::En));
    LOADERS.get(place(language)).unwrap_or(&NONE)
}

/// A text without arguments, formatted once per language.
pub fn cached(
    texts: &'static [OnceLock<String>; LANGUAGES],
    language: Language,
    format: impl FnOnce(&'static FluentLanguageLoader) -> String,
) -> &'static str {
    match texts.get(place(language)) {
        Some(text) => text.get_or_init(|| format(loader(language))),
        None => "",
    }
}

/// A text in a language: `text!(language, "id")`, or with arguments `text!(language, "id", name = value)`.
macro_rules! text {
    ($language:expr, $id:literal) => {{
        static TEXTS: [std::sync::OnceLock<String>; $crate::texts::LANGUAGES] =
            [const { std::sync::OnceLock::new() }; $crate::texts::LANGUAGES];
        $crate::texts::cached(&TEXTS, $language, |loader| i18n_embed_fl::fl!(loader, $id))
    }};
    ($language:expr, $id:literal, $($arguments:tt)+) => {
        i18n_embed_fl::fl!($crate::texts::loader($language), $id, $($arguments)+)
    };
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use super::*;

    /// The messages of a file: their variables by id.
    fn messages(language: Language) -> BTreeMap<String, BTreeSet<String>> {
        let path = format!("{}/i18n/{}/tenantry_web.ftl", env!("CARGO_MANIFEST_DIR"), language.tag());
        let text = std::fs::read_to_string(path).unwrap();
        let mut messages = BTreeMap::<String, BTreeSet<String>>::new();
        let mut last = String::new();
        for line in text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
            if let Some((id, _)) = line.split_once(" =").filter(|_| !line.starts_with(' ')) {
                last = id.to_owned();
                assert!(messages.insert(last.clone(), BTreeSet::new()).is_none(), "{language:?}: {id} twice");
            }
            for part in line.split("{ $").skip(1) {
                let name = part.split([' ', '}']).next().unwrap();
                messages.get_mut(&last).unwrap().insert(name.to_owned());
            }
        }
        messages
    }

    #[test]
    fn every_language_has_every_message_with_the_same_variables() {
        let english = messages(Language::En);
        assert!(english.len() > 50);
        for language in Language::ALL {
            assert_eq!(messages(language), english, "{language:?}");
            let loader = loader(language);
            let id: LanguageIdentifier = language.tag().parse().unwrap();
            assert_eq!(loader.current_languages()[0], id);
            for message in english.keys() {
                assert!(loader.has(message), "{language:?}: {message}");
            }
        }
        assert_eq!(text!(Language::Nl, "sign-in-title"), "Inloggen");
        assert_eq!(text!(Language::ZhHans, "sign-in-title"), "登录");
        assert_eq!(text!(Language::Sv, "sign-in-to", name = "Kajplats"), "Logga in på Kajplats");
        let one = text!(Language::It, "sign-in-too-many", minutes = 1);
        assert!(one.contains("1 minuto."), "{one}");
    }
}
