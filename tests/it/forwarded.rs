//! Whom requests come from when proxies pass them on.

use proptest::prelude::*;
use reqwest::Method;
use serde_json::json;

use crate::binary::{GIVEN, Home, Process};
use crate::harness::{ADMIN_PASSWORD, T, TestResponse};
use tenantry_http::forwarded::ForwardedHeader;

#[path = "../../fuzz/entries/forwarded.rs"]
#[expect(clippy::expect_used, reason = "what a fuzz target checks fails by panicking")]
mod fuzz;

proptest! {
    /// Any bytes, and pieces of headers that have a meaning, in any order.
    #[test]
    fn a_client_cannot_choose_its_address(
        pieces in prop::collection::vec(
            prop_oneof![
                "(for|For|by|proto)=?",
                "(1\\.2\\.3\\.4|10\\.0\\.0\\.[1-9]|::1|2001:db8::1|::ffff:10\\.0\\.0\\.2)(:[0-9]{0,6})?",
                "[\\[\\]\",;= \\\\_:\n]{1,3}",
                "unknown|_hidden|for=\"|\"\\[2001:db8::1\\]:9\"",
                "[ -~\t]{0,6}",
            ],
            0..12,
        ),
        tail in prop::collection::vec(any::<u8>(), 0..8),
    ) {
        fuzz::check(&[pieces.concat().as_bytes(), &tail].concat());
    }

    /// Chains of proxies, each entry in a random spelling, against the definition: from the end, the first address that
    /// is not trusted, or the last one before an entry that is no address.
    #[test]
    fn chains_of_proxies_are_followed_to_the_client(
        hops in prop::collection::vec((any::<[u8; 2]>(), any::<bool>(), 0_usize..6), 0..6),
    ) {
        let spelled = |(address, is_proxy, spelling): &([u8; 2], bool, usize)| {
            let [a, b] = address;
            let address = if *is_proxy { format!("10.0.{a}.{b}") } else { format!("198.51.{a}.{b}") };
            let spelled = match spelling {
                0 => address.clone(),
                1 => format!("{address}:4711"),
                2 => format!("::ffff:{address}"),
                3 => format!("[::ffff:{address}]:80"),
                4 => format!("\"{address}:1\""),
                _ => return (String::from("unknown"), None, false),
            };
            (spelled, Some(address), *is_proxy)
        };
        let hops: Vec<_> = hops.iter().map(spelled).collect();
        let mut expected = String::from("10.0.0.1");
        for (_, address, is_proxy) in hops.iter().rev() {
            let Some(address) = address else { break };
            expected.clone_from(address);
            if !is_proxy {
                break;
            }
        }
        let trusts = |peer: std::net::IpAddr| peer.to_string().starts_with("10.");
        let list: Vec<&str> = hops.iter().map(|(spelled, ..)| spelled.as_str()).collect();
        let elements: Vec<String> =
            list.iter().map(|hop| format!("for=\"{}\"", hop.trim_matches('"'))).collect();
        for (name, value) in [("x-forwarded-for", list.join(", ")), ("forwarded", elements.join(","))] {
            let mut headers = axum::http::HeaderMap::new();
            if !list.is_empty() {
                headers.insert(axum::http::HeaderName::from_static(name), value.parse().unwrap());
            }
            let found = tenantry_http::forwarded::client_address(
                "10.0.0.1".parse().unwrap(),
                &headers,
                ForwardedHeader::Auto,
                trusts,
            );
            prop_assert_eq!(found.to_string(), expected.clone(), "{}: {}", name, value);
        }
    }
}

async fn forgot(t: &T, header: (&str, &str)) -> u16 {
    let request = t.anonymous().request(Method::POST, "/api/v1/users/forgot-password");
    let request = request.header(header.0, header.1).header("content-type", "application/json");
    request.body(json!({ "username": "nobody" }).to_string()).send().await.unwrap().status().as_u16()
}

/// Twenty-one clients behind a proxy, however it writes their addresses: each counts for itself.
#[tokio::test]
async fn each_client_of_a_proxy_counts_for_itself() {
    let t = T::with(|config| {
        config.trusted_proxies = vec!["127.0.0.1/32".parse().unwrap()];
        config.forgot_password_per_address = 2;
    })
    .await;
    for (n, (name, entry)) in [
        ("x-forwarded-for", "198.51.100.N"),
        ("x-forwarded-for", "198.51.101.N:4711"),
        ("x-forwarded-for", "[2001:db8:0:N::1]:4711"),
        ("x-forwarded-for", "\"[2001:db8:1:N::1]:4711\""),
        ("x-forwarded-for", "[2001:db8:2:N::1]"),
        ("x-forwarded-for", "::ffff:198.51.102.N"),
        ("x-forwarded-for", "198.51.103.N, 127.0.0.1:9"),
        ("x-forwarded-for", "1.2.3.4, 198.51.104.N"),
        ("forwarded", "for=\"[2001:db8:3:N::1]:4711\""),
        ("forwarded", "for=198.51.105.N;proto=https;by=_x"),
        ("forwarded", "for=\"1.2.3.4, for=198.51.106.N"),
    ]
    .into_iter()
    .enumerate()
    {
        for client in 1..=5 {
            let entry = entry.replace('N', &client.to_string());
            let statuses = [forgot(&t, (name, &entry)).await, forgot(&t, (name, &entry)).await];
            assert_eq!(statuses, [202, 202], "{name}: {entry}");
        }
        // One of them has asked often enough, and is known in any spelling.
        if n == 0 {
            for entry in ["198.51.100.1", "198.51.100.1:99", "::ffff:198.51.100.1", "[::ffff:198.51.100.1]:1"]
            {
                assert_eq!(forgot(&t, ("x-forwarded-for", entry)).await, 429, "{entry}");
            }
            assert_eq!(forgot(&t, ("forwarded", "for=\"198.51.100.1:7\"")).await, 429);
        }
    }
    // Nobody is taken for whom a malformed entry names: these are all the proxy.
    let malformed = ["unknown", "198.51.100.999", "_hidden", "1.2.3.4, junk", "198.51.100.9:", ""];
    let mut statuses = Vec::new();
    for entry in malformed {
        statuses.push(forgot(&t, ("x-forwarded-for", entry)).await);
    }
    assert_eq!(statuses, [202, 202, 429, 429, 429, 429]);
}

#[tokio::test]
async fn the_setting_says_which_header_is_believed() {
    for (which, seen) in [
        (ForwardedHeader::Auto, ["198.51.100.1", "198.51.100.2", "198.51.100.1"]),
        (ForwardedHeader::XForwardedFor, ["198.51.100.1", "127.0.0.1", "198.51.100.1"]),
        (ForwardedHeader::Forwarded, ["127.0.0.1", "198.51.100.2", "198.51.100.2"]),
    ] {
        let t = T::with(|config| {
            config.trusted_proxies = vec!["127.0.0.1/32".parse().unwrap()];
            config.forwarded_header = which;
        })
        .await;
        let plain = ("x-forwarded-for", "198.51.100.1:80");
        let standard = ("forwarded", "for=198.51.100.2");
        for (headers, address) in [vec![plain], vec![standard], vec![plain, standard]].into_iter().zip(seen) {
            assert_eq!(address_of_login(&t, &headers).await, address, "{which:?} {headers:?}");
        }
    }
}

/// The address that the session of a login shows.
async fn address_of_login(t: &T, headers: &[(&str, &str)]) -> String {
    t.secret(ADMIN_PASSWORD);
    let form = [
        ("grant_type", "password"),
        ("client_id", "tenantry"),
        ("username", "admin"),
        ("password", ADMIN_PASSWORD),
    ];
    let form = form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
    let mut request = t.anonymous().request(Method::POST, "/oauth/token").body(form);
    request = request.header("content-type", "application/x-www-form-urlencoded");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let response = TestResponse::of(request.send().await.unwrap()).await.expect(200);
    let person = t.bearer(response.body["access_token"].as_str().unwrap());
    let sessions = person.get("/api/v1/users/self/sessions").await.expect(200);
    let current = sessions.list().iter().find(|session| session["isCurrent"] == true).unwrap();
    current["address"].as_str().unwrap().to_owned()
}

/// IPv4 over an IPv6 socket is IPv4, for settings, limits and sessions.
#[tokio::test]
async fn mapped_addresses_are_ipv4_everywhere() {
    if std::net::TcpListener::bind("[::]:0").is_err() {
        eprintln!("no IPv6: addresses of IPv4 over IPv6 sockets are tested only without sockets");
        return;
    }
    let home = Home::new();
    let env = [
        GIVEN[0],
        ("TENANTRY_LISTEN", "[::]:0"),
        ("TENANTRY_METRICS_ALLOW", "127.0.0.1"),
        ("TENANTRY_FORGOT_PASSWORD_PER_ADDRESS", "1"),
    ];
    let mut server = Process::serve(home.path(), &[], &env);
    server.address = format!("127.0.0.1:{}", server.address.port()).parse().unwrap();
    let admin = server.admin().await;
    let sessions = admin.get("/api/v1/users/self/sessions").await.expect(200);
    assert_eq!(sessions.list()[0]["address"], "127.0.0.1");
    server.anonymous().get("/metrics").await.expect(200);
    let body = json!({ "username": "nobody" });
    server.anonymous().post("/api/v1/users/forgot-password", &body).await.expect(202);
    server.anonymous().post("/api/v1/users/forgot-password", &body).await.expect(429);
    server.terminate();
}
