//! Settings that hold a secret: from files of their own, and hidden.

use super::file::FILE;
use crate::config::tests::{error, errors, good, load, load_with};
use crate::config::*;

/// The settings that hold a secret, each with a value and what `tenantry config` shows of it.
const SECRETS: [(&str, &str, &str); 4] = [
    ("admin-password", "Hush-hush-1234", "***"),
    ("database-url", "postgres://robot:hush@db/tenantry", "postgres://robot:***@db/tenantry"),
    ("master-key", "hushHUSHhushHUSHhushHUSHhushHUSHhushHUSHhus=", "***"),
    ("smtp-url", "smtps://robot:hush@mail.example.com", "smtps://robot:***@mail.example.com"),
];

fn exposed(c: &Config, name: &str) -> String {
    match name {
        "admin-password" => c.admin_password.as_ref().map(|secret| secret.expose().to_owned()),
        "master-key" => c.master_key.as_ref().map(|key| key.to_text().trim_end().to_owned()),
        "smtp-url" => c.smtp_url.as_ref().map(|url| url.expose().to_owned()),
        "database-url" => match &c.database_url {
            DatabaseUrl::Postgres(url) => Some(url.expose().to_owned()),
            DatabaseUrl::Sqlite(path) => Some(path.display().to_string()),
        },
        other => panic!("{other}"),
    }
    .unwrap_or_default()
}

/// Flags, variables, the text of the configuration file, and the origin that is shown.
type Way = (Vec<String>, Vec<String>, Option<String>, String);

/// The three ways to name a file: flag, variable and line.
fn ways(name: &str, path: &str) -> [Way; 3] {
    let (file, variable) = (format!("{name}-file"), reader::variable(&format!("{name}-file")));
    [
        (vec![format!("{file}={path}")], vec![], None, format!("{path}, flag --{file}")),
        (vec![], vec![format!("{variable}={path}")], None, format!("{path}, {variable}")),
        (vec![], vec![], Some(format!("{file} = '{path}'")), format!("{path}, {FILE}")),
    ]
}

#[test]
fn secrets_come_from_files_of_their_own() {
    for (name, value, shown) in SECRETS {
        for (end, dropped) in
            [("", true), ("\n", true), ("\r\n", true), (" ", false), ("\t", false), ("\r", false)]
        {
            let content = format!("{value}{end}");
            for (flags, env, file, from) in ways(name, "/run/secrets/it") {
                let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
                let env: Vec<&str> = env.iter().map(String::as_str).collect();
                let others = [("/run/secrets/it", content.as_bytes())];
                let loaded = load_with(&flags, &env, file.as_deref(), &others);
                if !dropped {
                    // A space belongs to the value, which may be invalid with it; control characters are refused.
                    if let Ok(c) = loaded {
                        assert_eq!((exposed(&c, name), end), (content.clone(), " "));
                    }
                    continue;
                }
                let c = loaded.unwrap_or_else(|e| panic!("{name}: {e:?}"));
                assert_eq!(exposed(&c, name), value);
                assert_eq!(c.origin(name).unwrap().to_string(), from);
                let text = c.render(false);
                assert!(!text.contains("ush") && !format!("{c:?}").contains("ush"), "{text}");
                assert!(text.contains(&format!("# {name} = \"{shown}\"")), "{text}");
                // Made into a file, it names the file of the secret and not its value.
                let table: toml::Table = text.parse().unwrap();
                assert_eq!(table[&format!("{name}-file")].as_str(), Some("/run/secrets/it"));
                assert!(!table.contains_key(name));
                let json: Value = serde_json::from_str(&c.render(true)).unwrap();
                assert_eq!(json[name], json!({ "value": shown, "from": from }));
            }
        }
    }
}

#[test]
fn every_secret_setting_has_a_file() {
    let names: Vec<&str> = settings().iter().map(|s| s.name).collect();
    for (name, ..) in SECRETS {
        assert!(names.contains(&format!("{name}-file").as_str()), "{name}");
    }
    for setting in settings().iter().filter(|s| s.doc.contains("password") && s.name.ends_with("-url")) {
        assert!(SECRETS.iter().any(|(name, ..)| *name == setting.name), "{} is not tested", setting.name);
    }
}

#[test]
fn a_line_break_at_the_end_of_a_given_secret_is_dropped() {
    for (name, value, _) in SECRETS {
        for end in ["\n", "\r\n"] {
            let given = format!("{}={value}{end}", reader::variable(name));
            assert_eq!(exposed(&load(&[], &[&given], None).unwrap(), name), value);
            assert_eq!(exposed(&good(&format!("{name}={value}{end}")), name), value);
        }
        let text = error(&format!("{name}={value}\n\n"));
        assert!(text.contains("control characters") && !text.contains("ush"), "{text}");
    }
    let file = "admin-password = \"\"\"\nHush-hush-1234\n\"\"\"";
    assert_eq!(exposed(&load(&[], &[], Some(file)).unwrap(), "admin-password"), "Hush-hush-1234");
    // Other settings stay exact.
    assert!(error("listen=127.0.0.1:1\n").contains("control characters"));
}

#[test]
fn a_value_and_its_file_have_one_precedence() {
    let files: [(&str, &[u8]); 1] = [("it", b"Of-the-file-1")];
    let password = |flags: &[&str], env: &[&str], file| {
        load_with(flags, env, file, &files).map(|c| exposed(&c, "admin-password"))
    };
    let line = Some("admin-password = 'Of-the-line-1'");
    let line_file = Some("admin-password-file = 'it'");
    assert_eq!(password(&[], &["TENANTRY_ADMIN_PASSWORD_FILE=it"], line).unwrap(), "Of-the-file-1");
    assert_eq!(
        password(&["admin-password-file=it"], &["TENANTRY_ADMIN_PASSWORD=x"], None).unwrap(),
        "Of-the-file-1"
    );
    assert_eq!(
        password(&["admin-password=Flag-1"], &["TENANTRY_ADMIN_PASSWORD_FILE=it"], None).unwrap(),
        "Flag-1"
    );
    // A file that is not used is not read.
    assert_eq!(
        password(&["admin-password=Flag-1"], &["TENANTRY_ADMIN_PASSWORD_FILE=gone"], line_file).unwrap(),
        "Flag-1"
    );
    let both = "admin-password = 'Of-the-line-1'\nadmin-password-file = 'it'";
    for (flags, env, file, wanted) in [
        (
            vec![],
            vec!["TENANTRY_ADMIN_PASSWORD=hush", "TENANTRY_ADMIN_PASSWORD_FILE=it"],
            None,
            "admin-password (TENANTRY_ADMIN_PASSWORD) cannot be set together with admin-password-file \
             (TENANTRY_ADMIN_PASSWORD_FILE): remove one of them",
        ),
        (
            vec!["smtp-url=smtp://a", "smtp-url-file=it"],
            vec![],
            None,
            "smtp-url (flag --smtp-url) cannot be set together with smtp-url-file (flag --smtp-url-file): remove one \
             of them",
        ),
        (
            vec![],
            vec![],
            Some(both),
            "admin-password (tenantry.toml) cannot be set together with admin-password-file (tenantry.toml): remove one \
             of them",
        ),
    ] {
        let all = load_with(&flags, &env, file, &files).unwrap_err();
        assert_eq!(all.iter().map(ToString::to_string).collect::<Vec<_>>(), [wanted]);
    }
}

#[test]
fn files_that_hold_no_secret_are_refused_by_name() {
    let large = vec![b'x'; (64 << 10) + 1];
    let bad: [(&[u8], &str); 9] = [
        (b"", "is empty"),
        (b"\n", "is empty"),
        (b" \r\n", "is empty"),
        (b"hush\n\n", "has more than one line"),
        (b"hush\nhush", "has more than one line"),
        (b"hu\0sh", "contains control characters"),
        (b"hush\xff\xfe", "is not UTF-8 text"),
        (b"\xef\xbb\xbfhush", "begins with a byte order mark"),
        (&large, "is larger than 64 KiB"),
    ];
    for (name, ..) in SECRETS {
        let flag = format!("{name}-file=/run/secrets/it");
        for (content, why) in bad {
            let all = load_with(&[&flag], &[], None, &[("/run/secrets/it", content)]).unwrap_err();
            assert_eq!(all.len(), 1, "{all:?}");
            let text = all[0].to_string();
            let start = format!("{name}-file = \"/run/secrets/it\" (flag --{name}-file) {why}");
            assert!(text.starts_with(&start) && !text.contains("hush"), "{text}");
        }
        assert!(error(&flag).contains("cannot be read: "), "it is missing");
        assert!(error(&format!("{name}-file=")).contains("is empty: set a value, or remove it"));
    }
    // A value that is invalid is reported with its file, and not shown.
    let all = load_with(&["smtp-url-file=it"], &[], None, &[("it", b"robot:hush@mail")]).unwrap_err();
    assert!(
        all[0].to_string().starts_with("smtp-url = \"***\" (it, flag --smtp-url-file) does not begin with")
    );
    assert!(errors(&[], &[], Some("admin-password-file = 7"))[0].contains("must be a string"));
    assert!(errors(&[], &["TENANTRY_LISTEN_FILE=x"], None)[0].contains("unknown setting"));
}
