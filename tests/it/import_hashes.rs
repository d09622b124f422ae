//! Password hashes in the forms in which people bring them: users with them log in, and what is not taken is named.

use std::path::{Path, PathBuf};

use reqwest::Method;
use serde_json::{Value, json};

use crate::binary::Home;
use crate::fixtures::with;
use crate::foreign_hashes::{BCRYPT, OLD};
use crate::harness::{Person, T, TestResponse, new_user};
use crate::import::lines;

/// The password of the files, but for two of them.
const PASSWORD: &str = "Old.Tea-Cup.12";
const FIREBASE: &str = "user1password";
const PHPASS: &str = "$P$Bsaltsalt2hmA/zz7oE3.oaKBFI4kt1";

/// The parameters of the README of firebase/scrypt, as the console shows them.
const FIREBASE_CONFIG: &str = "hash_config {
  algorithm: SCRYPT,
  base64_signer_key: jxspr8Ki0RYycVU8zykbdLGjFQ3McFUH0uiiTvC8pVMXAn210wjLNmdZJzxUECKbm0QsEmYUSDzZvpjeJ9WmXA==,
  base64_salt_separator: Bw==,
  rounds: 8,
  mem_cost: 14,
}
";
const FIREBASE_SALT: &str = "42xEC+ixf3L2lw==";
const FIREBASE_HASH: &str =
    "lSrfV15cpx95/sZS2W9c9Kp6i/LVgQNDNC/qzrCnh1SAyZvqmZqAjTdn3aoItz+VHjoZilo78198JAdRuid5lQ==";

fn field(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/field").join(name)
}

async fn send(person: &Person<'_>, query: &str, body: Vec<u8>, kind: &str) -> TestResponse {
    person.send(Method::POST, &format!("/api/v1/users/import{query}"), Some(body), kind).await
}

/// Imports a file over HTTP.
async fn import_file(person: &Person<'_>, query: &str, name: &str) -> Value {
    let kind = if name.ends_with(".csv") { "text/csv" } else { "application/x-ndjson" };
    send(person, query, std::fs::read(field(name)).unwrap(), kind).await.expect(200).body
}

async fn import(person: &Person<'_>, query: &str, rows: &[Value]) -> Value {
    send(person, query, lines(rows).into_bytes(), "application/x-ndjson").await.expect(200).body
}

fn row(name: &str, hash: &Value) -> Value {
    with(&new_user(name), json!({ "passwordHash": hash }))
}

/// `code detail` of each reason.
fn reasons(list: &Value) -> Vec<String> {
    let errors = list.as_array().unwrap().iter().flat_map(|row| row["errors"].as_array().unwrap());
    errors
        .map(|error| {
            assert_eq!(error["field"], "/passwordHash");
            format!("{} {}", error["code"].as_str().unwrap(), error["detail"].as_str().unwrap())
        })
        .collect()
}

/// Tries until it is answered with 200: on a machine that is busy with other things there may be no time for an expensive
/// hash, and the login is refused as any other.
async fn log_in(t: &T, name: &str, password: &str) {
    for _ in 0..200 {
        if t.try_login(name, password).await.status == 200 {
            return;
        }
    }
    panic!("{name} cannot log in");
}

fn stored(t: &T, name: &str) -> Vec<String> {
    let sql = format!(
        "SELECT p.hash FROM passwords p JOIN users u ON u.pid = p.pid AND u.user_id = p.user_id \
         WHERE u.username = '{name}' AND p.present = 1"
    );
    t.ask_sql(&sql).into_iter().map(|mut row| row.remove(0)).collect()
}

/// A server that locks nobody out by address.
async fn start() -> T {
    T::with(|config| config.login_failures_per_address = 1_000_000).await
}

#[tokio::test]
async fn users_of_other_systems_log_in_with_their_passwords() {
    let t = start().await;
    let admin = t.admin().await;
    let files = [
        ("F19-wordpress.ndjson", vec![("wp", "hashpwn")]),
        ("F20-kratos-scrypt.ndjson", vec![("kratos", PASSWORD)]),
        ("F21-aspnet.ndjson", vec![("v3", PASSWORD), ("v3net7", PASSWORD), ("v2", PASSWORD)]),
        ("F22-389ds.ndjson", vec![("ipa", PASSWORD)]),
        ("F24-keycloak.ndjson", vec![("kc", PASSWORD)]),
    ];
    for (file, users) in files {
        let response = import_file(&admin, "", file).await;
        assert_eq!(
            (&response["created"], &response["failed"]),
            (&json!(users.len()), &json!(0)),
            "{file}: {response}"
        );
        for (name, password) in users {
            t.try_login(name, "Old.Tea-Cup.13").await.expect(400);
            log_in(&t, name, password).await;
            let now = stored(&t, name);
            assert!(now.len() == 1 && now[0].starts_with("$argon2id$v=19$"), "{name}: {now:?}");
            t.login(name, password).await;
        }
    }
}

#[tokio::test]
async fn weak_hashes_are_imported_only_on_request() {
    let t = start().await;
    let admin = t.admin().await;
    // phpass and Django's SHA-1 are weak, the other four of the file are not.
    let response = import_file(&admin, "?dryRun=true", "F23-others.ndjson").await["result"].take();
    assert_eq!((&response["created"], &response["failed"]), (&json!(4), &json!(2)));
    let told = reasons(&response["rejected"]);
    assert!(told[0].starts_with("weak-hash is iterated MD5, from which"), "{told:?}");
    assert!(told[1].starts_with("weak-hash is one round of SHA, from which"), "{told:?}");
    assert!(told[0].contains("--allow-weak-hashes (allowWeakHashes=true)"), "{told:?}");
    let response = import_file(&admin, "?allowWeakHashes=true", "F23-others.ndjson").await;
    assert_eq!((&response["created"], &response["failed"]), (&json!(6), &json!(0)), "{response}");
    for (name, password) in [
        ("drupal7", PASSWORD),
        ("phpass", PASSWORD),
        ("shiro", PASSWORD),
        ("django1", PASSWORD),
        ("fbkratos", FIREBASE),
        ("fbsupa", FIREBASE),
    ] {
        log_in(&t, name, password).await;
        assert!(stored(&t, name)[0].starts_with("$argon2id$"), "{name}");
    }
    // The most expensive hash of each kind is known to the timing equalizer: Drupal's and Shiro's among them.
    let kinds = t.ask_sql("SELECT cost_kind FROM expensive_hashes ORDER BY cost_kind");
    assert_eq!(kinds.concat(), ["3", "12"]);
}

#[tokio::test]
async fn unusable_passwords_mean_none() {
    let t = start().await;
    let admin = t.admin().await;
    for (file, names) in [
        ("F18-no-password.ndjson", &["u0", "u1", "u2", "u3", "u4", "u5", "u6", "u7", "u8"][..]),
        ("F18-no-password.csv", &["c1", "c2"][..]),
    ] {
        let response = import_file(&admin, "", file).await;
        let expected = (&json!(names.len()), &json!(0), &json!(0));
        assert_eq!(
            (&response["created"], &response["failed"], &response["droppedHashes"]),
            expected,
            "{file}"
        );
        for name in names {
            assert!(stored(&t, name).is_empty(), "{name}");
        }
    }
    // Like a missing hash: with mail they get a password.
    let locked = json!(format!("!{BCRYPT}"));
    let rows = [row("mia", &json!("!")), row("noa", &locked), row("old", &json!(BCRYPT)), new_user("pia")];
    assert_eq!(import(&admin, "?sendMail=true", &rows).await["created"], 4);
    for name in ["mia", "noa", "pia"] {
        t.login(name, &t.mailed_password(name).await).await;
    }
    assert!(t.mails_to("old@example.com").await.is_empty());
    t.login("old", OLD).await;
}

#[tokio::test]
async fn what_only_looks_like_a_hash_is_named() {
    let t = start().await;
    let admin = t.admin().await;
    let response = import_file(&admin, "", "U11-ldif.ndjson").await;
    assert_eq!((&response["created"], &response["failed"]), (&json!(0), &json!(2)));
    for told in reasons(&response["rejected"]) {
        assert!(told.starts_with("unknown-hash looks like base64 of a hash: decode it"), "{told}");
    }
    let hex: String = BCRYPT.bytes().map(|byte| format!("{byte:02x}")).collect();
    let rows = [
        row("hex", &json!(hex)),
        row("quoted", &json!(format!("'{BCRYPT}'"))),
        row("clear", &json!("Plain.Text-Pass-1")),
        row("number", &json!(5)),
        row("object", &json!({ "a": BCRYPT })),
    ];
    let response = import(&admin, "", &rows).await;
    let expected = [
        "unknown-hash looks like hexadecimal of a hash",
        "unknown-hash is in quotes",
        "unknown-hash looks like a password in clear text",
        "wrong-type must be a string or an object, but is a number",
        "unknown-hash has no known form: as an object it must be",
    ];
    let told = reasons(&response["rejected"]);
    assert_eq!(told.len(), expected.len());
    for (told, expected) in told.iter().zip(expected) {
        assert!(told.starts_with(expected), "{told}");
    }
    for part in ["Plain.Text", &BCRYPT[7..], &hex[..20]] {
        assert!(!response.to_string().contains(part), "a hash is told to nobody: {response}");
    }
    // White space around a hash is none of it, and a scheme before it does not matter.
    let rows =
        [row("spaced", &json!(format!(" {BCRYPT}\n"))), row("crypt", &json!(format!("{{CRYPT}}{BCRYPT}")))];
    assert_eq!(import(&admin, "", &rows).await["created"], 2);
    for name in ["spaced", "crypt"] {
        t.login(name, OLD).await;
    }
}

#[tokio::test]
async fn users_can_be_imported_without_hashes_that_are_not_taken() {
    let t = start().await;
    let admin = t.admin().await;
    let expensive = BCRYPT.replace("$05$", "$15$");
    let rows = [
        row("weak", &json!(PHPASS)),
        row("good", &json!(BCRYPT)),
        row("clear", &json!("Plain.Text-Pass-1")),
        row("dear", &json!(expensive)),
        row("none", &json!("*")),
        with(&row("bad", &json!("secret")), json!({ "status": "gone" })),
    ];
    let tried = import(&admin, "?dryRun=true&unknownHashes=drop", &rows).await["result"].take();
    let response = import(&admin, "?unknownHashes=drop", &rows).await;
    assert_eq!(tried, response);
    let counts = [&response["created"], &response["failed"], &response["droppedHashes"]];
    assert_eq!(counts, [&json!(5), &json!(1), &json!(3)]);
    let codes: Vec<String> = reasons(&response["dropped"])
        .iter()
        .map(|reason| reason.split(' ').next().unwrap().to_owned())
        .collect();
    assert_eq!(codes, ["weak-hash", "unknown-hash", "hash-too-expensive"]);
    let places: Vec<_> =
        response["dropped"].as_array().unwrap().iter().map(|row| row["line"].clone()).collect();
    assert_eq!(places, [1, 3, 4]);
    assert_eq!(response["rejected"].as_array().unwrap().len(), 1);
    t.login("good", OLD).await;
    for name in ["weak", "clear", "dear"] {
        assert!(stored(&t, name).is_empty(), "{name}");
    }
    // They request a password, as users without one do.
    t.anonymous().post("/api/v1/users/forgot-password", &json!({ "username": "weak" })).await.expect(202);
    t.login("weak", &t.mailed_password("weak").await).await;
    // Nothing else than the two names, and not on a create.
    for query in ["?unknownHashes=keep", "?allowWeakHashes=maybe", "?unknownHashes=drop&unknownHashes=drop"] {
        let body = lines(&rows).into_bytes();
        send(&admin, query, body, "application/x-ndjson").await.expect(400);
    }
}

#[tokio::test]
async fn a_resumed_import_keeps_the_count_of_dropped_hashes() {
    let t = start().await;
    let admin = t.admin().await;
    let body = lines(&[row("weak", &json!(PHPASS)), row("good", &json!(BCRYPT))]);
    let keyed = async |query: &str| {
        let path = format!("/api/v1/users/import{query}");
        let request = admin.request(Method::POST, &path).header("idempotency-key", "moving");
        let request = request.header("content-type", "application/x-ndjson").body(body.clone());
        TestResponse::of(request.send().await.unwrap()).await.expect(200).body
    };
    let first = keyed("?unknownHashes=drop").await;
    assert_eq!((&first["created"], &first["droppedHashes"]), (&json!(2), &json!(1)));
    assert_eq!(keyed("?unknownHashes=drop").await, first, "replayed");
    // With other options it is another import.
    assert_eq!(keyed("").await["failed"], 2);
}

/// The lines of a report.
fn report(home: &Home, name: &str) -> Vec<Value> {
    let text = std::fs::read_to_string(home.path().join(name)).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[tokio::test]
async fn the_command_has_the_same_options() {
    let home = Home::new();
    assert_eq!(home.serve().terminate().code, Some(0));
    let rows =
        [row("weak", &json!(PHPASS)), row("clear", &json!("Plain.Text-Pass-1")), row("good", &json!(BCRYPT))];
    std::fs::write(home.path().join("rows.ndjson"), lines(&rows)).unwrap();

    let tried = home.command("import rows.ndjson --partner 1 --dry-run");
    assert!(tried.out.contains("line 1: reject: passwordHash is iterated MD5, from which"), "{}", tried.out);
    let tried =
        home.command("import rows.ndjson --partner 1 --dry-run --allow-weak-hashes --unknown-hashes drop");
    assert_eq!(tried.code, Some(0), "{}", tried.err);
    let told: Vec<&str> = tried.out.lines().collect();
    assert_eq!(told[0], "line 1: create weak");
    let clear = "line 2: create clear, without a password: passwordHash looks like a password in clear text";
    assert!(told[1].starts_with(clear) && told[1].ends_with("(unknown-hash)"), "{}", told[1]);
    assert_eq!(told[2], "line 3: create good");
    assert!(tried.out.contains("wouldDropHashes: 1\n"), "{}", tried.out);

    // A plan has the options in it.
    home.command("import rows.ndjson --partner 1 --plan plan --unknown-hashes drop").done();
    let both = home.command("import rows.ndjson --partner 1 --apply plan --unknown-hashes refuse");
    assert_eq!(both.code, Some(2), "{}", both.err);
    let done = home.json("import rows.ndjson --partner 1 --apply plan --report report");
    let counts = [&done["created"], &done["rejected"], &done["droppedHashes"]];
    assert_eq!(counts, [&json!(3), &json!(0), &json!(2)], "{done}");
    let report = report(&home, "report");
    let brief: Vec<String> = report
        .iter()
        .map(|line| format!("{} {} {}", line["line"], line["action"], line["errors"][0]["code"]))
        .collect();
    assert_eq!(brief, ["1 \"create\" \"weak-hash\"", "2 \"create\" \"unknown-hash\""]);
    let text = json!(report).to_string();
    assert!(!text.contains("Plain.Text") && !text.contains(&PHPASS[4..]), "{text}");
    let wrong = home.command("import rows.ndjson --partner 1 --unknown-hashes keep");
    assert!(wrong.code == Some(2) && wrong.err.contains("must be refuse or drop"), "{}", wrong.err);
}

#[tokio::test]
async fn hashes_of_firebase_get_their_parameters_from_a_file() {
    let home = Home::new();
    let server = home.serve();
    std::fs::write(home.path().join("hash_config.txt"), FIREBASE_CONFIG).unwrap();
    let user = |salt: &str, hash: &str| json!({ "passwordHash": hash, "salt": salt });
    let rows = [
        row("fay", &user(FIREBASE_SALT, FIREBASE_HASH)),
        row("google", &json!({ "passwordHash": null, "salt": null })),
    ];
    std::fs::write(home.path().join("rows.ndjson"), lines(&rows)).unwrap();
    let csv = format!(
        "username,status,firstName,lastName,email,passwordHash\n\
         fil,ACTIVE,Fil,Fine,fil@example.com,$fbscrypt${FIREBASE_SALT}${FIREBASE_HASH}\n"
    );
    std::fs::write(home.path().join("rows.csv"), csv).unwrap();

    let without = home.command("import rows.ndjson --partner 1");
    assert!(without.err.contains("lacks the parameters of Firebase's project: use --firebase-hash-config"));
    let with = "--partner 1 --firebase-hash-config hash_config.txt";
    assert_eq!(home.json(&format!("import rows.csv {with}"))["created"], 1);
    let done = home.command(&format!("import rows.ndjson {with} --report report"));
    // Who had no password was imported before.
    assert!(done.out.starts_with("created: 1\n"), "{}", done.out);
    for name in ["fay", "fil"] {
        let logged_in = async || {
            for _ in 0..200 {
                let form = [("grant_type", "password"), ("client_id", "tenantry"), ("username", name)];
                let form = [&form[..], &[("password", FIREBASE)]].concat();
                if server.anonymous().form("/oauth/token", &form).await.status == 200 {
                    return true;
                }
            }
            false
        };
        assert!(logged_in().await, "{name}");
    }
    // The key stays secret, whatever is wrong with the file.
    for (from, to) in [("rounds: 8,", ""), ("SCRYPT", "STANDARD_SCRYPT")] {
        std::fs::write(home.path().join("wrong.txt"), FIREBASE_CONFIG.replace(from, to)).unwrap();
        let wrong = home.command("import rows.csv --partner 1 --firebase-hash-config wrong.txt");
        assert!(
            wrong.code == Some(1) && wrong.err.contains("wrong.txt must contain the hash_config"),
            "{}",
            wrong.err
        );
        assert!(!wrong.err.contains("jxspr8Ki") && wrong.out.is_empty());
    }
    let wrong = home.command("import rows.csv --partner 1 --firebase-hash-config missing.txt");
    assert!(wrong.err.contains("cannot read missing.txt"), "{}", wrong.err);
}
