//! Settings: faults, where they come from, what is in force.

use std::fs;

use serde_json::{Value, json};

use crate::binary::{GIVEN, Home, Process, binary, tenantry};
use crate::harness::ADMIN_PASSWORD;

#[test]
fn every_fault_of_the_settings_is_named_at_once() {
    let home = Home::new();
    let file = "lock-out-threshold = 3\nbody-limit = \"many\"\nlisten = \"127.0.0.1:0\"\n";
    fs::write(home.path().join("tenantry.toml"), file).unwrap();
    let env = [("TENANTRY_LISTNE", "127.0.0.1:1"), ("TENANTRY_SMTP_URL", "smtp://ada:hush-hush@")];
    let said = home.refused(&["--access-token-seconds", "0"], &env).refused(2);
    for what in [
        "tenantry: lock-out-threshold (tenantry.toml)",
        "tenantry: body-limit = \"many\" (tenantry.toml)",
        "tenantry: TENANTRY_LISTNE",
        "tenantry: smtp-url",
        "tenantry: access-token-seconds = \"0\" (flag --access-token-seconds)",
    ] {
        assert!(said.lines().any(|line| line.starts_with(what)), "{what} is not in {said}");
    }
    assert_eq!(said.lines().count(), 5, "{said}");
    assert!(said.contains("TENANTRY_LISTEN"), "it says what was meant: {said}");
    assert!(!said.contains("hush-hush"), "{said}");
    assert!(!home.data().exists());
    // A flag that is none, and a command that is none.
    let unknown = home.refused(&["--listne", "x"], &[]);
    assert!(unknown.code == Some(2) && unknown.err.contains("--listen"), "{}", unknown.err);
    assert_eq!(home.command("severe").code, Some(2));
    // A broken file, a missing one.
    fs::write(home.path().join("tenantry.toml"), "listen = \n").unwrap();
    assert!(home.refused(&[], &[]).refused(2).contains("tenantry.toml"));
    fs::remove_file(home.path().join("tenantry.toml")).unwrap();
    assert!(home.refused(&["--config", "mine.toml"], &[]).refused(2).contains("mine.toml"));
}

#[test]
fn config_shows_what_is_in_force_and_where_it_came_from() {
    let home = Home::new();
    let file = "lockout-threshold = 3\nadmin-password = \"hush-hush-1\"\nmail-from = \"Users <users@example.com>\"\n";
    fs::write(home.path().join("tenantry.toml"), file).unwrap();
    let env = [
        ("TENANTRY_SMTP_URL", "smtp://ada:hush-hush-2@mail.example.com:2525"),
        ("TENANTRY_LOCKOUT_THRESHOLD", "4"),
        ("TENANTRY_TRUSTED_PROXIES", "10.0.0.0/8,::1"),
    ];
    let shown = |args: &[&str]| {
        let args: Vec<&str> = ["config", "--lockout-threshold", "7"].iter().chain(args).copied().collect();
        let output = tenantry(binary(), home.path(), &args, &env).output().unwrap();
        assert!(output.status.success());
        String::from_utf8(output.stdout).unwrap()
    };
    let lines = shown(&[]);
    let line = |name: &str| {
        let found = lines.lines().find(|l| l.trim_start_matches("# ").starts_with(name));
        found
            .unwrap_or_else(|| panic!("no {name} in {lines}"))
            .split_whitespace()
            .collect::<Vec<_>>()
            .join(" ")
    };
    assert_eq!(line("lockout-threshold"), "lockout-threshold = 7 # flag --lockout-threshold");
    assert_eq!(line("listen"), "listen = \"127.0.0.1:8080\" # default");
    assert_eq!(line("mail-from"), "mail-from = \"Users <users@example.com>\" # tenantry.toml");
    assert!(
        line("smtp-url").ends_with("# TENANTRY_SMTP_URL") && line("smtp-url").contains("mail.example.com")
    );
    assert!(line("admin-password").ends_with("# tenantry.toml"));
    assert!(!lines.contains("hush"), "{lines}");
    let text = shown(&["--json"]);
    assert!(!text.contains("hush"), "{text}");
    let all: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(all["lockout-threshold"], json!({ "value": 7, "from": "flag --lockout-threshold" }));
    for setting in tenantry::config::settings() {
        assert!(all.get(setting.name).is_some(), "{}", setting.name);
    }
    assert!(!home.data().exists(), "it only shows");
}

#[tokio::test]
async fn settings_come_from_the_file_in_the_working_directory() {
    let home = Home::new();
    let file = "is-admin-as-string = true\ndata-dir = \"elsewhere\"\nadmin-username = \"ada\"\nlog-format = \"json\"\n";
    fs::write(home.path().join("tenantry.toml"), file).unwrap();
    let server = Process::serve(home.path(), &["--log", "debug"], &GIVEN);
    let ada = server.login("ada", ADMIN_PASSWORD).await;
    assert_eq!(ada.get("/api/v1/self").await.expect(200).body["isAdmin"], "true");
    assert!(!home.data().exists());
    // Commands read it too.
    assert_eq!(home.json("user get ada")["userId"], 1);
    let ended = server.terminate();
    let lines: Vec<Value> = ended.err.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let answered = lines.iter().find(|line| line["fields"]["path"] == "/api/v1/users/self").unwrap();
    assert_eq!(answered["fields"]["status"], 200, "{answered}");
    assert!(answered["fields"]["took_us"].is_u64(), "a number, to be summed up: {answered}");
    assert!(answered["fields"]["id"].as_str().is_some_and(|id| !id.is_empty()), "{answered}");
}
