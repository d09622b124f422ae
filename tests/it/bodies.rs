//! How long the bodies of requests may be, who may send them, and what they take together.

use std::net::SocketAddr;
use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::binary::TIMEOUT;
use crate::harness::{Person, T, TestResponse, new_user};

/// An operation that takes a body.
struct Operation {
    id: String,
    method: String,
    path: String,
    content_type: String,
    /// The most bytes of its body, as its 413 is documented; none where any number is read.
    limit: Option<u64>,
    is_anybodys: bool,
}

/// Those of the document.
fn operations() -> Vec<Operation> {
    let document = tenantry::router::document();
    let mut found = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let Some(content) = operation["requestBody"]["content"].as_object() else { continue };
            let description = operation["responses"]["413"]["description"].as_str();
            let digits = |text: &str| text.split(' ').find_map(|word| word.parse().ok());
            found.push(Operation {
                id: operation["operationId"].as_str().unwrap().to_owned(),
                method: method.to_uppercase(),
                path: path
                    .replace("{userId}", "1")
                    .replace("{groupId}", "1")
                    .replace("{pid}", "1")
                    .replace("{clientId}", "cl_1_x"),
                content_type: content.keys().next().unwrap().clone(),
                limit: description.map(|text| digits(text).unwrap()),
                is_anybodys: operation["security"] == json!([{}]),
            });
        }
    }
    assert!(found.len() > 20);
    found
}

impl Operation {
    /// The head of a request whose body has so many bytes, from somebody who waits to be asked for them.
    fn head(&self, authorization: Option<&str>, length: u64) -> String {
        let Self { method, path, content_type, .. } = self;
        let authorization =
            authorization.map(|value| format!("authorization: {value}\r\n")).unwrap_or_default();
        format!(
            "{method} {path} HTTP/1.1\r\nhost: h\r\ncontent-type: {content_type}\r\ncontent-length: {length}\r\n\
             expect: 100-continue\r\n{authorization}\r\n"
        )
    }
}

/// Sends this and reads the head of the response.
async fn ask(address: SocketAddr, request: &str) -> (TcpStream, String) {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let head = head(&mut stream).await;
    (stream, head)
}

/// Reads up to the empty line.
async fn head(stream: &mut TcpStream) -> String {
    let mut text = Vec::new();
    while !text.ends_with(b"\r\n\r\n") {
        let byte = timeout(TIMEOUT, stream.read_u8()).await.unwrap();
        text.push(byte.unwrap());
    }
    String::from_utf8(text).unwrap()
}

async fn rest(mut stream: TcpStream) -> String {
    let mut text = Vec::new();
    let end = timeout(TIMEOUT, stream.read_to_end(&mut text)).await.unwrap();
    assert!(end.is_ok() || !text.is_empty(), "{end:?}");
    String::from_utf8(text).unwrap()
}

#[tokio::test]
async fn every_operation_has_the_bound_that_its_documentation_names() {
    let t = T::start().await;
    let (admin, operator) = (t.admin().await, t.operator().await);
    admin.create_group("Editors").await;
    let bearer = |person: &Person<'_>| format!("Bearer {}", person.token.as_deref().unwrap());
    let (admin, operator) = (bearer(&admin), bearer(&operator));
    let mut limits = std::collections::BTreeSet::new();
    for operation in operations() {
        let authorization = match operation.path.split('/').nth(1) {
            Some("oauth") => None,
            Some("operator") => Some(operator.as_str()),
            _ => Some(admin.as_str()),
        };
        let Some(limit) = operation.limit else {
            assert_eq!(operation.id, "import_users", "only rows are read piece by piece");
            let (_, head) = ask(t.address, &operation.head(authorization, 1 << 40)).await;
            assert!(head.starts_with("HTTP/1.1 100 "), "{}: {head}", operation.id);
            continue;
        };
        let (_, head) = ask(t.address, &operation.head(authorization, limit)).await;
        assert!(head.starts_with("HTTP/1.1 100 "), "{}: {head}", operation.id);
        let (stream, head) = ask(t.address, &operation.head(authorization, limit + 1)).await;
        assert!(head.starts_with("HTTP/1.1 413 "), "{}: {head}", operation.id);
        let document: Value = serde_json::from_str(&rest(stream).await).unwrap();
        let detail = document["detail"].as_str().unwrap();
        assert!(detail.contains(&format!(" {limit} bytes")), "{}: {detail}", operation.id);
        limits.insert(limit);
    }
    assert_eq!(Vec::from_iter(limits), [4 << 10, 16 << 10, 256 << 10, 8 << 20]);
}

#[tokio::test]
async fn a_setting_lowers_every_limit() {
    let t = T::with(|config| config.body_limit = 2 << 10).await;
    let admin = t.admin().await;
    let bearer = format!("Bearer {}", admin.token.as_deref().unwrap());
    for operation in operations().iter().filter(|operation| operation.limit.is_some()) {
        let is_admins = operation.path.starts_with("/api") || operation.path.starts_with("/access");
        if is_admins && !operation.is_anybodys {
            let (stream, _) = ask(t.address, &operation.head(Some(&bearer), (2 << 10) + 1)).await;
            assert!(rest(stream).await.contains(" 2048 bytes"), "{}", operation.id);
        }
    }
}

#[tokio::test]
async fn nothing_is_read_from_a_stranger_who_must_say_who_it_is() {
    let t = T::start().await;
    let mut refused = 0;
    for operation in operations() {
        // Clients of the token edge may say in the form who they are.
        let wrong = if operation.path.starts_with("/oauth/") {
            vec![Some("Basic Y2wuMS54Onk="), Some("Bearer at.1.x"), Some("nonsense")]
        } else if operation.is_anybodys {
            continue;
        } else {
            vec![None, Some("Bearer at.1.x"), Some("Bearer op.x"), Some("Basic Y2wuMS54Onk=")]
        };
        for authorization in wrong {
            // Not even `100 Continue` comes before the response.
            let (_, head) = ask(t.address, &operation.head(authorization, 1_000)).await;
            assert!(head.starts_with("HTTP/1.1 401 "), "{} with {authorization:?}: {head}", operation.id);
            refused += 1;
        }
    }
    assert!(refused > 80);
    // Who may not is as quickly refused.
    let (_, member) = t.member("fenna").await;
    let bearer = format!("Bearer {}", member.token.as_deref().unwrap());
    for operation in operations().iter().filter(|operation| operation.id.contains("users")) {
        let (_, head) = ask(t.address, &operation.head(Some(&bearer), 1_000)).await;
        assert!(head.starts_with("HTTP/1.1 403 "), "{}: {head}", operation.id);
    }
}

/// 2 MB of ids (B15).
#[tokio::test]
async fn a_hundred_thousand_ids_of_nineteen_digits_fit() {
    let t = T::start().await;
    let admin = t.admin().await;
    let group = admin.create_group("Editors").await;
    let first = 9_000_000_000_000_000_000_i64;
    let ids: Vec<i64> = (first..first + 100_000).collect();
    let members = format!("/api/v1/groups/{group}/users");
    for (method, path) in [
        (Method::POST, "/api/v1/users/bulk-delete"),
        (Method::POST, "/api/v1/groups/bulk-delete"),
        (Method::DELETE, "/api/v1/groups/bulk-delete"),
        (Method::POST, members.as_str()),
        (Method::DELETE, members.as_str()),
    ] {
        let body = Some(json!(ids).to_string().into_bytes());
        let response = admin.send(method.clone(), path, body, "application/json").await.expect(404);
        assert_eq!(response.body["ids"].as_array().map(Vec::len), Some(100_000), "{method} {path}");
    }
    let patch = json!({ "ids": ids, "patch": { "title": "x" } });
    admin.patch("/api/v1/users/bulk", &patch).await.expect(404);
    // A group can be written back as it was read, however many are in it.
    let mut group = admin.get(&format!("/api/v1/groups/{group}")).await.expect(200).body;
    group["users"] = json!(ids);
    let response = admin.put("/api/v1/groups/1", &group).await.expect(400);
    assert_eq!(response.faults(), ["/users read-only"]);
}

/// The head of a create, and so many bytes of its body, whose end never comes.
fn slow_create(bearer: &str, bytes: usize) -> Vec<u8> {
    let head = format!(
        "POST /api/v1/users HTTP/1.1\r\nhost: h\r\nauthorization: Bearer {bearer}\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n",
        256 << 10
    );
    [head.into_bytes(), vec![b' '; bytes]].concat()
}

#[tokio::test]
async fn all_bodies_together_are_bounded_and_give_their_memory_back() {
    let t = T::with(|config| config.body_memory = 1 << 20).await;
    let admin = t.admin().await;
    let token = admin.token.as_deref().unwrap();
    // Five of them would take more than there is, so one is refused, whichever it is.
    let mut held = tokio::task::JoinSet::new();
    for _ in 0..5 {
        let mut stream = TcpStream::connect(t.address).await.unwrap();
        let request = slow_create(token, 240 << 10);
        held.spawn(async move {
            // The refused one may not be read to its end.
            let _ = stream.write_all(&request).await;
            rest(stream).await
        });
    }
    let response = timeout(TIMEOUT, held.join_next()).await.unwrap().unwrap().unwrap();
    let lower = response.to_lowercase();
    assert!(response.starts_with("HTTP/1.1 503 "), "{response}");
    assert!(
        lower.contains("\r\nretry-after: 1\r\n") && lower.contains("\r\nconnection: close\r\n"),
        "{response}"
    );
    assert!(response.contains("too many request bodies"), "{response}");
    // What comes with its head takes none of it.
    admin.create("fenna").await;
    held.shutdown().await;
    // A large one finds room again, once the server has seen that the others are gone.
    let large = json!(vec![" ".repeat(100); 5_000]);
    let again = async {
        while admin.post("/api/v1/users/bulk-delete", &large).await.status == 503 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(TIMEOUT, again).await.expect("the memory must come back");
    admin.post("/api/v1/users/bulk-delete", &large).await.expect(400);
    assert!(t.log().contains("too many request bodies are being received"));
}

#[tokio::test]
async fn only_merge_patches_are_patches() {
    let t = T::start().await;
    let admin = t.admin().await;
    admin.create_group("Editors").await;
    let operator = t.operator().await;
    for operation in operations().iter().filter(|operation| operation.method == "PATCH") {
        let person = if operation.path.starts_with("/operator") { &operator } else { &admin };
        for (content_type, is_good) in [
            ("application/merge-patch+json", true),
            ("application/merge-patch+json; charset=utf-8", true),
            ("application/json", true),
            ("application/json-patch+json", false),
            ("application/problem+json", false),
            ("text/plain", false),
        ] {
            let body = Some(b"{}".to_vec());
            let response = person.send(Method::PATCH, &operation.path, body, content_type).await;
            let what = format!("{} as {content_type}", operation.id);
            assert_eq!(response.status != 415, is_good, "{what}: {}", response.text);
            let known = "application/merge-patch+json, application/json";
            assert_eq!(response.header("accept-patch"), if is_good { "" } else { known }, "{what}");
        }
    }
    // What a JSON Patch (RFC 6902) says is not taken for something else.
    let patch = br#"[{"op":"remove","path":"/title"}]"#.to_vec();
    let response =
        admin.send(Method::PATCH, "/api/v1/users/1", Some(patch), "application/json-patch+json").await;
    response.expect(415);
}

/// What is written in another way than numbers are is none (B17).
#[tokio::test]
async fn numbers_are_written_in_one_way() {
    let t = T::start().await;
    let admin = t.admin().await;
    let group = admin.create_group("Editors").await;
    admin.create("fenna").await;
    assert_eq!(group, 1);
    for bad in ["01", "+1", "1.0", "%201", "1%20", "-0", "-1", "0x1", "1e0", "%EF%BC%91", "1_0", "00", ""] {
        for path in [
            "/api/v1/users/{}",
            "/api/v1/groups/{}",
            "/api/v1/users/{}/sessions",
            "/api/v1/groups/{}/users/1",
        ] {
            let path = path.replace("{}", bad);
            let response = admin.get(&path).await;
            // The first ones without a number are lists, and a membership cannot be read.
            if !bad.is_empty() && !path.ends_with("/users/1") {
                assert_eq!(response.status, 404, "{path}: {}", response.text);
            }
        }
        admin.delete(&format!("/api/v1/users/{bad}x")).await.expect(404);
        for query in [
            "users?page={}&pageSize=1",
            "users?pageSize={}",
            "users?groupId={}",
            "groups?page={}",
            "events?pageSize={}",
            "events?userId={}",
            "users/deleted?page={}",
            "users/1/sessions?page={}",
        ] {
            let path = format!("/api/v1/{}", query.replace("{}", bad));
            admin.get(&path).await.expect(400);
        }
        let filter = json!({
            "filter": { "groupId": bad.replace("%20", " ") }, "expectedCount": 0, "patch": { "title": "x" }
        });
        admin.patch("/api/v1/users/bulk", &filter).await.expect(400);
    }
    for (path, bad) in [("/operator/v1/partners/{}", "01"), ("/operator/v1/partners/{}", "+1")] {
        t.operator().await.get(&path.replace("{}", bad)).await.expect(404);
    }
    admin.get("/api/v1/users/2").await.expect(200);
    admin.get("/api/v1/users?page=0&pageSize=10").await.expect(200);
    // A word of digits finds the user of that number, however it is written (B27).
    let found = async |term: &str| -> usize {
        admin.get(&format!("/api/v1/users?page=0&search={term}")).await.expect(200).list().len()
    };
    assert_eq!((found("2").await, found("02").await, found("%2B2").await), (1, 1, 0));
    // A subject of evaluations is a string, and nobody where it is no number.
    let may = async |id: Value| {
        let body = json!({
            "subject": { "type": "user", "id": id }, "action": { "name": "READ" },
            "resource": { "type": "SEGMENT", "id": "1" }
        });
        admin.post("/access/v1/evaluation?explain=true", &body).await.expect(200).body
    };
    let nobody = may(json!("999")).await;
    for bad in ["02", "+2", " 2", "2.0"] {
        assert_eq!(may(json!(bad)).await, nobody, "{bad}");
    }
}

/// Headers that come twice are refused by the listener (server/tests.rs); this one has words of its own.
#[tokio::test]
async fn an_idempotency_key_comes_once() {
    let t = T::start().await;
    let admin = t.admin().await;
    let twice = admin
        .request(Method::POST, "/api/v1/users")
        .header("idempotency-key", "a")
        .header("idempotency-key", "b")
        .json(&new_user("fenna"));
    let response = TestResponse::of(twice.send().await.unwrap()).await.expect(400);
    assert_eq!(response.faults(), ["Idempotency-Key malformed-key"]);
    let two = admin.request(Method::GET, "/api/v1/users/1").header("authorization", "Bearer x");
    TestResponse::of(two.send().await.unwrap()).await.expect(400);
}
