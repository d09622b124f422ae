use super::*;
use crate::engine::postgres::Address;

fn parse(url: &str) -> PostgresUrl {
    PostgresUrl::parse(url).unwrap_or_else(|e| panic!("{url}: {e}"))
}

#[track_caller]
fn error(url: &str) -> String {
    PostgresUrl::parse(url).err().unwrap_or_else(|| panic!("{url} is accepted"))
}

/// The URLs of a file of tests/field, without its comments.
fn urls(text: &str) -> Vec<&str> {
    text.lines().filter(|line| line.starts_with("postgres")).collect()
}

#[test]
fn urls_of_managed_services_are_understood_or_refused_by_the_name_of_the_parameter() {
    let urls = urls(include_str!("../../../../../tests/field/F30-urls.txt"));
    let [full, with_root, ca, pgbouncer, schema] = urls[..] else { panic!("{urls:?}") };
    let url = parse(full);
    assert_eq!((url.tls, url.root_cert), (Some(TlsMode::Full), None));
    let url = parse(with_root);
    assert_eq!(url.tls, Some(TlsMode::Full));
    assert_eq!(url.root_cert, Some(RootCert::File("/etc/ssl/rds.pem".into())));
    assert_eq!(parse(ca).tls, Some(TlsMode::Chain));
    let said = error(pgbouncer);
    assert!(said.contains("unknown parameter pgbouncer") && said.contains("session mode"), "{said}");
    assert!(said.contains("application_name, channel_binding"), "all are listed: {said}");
    let said = error(schema);
    assert!(said.contains("unknown parameter schema") && said.contains("csearch_path%3D"), "{said}");
    // As Neon, Supabase, Azure, Cloud SQL and Heroku write them.
    for url in [
        "postgresql://owner:npg_Ab12@ep-cool-1.eu-central-1.aws.neon.tech/neondb?sslmode=require&channel_binding=require",
        "postgres://postgres.abcdefgh:pw@aws-0-eu-west-1.pooler.supabase.com:5432/postgres?sslrootcert=prod-ca-2021.crt",
        "postgres://app%40server:pw@server.postgres.database.azure.com:5432/users?sslmode=verify-full&sslrootcert=system",
        "postgres://app:pw@10.1.2.3/users?sslmode=verify-ca&sslrootcert=%2Fetc%2Fserver-ca.pem",
        "postgresql:///users?host=/cloudsql/project:region:instance&user=app&password=pw",
        "postgres://app:pw@a.example.com:5433,[2001:db8::1]:5432/users?target_session_attrs=primary&connect_timeout=5",
        "postgres://app:pw@h/users?options=endpoint%3Dep-cool-1&gssencmode=disable&client_encoding=UTF8&sslsni=1",
        "postgres://app:pw@h/users?options=-c%20search_path%3Dapp&application_name=users&keepalives_idle=60",
        // RFC 3986 and libpq: only the first colon has a meaning.
        "postgres://app:pw:pw@h/users",
    ] {
        parse(url);
    }
}

#[test]
fn an_unescaped_character_is_refused_without_a_piece_of_the_password() {
    let urls = urls(include_str!("../../../../../tests/field/F31-urls.txt"));
    let [two, one_more, doubled, escaped] = urls[..] else { panic!("{urls:?}") };
    for url in [two, one_more, doubled] {
        let said = error(url);
        assert!(said.contains("write @ as %40"), "{said}");
        assert!(!said.contains("word1") && !said.contains("ss@"), "{said}");
    }
    // Nothing shows that this is not meant as an escaped `A`; a refused login has the hint.
    assert_eq!(parse(escaped).config.get_password(), Some(&b"paAword1"[..]));
    for (url, hint) in [
        ("postgres://app:pa/word1@127.0.0.1:5432/users", "/ as %2F"),
        ("postgres://app:pa?word1@127.0.0.1:5432/users", "? as %3F"),
        ("postgres://app:pa#word1@127.0.0.1:5432/users", "# as %23"),
        ("postgres://app:pa#word1/users", "# as %23"),
        ("postgres://app:pa%word1@127.0.0.1/users", "% as %25"),
        ("postgres://app:pa%4word1@127.0.0.1/users", "% as %25"),
        ("postgres://app:word1%@127.0.0.1/users", "% as %25"),
        ("postgres://ap@p:word1@127.0.0.1/users", "@ as %40"),
        ("postgres://app:@word1@127.0.0.1/users", "@ as %40"),
        ("postgres://app:p?a@h/x?word1=1@127.0.0.1/users", "@ as %40"),
        ("postgres://app:pa@127.0.0.1/users/word1", "/ as %2F"),
        ("postgres://app:pa@wo!rd1/users", "@ as %40"),
        ("postgres://app:word1/users", "@ as %40"),
        ("postgres://app:word1:word1/users", "IPv6 address without [ ]"),
        ("postgres:///users?host=h&user=app&password=pa&word1", "& as %26"),
        ("postgres:///users?host=h&user=app&password=pa&word1=x", "& as %26"),
        ("postgres:///users?host=h&user=app&password=pa@word1", "@ as %40"),
        ("postgres:///users?host=h&user=app&password=pa%word1", "% as %25"),
        ("postgres://app:pa%00word1@h/users", "NUL"),
    ] {
        let said = error(url).replace("%00, which PostgreSQL cannot have", "NUL");
        assert!(said.contains(hint), "{url}: {said}");
        assert!(!said.contains("word1") && !said.contains("rd1"), "{url}: {said}");
        // Neither does what opens the database.
        let said = Address::parse(url, None, Duration::from_secs(1)).err().unwrap();
        assert!(said.starts_with("database-url ") && !said.contains("word1"), "{said}");
    }
}

#[test]
fn sockets_hosts_and_ports() {
    for url in [
        "postgresql:///users?host=/var/run/postgresql",
        "postgresql://%2Fvar%2Frun%2Fpostgresql/users",
        "postgres://app@/users?host=/var/run/postgresql&sslmode=require",
    ] {
        let url = parse(url);
        assert_eq!(url.config.get_hosts(), [Host::Unix("/var/run/postgresql".into())]);
        // There is no TLS on a socket, and no one in between.
        assert_eq!(url.tls, Some(TlsMode::Disable));
        assert_eq!(url.config.get_dbname(), Some("users"));
    }
    let url = parse("postgres://app@a,b:2,[::1]/t");
    let names = ["a", "b", "::1"].map(|name| Host::Tcp(name.into()));
    assert_eq!((url.config.get_hosts(), url.config.get_ports()), (&names[..], &[5432, 2, 5432][..]));
    assert_eq!(parse("postgres://app@a,b/t?port=6000").config.get_ports(), [6000]);
    assert_eq!(parse("postgres://app@/t?host=a,b&port=1,2").config.get_ports(), [1, 2]);
    for (url, what) in [
        ("postgres:app@h/t", "no //"),
        ("postgres://h/t", "no user"),
        ("postgres://:pw@h/t", "no user"),
        ("postgres://app@/t", "host=/var/run/postgresql"),
        ("postgres://app@a,,b/t", "no host"),
        ("postgres://app@h", "no database"),
        ("postgres://app@h:0/t", "not a number between 1 and 65535"),
        ("postgres://app@h:65536/t", "not a number between 1 and 65535"),
        ("postgres://app@::1/t", "IPv6 address without [ ]"),
        ("postgres://app@a,b,c/t?port=1,2", "one for each host"),
        ("postgres://app@h/t?host=i", "before and after"),
        ("postgres://app@h/t?user=other", "before and after"),
        ("postgres://app:pw@h/t?password=pw", "before and after"),
        ("postgres://app@h/t?dbname=u", "before and after"),
        ("postgres://app@h/t?sslmode=disable&sslmode=require", "sslmode twice"),
        ("postgres://app@h/t?sslmode", "sslmode without a value"),
        ("postgres://app@/t?host=/run,h", "mixes sockets and hosts"),
        ("postgres:///t?user=app&hostaddr=10.0.0.1", "add host=NAME"),
        ("postgres://app@a,b/t?hostaddr=10.0.0.1", "as many hosts"),
        ("postgres://app@h/t?hostaddr=h", "IP addresses"),
        ("postgres://app@h/t?sslmode=on", "verify-full"),
        ("postgres://app@h/t?sslmode=allow", "use prefer"),
        ("postgres://app@h/t?channel_binding=yes", "disable, prefer or require"),
        ("postgres://app@h/t?channel_binding=require&sslmode=disable", "without TLS"),
        ("postgres://app@h/t?target_session_attrs=standby", "Tenantry writes"),
        ("postgres://app@h/t?connect_timeout=soon", "connect_timeout: it must be a number"),
        ("postgres://app@h/t?ssl=true", "unknown parameter ssl: use sslmode=verify-full"),
        ("postgres://app@h/t?connection_limit=5", "database-pool-size"),
        ("postgres://app@h/t?sslcert=a.pem", "client certificates are not supported"),
        ("postgres://app@h/t?SSLMODE=require", "unknown parameter"),
    ] {
        assert!(error(url).contains(what), "{url}: {}", error(url));
    }
}

#[test]
fn tls_is_required_and_verified_except_on_this_machine() {
    use tokio_postgres::config::SslMode;
    let mode = |url: &str| {
        let address = Address::parse(url, None, Duration::from_secs(1));
        address.unwrap_or_else(|e| panic!("{url}: {e}")).config.get_ssl_mode()
    };
    assert_eq!(mode("postgres://app@db/t"), SslMode::Require);
    assert_eq!(mode("postgres://app@localhost/t"), SslMode::Disable);
    assert_eq!(mode("postgres://app@127.0.0.1,db/t"), SslMode::Require);
    assert_eq!(mode("postgres://app@localhost/t?sslrootcert=system"), SslMode::Require);
    assert_eq!(mode("postgres://app@db/t?sslmode=prefer"), SslMode::Prefer);
    // The name of another parameter does not count.
    assert_eq!(mode("postgres://app@db/t?application_name=sslmode%3Ddisable"), SslMode::Require);
    // A file that is not needed need not be there.
    assert_eq!(mode("postgres://app@db/t?sslmode=disable&sslrootcert=/none.pem"), SslMode::Disable);
    let refused = |url: &str| Address::parse(url, None, Duration::from_secs(1)).err().unwrap_or_default();
    let said = refused("postgres://app@db/t?sslrootcert=/none.pem");
    assert!(said.starts_with("database-url: sslrootcert: /none.pem contains no readable"), "{said}");
    for url in
        ["postgres://app@db/t?sslmode=verify-ca", "postgres://app@db/t?sslmode=verify-ca&sslrootcert=system"]
    {
        assert!(refused(url).contains("which sign for everybody"), "{}", refused(url));
    }
}

#[test]
fn parameters_reach_the_driver() {
    let url = parse(
        "postgres://app:p%40s%2F%3A@h/t?options=-csearch_path%3Dapp&connect_timeout=7&tcp_user_timeout=9000&\
         target_session_attrs=read-write&channel_binding=require&load_balance_hosts=random",
    );
    let config = &url.config;
    assert_eq!((config.get_user(), config.get_password()), (Some("app"), Some(&b"p@s/:"[..])));
    assert_eq!(config.get_options(), Some("-csearch_path=app"));
    assert_eq!(config.get_connect_timeout(), Some(&Duration::from_secs(7)));
    assert_eq!(config.get_tcp_user_timeout(), Some(&Duration::from_secs(9)));
    assert_eq!(config.get_target_session_attrs(), TargetSessionAttrs::ReadWrite);
    assert_eq!(config.get_channel_binding(), ChannelBinding::Require);
    assert_eq!(config.get_load_balance_hosts(), LoadBalanceHosts::Random);
    assert_eq!(config.get_keepalives_idle(), KEEPALIVE);
    assert!(!format!("{url:?}").contains("p@s"));
}
