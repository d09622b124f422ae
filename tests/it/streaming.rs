//! The plain list as a stream (B13): flat memory, and no array that looks whole when it is not.

use std::process::Command;

use reqwest::Method;

use crate::fixtures::seed;
use crate::harness::{QUIET, T};

/// Private memory of this process, in bytes; pages of the database that are mapped or cached by the system are not
/// the server's.
fn anonymous_memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1_024
}

/// Reads an array of users piece by piece and keeps nothing of it; how many users there were, and the most memory
/// the process had.
async fn read_through(t: &T, path: &str) -> (usize, u64) {
    let admin = t.admin().await;
    let mut response = admin.request(Method::GET, path).send().await.unwrap();
    assert_eq!(response.status(), 200);
    let (mut users, mut peak, mut edges) = (0, 0, (0, 0));
    let mut pieces = 0;
    while let Some(piece) = response.chunk().await.unwrap() {
        if pieces == 0 {
            edges.0 = piece[0];
        }
        edges.1 = *piece.last().unwrap();
        // No seeded value has a brace.
        users += piece.iter().filter(|b| **b == b'{').count();
        if pieces % 16 == 0 {
            peak = peak.max(anonymous_memory());
        }
        pieces += 1;
    }
    assert_eq!(edges, (b'[', b']'));
    (users, peak.max(anonymous_memory()))
}

/// Set in the process that this file starts for its measurement.
const MEASURING: &str = "TENANTRY_TEST_MEASURING";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn b13_two_hundred_thousand_users_stream_in_sixteen_mebibytes() {
    const USERS: usize = 200_000;
    const MORE: u64 = 16 * 1024 * 1024;
    if std::env::var_os(MEASURING).is_none() {
        // Other tests share this process and its memory: measure in one of its own, that keeps no log.
        let output = Command::new(std::env::current_exe().unwrap())
            .args([
                "--exact",
                "streaming::b13_two_hundred_thousand_users_stream_in_sixteen_mebibytes",
                "--nocapture",
            ])
            .env(MEASURING, "1")
            .env(QUIET, "1")
            .output()
            .unwrap();
        let text =
            String::from_utf8_lossy(&output.stdout).into_owned() + &*String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && text.contains("1 passed"), "{text}");
        assert!(text.contains("measured"), "{text}");
        return;
    }
    let t = T::start().await;
    seed(&t, 1, "many", USERS, Vec::new()).await;
    for path in ["/api/v1/users", "/api/v1/users?sortBy=lastName&descending", "/api/v1/users?search=northern"]
    {
        let before = anonymous_memory();
        let (users, peak) = read_through(&t, path).await;
        let expected = if path.contains("search") { USERS.div_ceil(3) } else { USERS + 1 };
        assert_eq!(users, expected, "{path}");
        let more = peak.saturating_sub(before);
        println!("measured: {path} took {} KiB more", more / 1_024);
        assert!(more <= MORE, "{path}: {more} bytes more for {users} users");
    }
}

#[tokio::test]
async fn b13_a_stream_that_fails_in_the_middle_is_aborted() {
    let t = T::start().await;
    let admin = t.admin().await;
    seed(&t, 1, "many", 5_000, Vec::new()).await;
    // A status that does not exist, in a row of the fourth chunk.
    t.run_sql("UPDATE users SET status = 9 WHERE username = 'many3500'");
    for path in ["/api/v1/users", "/api/v1/users?sortBy=createdAt"] {
        let mut response = admin.request(Method::GET, path).send().await.unwrap();
        assert_eq!(response.status(), 200);
        let mut read = Vec::new();
        let end = loop {
            match response.chunk().await {
                Ok(Some(piece)) => read.extend_from_slice(&piece),
                end => break end,
            }
        };
        assert!(end.is_err(), "{path}: the answer looks whole");
        assert!(read.len() > 100_000 && !read.ends_with(b"]"), "{path}");
        assert!(serde_json::from_slice::<serde_json::Value>(&read).is_err());
    }
    // What goes wrong before the first row is a response of its own, which tells nothing internal.
    t.run_sql("UPDATE users SET status = 9 WHERE username = 'many3'");
    let response = admin.get("/api/v1/users").await.expect(500);
    assert_eq!(response.body["code"], "internal");
    assert!(!response.text.contains("status has"));
    // The others are served.
    assert_eq!(admin.get("/api/v1/users?search=many44&pageSize=1000").await.expect(200).list().len(), 111);
}
