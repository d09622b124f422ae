use super::file::FILE;
use std::collections::HashMap;
use std::io::Cursor;

use crate::config::*;

/// What a person gives: `flags` and `env` as `name=value`, the default file's text.
pub(super) fn load(flags: &[&str], env: &[&str], file: Option<&str>) -> Result<Config, Vec<ConfigError>> {
    load_with(flags, env, file, &[])
}

/// As [`load`], with more files.
pub(super) fn load_with(
    flags: &[&str],
    env: &[&str],
    file: Option<&str>,
    others: &[(&str, &[u8])],
) -> Result<Config, Vec<ConfigError>> {
    let pairs = |list: &[&str]| -> Vec<(String, String)> {
        list.iter().filter_map(|s| s.split_once('=')).map(|(k, v)| (k.into(), v.into())).collect()
    };
    let files: HashMap<&Path, &[u8]> = file
        .map(|text| (FILE, text.as_bytes()))
        .into_iter()
        .chain(others.iter().copied())
        .map(|(path, bytes)| (Path::new(path), bytes))
        .collect();
    Config::load(pairs(flags), pairs(env), |path| {
        let bytes = files.get(path).ok_or(io::ErrorKind::NotFound)?;
        Ok(Box::new(Cursor::new(bytes.to_vec())))
    })
}

pub(super) fn errors(flags: &[&str], env: &[&str], file: Option<&str>) -> Vec<String> {
    load(flags, env, file).unwrap_err().iter().map(ToString::to_string).collect()
}

/// The only error of a flag; there must be one.
pub(super) fn error(flag: &str) -> String {
    let all = errors(&[flag], &[], None);
    assert_eq!(all.len(), 1, "{all:?}");
    all.into_iter().next().unwrap()
}

pub(super) fn good(flag: &str) -> Config {
    load(&[flag], &[], None).unwrap_or_else(|f| panic!("{flag}: {f:?}"))
}

#[test]
fn defaults_are_those_of_the_documentation() {
    let c = load(&[], &[], None).unwrap();
    assert_eq!(c.listen.to_string(), "127.0.0.1:8080");
    assert_eq!(c.data_dir, Path::new("./tenantry-data"));
    assert_eq!(c.database_url, DatabaseUrl::Sqlite("./tenantry-data/tenantry.db".into()));
    assert_eq!(c.public_url, "http://localhost:8080");
    assert_eq!((c.admin_username.as_str(), c.admin_email.as_str()), ("admin", "admin@localhost"));
    assert!(c.admin_password.is_none() && c.smtp_url.is_none() && c.trusted_proxies.is_empty());
    assert_eq!((c.access_token_seconds, c.refresh_token_seconds), (21_600, 2_592_000));
    assert_eq!(c.refresh_reuse_seconds, 10);
    assert_eq!((c.temporary_password_seconds, c.password_expiry_days), (86_400, 0));
    assert_eq!((c.lockout_threshold, c.login_failures_per_address), (5, 100));
    assert_eq!(c.page_requests_per_address, 6_000);
    assert_eq!((c.forgot_password_per_address, c.deleted_user_days, c.event_days), (20, 30, 0));
    assert_eq!((c.second_factor, c.remember_device_days), (SecondFactorPolicy::Optional, 30));
    assert_eq!(c.password_policy, PasswordPolicy::Contract);
    assert_eq!((c.email_change_hold_hours, c.body_limit), (24, 8 * 1024 * 1024));
    assert!(c.worker_threads >= 1 && !c.is_admin_as_string && !c.admins_have_all_permissions);
    assert_eq!(c.permission_catalogue, Catalogue::default());
    assert_eq!((c.log.as_str(), c.log_format), ("info", LogFormat::Text));
    assert!(c.origins.iter().all(|s| s.origin == Origin::Default));
    assert_eq!(c.file, None);
}

#[test]
fn every_default_can_be_given_as_it_is_shown() {
    for setting in settings() {
        let text = match &setting.value {
            Value::String(text) => text.clone(),
            Value::Array(_) => String::new(),
            Value::Null => continue,
            other => other.to_string(),
        };
        good(&format!("{}={text}", setting.name));
    }
}

#[test]
fn flag_before_variable_before_line_before_default() {
    let file = "listen = '127.0.0.1:1'\nlockout-threshold = 7\nbody-limit = '1MiB'";
    let env = ["TENANTRY_LISTEN=127.0.0.1:2", "TENANTRY_LOCKOUT_THRESHOLD=8", "PATH=/bin"];
    let c = load(&["listen=127.0.0.1:3"], &env, Some(file)).unwrap();
    assert_eq!((c.listen.port(), c.lockout_threshold, c.body_limit), (3, 8, 1 << 20));
    let from = |name| c.origin(name).unwrap().to_string();
    assert_eq!(from("listen"), "flag --listen");
    assert_eq!(from("lockout-threshold"), "TENANTRY_LOCKOUT_THRESHOLD");
    assert_eq!(from("body-limit"), "tenantry.toml");
    assert_eq!(from("log"), "default");
    assert_eq!(c.public_url, "http://localhost:3");
}

#[test]
fn every_fault_at_once_with_place_and_remedy() {
    let all = errors(
        &["listen=localhost:80"],
        &["TENANTRY_LOCKOUT_THRESHOLD=0", "TENANTRY_LISTNE=x", "TENANTRY_ADMIN_PASSWORT=hush-hush"],
        Some("body-limit = '8MB'\nlog-fromat = 'json'\nis-admin-as-string = 'yes'\nlog = 7"),
    );
    for wanted in [
        "listen = \"localhost:80\" (flag --listen) must be an address and port such as",
        "TENANTRY_LISTNE is an unknown setting; did you mean TENANTRY_LISTEN?",
        "TENANTRY_ADMIN_PASSWORT is an unknown setting; did you mean TENANTRY_ADMIN_PASSWORD?",
        "lockout-threshold = \"0\" (TENANTRY_LOCKOUT_THRESHOLD) must be a number of failures between 1 and 1000",
        "body-limit = \"8MB\" (tenantry.toml) must be between 1KiB and 1GiB",
        "log-fromat (tenantry.toml) is an unknown setting; did you mean log-format?",
        "is-admin-as-string = \"yes\" (tenantry.toml) must be true or false",
        "log = \"7\" (tenantry.toml) must be a string: put the value in quotes",
    ] {
        assert!(all.iter().any(|f| f.starts_with(wanted)), "{wanted} is not in {all:#?}");
    }
    assert_eq!(all.len(), 8);
    assert!(!format!("{all:?}").contains("hush"));
}

#[test]
fn origins_are_written_as_browsers_send_them() {
    let origins = |text: &str| good(&format!("cors-origins={text}")).cors_origins;
    assert_eq!(load(&[], &[], None).unwrap().cors_origins, CorsOrigins::None);
    assert_eq!(origins(""), CorsOrigins::None);
    assert_eq!(origins("*"), CorsOrigins::Any);
    let these = [
        "https://app.example.com",
        "http://localhost:3000",
        "https://[2001:db8::1]:8443",
        "capacitor://localhost",
    ];
    assert_eq!(origins(&these.join(" , ")), CorsOrigins::These(these.map(String::from).to_vec()));
    let c = load(&[], &[], Some("cors-origins = ['https://a.example', 'https://b.example']")).unwrap();
    assert!(matches!(c.cors_origins, CorsOrigins::These(origins) if origins.len() == 2));
    for (bad, remedy) in [
        ("https://app.example/", "write https://app.example, without a slash"),
        ("https://app.example/path", "write https://app.example, without a slash"),
        ("https://app.example?x", "write https://app.example, without a slash"),
        ("app.example", "has no scheme: write such as https://"),
        ("//app.example", "has no scheme"),
        ("localhost:3000", "has no scheme"),
        ("null", "name the origin"),
        ("*,https://app.example", "write * alone"),
        ("https://*.example", "list each origin"),
        ("https://APP.example", "browsers send as https://app.example"),
        ("HTTPS://app.example", "browsers send as https://app.example"),
        ("https://app.example:443", "browsers send as https://app.example"),
        ("http://app.example:80", "browsers send as http://app.example"),
        ("https://b\u{fc}cher.example", "browsers send as https://xn--bcher-kva.example"),
        ("https://user@app.example", "write only scheme, host and port"),
        ("https://", "not an origin"),
        ("https://app.example:99999", "not an origin"),
        ("https://a b.example", "not an origin"),
        ("https://good.example, bad", "\"bad\""),
    ] {
        let error = error(&format!("cors-origins={bad}"));
        assert!(error.contains(remedy), "{bad}: {error}");
    }
}

#[test]
fn one_header_names_the_client() {
    for (text, header) in [
        ("auto", ForwardedHeader::Auto),
        ("X-Forwarded-For", ForwardedHeader::XForwardedFor),
        ("forwarded", ForwardedHeader::Forwarded),
    ] {
        assert_eq!(good(&format!("forwarded-header={text}")).forwarded_header, header);
    }
    assert!(error("forwarded-header=x-real-ip").contains("must be auto, x-forwarded-for or forwarded"));
}

#[test]
fn mapped_networks_are_ipv4() {
    let nets = |text: &str| good(&format!("trusted-proxies={text}")).trusted_proxies;
    let parsed = |text: &str| vec![text.parse::<IpNet>().unwrap()];
    assert_eq!(nets("::ffff:10.0.0.0/104"), parsed("10.0.0.0/8"));
    assert_eq!(nets("::ffff:10.0.0.7"), parsed("10.0.0.7/32"));
    assert_eq!(nets("::ffff:0:0/96"), parsed("0.0.0.0/0"));
    assert_eq!(nets("2001:db8::/32"), parsed("2001:db8::/32"));
    assert_eq!(nets("::/0"), parsed("::/0"));
}

#[test]
fn names_that_are_far_from_any_get_no_suggestion() {
    assert!(
        errors(&[], &["TENANTRY_COLOUR=red"], None)[0]
            .ends_with("`tenantry serve --help` lists all settings")
    );
    assert!(errors(&[], &["TENANTRY_DATABASE=x"], None)[0].ends_with("did you mean TENANTRY_DATABASE_URL?"));
    assert!(errors(&[], &[], Some("data_dir = 'x'"))[0].ends_with("did you mean data-dir?"));
    assert!(
        errors(&[], &[], Some("[smtp]\nurl = 'x'"))[0]
            .starts_with("smtp (tenantry.toml) is an unknown setting")
    );
}

#[test]
fn variables_of_kubernetes_services_are_not_ours() {
    let links = [
        "TENANTRY_SERVICE_HOST=10.0.0.1",
        "TENANTRY_SERVICE_PORT=80",
        "TENANTRY_SERVICE_PORT_HTTP=80",
        "TENANTRY_PORT=tcp://10.0.0.1:80",
        "TENANTRY_PORT_80_TCP=tcp://10.0.0.1:80",
        "TENANTRY_PORT_80_TCP_ADDR=10.0.0.1",
        "TENANTRY_DB_SERVICE_HOST=10.0.0.2",
    ];
    assert!(load(&[], &links, None).is_ok());
    assert_eq!(errors(&[], &["TENANTRY_PORT=8080"], None).len(), 1);
}

#[test]
fn a_given_file_must_exist() {
    let all = errors(&["config=gone.toml"], &[], None);
    assert_eq!(all.len(), 1);
    assert!(all[0].starts_with("config = \"gone.toml\" (flag --config) cannot be read"), "{all:?}");
    assert!(load(&[], &["TENANTRY_CONFIG=tenantry.toml"], Some("")).is_ok());
    assert!(errors(&[], &[], Some("config = 'x'"))[0].contains("cannot be set in the configuration file"));
    let c = load(&[], &[], Some("")).unwrap();
    assert_eq!(c.file.as_deref(), Some(Path::new(FILE)));
}

#[test]
fn a_malformed_file_is_reported_without_its_text_and_with_the_other_errors() {
    let all = errors(&["listen=x"], &[], Some("listen = '127.0.0.1:1'\nadmin-password = \"hush-hush"));
    assert_eq!(all.len(), 2, "{all:?}");
    assert!(
        all[0].starts_with("config = \"tenantry.toml\" (tenantry.toml) in line 2 is not TOML: "),
        "{all:?}"
    );
    assert!(!format!("{all:?}").contains("hush"));
}

#[test]
fn secrets_stay_hidden() {
    let c = load(
        &[],
        &[
            "TENANTRY_ADMIN_PASSWORD=Hush-hush-1234",
            "TENANTRY_SMTP_URL=smtps://robot:Hush%2F2@mail.example.com?tls=required",
        ],
        None,
    )
    .unwrap();
    assert_eq!(c.admin_password.as_ref().unwrap().expose(), "Hush-hush-1234");
    assert!(c.smtp_url.as_ref().unwrap().expose().contains("Hush%2F2"));
    for text in [format!("{c:?}"), c.render(false), c.render(true)] {
        assert!(!text.contains("ush"), "{text}");
        assert!(text.contains("smtps://robot:***@mail.example.com?tls=required"), "{text}");
    }
    // Made into a file, it must not set the password to "***".
    let table: toml::Table = c.render(false).parse().unwrap();
    assert!(!table.contains_key("admin-password") && !table.contains_key("smtp-url"));
}

#[test]
fn faults_do_not_quote_secrets() {
    for flag in [
        "smtp-url=smtp://robot:hush@/x",
        "smtp-url=robot:hush@mail.example.com",
        "smtp-url=smtp://robot:25/hush@mail.example.com",
        "smtp-url=smtp://robot:hu#hush@mail.example.com",
        "smtp-url=smtp://robot:hush@hush@mail.example.com",
        "smtp-url=smtp://:hush@mail.example.com",
        "smtp-url=smtp://robot:hu%sh-hush@mail.example.com",
        "smtp-url=smtp://robot:hush@mail.example.com?tls=hush",
        "admin-password=\u{7}hush",
        "database-url=postgres://robot:hush/hush@db/tenantry",
        "database-url=postgres:robot:hush@db/tenantry",
        "database-url=postgres://db?user=robot&password=hush",
        "public-url=https://robot:hush@users.example.com",
        "sign-in-url=https://robot:hush@users.example.com",
    ] {
        let text = error(flag);
        assert!(!text.contains("hush"), "{text}");
    }
}

#[test]
fn database_paths() {
    let path = |flag| match good(flag).database_url {
        DatabaseUrl::Sqlite(path) => path,
        DatabaseUrl::Postgres(url) => panic!("{url}"),
    };
    assert_eq!(path("database-url=sqlite:rel/t.db"), Path::new("rel/t.db"));
    assert_eq!(path("database-url=sqlite:/abs/t.db"), Path::new("/abs/t.db"));
    assert_eq!(path("database-url=sqlite:///abs/t.db"), Path::new("/abs/t.db"));
    assert_eq!(path("data-dir=/srv/x"), Path::new("/srv/x/tenantry.db"));
    for (good_url, shown) in [
        ("postgres://robot:hush@db/tenantry", "postgres://robot:***@db/tenantry"),
        (
            "postgresql://robot@a:1,b:2/t?target_session_attrs=read-write",
            "postgresql://***@a:1,b:2/t?target_session_attrs=read-write",
        ),
        ("postgres:///t?host=/run/postgresql&user=robot&password=hush", "postgres:///t?***"),
    ] {
        let url = good(&format!("database-url={good_url}")).database_url;
        assert!(matches!(&url, DatabaseUrl::Postgres(url) if url.expose() == good_url));
        assert_eq!(url.to_string(), shown);
        assert!(!format!("{url:?}").contains("hush"));
    }
    for (bad, why) in [
        ("postgres:db/tenantry", "no //"),
        ("postgres://db/tenantry", "has no user"),
        ("postgres://robot@/tenantry", "has no host"),
        ("postgres://robot@db", "has no database"),
        ("postgres://robot:a/b@db/tenantry", "must be escaped"),
    ] {
        assert!(error(&format!("database-url={bad}")).contains(why), "{bad}");
    }
    for bad in [
        "t.db",
        "mysql://x",
        "sqlite:",
        "sqlite://rel.db",
        "sqlite::memory:",
        "sqlite:a/",
        "sqlite:a?mode=ro",
    ] {
        error(&format!("database-url={bad}"));
    }
}

#[test]
fn sizes() {
    for (text, bytes) in
        [("1024", 1024), ("512KiB", 524_288), ("8MiB", 8_388_608), ("8 mib", 8_388_608), ("1GiB", 1 << 30)]
    {
        assert_eq!(good(&format!("body-limit={text}")).body_limit, bytes);
    }
    for bad in
        ["8MB", "0", "1023", "2GiB", "-1", "MiB", "1.5MiB", "99999999999999999999", "18014398509481984KiB"]
    {
        error(&format!("body-limit={bad}"));
    }
    assert_eq!(load(&[], &[], Some("body-limit = 2048")).unwrap().body_limit, 2048);
}

#[test]
fn memory_of_bodies() {
    assert_eq!(good("body-memory=64MiB").body_memory, 64 << 20);
    assert_eq!((good("log=info").body_memory, good("body-memory=2GiB").body_memory), (256 << 20, 2 << 30));
    for bad in ["64MB", "0", "1023KiB", "65GiB", "-1MiB"] {
        error(&format!("body-memory={bad}"));
    }
}

#[test]
fn who_may_read_metrics() {
    let allows = |c: &Config, peer: &str| crate::app::http_settings(c).allows_metrics(peer.parse().unwrap());
    let nobody = good("log=info");
    assert!(!allows(&nobody, "127.0.0.1") && !allows(&nobody, "::1"));
    assert_eq!(nobody.metrics_listen, None);
    let c = good("metrics-allow=127.0.0.1, 10.1.2.3/8,2001:db8::/32");
    assert!(allows(&c, "127.0.0.1") && allows(&c, "::ffff:10.0.0.1") && allows(&c, "2001:db8::1"));
    assert!(!allows(&c, "127.0.0.2") && !allows(&c, "::1") && !allows(&c, "192.0.2.1"));
    for (text, at) in [("9100", "127.0.0.1:9100"), ("[::]:9100", "[::]:9100"), ("0.0.0.0:1", "0.0.0.0:1")] {
        assert_eq!(good(&format!("metrics-listen={text}")).metrics_listen, Some(at.parse().unwrap()));
    }
    for bad in
        ["metrics-listen=65536", "metrics-listen=localhost:1", "metrics-listen=:1", "metrics-allow=all"]
    {
        error(bad);
    }
}

#[test]
fn proxies() {
    let c = good("trusted-proxies=10.1.2.3/8, 192.0.2.7,2001:db8::/32");
    let trusts = |peer: &str| crate::app::http_settings(&c).trusts(peer.parse().unwrap());
    assert!(trusts("10.200.0.1") && trusts("::ffff:10.0.0.1"));
    assert!(trusts("192.0.2.7") && !trusts("192.0.2.8"));
    assert!(trusts("2001:db8::1"));
    let file = load(&[], &[], Some("trusted-proxies = ['10.0.0.0/8', '::1']")).unwrap();
    assert_eq!(file.trusted_proxies.len(), 2);
    assert_eq!(load(&[], &["TENANTRY_TRUSTED_PROXIES="], None).unwrap().trusted_proxies, []);
    assert!(error("trusted-proxies=10.0.0.1,10.0.0.0/33").contains("\"10.0.0.0/33\""));
    assert!(errors(&[], &[], Some("trusted-proxies = [1]"))[0].contains("must be a list of strings"));
    assert!(errors(&[], &[], Some("listen = ['a', 'b']"))[0].contains("must be a string in quotes"));
}

#[test]
fn public_addresses() {
    assert_eq!(good("public-url=https://u.example.com/").public_url, "https://u.example.com");
    assert_eq!(good("public-url=http://[::1]:80/base/").public_url, "http://[::1]:80/base");
    for bad in
        ["u.example.com", "ftp://x", "https://", "https://x?y", "https://x#y", "http://x:99999", "http://a b"]
    {
        error(&format!("public-url={bad}"));
    }
    for here in ["127.0.0.1:81", "[::1]:81", "0.0.0.0:81", "[::]:81"] {
        assert_eq!(good(&format!("listen={here}")).public_url, "http://localhost:81");
    }
    // Nothing listens on localhost.
    for elsewhere in ["192.0.2.7:81", "127.0.0.2:81", "[2001:db8::7]:81"] {
        assert_eq!(good(&format!("listen={elsewhere}")).public_url, format!("http://{elsewhere}"));
    }
    let mut given = good("public-url=https://u.example.com");
    given.listening_on("127.0.0.1:5".parse().unwrap());
    assert_eq!(given.public_url, "https://u.example.com");
}

#[test]
fn the_sign_in_page_of_the_product() {
    let of = |url: &str| good(&format!("sign-in-url={url}")).sign_in_url;
    assert_eq!(good("listen=127.0.0.1:1").sign_in_url, None);
    assert_eq!(
        of("https://shop.example.com/login?next=%2F#a").unwrap(),
        "https://shop.example.com/login?next=%2F#a"
    );
    assert_eq!(of("http://LOCALHOST:3000").unwrap(), "http://localhost:3000/");
    assert_eq!(of("https://bücher.example/an melden").unwrap(), "https://xn--bcher-kva.example/an%20melden");
    for bad in [
        "",
        "shop.example.com/login",
        "/login",
        "ftp://x/",
        "javascript:alert(1)",
        "https://",
        "https://a@b/",
        "https://:b@c/",
        "http://x:99999/",
    ] {
        error(&format!("sign-in-url={bad}"));
    }
}

#[test]
fn settings_of_the_mail_relay() {
    let none = good("listen=127.0.0.1:1");
    assert!(none.smtp_ca_file.is_none() && none.smtp_helo.is_none());
    assert!(none.smtp_oauth_token_file.is_none() && none.smtp_oauth_token_command.is_none());
    for name in ["users.example.com", "mx-1", "[192.0.2.1]", "[IPv6:2001:db8::1]"] {
        assert_eq!(good(&format!("smtp-helo={name}")).smtp_helo.as_deref(), Some(name));
    }
    let long = "a".repeat(256);
    for bad in ["a b", "a_b", "-a", "a-.b", "a.", "[1.2.3]", "1::2", "ü.example", &long] {
        assert!(error(&format!("smtp-helo={bad}")).contains("must be the name of this machine"), "{bad}");
    }
    // A user without a password may have a token.
    assert!(good("smtp-url=smtps://ada%40example.com@mail.example.com").smtp_url.is_some());
    let command = good("smtp-oauth-token-command=cat /run/token | head -1").smtp_oauth_token_command;
    assert_eq!(command.as_deref(), Some("cat /run/token | head -1"));
    assert_eq!(good("smtp-ca-file=/etc/ca.pem").smtp_ca_file.as_deref(), Some(Path::new("/etc/ca.pem")));
}

#[test]
fn mail_settings() {
    assert!(good("smtp-url=smtp://127.0.0.1:2525").smtp_url.is_some());
    assert!(good("smtp-url=smtp://a:b@localhost?tls=required").smtp_url.is_some());
    assert_eq!(good("mail-from=x@example.com").mail_from.email.to_string(), "x@example.com");
    for bad in
        ["smtp-url=http://x", "smtp-url=smtp://", "mail-from=nobody", "admin-email=nobody", "admin-email=@x"]
    {
        error(bad);
    }
}

#[test]
fn other_values_out_of_bounds() {
    for bad in [
        "listen=",
        "data-dir= ",
        "data-dir=a\u{fffd}b",
        "data-dir=a\0b",
        "admin-username=two words",
        "admin-first-name= Ada",
        "access-token-seconds=0",
        "access-token-seconds=99999999999",
        "password-expiry-days=-1",
        "worker-threads=0",
        "is-admin-as-string=1",
        "log=inof",
        "log=tenantry=loud",
        "log-format=xml",
    ] {
        error(bad);
    }
    assert_eq!(good("log=info,tenantry_store=trace").log, "info,tenantry_store=trace");
    assert!(load(&[], &[], Some("is-admin-as-string = true")).unwrap().is_admin_as_string);
}

#[test]
fn rendered_lines_are_toml_and_name_their_origin() {
    let c = load(&["listen=127.0.0.1:9"], &["TENANTRY_TRUSTED_PROXIES=::1"], Some("log-format = 'json'"))
        .unwrap();
    let text = c.render(false);
    let table: toml::Table = text.parse().unwrap();
    assert_eq!(table["listen"].as_str(), Some("127.0.0.1:9"));
    let origin_of = |name: &str| {
        let line = text.lines().find(|l| l.starts_with(name)).unwrap();
        line.split_once(" # ").unwrap().1.trim().to_owned()
    };
    assert_eq!(origin_of("listen ="), "flag --listen");
    assert_eq!(origin_of("trusted-proxies ="), "TENANTRY_TRUSTED_PROXIES");
    assert_eq!(origin_of("log-format ="), "tenantry.toml");
    assert_eq!(origin_of("log ="), "default");
    assert!(text.contains("# smtp-url is not set") && text.contains("# config: tenantry.toml"));
    let json: Value = serde_json::from_str(&c.render(true)).unwrap();
    assert_eq!(json["listen"], json!({ "value": "127.0.0.1:9", "from": "flag --listen" }));
    assert_eq!(json["trusted-proxies"]["value"], json!(["::1/128"]));
    assert_eq!(json["smtp-url"], json!({ "value": null, "from": "default" }));
}

#[test]
fn a_catalogue_is_a_table_or_json() {
    let table = "[permission-catalogue.DOCUMENT]\nperObject = ['READ', 'SIGN']\n\
        [permission-catalogue.DOCUMENT.wildcards]\nREAD_ALL = ['READ']\nALL = ['READ', 'SIGN']\n\
        [permission-catalogue.ALBUM]\nwildcards = { SEE = [] }";
    let json = r#"{
        "DOCUMENT": { "perObject": ["READ", "SIGN"], "wildcards": { "READ_ALL": ["READ"], "ALL": ["READ", "SIGN"] } },
		"ALBUM": { "wildcards": { "SEE": [] } }
    }"#;
    let from_file = load(&[], &[], Some(table)).unwrap().permission_catalogue;
    let from_variable =
        load(&[], &[&format!("TENANTRY_PERMISSION_CATALOGUE={json}")], None).unwrap().permission_catalogue;
    assert_eq!(from_file, from_variable);
    // As it stands there, not by the alphabet.
    let names: Vec<_> = from_file.types().iter().map(|t| t.name.as_str()).collect();
    assert_eq!(names, ["DOCUMENT", "ALBUM"]);
    // What `tenantry config` shows can be put into a file.
    let shown = load(&[], &[], Some(table)).unwrap().render(false);
    let line = shown.lines().find(|line| line.starts_with("permission-catalogue")).unwrap();
    assert_eq!(load(&[], &[], Some(line)).unwrap().permission_catalogue, from_file);
}

#[test]
fn all_problems_of_a_catalogue_are_reported_with_the_other_errors() {
    let all = errors(
        &["listen=x"],
        &[],
        Some(
            "[permission-catalogue]\nDOCUMENT = { perObject = ['READ'], wildcards = { ALL = ['FLY'] } }\nEMPTY = {}",
        ),
    );
    assert_eq!(all.len(), 2, "{all:?}");
    for wanted in [
        "permission-catalogue (tenantry.toml) has 2 errors: ",
        "DOCUMENT.wildcards.ALL grants FLY, which is not in DOCUMENT.perObject",
        "object type EMPTY has neither perObject nor wildcards",
    ] {
        assert!(all.iter().any(|f| f.contains(wanted)), "{wanted} is not in {all:#?}");
    }
    assert!(error("permission-catalogue={").contains("is neither a table nor JSON"));
    assert!(error("permission-catalogue=[]").contains("must be an object of object types"));
    assert!(errors(&[], &[], Some("permission-catalogue = 7"))[0].contains("must be a table"));
    assert!(errors(&[], &[], Some("listen = { a = 1 }"))[0].contains("must be a string in quotes"));
}

#[test]
fn a_configuration_for_tests_is_self_contained() {
    let mut c = Config::for_tests(Path::new("/tmp/x"));
    assert_eq!(c.database_url, DatabaseUrl::Sqlite("/tmp/x/tenantry.db".into()));
    assert_eq!(c.listen.port(), 0);
    c.listening_on("127.0.0.1:4711".parse().unwrap());
    assert_eq!(c.public_url, "http://localhost:4711");
}

#[test]
fn control_sockets() {
    let path = |flag| good(flag).control_socket_path();
    assert_eq!(path("data-dir=/srv/x"), Some("/srv/x/control.sock".into()));
    assert_eq!(path("control-socket=/run/t.sock"), Some("/run/t.sock".into()));
    assert_eq!(path("control-socket=none"), None);
    assert!(error("control-socket=/run/").contains("the path of the socket itself"));
    assert!(good("control-socket=none").render(false).contains("control-socket = \"none\""));
}
