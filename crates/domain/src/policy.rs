//! The password policy (contract, part C, Passwords), and generated passwords. The history of 12 passwords is checked
//! elsewhere, with the stored hashes.

use std::collections::HashSet;
use std::sync::LazyLock;

use zeroize::{Zeroize as _, Zeroizing};

use tenantry_core::account_policy::PasswordPolicy;
use tenantry_core::error::FieldError;
use tenantry_core::random::Random;
use tenantry_core::values::{self, Text, fold};

/// Shortest password, in characters.
pub const MIN: usize = 12;
/// Longest password, in characters.
pub const MAX: usize = 40;

/// The pattern of a password; the policy has rules beyond it.
pub const PASSWORD: Text = Text::like(MIN..=MAX, "^[A-Za-z0-9][!-9;-~]*[A-Za-z0-9]$");

/// The pattern of a password by either rules.
pub const ANY_PASSWORD: Text = Text::like(MIN..=NIST_MAX, "^[^\\x00-\\x1f\\x7f]*$");

/// The person whose names and address a password must not contain.
#[derive(Debug, Clone, Copy)]
pub struct Person<'a> {
    /// As typed.
    pub username: &'a str,
    /// Given name.
    pub first_name: &'a str,
    /// Family name.
    pub last_name: &'a str,
    /// E-mail address.
    pub email: &'a str,
}

/// Shortest password by the rules of NIST, in characters.
pub const NIST_MIN: usize = 15;
/// Longest password by the rules of NIST, in characters.
pub const NIST_MAX: usize = 128;

/// Checks a permanent password by these rules and returns all errors. No detail contains the password.
pub fn check_by(rules: PasswordPolicy, password: &str, person: &Person<'_>) -> Result<(), Vec<FieldError>> {
    match rules {
        PasswordPolicy::Contract => check(password, person),
        PasswordPolicy::Nist => check_nist(password, person),
    }
}

/// A password as it is checked, hashed and compared: composed (NFC, as in RFC 8265 §4.2), since keyboards differ in how they
/// write letters with accents.
pub fn composed(password: Zeroizing<String>) -> Zeroizing<String> {
    if password.is_ascii() { password } else { Zeroizing::new(values::compose(&password)) }
}

/// The rules of NIST SP 800-63B: long, of any characters, not common, and not the user's own name or address.
fn check_nist(password: &str, person: &Person<'_>) -> Result<(), Vec<FieldError>> {
    /// Fewer different characters than this are a pattern.
    const DIFFERENT: usize = 5;
    let mut bad = Vec::new();
    let mut error = |wrong: bool, code, detail: &'static str| {
        if wrong {
            bad.push(FieldError::of_value(code, detail));
        }
    };
    let length = password.chars().count();
    error(
        length < NIST_MIN,
        "too-short",
        "has fewer than 15 characters: use 15 to 128, such as several words",
    );
    error(length > NIST_MAX, "too-long", "has more than 128 characters: use 15 to 128");
    error(
        password.chars().any(char::is_control),
        "bad-character",
        "has a control character, such as a tab: use letters, digits, spaces and other characters that can be seen",
    );
    let folded = Zeroizing::new(fold(password.trim()));
    let is = |name: &str| !name.is_empty() && *folded == fold(name);
    error(is(person.username), "contains-username", "is the username: choose another one");
    error(
        is(person.email) || is(&values::mail_address(person.email)),
        "contains-email",
        "is the e-mail address: choose another one",
    );
    let different: HashSet<char> = folded.chars().collect();
    error(
        is_common(password) || (length >= NIST_MIN && different.len() < DIFFERENT),
        "common",
        "is a common password, or a simple pattern: choose another, such as several unrelated words",
    );
    if bad.is_empty() { Ok(()) } else { Err(bad) }
}

/// Checks a permanent password by the rules of the contract and returns all errors. No detail contains the password.
///
/// The rule "not on a list of common passwords, compared ignoring case and what stands before and after it" is
/// implemented as follows: the lower-case password is compared with the list as a whole, without the special characters
/// at both ends, and without the digits and special characters at both ends; the entries of the list also count without
/// these. So `Password123-2024` is `password` and refused. Letters make a different word: `Xk9$password1a` is
/// `xk9$password1a` and accepted. That keeps the rule explainable and does not refuse every password that contains
/// `love`.
pub fn check(password: &str, person: &Person<'_>) -> Result<(), Vec<FieldError>> {
    let mut bad = Vec::new();
    shape(password, &mut bad);
    names(password, person, &mut bad);
    if is_common(password) {
        bad.push(FieldError::of_value(
            "common",
            "is a common password, with or without digits or special characters around it: choose another, such as several unrelated words",
        ));
    }
    if bad.is_empty() { Ok(()) } else { Err(bad) }
}

fn shape(password: &str, bad: &mut Vec<FieldError>) {
    let mut error = |wrong: bool, code, detail: &'static str| {
        if wrong {
            bad.push(FieldError::of_value(code, detail));
        }
    };
    let length = password.chars().count();
    error(length < MIN, "too-short", "has fewer than 12 characters: use 12 to 40");
    error(length > MAX, "too-long", "has more than 40 characters: use 12 to 40");
    error(
        !password.chars().all(is_allowed),
        "bad-character",
        "has a character that is not allowed: use Latin letters without accents, digits and the special characters of ASCII except the colon; no spaces",
    );
    error(
        password.chars().next().is_some_and(|c| !c.is_ascii_alphanumeric()),
        "bad-first-character",
        "must begin with a letter (A to Z, a to z) or digit",
    );
    error(
        password.chars().next_back().is_some_and(|c| !c.is_ascii_alphanumeric()),
        "bad-last-character",
        "must end with a letter (A to Z, a to z) or digit",
    );
    let lacks = |is: fn(char) -> bool| !password.chars().any(is);
    error(lacks(|c| c.is_ascii_uppercase()), "no-upper-case", "has no upper case letter: use one of A to Z");
    error(lacks(|c| c.is_ascii_lowercase()), "no-lower-case", "has no lower case letter: use one of a to z");
    error(lacks(|c| c.is_ascii_digit()), "no-digit", "has no digit: use one of 0 to 9");
    error(
        lacks(is_special),
        "no-special",
        "has no special character: use one such as - _ . ! or #, not at either end",
    );
}

fn is_allowed(c: char) -> bool {
    c.is_ascii_graphic() && c != ':'
}

fn is_special(c: char) -> bool {
    c.is_ascii_punctuation() && c != ':'
}

fn names(password: &str, person: &Person<'_>, bad: &mut Vec<FieldError>) {
    let folded = Zeroizing::new(fold(password));
    let contains = |name: &str| name.chars().count() >= 3 && folded.contains(&fold(name));
    // The key differs from the folded name for full-width letters, which a password has in ASCII.
    let key = values::username_key(person.username).unwrap_or_default();
    if contains(person.username) || contains(&key) {
        bad.push(FieldError::of_value("contains-username", "contains the username: remove it"));
    }
    if contains(person.first_name) {
        bad.push(FieldError::of_value("contains-first-name", "contains the first name: remove it"));
    }
    if contains(person.last_name) {
        bad.push(FieldError::of_value("contains-last-name", "contains the last name: remove it"));
    }
    if contains(person.email) || contains(&values::mail_address(person.email)) {
        bad.push(FieldError::of_value("contains-email", "contains the e-mail address: remove it"));
    }
}

/// Common passwords, one per line, in lower case, sorted by bytes.
const COMMON: &str = include_str!("common_passwords.txt");

fn is_common(password: &str) -> bool {
    /// The list, and each entry without its digits and special characters (`abc` of `abc123`), unless nothing is left.
    static LIST: LazyLock<HashSet<&'static str>> = LazyLock::new(|| {
        COMMON
            .lines()
            .flat_map(|entry| [Some(entry), Some(core(entry)).filter(|c| c.len() >= 3)])
            .flatten()
            .collect()
    });
    let lower = Zeroizing::new(password.to_ascii_lowercase());
    let bare = lower.trim_matches(|c: char| !c.is_ascii_alphanumeric());
    [lower.as_str(), bare, core(&lower)].into_iter().any(|candidate| LIST.contains(candidate))
}

/// Without the digits and special characters at both ends.
fn core(s: &str) -> &str {
    s.trim_matches(|c: char| !c.is_ascii_alphabetic())
}

/// Letters and digits that are not easily confused: without 0 1 I O l o.
const ALPHABET: &[u8; 56] = b"23456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnpqrstuvwxyz";
const GROUPS: usize = 4;
const GROUP: usize = 6;

/// A password that meets the formal policy for everybody: 24 random letters and digits of 56, which is 139 bits (less
/// 0.04 for having all classes), in four groups.
///
/// The special character is the underscore: a double click selects across it, lines do not wrap at it, and it has no
/// meaning in HTML or a shell.
pub fn generate_temporary(random: &Random) -> Zeroizing<String> {
    loop {
        let mut password = Zeroizing::new(String::with_capacity(GROUPS * (GROUP + 1)));
        let mut letters = 0;
        while letters < GROUPS * GROUP {
            // One call for all, with some reserve: bulk creation should not make one system call per letter.
            let mut pool = random.bytes::<48>();
            // 224 is the largest multiple of 56 in a byte: beyond it the first letters would be more likely.
            let fair = pool.iter().filter(|b| **b < 224).filter_map(|b| ALPHABET.get(usize::from(*b) % 56));
            for letter in fair.take(GROUPS * GROUP - letters) {
                if letters > 0 && letters % GROUP == 0 {
                    password.push('_');
                }
                password.push(char::from(*letter));
                letters += 1;
            }
            pool.zeroize();
        }
        let mut bad = Vec::new();
        shape(&password, &mut bad);
        if bad.is_empty() {
            return password;
        }
    }
}

/// A password that meets the whole policy for this person, so that it can be permanent: for the first admin.
pub fn generate(random: &Random, person: &Person<'_>) -> Zeroizing<String> {
    loop {
        // A name of three letters occurs by chance once in a few thousand.
        let password = generate_temporary(random);
        if check(&password, person).is_ok() {
            return password;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ADA: Person<'_> =
        Person { username: "Lovelace42", first_name: "Ada", last_name: "King", email: "al@example.com" };

    fn codes(password: &str, person: &Person<'_>) -> Vec<&'static str> {
        check(password, person).err().unwrap_or_default().into_iter().map(|bad| bad.code).collect()
    }

    #[test]
    fn the_rules_one_by_one() {
        for (password, expected) in [
            ("Tr0ub4dor&three", &[][..]),
            ("aB3!56789012", &[]),
            ("aB3!5678901", &["too-short"]),
            (&format!("aB3!{}", "x".repeat(36)), &[]),
            (&format!("aB3!{}", "x".repeat(37)), &["too-long"]),
            ("aB3:xxxxxxxxx", &["bad-character", "no-special"]),
            ("aB3! xxxxxxxx", &["bad-character"]),
            ("aB3!xxxxéxxxx", &["bad-character"]),
            ("aB3!xxxx\0xxxx", &["bad-character"]),
            ("!aB3xxxxxxxxx", &["bad-first-character"]),
            ("aB3xxxxxxxxx!", &["bad-last-character"]),
            ("éaB3!xxxxxxxxé", &["bad-character", "bad-first-character", "bad-last-character"]),
            ("ab3!xxxxxxxxx", &["no-upper-case"]),
            ("AB3!XXXXXXXXX", &["no-lower-case"]),
            ("aBc!xxxxxxxxx", &["no-digit"]),
            ("aB3xxxxxxxxxx", &["no-special"]),
            ("", &["too-short", "no-upper-case", "no-lower-case", "no-digit", "no-special"]),
        ] {
            assert_eq!(codes(password, &ADA), expected, "{password:?}");
        }
    }

    #[test]
    fn the_rules_of_nist_one_by_one() {
        let codes = |password: &str| -> Vec<&'static str> {
            let checked = check_by(PasswordPolicy::Nist, password, &ADA);
            checked.err().unwrap_or_default().into_iter().map(|bad| bad.code).collect()
        };
        for (password, expected) in [
            ("correct horse battery", &[][..]),
            ("наш дом стоит на горе", &[]),
            ("我们的房子在山上有一棵很大的树", &[]),
            ("fourteen chars", &["too-short"]),
            ("fifteen chars !", &[]),
            (&"correct horse battery staple ".repeat(5)[..128], &[]),
            (&"correct horse battery staple ".repeat(5)[..129], &["too-long"]),
            ("correct horse\tbattery", &["bad-character"]),
            ("aaaaaaaaaaaaaaaaaaaa", &["common"]),
            ("Password1234567890!", &["common"]),
            ("al@example.com", &["too-short", "contains-email"]),
        ] {
            assert_eq!(codes(password), expected, "{password:?}");
        }
        assert_eq!(check_by(PasswordPolicy::Contract, "Tr0ub4dor&three", &ADA), Ok(()));
        let composed = composed(Zeroizing::new(String::from("e\u{301}e")));
        assert_eq!(composed.as_str(), "\u{e9}e");
    }

    #[test]
    fn the_names_in_it() {
        for (password, expected) in [
            ("x7-lOvElAcE42-Zq", &["contains-username"][..]),
            ("x7-lovelace-42Zq", &[]),
            ("x7ADA-qwvuzrtPp", &["contains-first-name"]),
            ("x7-viKINGs-qwvuz", &["contains-last-name"]),
            ("x7-AL@example.COM-q", &["contains-email"]),
            ("x7-AL@example.net-q", &[]),
        ] {
            assert_eq!(codes(password, &ADA), expected, "{password:?}");
        }
        let short = Person { username: "q", first_name: "Jo", last_name: "", email: "" };
        assert_eq!(codes("x7-joqJO-mnbuzT", &short), [""; 0]);
        let wide =
            Person {
                username: "ＡＤＭＩＲＡＬ", first_name: "\u{212a}im", last_name: "李", email: ""
            };
        assert_eq!(codes("x7-Admiral-kim-Z9", &wide), ["contains-username", "contains-first-name"]);
    }

    #[test]
    fn common_ones() {
        let common = "Password123! 123-PassWord-456 Qwertyuiop-2024 1q2w3e4r5t6Y! P@ssw0rd-2024! Iloveyou!!!!!1 \
                      2024#Tenantry#1 --Abc123-- !!123456789!!";
        for password in common.split(' ') {
            assert!(is_common(password), "{password:?}");
        }
        let other =
            "Xk9$password1a 2024-Qwerty!1a Tr0ub4dor&three a123-456789-B !!! 593827164820 7-aB-123456";
        for password in other.split(' ').chain([""]) {
            assert!(!is_common(password), "{password:?}");
        }
        assert_eq!(codes("1Password-2024", &ADA), ["common"]);
    }

    #[test]
    fn the_list_is_in_order() {
        let entries: Vec<_> = COMMON.lines().collect();
        assert!(entries.len() > 500);
        assert!(entries.windows(2).all(|pair| pair[0] < pair[1]), "sorted, each once");
        for entry in entries {
            assert!(
                !entry.is_empty() && entry.bytes().all(|b| b.is_ascii_graphic() && !b.is_ascii_uppercase())
            );
        }
    }

    #[test]
    fn generated_for_a_person_with_awkward_names() {
        let person = Person { username: "b", first_name: "aaa", last_name: "zzz", email: "" };
        let random = Random::seeded(7);
        for _ in 0..100 {
            assert_eq!(check(&generate(&random, &person), &person), Ok(()));
        }
    }

    #[test]
    fn generated_letters_are_equally_likely() {
        let random = Random::seeded(11);
        let mut seen = std::collections::BTreeMap::<char, usize>::new();
        for _ in 0..2_000 {
            for c in generate_temporary(&random).chars() {
                *seen.entry(c).or_default() += 1;
            }
        }
        assert_eq!(seen.remove(&'_'), Some(6_000));
        assert_eq!(seen.len(), ALPHABET.len());
        // 857 expected of each, standard deviation 29 (digits a little more: they must be there).
        assert!(seen.values().all(|n| (700..1_050).contains(n)), "{seen:?}");
    }

    /// Part C, Passwords, in its own order and words; written without looking at [`shape`].
    fn meets_the_contract(password: &str) -> bool {
        let all: Vec<char> = password.chars().collect();
        let (Some(first), Some(last)) = (all.first(), all.last()) else { return false };
        let special = |c: &char| !c.is_ascii_alphanumeric();
        (12..=40).contains(&all.len())
            && first.is_ascii_alphanumeric()
            && last.is_ascii_alphanumeric()
            && all.iter().any(char::is_ascii_uppercase)
            && all.iter().any(char::is_ascii_lowercase)
            && all.iter().any(char::is_ascii_digit)
            && all.iter().any(special)
            && all.iter().all(|c| ('\u{21}'..='\u{7e}').contains(c) && *c != ':')
    }

    /// `name` with some of its letters in the other case.
    fn in_other_case(name: &str, flips: u16) -> String {
        let flip = |(n, c): (usize, char)| match flips >> (n % 16) & 1 {
            0 => c.to_ascii_lowercase(),
            _ => c.to_ascii_uppercase(),
        };
        name.chars().enumerate().map(flip).collect()
    }

    proptest! {
        #[test]
        fn the_shape_is_the_contracts(password in "[!-~]{0,45}|[0-9A-Za-z][!-9;-~]{10,38}[0-9A-Za-z]|\\PC{0,45}") {
            let mut bad = Vec::new();
            shape(&password, &mut bad);
            prop_assert_eq!(bad.is_empty(), meets_the_contract(&password), "{:?}", bad);
        }

        #[test]
        fn one_character_out_of_place_is_found(
            password in "[a-z][A-Z][0-9][!-9;-~]{9,36}[0-9A-Za-z]", at in 0..12_usize, wrong in "[: \t\u{7f}-\u{17f}]",
        ) {
            let mut chars: Vec<char> = password.chars().collect();
            chars.splice(at..=at, wrong.chars());
            let changed: String = chars.into_iter().collect();
            prop_assert!(codes(&changed, &ADA).contains(&"bad-character"));
        }

        #[test]
        fn names_of_three_characters_are_found_anywhere_in_any_case(
            name in "[a-z]{3,9}", before in "[A-Z][0-9][!-9;-~]{0,9}", after in "[!-9;-~]{0,9}[0-9]", flips: u16,
        ) {
            let password = format!("{before}{}{after}", in_other_case(&name, flips));
            let nobody = Person { username: "", first_name: "", last_name: "", email: "" };
            let email = format!("{name}@example.com");
            for (person, code) in [
                (Person { username: &name, ..nobody }, "contains-username"),
                (Person { first_name: &name, ..nobody }, "contains-first-name"),
                (Person { last_name: &name, ..nobody }, "contains-last-name"),
            ] {
                prop_assert!(codes(&password, &person).contains(&code));
            }
            // Only the whole address counts, and only names of three characters and more.
            let person = Person { email: &email, ..nobody };
            prop_assert!(!codes(&password, &person).contains(&"contains-email"));
            let short: String = name.chars().take(2).collect();
            let person = Person { username: &short, first_name: &short, last_name: &short, email: "" };
            prop_assert!(codes(&password, &person).iter().all(|code| !code.starts_with("contains")));
        }

        #[test]
        fn common_passwords_are_found_whatever_stands_around_them(
            which in 0..500_usize, before in "[0-9!-/]{0,6}", after in "[0-9!-/]{0,6}", flips: u16,
        ) {
            let entry = COMMON.lines().nth(which).unwrap_or_default();
            // What begins or ends with them itself is compared without them; nothing is left of digits alone.
            prop_assume!(core(entry).len() >= 3);
            let password = [before.as_str(), &in_other_case(entry, flips), after.as_str()].concat();
            prop_assert!(is_common(&password));
        }

        #[test]
        fn generated_passwords_meet_the_policy(seed: u64) {
            let password = generate_temporary(&Random::seeded(seed));
            let nobody = Person { username: "", first_name: "", last_name: "", email: "" };
            prop_assert_eq!(check(&password, &nobody), Ok(()));
            prop_assert_eq!(password.len(), 27);
            prop_assert!(password.bytes().all(|b| b == b'_' || ALPHABET.contains(&b)));
        }

        #[test]
        fn details_never_show_the_password(password in "\\PC{4,50}", name in "\\PC{0,10}") {
            let person = Person { username: &name, first_name: &name, last_name: &name, email: &name };
            for bad in check(&password, &person).err().unwrap_or_default() {
                prop_assert!(matches!(bad.detail, std::borrow::Cow::Borrowed(_)), "a fixed text");
            }
        }
    }
}
