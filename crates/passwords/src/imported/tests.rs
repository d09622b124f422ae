use serde_json::json;

use crate::imported::*;
use crate::{HashCost, Hasher};
use tenantry_core::random::Random;
use zeroize::Zeroizing;

const BCRYPT: &str = "$2b$05$abcdefghijklmnopqrstuuKNj3B0UBWGwSQWggCU91.xLxJdl9ZBe";
const SSHA: &str = "{SSHA}nq9U8mmaO/WxGYfpN7Z8Ufqei/FzYWx0c2FsdA==";
const PHPASS: &str = "$P$Bsaltsalt2hmA/zz7oE3.oaKBFI4kt1";
const PASSWORD: &str = "Old.Tea-Cup.12";

/// The parameters of the README of firebase/scrypt, as the console shows them.
const CONFIG: &str = "hash_config {
  algorithm: SCRYPT,
  base64_signer_key: jxspr8Ki0RYycVU8zykbdLGjFQ3McFUH0uiiTvC8pVMXAn210wjLNmdZJzxUECKbm0QsEmYUSDzZvpjeJ9WmXA==,
  base64_salt_separator: Bw==,
  rounds: 8,
  mem_cost: 14,
}
";
const FIREBASE_HASH: &str =
    "lSrfV15cpx95/sZS2W9c9Kp6i/LVgQNDNC/qzrCnh1SAyZvqmZqAjTdn3aoItz+VHjoZilo78198JAdRuid5lQ==";
const FIREBASE_SALT: &str = "42xEC+ixf3L2lw==";

fn refuse(value: &Value) -> FieldError {
    import_hash(value, &HashPolicy::default()).unwrap_err()
}

fn taken(value: &Value, policy: &HashPolicy) -> String {
    match import_hash(value, policy) {
        Ok(ImportedHash::Hash(hash)) => hash,
        other => panic!("{value}: {other:?}"),
    }
}

async fn is_of(hash: &str, password: &str) -> bool {
    let hasher = Hasher::new(1, 8, HashCost::FOR_TESTS, Random::seeded(1)).unwrap();
    hasher.verify(Zeroizing::new(password.to_owned()), vec![hash.to_owned()]).await.unwrap().is_some()
}

#[test]
fn unusable_passwords_are_none() {
    let django = format!("!{}", "k3J9sQ0YpZxW2v8TqLr5NcBd7FgHmAeUiOy1P4S6");
    let locked = format!("!{BCRYPT}");
    let locked_twice = format!("!!{BCRYPT}");
    let in_scheme = format!("{{CRYPT}}!{BCRYPT}");
    let openbsd = format!("*LOCKED*{BCRYPT}");
    for none in [
        "",
        " ",
        "!",
        "!!",
        "*",
        "**",
        "x",
        "!*",
        "!x",
        "NP",
        "*LK*",
        "*NP*",
        "*0",
        "*1",
        "{CRYPT}*",
        "{CRYPT}!",
        "{CRYPT}x",
        "{crypt}!!",
        "{CRYPT}",
        "*********",
        " ! ",
        &django,
        &locked,
        &locked_twice,
        &in_scheme,
        &openbsd,
    ] {
        assert_eq!(import_hash(&json!(none), &HashPolicy::default()), Ok(ImportedHash::None), "{none}");
    }
    assert_eq!(import_hash(&Value::Null, &HashPolicy::default()), Ok(ImportedHash::None));
    // Passwords in clear text, and a hash of MySQL.
    for text in
        ["!Summer2024", "*2470C0C06DEE42FD1618BB99005ADCA2EC9D1E19", "xx", "{SSHA}!", "! secret", "*secret*"]
    {
        assert_eq!(refuse(&json!(text)).code, "unknown-hash", "{text}");
    }
}

#[test]
fn white_space_and_schemes_around_a_known_hash_do_not_matter() {
    let policy = HashPolicy::default();
    for text in [format!(" {BCRYPT}\r\n"), format!("\t{BCRYPT}")] {
        assert_eq!(taken(&json!(text), &policy), BCRYPT);
    }
    for scheme in ["{CRYPT}", "{crypt}", "{BCRYPT}", "{BLF-CRYPT}"] {
        let text = format!("{scheme}{BCRYPT}");
        assert_eq!(taken(&json!(text), &policy), text);
    }
}

#[test]
fn hints_name_what_is_wrong_and_no_part_of_the_value() {
    let hex = |text: &str| crate::digests::hex(text.as_bytes());
    let cases = [
        // {SSHA}... and {CRYPT}$6$..., as an LDIF file has them.
        ("e1NTSEF9Z2RmcmwzUzdjd1Y5WmlNdWtxdWZES0VwaWU4QkFnTUVCUVlIQ0E9PQ==".to_owned(), "looks like base64 of a hash"),
        (
            "e0NSWVBUfSQ2JHNhbHRzYWx0JC4wS3AzRlZkWmJEWHFDUGV1RGtCUncwdVZaZTBMWkQ2QzgwdUhOazJoNkhyV2tpZ2xtVzQ2MWF5\n NC5RSURhTEhHdm9LbC9tc3djOTF3LnJDdDU1SWMv".to_owned(),
            "looks like base64 of a hash",
        ),
        (
            "JDJiJDA1JGFiY2RlZmdoaWprbG1ub3BxcnN0dXVLTmozQjBVQldHd1NRV2dnQ1U5MS54THhKZGw5WkJl".to_owned(),
            "looks like base64 of a hash",
        ),
        (hex(SSHA), "looks like hexadecimal of a hash"),
        (format!("\\x{}", hex(BCRYPT)), "looks like hexadecimal of a hash"),
        (format!("0x{}", hex(BCRYPT).to_uppercase()), "looks like hexadecimal of a hash"),
        ("3456e907221518f420fedad55b195cb2".to_owned(), "looks like MD5 in hexadecimal"),
        ("ed5caa34693d4f4496947a2c60a7357025e0c527".to_owned(), "looks like SHA-1 in hexadecimal"),
        ("0123456789abcdef".repeat(4), "looks like SHA-256 in hexadecimal"),
        (format!("\"{BCRYPT}\""), "is in quotes"),
        (format!("'{SSHA}'"), "is in quotes"),
        (format!("ada:{BCRYPT}"), "looks like a line of a password file"),
        (format!("ada:{BCRYPT}:19000:0:99999:7:::"), "looks like a line of a password file"),
        ("Plain.Text-Pass-1".to_owned(), "looks like a password in clear text"),
        ("correct horse battery staple, and one more word".to_owned(), "looks like a password in clear text"),
        ("{CLEAR}secret-thing".to_owned(), "looks like a password in clear text"),
        ("$y$j9T$F5Jx5fExrKuPp53xLKQ..1$X3DX6M94c7o.9agCG9G317fhZg9SqC.5i5rd.RhAtQ7".to_owned(), "is yescrypt"),
        ("{SASL}ada@example.com".to_owned(), "refers to a password on another server"),
        (BCRYPT.replace("$2b$", "$2x$"), "is bcrypt with a known flaw"),
        ("$unknown$abcdefghijklmnop".to_owned(), "has an unknown form; known are"),
    ];
    for (text, expected) in cases {
        let error = refuse(&json!(text));
        assert_eq!(error.code, "unknown-hash", "{text}");
        assert!(error.detail.starts_with(expected), "{text}: {}", error.detail);
        assert!(!error.detail.contains(&text), "{}", error.detail);
    }
    // What comes out must be a hash: other base64 and hexadecimal is not called one.
    for text in
        ["aGVsbG8gd29ybGQsIHRoaXMgaXMgbm8gaGFzaCBhdCBhbGw=", "68656c6c6f20776f726c642c2074686973206973206e6f"]
    {
        assert!(!refuse(&json!(text)).detail.contains("of a hash:"), "{text}");
    }
}

#[test]
fn weak_hashes_need_the_switch() {
    let error = refuse(&json!(PHPASS));
    assert_eq!(error.code, "weak-hash");
    assert!(error.detail.starts_with("is iterated MD5,") && error.detail.contains("--allow-weak-hashes"));
    let policy = HashPolicy { allow_weak: true, ..HashPolicy::default() };
    assert_eq!(taken(&json!(PHPASS), &policy), PHPASS);
    // The switch is about weak hashes only.
    assert_eq!(import_hash(&json!("secret"), &policy).unwrap_err().code, "unknown-hash");
}

#[test]
fn hashes_that_are_not_taken_can_be_dropped() {
    let policy = HashPolicy { unknown: UnusableHashes::Drop, ..HashPolicy::default() };
    let expensive = BCRYPT.replace("$05$", "$14$");
    for (text, code) in
        [("secret", "unknown-hash"), (PHPASS, "weak-hash"), (&expensive, "hash-too-expensive")]
    {
        match import_hash(&json!(text), &policy) {
            Ok(ImportedHash::Dropped(why)) => assert_eq!(why.code, code, "{text}"),
            other => panic!("{text}: {other:?}"),
        }
    }
    assert_eq!(taken(&json!(BCRYPT), &policy), BCRYPT);
    assert_eq!(import_hash(&json!("!"), &policy), Ok(ImportedHash::None));
    assert_eq!(import_hash(&json!(5), &policy).unwrap_err().code, "wrong-type");
}

/// A credential of Keycloak; `data` and `secret` as text, as it writes them.
fn credential(data: &Value, secret: &Value) -> Value {
    json!({ "type": "password", "credentialData": data.to_string(), "secretData": secret.to_string() })
}

fn pbkdf2(algorithm: &str, rounds: u32, value: &str) -> Value {
    credential(
        &json!({ "hashIterations": rounds, "algorithm": algorithm, "additionalParameters": {} }),
        &json!({ "value": value, "salt": "AQIDBAUGBwgJCgsMDQ4PEA==", "additionalParameters": {} }),
    )
}

#[tokio::test]
async fn credentials_of_keycloak_are_taken() {
    let sha256 = "lyRSRT1UPWXeeM6PMxi623ys+jeZ79mk9eD4gloAnMpob5e0Icicb+TfnuBeHXUoLzYNvpLfEe/2yewZL44LUQ==";
    let sha512 = "v7BkUyXSxX36blx8uZw9Q3C7Ik2S2bzGwRQubyPa7QRBmJ4Wqz0pPc2yXuiRACWMobzBDSRW1JKp8vjqqfTTSQ==";
    let sha1 = "oGF09DZ8TnVcY5AS92Vgp0F5Z/GohVCb8UTbF5r2rqh0TzUhxIk8NvhYxhHn5KMRJEDQpLh8/ej7LNcedGwyCg==";
    // The vector of the reference implementation of Argon2 (test.c), in Keycloak's form.
    let argon2 = credential(
        &json!({
            "hashIterations": 2,
            "algorithm": "argon2",
            "additionalParameters": {
                "hashLength": ["32"], "memory": ["256"], "type": ["id"], "version": ["1.3"], "parallelism": ["2"],
            },
        }),
        &json!({ "value": "bQk8UB/VmZZF4Oo79iDXuL5/0ttZwg2f/5U52iv1cDc=", "salt": "c29tZXNhbHQ=" }),
    );
    let otp = json!({ "type": "otp", "secretData": "{}", "credentialData": "{\"algorithm\":\"HmacSHA1\"}" });
    let bare = json!({
        "secretData": { "value": sha256, "salt": "AQIDBAUGBwgJCgsMDQ4PEA==" },
        "credentialData": { "hashIterations": 27_500, "algorithm": "pbkdf2-sha256" },
    });
    let old = json!({
        "type": "password", "hashedSaltedValue": sha256, "salt": "AQIDBAUGBwgJCgsMDQ4PEA==",
        "hashIterations": 27_500, "algorithm": "pbkdf2-sha256", "digits": 0,
    });
    let policy = HashPolicy::default();
    for (value, password) in [
        (pbkdf2("pbkdf2-sha256", 27_500, sha256), PASSWORD),
        (pbkdf2("pbkdf2-sha512", 3_000, sha512), PASSWORD),
        (pbkdf2("pbkdf2", 2_000, sha1), PASSWORD),
        (json!(pbkdf2("pbkdf2", 2_000, sha1).to_string()), PASSWORD),
        (json!([otp, pbkdf2("pbkdf2-sha256", 27_500, sha256)]), PASSWORD),
        (bare, PASSWORD),
        (old, PASSWORD),
        (argon2, "password"),
    ] {
        let hash = taken(&value, &policy);
        assert!(is_of(&hash, password).await, "{value}");
        assert!(!is_of(&hash, "Old.Tea-Cup.13").await, "{value}");
    }
    for none in [json!([]), json!([otp]), json!("[]"), otp.clone()] {
        assert_eq!(import_hash(&none, &policy), Ok(ImportedHash::None), "{none}");
    }
    // SHA-1 with Keycloak's own rounds and 64 bytes of output is four blocks, of which one is computed.
    taken(&pbkdf2("pbkdf2", 1_300_000, sha1), &policy);
    for (value, detail) in [
        (json!({ "type": "password", "credentialData": "{}" }), "has no secretData: a realm export"),
        (json!({}), "has no known form: as an object"),
        (json!([5]), "has no known form: as an object"),
        (pbkdf2("bcrypt", 10, sha1), "looks like a credential of Keycloak, but"),
        (pbkdf2("pbkdf2-md5", 10, sha1), "looks like a credential of Keycloak, but"),
        (pbkdf2("pbkdf2-sha256", 27_500, "?"), "looks like a credential of Keycloak, but"),
    ] {
        let error = refuse(&value);
        assert_eq!(error.code, "unknown-hash", "{value}");
        assert!(error.detail.starts_with(detail), "{value}: {}", error.detail);
    }
    assert_eq!(refuse(&pbkdf2("pbkdf2-sha256", 1_500_001, sha256)).code, "hash-too-expensive");
}

#[tokio::test]
async fn hashes_of_firebase_get_the_parameters_of_the_import() {
    let firebase = Some(FirebaseParameters::parse(CONFIG).unwrap());
    let policy = HashPolicy { firebase, ..HashPolicy::default() };
    let short = format!("$fbscrypt${FIREBASE_SALT}${FIREBASE_HASH}");
    let user = json!({ "localId": "1", "passwordHash": FIREBASE_HASH, "salt": FIREBASE_SALT });
    // The export has the alphabet of URLs.
    let url = short.replace('+', "-").replace('/', "_");
    for value in [json!(short), json!(url), user.clone(), json!(user.to_string())] {
        let hash = taken(&value, &policy);
        assert!(is_of(&hash, "user1password").await && !is_of(&hash, "user1passwore").await, "{value}");
        assert!(refuse(&value).detail.starts_with("lacks the parameters of Firebase's project"));
    }
    for none in [json!({ "passwordHash": "", "salt": "" }), json!({ "passwordHash": null, "salt": null })] {
        assert_eq!(import_hash(&none, &policy), Ok(ImportedHash::None));
        assert_eq!(import_hash(&none, &HashPolicy::default()), Ok(ImportedHash::None));
    }
    assert!(!format!("{policy:?}").contains("jxspr8Ki"), "the signer key is secret");
}

#[test]
fn parameters_of_firebase_are_parsed_as_the_console_shows_them() {
    let expected = FirebaseParameters::parse(CONFIG).unwrap();
    let json = r#"{"hash_config":{"algorithm":"SCRYPT","base64_signer_key":"jxspr8Ki0RYycVU8zykbdLGjFQ3McFUH0uiiTvC8pVMXAn210wjLNmdZJzxUECKbm0QsEmYUSDzZvpjeJ9WmXA==","base64_salt_separator":"Bw==","rounds":8,"mem_cost":14}}"#;
    let one_line = CONFIG.replace('\n', " ");
    let windows = CONFIG.replace('\n', "\r\n");
    for text in [json, &one_line, &windows] {
        assert_eq!(FirebaseParameters::parse(text).as_ref(), Ok(&expected), "{text}");
    }
    for (from, to, error) in [
        ("rounds: 8,", "", "rounds is missing"),
        ("rounds: 8", "rounds: many", "rounds must be a number"),
        ("mem_cost: 14", "mem_cost: 0", "mem_cost must be a number"),
        ("SCRYPT", "BCRYPT", "algorithm must be SCRYPT"),
        ("Bw==", "?!", "base64_salt_separator must be base64"),
        ("base64_signer_key", "key", "base64_signer_key is missing"),
    ] {
        assert_eq!(FirebaseParameters::parse(&CONFIG.replace(from, to)), Err(error.to_owned()));
    }
}
