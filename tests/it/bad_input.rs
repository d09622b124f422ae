//! Bad input to the API: each has a clear answer, and nothing is changed.

use reqwest::Method;
use serde_json::{Value, json};

use crate::fixtures::with;
use crate::harness::{Person, T, TestResponse, new_user};
use crate::user_fields::writable;

const JSON: &str = "application/json";

/// What must stay as it is: users, groups, clients and the log.
async fn state(admin: &Person<'_>) -> (Value, [Value; 2], Vec<Value>) {
    let of = async |path: &str| admin.get(path).await.expect(200).body;
    let lists = [of("/api/v1/groups").await, of("/api/v1/clients").await];
    (admin.everybody().await, lists, admin.events().await)
}

/// Whoever may use a path: an admin, or the operator.
fn by<'p, 't>(path: &str, admin: &'p Person<'t>, operator: &'p Person<'t>) -> &'p Person<'t> {
    if path.starts_with("/operator/") { operator } else { admin }
}

/// A populated partner and every operation that takes a body.
async fn populate(t: &T) -> Vec<(Method, &'static str)> {
    let admin = t.admin().await;
    admin.create_group("Editors").await;
    admin.create_with(&with(&new_user("fenna"), json!({ "groups": [1] }))).await;
    let (client, _) = t.client(1, false).await;
    t.run_sql(&format!("UPDATE clients SET client_id = 'cl_1_bad' WHERE client_id = '{client}'"));
    vec![
        (Method::POST, "/api/v1/users"),
        (Method::PUT, "/api/v1/users/2"),
        (Method::PATCH, "/api/v1/users/2"),
        (Method::PATCH, "/self"),
        (Method::PATCH, "/api/v1/groups/1"),
        (Method::POST, "/api/v1/users/forgot-password"),
        (Method::PUT, "/self/update"),
        (Method::POST, "/self/update-password"),
        (Method::PUT, "/self/update-password"),
        (Method::POST, "/api/v1/users/bulk-delete"),
        (Method::POST, "/api/v1/groups"),
        (Method::PUT, "/api/v1/groups/1"),
        (Method::POST, "/api/v1/groups/bulk-delete"),
        (Method::DELETE, "/api/v1/groups/bulk-delete"),
        (Method::POST, "/api/v1/groups/1/users"),
        (Method::DELETE, "/api/v1/groups/1/users"),
        (Method::PUT, "/api/v1/groups/1/permissions"),
        (Method::PUT, "/api/v1/groups/1/wildcards"),
        (Method::POST, "/api/v1/clients"),
        (Method::PUT, "/api/v1/clients/cl_1_bad"),
        (Method::PATCH, "/api/v1/clients/cl_1_bad"),
        (Method::POST, "/api/v1/clients/cl_1_bad/secrets"),
        (Method::POST, "/operator/v1/clients"),
        (Method::PUT, "/operator/v1/clients/cl_1_bad"),
        (Method::PATCH, "/operator/v1/clients/cl_1_bad"),
        (Method::POST, "/operator/v1/clients/cl_1_bad/secrets"),
        (Method::POST, "/access/v1/evaluation"),
        (Method::POST, "/access/v1/evaluations"),
    ]
}

/// Every refusal is a problem document that says what is wrong, without repeating much of it.
fn assert_clear(response: &TestResponse, status: u16, what: &str) {
    assert_eq!(response.status, status, "{what}: {}", response.text);
    assert_eq!(response.header("content-type"), "application/problem+json", "{what}");
    assert_eq!(response.body["status"], status);
    for name in ["type", "title", "detail", "code"] {
        assert!(
            response.body[name].as_str().is_some_and(|text| !text.is_empty()),
            "{what}: {}",
            response.text
        );
    }
    assert!(response.text.len() < 20_000, "{what}: {} bytes", response.text.len());
}

#[tokio::test]
async fn malformed_bodies_are_named_as_such() {
    let t = T::start().await;
    let operations = populate(&t).await;
    let (admin, operator) = (t.admin().await, t.operator().await);
    let before = state(&admin).await;
    let whole = new_user("eve").to_string();
    let deep = |n: usize| format!("{}{}", "[".repeat(n), "]".repeat(n));
    let objects = format!("{}1{}", r#"{"a":"#.repeat(30_000), "}".repeat(30_000));
    for (method, path) in operations {
        let caller = by(path, &admin, &operator);
        for (body, code) in [
            (String::new(), "empty-body"),
            (" \t\r\n".to_owned(), "empty-body"),
            (whole[..whole.len() - 1].to_owned(), "malformed-json"),
            (whole[..20].to_owned(), "malformed-json"),
            (format!("{whole}x"), "malformed-json"),
            (format!("{whole}{whole}"), "malformed-json"),
            (format!("\u{feff}\u{feff}{whole}"), "malformed-json"),
            ("{\"username\": 'eve'}".to_owned(), "malformed-json"),
            ("{username: \"eve\"}".to_owned(), "malformed-json"),
            ("[1,]".to_owned(), "malformed-json"),
            ("{\"username\": \"\\ud800\"}".to_owned(), "malformed-json"),
            ("{\"username\": \"a\nb\"}".to_owned(), "malformed-json"),
            ("nonsense".to_owned(), "malformed-json"),
            ("{\"status\": NaN}".to_owned(), "malformed-json"),
            (format!("{{\"title\": {}}}", deep(100_000)), "malformed-json"),
            (deep(100_000), "malformed-json"),
            ("[".repeat(200_000), "malformed-json"),
            (objects.clone(), "malformed-json"),
            ("null".to_owned(), "wrong-type"),
            ("true".to_owned(), "wrong-type"),
            ("17".to_owned(), "wrong-type"),
            ("\"text\"".to_owned(), "wrong-type"),
        ] {
            let what = format!("{method} {path} {:.60}", body);
            let is_brief = path.ends_with("/forgot-password");
            if is_brief && body.len() > 4 * 1024 {
                let response = caller.send(method.clone(), path, Some(body.into_bytes()), JSON).await;
                assert_clear(&response, 413, &what);
                continue;
            }
            let response = caller.send(method.clone(), path, Some(body.into_bytes()), JSON).await;
            assert_clear(&response, 400, &what);
            assert_eq!(response.faults().len(), 1, "{what}: {}", response.text);
            let fault = &response.body["errors"][0];
            assert!(
                fault["code"] == code || (code == "malformed-json" && fault["code"] == "wrong-type"),
                "{what}: {fault}"
            );
        }
        // Invalid UTF-8, raw and overlong.
        for bytes in [
            &b"{\"username\": \"a\xffb\"}"[..],
            b"[\xc3\x28]",
            b"{\"firstName\": \"\xed\xa0\x80\"}",
            b"\xff\xfe{\x00}\x00",
        ] {
            let response = caller.send(method.clone(), path, Some(bytes.to_vec()), JSON).await;
            assert_clear(&response, 400, path);
            assert_eq!(response.faults(), [" malformed-json"]);
        }
    }
    assert_eq!(state(&admin).await, before);
}

#[tokio::test]
async fn other_content_types_are_refused() {
    let t = T::start().await;
    let operations = populate(&t).await;
    let (admin, operator) = (t.admin().await, t.operator().await);
    let before = state(&admin).await;
    let body = new_user("eve").to_string().into_bytes();
    for (method, path) in operations {
        let caller = by(path, &admin, &operator);
        for content_type in [
            "",
            "text/plain",
            "text/json",
            "application/xml",
            "application/x-www-form-urlencoded",
            "multipart/form-data",
            "application/",
            "application/+json",
            "application/json; charset=utf-16",
            "application/jsonx",
        ] {
            let response = caller.send(method.clone(), path, Some(body.clone()), content_type).await;
            assert_clear(&response, 415, &format!("{method} {path} {content_type}"));
        }
    }
    assert_eq!(state(&admin).await, before);
    for (n, content_type) in [
        "application/json",
        "Application/JSON; Charset=UTF-8",
        "application/json;charset=\"utf-8\"",
        "application/merge-patch+json",
    ]
    .into_iter()
    .enumerate()
    {
        let body = new_user(&format!("user{n}")).to_string().into_bytes();
        admin.send(Method::POST, "/api/v1/users", Some(body), content_type).await.expect(201);
    }
}

#[tokio::test]
async fn twenty_megabytes_are_too_large() {
    let t = T::start().await;
    let operations = populate(&t).await;
    let (admin, operator) = (t.admin().await, t.operator().await);
    let before = state(&admin).await;
    let spaces = vec![b' '; 20 * 1024 * 1024];
    let text =
        with(&new_user("eve"), json!({ "title": "x".repeat(20 * 1024 * 1024) })).to_string().into_bytes();
    for (method, path) in operations {
        let caller = by(path, &admin, &operator);
        let response = caller.send(method.clone(), path, Some(spaces.clone()), JSON).await;
        assert_clear(&response, 413, &format!("{method} {path}"));
    }
    assert_clear(&admin.send(Method::POST, "/api/v1/users", Some(text), JSON).await, 413, "a long title");
    // Just within the bound it is read, and its one fault told.
    let body = with(&new_user("eve"), json!({ "title": "x".repeat(255 * 1024) }));
    let response = admin.post("/api/v1/users", &body).await;
    assert_clear(&response, 400, "a title of 255 KiB");
    assert_eq!(response.faults(), ["/title too-long"]);
    assert_eq!(state(&admin).await, before);
}

#[tokio::test]
async fn values_of_wrong_types_are_named_one_by_one() {
    let t = T::start().await;
    populate(&t).await;
    let admin = t.admin().await;
    let before = state(&admin).await;
    let user = admin.get("/api/v1/users/2").await.expect(200).body;
    for name in writable() {
        let mut bad = vec![json!(7), json!(-0.5), json!({}), json!({ "a": [1] })];
        bad.extend(match name {
            "groups" => vec![json!("1"), json!(true), json!(null)],
            "isAdmin" => vec![json!([]), json!("1"), json!(null)],
            _ => vec![json!([]), json!(["x"]), json!(true)],
        });
        for bad in bad {
            let change = json!({ name: bad });
            for response in [
                admin.post("/api/v1/users", &with(&new_user("eve"), change.clone())).await,
                admin.put("/api/v1/users/2", &with(&user, change.clone())).await,
            ] {
                assert_clear(&response, 400, &change.to_string());
                assert_eq!(response.faults(), [format!("/{name} wrong-type")], "{change}");
            }
        }
    }
    assert_eq!(state(&admin).await, before);
}

#[tokio::test]
async fn unknown_and_doubled_fields_are_named() {
    let t = T::start().await;
    populate(&t).await;
    let admin = t.admin().await;
    let before = state(&admin).await;
    let raw = async |body: &str| {
        let response = admin.send(Method::POST, "/api/v1/users", Some(body.as_bytes().to_vec()), JSON).await;
        assert_clear(&response, 400, body);
        response.faults()
    };
    let eve = new_user("eve").to_string();
    let members = &eve[1..eve.len() - 1];
    assert_eq!(raw(&format!("{{{members},\"username\":\"eve\"}}")).await, ["/username duplicate-field"]);
    assert_eq!(
        raw(&format!("{{\"isAdmin\":false,{members},\"isAdmin\":true}}")).await,
        ["/isAdmin duplicate-field"]
    );
    // The same name in other letters, and with an escape in it.
    assert_eq!(
        raw(&format!("{{{members},\"\\u0075sername\":\"eve\"}}")).await,
        ["/username duplicate-field"]
    );
    assert_eq!(raw(&format!("{{{members},\"Title\":\"x\"}}")).await, ["/Title unknown-field"]);
    assert_eq!(
        raw(&format!("{{{members},\"\":1,\"__proto__\":{{}},\"is_admin\":true,\"a\\u0000b\":1}}")).await,
        ["/ unknown-field", "/__proto__ unknown-field", "/is_admin unknown-field", "/a\0b unknown-field"]
    );
    // A name without end is told back by its beginning.
    let long = "ü".repeat(100_000);
    assert_eq!(
        raw(&format!("{{{members},\"{long}\":1}}")).await,
        [format!("/{}… unknown-field", "ü".repeat(255))]
    );
    let many: Vec<String> = (0..200).map(|n| format!("\"x{n}\":1")).collect();
    assert_eq!(raw(&format!("{{{members},{}}}", many.join(","))).await, [" too-many-fields"]);
    assert_eq!(state(&admin).await, before);
}

#[tokio::test]
async fn numbers_out_of_range_are_named() {
    let t = T::start().await;
    populate(&t).await;
    let admin = t.admin().await;
    let before = state(&admin).await;
    for number in
        ["0", "-1", "9223372036854775808", "-9223372036854775809", "1e30", "123456789012345678901234567890"]
    {
        for path in ["/api/v1/users/bulk-delete", "/api/v1/groups/bulk-delete"] {
            let response =
                admin.send(Method::POST, path, Some(format!("[{number}]").into_bytes()), JSON).await;
            assert_clear(&response, 400, number);
            assert_eq!(response.faults(), ["/0 out-of-range"], "{number}");
        }
        let eve = new_user("eve").to_string();
        let body = format!("{{\"groups\":[1,{number}],{}", &eve[1..]);
        let response = admin.send(Method::POST, "/api/v1/users", Some(body.into_bytes()), JSON).await;
        assert_clear(&response, 400, number);
        assert_eq!(response.faults(), ["/groups/1 out-of-range"], "{number}");
    }
    for number in ["1.5", "1e400", "-1e400", "1.0", "1e0"] {
        let response = admin
            .send(Method::POST, "/api/v1/users/bulk-delete", Some(format!("[{number}]").into_bytes()), JSON)
            .await;
        assert_clear(&response, 400, number);
    }
    assert_eq!(
        admin.get("/api/v1/users/9223372036854775807").await.expect(404).body["code"],
        "user-not-found"
    );
    assert_eq!(state(&admin).await, before);
}

#[tokio::test]
async fn nul_and_control_characters_are_refused_in_every_string() {
    let t = T::start().await;
    populate(&t).await;
    let admin = t.admin().await;
    let before = state(&admin).await;
    let user = admin.get("/api/v1/users/2").await.expect(200).body;
    for bad in ["\0", "a\0", "a\u{1}b", "a\tb", "a\r\nb", "a\u{1b}[31m", "a\u{7f}b", "a\u{9f}b"] {
        for name in writable().filter(|name| !["groups", "isAdmin"].contains(name)) {
            let change = json!({ name: bad });
            for response in [
                admin.post("/api/v1/users", &with(&new_user("eve"), change.clone())).await,
                admin.put("/api/v1/users/2", &with(&user, change.clone())).await,
            ] {
                assert_clear(&response, 400, &change.to_string());
                let faults = response.faults();
                assert!(
                    faults.len() == 1 && faults[0].starts_with(&format!("/{name} ")),
                    "{change}: {faults:?}"
                );
            }
        }
        for name in ["name", "description"] {
            let response =
                admin.post("/api/v1/groups", &with(&json!({ "name": "X" }), json!({ name: bad }))).await;
            assert_clear(&response, 400, bad);
        }
    }
    assert_eq!(state(&admin).await, before);
}

/// PostgreSQL has no text with U+0000 in it: it must not get that far, from whichever parameter of whichever operation.
#[tokio::test]
async fn nul_characters_are_refused_by_every_operation() {
    let t = T::start().await;
    populate(&t).await;
    let (admin, operator, nobody) = (t.admin().await, t.operator().await, t.anonymous());
    // So that each operation has what its path names: the number 2, or this client.
    let client_id = t.client(1, false).await.0;
    assert_eq!(admin.create_group("Authors").await, 2);
    assert_eq!(t.other_partner("acme").await.0, 2);
    let before = state(&admin).await;
    let document = tenantry::router::document();
    let (mut parameters, mut members) = (0, 0);
    let items = document["paths"].as_object().unwrap();
    let operations = items.iter().flat_map(|(path, item)| {
        item.as_object().unwrap().iter().map(move |(method, operation)| (path, method, operation))
    });
    for (path, method, operation) in operations {
        let method: Method = method.to_uppercase().parse().unwrap();
        let person = match path.split('/').nth(1) {
            Some("operator") => &operator,
            Some("oauth") => &nobody,
            _ => &admin,
        };
        let at = |value: &str| {
            let segments: Vec<_> = path
                .split('/')
                .map(|s| match s {
                    "{clientId}" if value == "2" => client_id.as_str(),
                    s if s.starts_with('{') => value,
                    s => s,
                })
                .collect();
            segments.join("/")
        };
        let mut paths = vec![format!("{}?%00=1", at("2")), format!("{}?x=a%00b", at("2"))];
        if path.contains('{') {
            paths.extend(["%00", "2%00", "%002"].map(at));
        }
        for name in operation["parameters"].as_array().into_iter().flatten().filter(|p| p["in"] == "query") {
            let name = name["name"].as_str().unwrap();
            paths.extend(["%00", "a%00b"].map(|bad| format!("{}?{name}={bad}", at("2"))));
            parameters += 1;
        }
        for path in paths {
            let response = person.send(method.clone(), &path, None, "").await;
            assert!((400..500).contains(&response.status.as_u16()), "{method} {path}: {}", response.text);
        }
        for (kind, content) in operation["requestBody"]["content"].as_object().into_iter().flatten() {
            let properties = properties(&document, &content["schema"]);
            for (name, _) in properties.iter().filter(|(_, value)| value.is_string()) {
                let mut body = Value::Object(properties.clone());
                if path.ends_with("/forgot-password") {
                    // One or the other, not both.
                    body = json!({});
                }
                body[name] = json!("a\0b");
                let what = format!("{method} {path} {body}");
                members += 1;
                if !kind.ends_with("json") {
                    let texts = body.as_object().unwrap().iter().map(|(n, v)| (n, v.as_str().unwrap()));
                    let form = form_urlencoded::Serializer::new(String::new()).extend_pairs(texts).finish();
                    let response = nobody.send(method.clone(), path, Some(form.into_bytes()), kind).await;
                    assert_eq!(
                        (response.status.as_u16(), &response.body["error"]),
                        (400, &json!("invalid_request"))
                    );
                    continue;
                }
                let response =
                    person.send(method.clone(), &at("2"), Some(body.to_string().into_bytes()), kind).await;
                assert_clear(&response, 400, &what);
                let named = format!("/{name} ");
                assert!(response.faults().iter().any(|f| f.starts_with(&named)), "{what}: {}", response.text);
            }
        }
    }
    assert!(parameters > 15 && members > 20, "{parameters} parameters, {members} members");
    // What stands in HTTP Basic is form-encoded as well.
    let basic = (String::from("cl.1.a%00b"), String::from("x"));
    let basic = t.form_as(&basic, "/oauth/token", &[("grant_type", "client_credentials")]).await;
    assert_eq!(basic.expect(401).body["error"], "invalid_client");
    assert_eq!(state(&admin).await, before);
}

/// A value for each property of a body, by its schema.
fn properties(document: &Value, schema: &Value) -> serde_json::Map<String, Value> {
    let name = schema["$ref"].as_str().and_then(|target| target.rsplit('/').next());
    let schema = name.map_or(schema, |name| &document["components"]["schemas"][name]);
    let mut values = serde_json::Map::new();
    for (name, property) in schema["properties"].as_object().into_iter().flatten() {
        let is = |kind: &str| {
            property["type"] == kind || property["type"].as_array().is_some_and(|t| t.contains(&json!(kind)))
        };
        let value = match &property["example"] {
            Value::Null if is("string") => json!("x"),
            Value::Null if is("array") => json!([]),
            Value::Null if is("boolean") => json!(false),
            example => example.clone(),
        };
        values.insert(name.clone(), value);
    }
    values
}

#[tokio::test]
async fn queries_that_are_no_text_are_refused() {
    let t = T::start().await;
    populate(&t).await;
    let admin = t.admin().await;
    for query in [
        "search=%FF",
        "search=a%C3%28",
        "username=%ED%A0%80",
        "email=%80",
        "%FF=1",
        "page=%FF",
        "search=fen%C3",
    ] {
        let response = admin.get(&format!("/api/v1/users?{query}")).await;
        assert_clear(&response, 400, query);
    }
    // The replacement character itself is text.
    assert_eq!(admin.get("/api/v1/users?search=%EF%BF%BD").await.expect(200).body, json!([]));
    for query in ["search=%", "search=%zz", "search=100%25", "&&", "folderId=%FF"] {
        let response = admin.get(&format!("/api/v1/users?{query}")).await;
        assert!(response.status == 200 || response.status == 400, "{query}: {}", response.text);
    }
    let long = "x".repeat(8_000);
    assert_eq!(admin.get(&format!("/api/v1/users?search={long}")).await.expect(200).body, json!([]));
}

#[tokio::test]
async fn unknown_paths_and_methods_are_named() {
    let t = T::start().await;
    let operations = populate(&t).await;
    let admin = t.admin().await;
    let before = state(&admin).await;
    for path in [
        "/",
        "/api",
        "/api/v1",
        "/api/v1/",
        "/api/v1/user",
        "/api/v1/users/2/groups",
        "/portal/users",
        "/portal/v1/users",
        "/api/v2/users",
        "/v1/v1/users",
    ] {
        assert_clear(&admin.get(path).await, 404, path);
    }
    let allowed = |method: &Method, path: &str| operations.iter().any(|(m, p)| m == method && *p == path);
    for (path, allow) in [
        ("/api/v1/users", "GET,HEAD,POST"),
        ("/api/v1/users/2", "DELETE,GET,HEAD,PATCH,PUT"),
        ("/api/v1/users/bulk-delete", "POST"),
        ("/api/v1/users/2/reset-password", "POST"),
        ("/self", "GET,HEAD,PATCH"),
        ("/self/update", "PUT"),
        ("/self/update-password", "POST,PUT"),
        ("/self/reset-password", "POST,PUT"),
        ("/api/v1/groups", "GET,HEAD,POST"),
        ("/api/v1/groups/1", "DELETE,GET,HEAD,PATCH,PUT"),
        ("/api/v1/groups/bulk-delete", "DELETE,POST"),
        ("/api/v1/events", "GET,HEAD"),
    ] {
        for method in [Method::GET, Method::POST, Method::PUT, Method::DELETE, Method::PATCH] {
            if allow.split(',').any(|m| m == method.as_str()) || allowed(&method, path) {
                continue;
            }
            let response = admin.send(method.clone(), path, Some(b"{}".to_vec()), JSON).await;
            assert_clear(&response, 405, &format!("{method} {path}"));
            let mut names: Vec<&str> = response.header("allow").split(',').map(str::trim).collect();
            names.sort_unstable();
            assert_eq!(names.join(","), allow, "{path}");
        }
    }
    assert_eq!(state(&admin).await, before);
}
