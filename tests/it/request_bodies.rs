//! What requests say in more ways than the documentation shows, as clients of all kinds send it.

use reqwest::Method;
use serde_json::{Value, json};

use tenantry_core::clock::HOUR;

use crate::fixtures::{field, ids, with, without};
use crate::harness::{T, TestResponse, new_user};
use crate::user_lists::query;
use crate::users::path_of;

/// Ids as strings of digits, as some clients send them; answers give integers (B17).
#[tokio::test]
async fn b17_ids_in_bodies_may_be_strings_of_digits() {
    let t = T::start().await;
    let admin = t.admin().await;
    let (one, two) = (admin.create_group("One").await, admin.create_group("Two").await);
    let body = with(&new_user("fenna"), json!({ "groups": [two.to_string(), one, one.to_string()] }));
    let user = admin.create_with(&body).await;
    assert_eq!(user["groups"], json!([one, two]));
    let id = user["userId"].as_i64().unwrap();
    let path = path_of(&user);
    let put = admin.put(&path, &with(&user, json!({ "groups": [one.to_string()] }))).await.expect(200);
    assert_eq!(put.body["groups"], json!([one]));
    let nested = json!({ "name": "Nested", "parentGroupId": one.to_string() });
    assert_eq!(admin.post("/api/v1/groups", &nested).await.expect(201).body["parentGroupId"], one);
    let members = format!("/api/v1/groups/{two}/users");
    admin.post(&members, &json!([id.to_string(), "1"])).await.expect(204);
    let read = admin.get(&format!("/api/v1/groups/{two}")).await.expect(200).body;
    assert_eq!(read["users"], json!([1, id]));
    let written = with(&read, json!({ "users": ["1", id.to_string()] }));
    assert_eq!(admin.put(&format!("/api/v1/groups/{two}"), &written).await.expect(200).body, read);
    let patch = json!({ "ids": [id.to_string()], "patch": { "groups": [two.to_string()] } });
    admin.patch("/api/v1/users/bulk", &patch).await.expect(200);
    assert_eq!(admin.get(&path).await.expect(200).body["groups"], json!([two]));
    let filter =
        json!({ "filter": { "groupId": two.to_string() }, "expectedCount": 2, "patch": { "title": "x" } });
    assert_eq!(admin.patch("/api/v1/users/bulk", &filter).await.expect(200).body["matched"], 2);
    let bulk = json!([with(&new_user("gus"), json!({ "groups": ["1"], "pid": "1" }))]);
    assert_eq!(admin.post("/api/v1/users/bulk", &bulk).await.expect(200).body["created"], 1);
    let bad = admin.post("/api/v1/users/bulk-delete", &json!([id.to_string(), "x", "0"])).await.expect(400);
    assert_eq!(bad.faults(), ["/1 wrong-type", "/2 out-of-range"]);
    let gone = admin.post("/api/v1/users/bulk-delete", &json!([id.to_string(), id])).await;
    gone.expect(204);
    let printed = format!("{{[\"{one}\", {two}]}}").into_bytes();
    let response =
        admin.send(Method::POST, "/api/v1/groups/bulk-delete", Some(printed), "application/json").await;
    assert_eq!(response.expect(409).body["code"], "group-has-children");
}

/// A create as a vendor's lab sends it: what is unknown is named, the rest is understood.
#[tokio::test]
async fn b1_b6_a_create_of_a_lab_is_understood_but_for_unknown_fields() {
    let t = T::start().await;
    let admin = t.admin().await;
    let lab = field("U10-lab.json");
    let path = "/portal/api/v1/users/";
    let response = admin.send(Method::POST, path, Some(lab.clone()), "application/json").await.expect(400);
    assert_eq!(response.faults(), ["/password unknown-field", "/admin unknown-field", "/status required"]);
    let lab: Value = serde_json::from_slice(&lab).unwrap();
    let body = with(&without(&lab, &["password", "admin"]), json!({ "status": "ACTIVE", "groups": [] }));
    let response = admin.post(path, &body).await.expect(201);
    assert_eq!(response.header("location"), "/api/v1/users/2");
}

/// What spreadsheet programs, editors and shells put before a text (B6).
#[tokio::test]
async fn b6_a_byte_order_mark_is_skipped() {
    let t = T::start().await;
    let admin = t.admin().await;
    let send = async |method: Method, path: &str, body: Vec<u8>| {
        admin.send(method, path, Some(body), "application/json").await
    };
    let marked = |body: Value| format!("\u{feff}{body}").into_bytes();
    let body = field("F39-byte-order-mark.json");
    assert!(body.starts_with("\u{feff}".as_bytes()));
    send(Method::POST, "/api/v1/users", body).await.expect(201);
    send(Method::PATCH, "/api/v1/users/2", marked(json!({ "title": "x" }))).await.expect(200);
    let bulk = marked(json!([new_user("bea")]));
    send(Method::POST, "/api/v1/users/bulk", bulk).await.expect(200);
    send(Method::POST, "/api/v1/groups", marked(json!({ "name": "One" }))).await.expect(201);
    send(Method::PUT, "/api/v1/groups/1/permissions", marked(json!([]))).await.expect(200);
    send(Method::PUT, "/api/v1/groups/1/wildcards", marked(json!(["VIEW_TAGS"]))).await.expect(200);
    let patch = json!({ "ids": [2, 3], "patch": { "title": "y" } });
    send(Method::PATCH, "/api/v1/users/bulk", marked(patch)).await.expect(200);
    send(Method::POST, "/api/v1/users/bulk-delete", "\u{feff}{[2, 3]}".into()).await.expect(204);
    let asked = json!({
        "subject": { "type": "user", "id": "1" }, "action": { "name": "READ" },
        "resource": { "type": "SEGMENT", "id": "1" }
    });
    send(Method::POST, "/access/v1/evaluation", marked(asked)).await.expect(200);
    // One is skipped, a second one is text.
    let twice = format!("\u{feff}\u{feff}{}", new_user("eve")).into_bytes();
    let response = send(Method::POST, "/api/v1/users", twice).await.expect(400);
    assert_eq!(response.faults(), [" malformed-json"]);
    let empty = send(Method::POST, "/api/v1/users", "\u{feff}".into()).await.expect(400);
    assert_eq!(empty.faults(), [" empty-body"]);
    let utf16: Vec<u8> =
        std::iter::once(0xfeff).chain("{}".encode_utf16()).flat_map(u16::to_le_bytes).collect();
    let response = send(Method::POST, "/api/v1/users", utf16).await.expect(400);
    assert!(response.text.contains("UTF-16"), "{}", response.text);
}

/// Only imports may be compressed; elsewhere the body says so and nothing is guessed (B6).
#[tokio::test]
async fn b6_a_compressed_body_is_refused() {
    let t = T::start().await;
    let admin = t.admin().await;
    let gzip = field("F38-user.json.gz");
    let plain = new_user("eve").to_string().into_bytes();
    let before = admin.everybody().await;
    let send = async |method: Method, path: &str, coding: &str, kind: &str, body: &[u8]| {
        let request = admin.request(method, path).header("content-type", kind);
        let request = request.header("content-encoding", coding).body(body.to_vec());
        TestResponse::of(request.send().await.unwrap()).await
    };
    const JSON: &str = "application/json";
    for (coding, body) in [
        ("gzip", &gzip),
        ("GZIP", &gzip),
        ("x-gzip", &gzip),
        ("br", &plain),
        ("zstd", &plain),
        ("deflate", &plain),
        ("identity, gzip", &plain),
        ("aws-chunked", &plain),
    ] {
        for (method, path) in [
            (Method::POST, "/api/v1/users"),
            (Method::POST, "/api/v1/users/bulk"),
            (Method::PUT, "/api/v1/users/1"),
            (Method::PATCH, "/api/v1/users/1"),
            (Method::POST, "/api/v1/users/bulk-delete"),
            (Method::POST, "/api/v1/users/forgot-password"),
            (Method::PUT, "/api/v1/users/self/update"),
            (Method::POST, "/api/v1/groups"),
            (Method::POST, "/access/v1/evaluation"),
        ] {
            let response = send(method.clone(), path, coding, JSON, body).await.expect(415);
            assert_eq!(response.body["code"], "unsupported-encoding", "{path}");
            assert_eq!(response.header("accept-encoding"), "identity");
            assert_eq!(response.headers.contains_key("accept-patch"), method == Method::PATCH);
        }
    }
    let form = b"grant_type=password&username=admin&password=x&client_id=tenantry";
    let request = t.anonymous().request(Method::POST, "/oauth/token");
    let request = request.header("content-type", "application/x-www-form-urlencoded");
    let response = request.header("content-encoding", "gzip").body(form.to_vec()).send().await.unwrap();
    assert_eq!(TestResponse::of(response).await.expect(415).header("accept-encoding"), "identity");
    assert_eq!(admin.everybody().await, before);
    // None at all, and what is no coding.
    for (name, coding) in [("one", "identity"), ("two", ""), ("three", "Identity")] {
        let body = new_user(name).to_string().into_bytes();
        send(Method::POST, "/api/v1/users", coding, JSON, &body).await.expect(201);
    }
    let empty = send(Method::POST, "/api/v1/users/2/reset-password", "gzip", JSON, b"").await;
    empty.expect(200);
}

/// Addresses with domains of other scripts: shown as typed, compared and mailed in ASCII (B19).
#[tokio::test]
async fn b19_an_internationalized_domain_is_one_address_with_its_ascii_form() {
    let t = T::start().await;
    let admin = t.admin().await;
    let rows = String::from_utf8(field("F41-other-scripts.ndjson")).unwrap();
    let mut taken = Vec::new();
    for row in rows.lines() {
        let body: Value = serde_json::from_str(row).unwrap();
        let response = admin.post("/api/v1/users", &body).await;
        match body["username"].as_str().unwrap() {
            "u0" | "u3" => {
                assert_eq!(response.expect(201).body["email"], body["email"], "as typed");
                taken.push(body["email"].as_str().unwrap().to_owned());
            }
            _ => {
                let response = response.expect(400);
                assert_eq!(response.faults(), ["/email invalid-email"]);
                assert!(response.text.contains("before the @ must be ASCII"), "{}", response.text);
            }
        }
    }
    assert_eq!(taken, ["ada@bücher.example", "ada@例え.jp"]);
    let ascii = with(&new_user("u4"), json!({ "email": "ada@xn--bcher-kva.example" }));
    admin.create_with(&ascii).await;
    let upper = with(&new_user("u5"), json!({ "email": "Ada@BU\u{308}CHER.example" }));
    admin.create_with(&upper).await;
    for spelling in
        ["ada@bücher.example", "ADA@BÜCHER.EXAMPLE", "ada@xn--bcher-kva.example", "ada@XN--BCHER-KVA.example"]
    {
        let found = admin.get(&query(&[("email", spelling)])).await.expect(200).body;
        let names: Vec<&str> =
            found.as_array().unwrap().iter().map(|u| u["username"].as_str().unwrap()).collect();
        assert_eq!(names, ["u0", "u4", "u5"], "{spelling}");
        let page = admin.get(&query(&[("page", "0"), ("pageSize", "1"), ("email", spelling)])).await;
        let next = crate::user_lists::next_of(&page);
        assert_eq!(admin.get(&next).await.expect(200).list()[0]["username"], "u4");
    }
    // Searches find what is shown as well as the ASCII form.
    for (term, count) in [("bücher", 2), ("bucher", 2), ("xn--bcher", 3), ("例え", 1), ("ada@BÜCHER", 2)]
    {
        let found = admin.get(&query(&[("search", term)])).await.expect(200).body;
        assert_eq!(ids(&found).len(), count, "{term}");
    }
    // Whoever asks in whichever form: mail goes to everybody who has the address, as each typed it.
    t.clock.advance(HOUR);
    let sent = t.mails().await.len();
    let body = json!({ "email": "ada@BÜCHER.example" });
    t.anonymous().post("/api/v1/users/forgot-password", &body).await.expect(202);
    let mut to: Vec<String> = t.mails().await.drain(sent..).map(|mail| mail.to.address).collect();
    to.sort_unstable();
    assert_eq!(to, ["Ada@BU\u{308}CHER.example", "ada@bücher.example", "ada@xn--bcher-kva.example"]);
}

/// What a spreadsheet cannot show as a name either.
#[tokio::test]
async fn b19_a_name_has_a_character_that_can_be_seen() {
    let t = T::start().await;
    let admin = t.admin().await;
    let rows = String::from_utf8(field("U02-invisible.ndjson")).unwrap();
    for row in rows.lines() {
        let body: Value = serde_json::from_str(row).unwrap();
        let faults = admin.post("/api/v1/users", &body).await.expect(400).faults();
        assert_eq!(faults.len(), 1, "{row}");
        assert!(faults[0].ends_with("Name invisible"), "{row}: {faults:?}");
    }
    for blank in ["\u{115f}", "\u{fe0f}\u{200d}", "\u{61c}", "\u{e0041}"] {
        for name in ["firstName", "lastName", "displayName"] {
            let body = with(&new_user("eve"), json!({ name: blank }));
            let response = admin.post("/api/v1/users", &body).await.expect(400);
            assert_eq!(response.faults(), [format!("/{name} invisible")], "{blank:?}");
        }
        let response = admin.post("/api/v1/groups", &json!({ "name": blank })).await.expect(400);
        assert_eq!(response.faults(), ["/name invisible"], "{blank:?}");
        let partner = json!({ "name": blank, "adminUsername": "x", "adminEmail": "x@example.com" });
        let response = t.operator().await.post("/operator/v1/partners", &partner).await.expect(400);
        assert_eq!(response.faults(), ["/name invisible"], "{blank:?}");
    }
    assert_eq!(ids(&admin.everybody().await), [1]);
    // Not names, and a name that can be seen comes back as it was sent.
    let odd =
        json!({ "firstName": "\u{200f}דוד", "lastName": "a\u{ad}b", "title": "\u{200b}", "displayName": "" });
    let user = admin.create_with(&with(&new_user("david"), odd.clone())).await;
    for name in ["firstName", "lastName", "title", "displayName"] {
        assert_eq!(user[name], odd[name]);
    }
}

/// Boolean parameters in the case of letters that generated clients write (B26).
#[tokio::test]
async fn b26_flags_are_true_or_false_in_any_case() {
    let t = T::start().await;
    let admin = t.admin().await;
    admin.create("fenna").await;
    for (value, expected) in [
        ("true", [2, 1]),
        ("True", [2, 1]),
        ("TRUE", [2, 1]),
        ("", [2, 1]),
        ("False", [1, 2]),
        ("fALSE", [1, 2]),
    ] {
        let list = admin.get(&format!("/api/v1/users?descending={value}")).await.expect(200).body;
        assert_eq!(ids(&list), expected, "{value}");
    }
    for (parameter, count) in [("isAdmin=True", 1), ("isAdmin=FALSE", 1), ("isAdmin=true&isAdmin=False", 2)] {
        let list = admin.get(&format!("/api/v1/users?{parameter}")).await.expect(200).body;
        assert_eq!(ids(&list).len(), count, "{parameter}");
    }
    let response = admin.post("/api/v1/users?dryRun=True", &new_user("eve")).await.expect(200);
    assert_eq!(response.body["dryRun"], true);
    admin.post("/api/v1/users?dryRun=False", &new_user("eve")).await.expect(201);
    for bad in ["1", "yes", "truee", "t"] {
        let response = admin.post(&format!("/api/v1/users?dryRun={bad}"), &new_user("gus")).await.expect(400);
        assert_eq!(response.faults(), ["dryRun wrong-value"], "{bad}");
    }
}

/// A `+` in a query is a space, which neither addresses nor usernames have (B27).
#[tokio::test]
async fn b27_an_unencoded_plus_in_a_filter_gets_a_hint() {
    let t = T::start().await;
    let admin = t.admin().await;
    admin.create_with(&with(&new_user("ada+x"), json!({ "email": "ada+x@example.com" }))).await;
    for query in
        ["page=0&email=ada+x@example.com", "page=0&username=ada+x", "username=ada+x&email=b+c@d.example"]
    {
        let response = admin.get(&format!("/api/v1/users?{query}")).await.expect(400);
        assert!(response.faults().iter().all(|fault| fault.ends_with(" contains-space")), "{query}");
        assert!(response.text.contains("write + as %2B"), "{}", response.text);
    }
    let filter = json!({ "filter": { "email": ["a@b.example", "a b"] }, "expectedCount": 0, "patch": { "title": "x" } });
    assert_eq!(
        admin.patch("/api/v1/users/bulk", &filter).await.expect(400).faults(),
        ["/filter/email contains-space"]
    );
    for query in ["email=ada%2Bx@example.com", "username=ada%2Bx", "email=ADA%2BX%40EXAMPLE.COM"] {
        let found = admin.get(&format!("/api/v1/users?{query}")).await.expect(200).body;
        assert_eq!(ids(&found), [2], "{query}");
    }
    // Others may have spaces.
    admin.create_with(&with(&new_user("gus"), json!({ "externalId": "a b" }))).await;
    assert_eq!(ids(&admin.get("/api/v1/users?externalId=a+b").await.expect(200).body), [3]);
}
