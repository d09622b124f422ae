//! The texts of mails in every language, from `i18n/`.

use std::sync::LazyLock;

use i18n_embed::LanguageLoader as _;
use i18n_embed::fluent::{FluentLanguageLoader, fluent_language_loader};
use rust_embed::RustEmbed;
use tenantry_core::languages::Language;

#[derive(RustEmbed)]
#[folder = "i18n/"]
struct Files;

struct Texts {
    en: FluentLanguageLoader,
    nl: FluentLanguageLoader,
    sv: FluentLanguageLoader,
    fr: FluentLanguageLoader,
    zh_hans: FluentLanguageLoader,
    it: FluentLanguageLoader,
}

static TEXTS: LazyLock<Texts> = LazyLock::new(|| Texts {
    en: load(Language::En),
    nl: load(Language::Nl),
    sv: load(Language::Sv),
    fr: load(Language::Fr),
    zh_hans: load(Language::ZhHans),
    it: load(Language::It),
});

/// The texts in a language. What a message is called and takes is checked when this crate is compiled; that every
/// language has it, by a test.
pub(super) fn texts(language: Language) -> &'static FluentLanguageLoader {
    match language {
        Language::En => &TEXTS.en,
        Language::Nl => &TEXTS.nl,
        Language::Sv => &TEXTS.sv,
        Language::Fr => &TEXTS.fr,
        Language::ZhHans => &TEXTS.zh_hans,
        Language::It => &TEXTS.it,
    }
}

fn load(language: Language) -> FluentLanguageLoader {
    let loader = fluent_language_loader!();
    // The files are part of the binary, and a test parses them: an error cannot happen. English would be the fallback.
    let wanted = language.tag().parse().unwrap_or_else(|_| loader.fallback_language().clone());
    let _ = loader.load_languages(&Files, &[wanted]);
    // No isolating characters around arguments (Unicode UAX 9): all six languages are written from left to right, and
    // arguments have no bidirectional controls.
    loader.set_use_isolating(false);
    loader
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use i18n_embed::fluent::FluentLanguageLoader;

    use super::*;

    /// The messages of a language by id, each with the arguments that it names.
    fn messages(language: Language) -> BTreeMap<String, Vec<String>> {
        let path = format!("{}/tenantry_mail.ftl", language.tag());
        let file = Files::get(&path).unwrap_or_else(|| panic!("no {path}"));
        let text = std::str::from_utf8(&file.data).unwrap();
        let mut messages = BTreeMap::new();
        let mut last = String::new();
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            if let Some((id, _)) = line.split_once(" = ").filter(|(id, _)| !id.contains(' ')) {
                last = id.to_owned();
                assert!(messages.insert(last.clone(), Vec::new()).is_none(), "{path}: {id} twice");
            }
            let named = line.split('$').skip(1).map(|rest| {
                let end = rest.find(|c: char| !c.is_ascii_alphanumeric()).unwrap();
                rest[..end].to_owned()
            });
            if let Some(arguments) = messages.get_mut(&last) {
                arguments.extend(named);
                arguments.sort();
                arguments.dedup();
            }
        }
        messages
    }

    #[test]
    fn every_language_has_every_message() {
        let english = messages(Language::En);
        assert!(english.len() > 20);
        for language in Language::ALL {
            assert_eq!(messages(language), english, "{language:?}");
            let loader: &FluentLanguageLoader = texts(language);
            assert_eq!(loader.current_languages()[0].to_string(), language.tag());
            let tag = loader.current_languages()[0].clone();
            let parsed: Vec<String> =
                loader.with_message_iter(&tag, |all| all.map(|message| message.id.name.to_owned()).collect());
            assert_eq!(parsed.len(), english.len(), "{language:?}: a message is not parsed");
            assert!(parsed.iter().all(|id| english.contains_key(id)));
        }
        assert_eq!(Files::iter().count(), Language::ALL.len(), "a file of no language of ours");
    }
}
