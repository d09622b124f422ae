//! The OpenAPI document, Swagger UI, and the operator's own pages: health, readiness, metrics.

use std::collections::{BTreeMap, BTreeSet};

use reqwest::Method;
use serde_json::Value;

use crate::harness::{T, TestResponse};

const DOCUMENT: &str = "/api/v1/openapi.json";

/// `(method, path, operation)` of every operation.
fn operations(document: &Value) -> Vec<(String, String, Value)> {
    let mut all = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            all.push((method.to_uppercase(), path.clone(), operation.clone()));
        }
    }
    all
}

fn refs(value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(map) => {
            if let Some(target) = map.get("$ref").and_then(Value::as_str) {
                found.insert(target.to_owned());
            }
            map.values().for_each(|v| refs(v, found));
        }
        Value::Array(list) => list.iter().for_each(|v| refs(v, found)),
        _ => {}
    }
}

#[tokio::test]
async fn the_document_is_served_as_generated() {
    let t = T::start().await;
    let response = t.anonymous().get(DOCUMENT).await.expect(200);
    assert_eq!(response.header("content-type"), "application/json");
    assert_eq!(response.body, tenantry::router::document());
    assert!(response.body["openapi"].as_str().unwrap().starts_with("3.1."));
    assert_eq!(t.anonymous().get("/v1/openapi.json/").await.expect(200).body, response.body);
}

#[test]
fn the_document_is_the_committed_one() {
    insta::assert_json_snapshot!(tenantry::router::document());
}

#[test]
fn every_operation_is_named_and_says_who_may_call_it() {
    let document = tenantry::router::document();
    let tags: BTreeSet<_> =
        document["tags"].as_array().unwrap().iter().map(|t| t["name"].as_str().unwrap()).collect();
    let schemes = document["components"]["securitySchemes"].as_object().unwrap();
    let mut ids = BTreeSet::new();
    for (method, path, operation) in operations(&document) {
        let id = operation["operationId"].as_str().unwrap().to_owned();
        let words: Vec<_> = id.split('_').collect();
        let lower = words.iter().all(|w| !w.is_empty() && w.bytes().all(|b| b.is_ascii_lowercase()));
        assert!(words.len() >= 2 && lower, "{id} is not verb_resource");
        assert!(ids.insert(id.clone()), "{id} is there twice");
        assert!(operation["summary"].as_str().is_some_and(|s| !s.is_empty()), "{id} has no summary");
        let own = operation["tags"].as_array().unwrap();
        assert!(own.len() == 1 && tags.contains(own[0].as_str().unwrap()), "{id}: {own:?}");
        let security =
            operation["security"].as_array().unwrap_or_else(|| panic!("{id} requires no security"));
        let named: Vec<_> = security.iter().flat_map(|s| s.as_object().unwrap().keys().cloned()).collect();
        if id == "forgot_password" {
            assert_eq!(named, [""; 0], "anybody may ask");
            continue;
        }
        let expected = match path.split('/').nth(1) {
            Some("api" | "access") => "login",
            Some("operator") => "operator",
            Some("oauth") => "client",
            _ => panic!("{method} {path} is of no edge"),
        };
        assert_eq!(named, [expected], "{id}");
        assert!(schemes.contains_key(expected));
        // Each parameter of the path is described.
        let described: Vec<_> = operation["parameters"].as_array().into_iter().flatten().collect();
        for name in path.split('/').filter_map(|s| s.strip_prefix('{')?.strip_suffix('}')) {
            assert!(described.iter().any(|p| p["in"] == "path" && p["name"] == name), "{id}: {name}");
        }
    }
}

#[test]
fn every_operation_lists_the_errors_it_can_answer() {
    let document = tenantry::router::document();
    for (method, path, operation) in operations(&document) {
        let id = operation["operationId"].as_str().unwrap();
        let has = |status: &str| operation["responses"].get(status).is_some();
        let is_api = !path.starts_with("/oauth/");
        let with_body = operation.get("requestBody").is_some();
        let takes = |name: &str| {
            operation["parameters"]
                .as_array()
                .into_iter()
                .flatten()
                .any(|parameter| parameter["name"] == name)
        };
        let is_anybodys = id == "forgot_password";
        // A group that is not in the partner is 400 there, as the source prints.
        let is_fault =
            path.ends_with("/permissions") && path.contains("groupId") || path.ends_with("/wildcards");
        // A partner has one branding, or none.
        let is_of_one = path.starts_with("/api/v1/branding") && id != "set_branding";
        // A factor that waits to be confirmed.
        let is_waiting = id == "confirm_own_factor";
        let names_one = (path.contains('{') && !is_fault)
            || is_waiting
            || is_of_one
            || id.starts_with("bulk_delete")
            || id == "bulk_patch_users";
        let expected: BTreeMap<&str, bool> = BTreeMap::from([
            // Unknown query parameters, if nothing else (B29).
            ("400", true),
            ("401", !is_anybodys),
            ("403", (path.starts_with("/api/") || path.starts_with("/access/")) && !is_anybodys),
            ("404", names_one),
            ("408", with_body),
            // Rows of an import are read piece by piece, however many.
            ("413", with_body && id != "import_users"),
            // Of OAuth's forms, too, if they are compressed.
            ("415", with_body),
            ("304", takes("If-None-Match")),
            ("412", takes("If-Match")),
            ("429", id == "issue_token" || is_anybodys),
            ("500", true),
            ("503", true),
        ]);
        for (status, expected) in expected {
            assert_eq!(has(status), expected, "{method} {path}: {status}");
        }
        // Names can be taken; the last admin cannot go (B10).
        let conflicts = [
            "create_user",
            "update_user",
            "delete_user",
            "bulk_delete_users",
            "update_self",
            "create_group",
            "update_group",
            "delete_group",
            "bulk_delete_groups",
            "bulk_delete_groups_by_delete",
            // The key of a repeated request may have come with another body.
            "add_members",
            "patch_user",
            "patch_self",
            "patch_group",
            "restore_user",
            "bulk_create_users",
            // Also: another run of the same import is at work.
            "import_users",
            "bulk_patch_users",
            // The key of a repeated request; a client has one or two secrets.
            "create_client",
            "add_client_secret",
            "remove_client_secret",
            "create_any_client",
            "add_any_client_secret",
            "remove_any_client_secret",
            "create_partner",
            "update_partner",
            "delete_partner",
            "add_own_factor",
            "confirm_own_factor",
            "make_own_recovery_codes",
            "remove_own_factor",
            "remove_user_factors",
            "remove_user_factor",
        ];
        assert_eq!(has("409"), conflicts.contains(&id), "{id}: 409");
        for (status, response) in operation["responses"].as_object().unwrap() {
            assert!(response["description"].as_str().is_some_and(|d| !d.is_empty()), "{id} {status}");
            if status.as_str() >= "400" {
                let kinds: Vec<_> = response["content"].as_object().unwrap().keys().cloned().collect();
                let is_grant = !is_api && ["400", "401"].contains(&status.as_str());
                let expected = if is_grant { "application/json" } else { "application/problem+json" };
                assert_eq!(kinds, [expected], "{id} {status}");
            }
        }
    }
}

#[test]
fn every_description_is_complete_by_itself() {
    let document = tenantry::router::document();
    assert_eq!(document["servers"][0]["url"], "/");
    let mut texts = Vec::new();
    for (_, _, operation) in operations(&document) {
        let id = operation["operationId"].as_str().unwrap();
        for name in ["summary", "description"] {
            let text = operation[name].as_str().unwrap_or_else(|| panic!("{id} has no {name}"));
            texts.push(format!("{id}: {text}"));
        }
        for parameter in operation["parameters"].as_array().into_iter().flatten() {
            let text = parameter["description"].as_str().unwrap_or_default();
            assert!(!text.is_empty(), "{id}: {}", parameter["name"]);
            texts.push(format!("{id}: {text}"));
        }
    }
    for (name, schema) in document["components"]["schemas"].as_object().unwrap() {
        texts.push(format!("{name}: {schema}"));
    }
    // Rows of the contract say nothing to whoever reads the document.
    let is_row = |word: &str| {
        let mut letters = word.chars();
        letters.next().is_some_and(|c| ('A'..='C').contains(&c))
            && !letters.as_str().is_empty()
            && letters.all(|c| c.is_ascii_digit())
    };
    for text in texts {
        let named = text.split(|c: char| !c.is_alphanumeric()).find(|word| is_row(word));
        assert_eq!(named, None, "{text}");
    }
}

/// The schemas of requests are made by what reads them, so nothing may be left that only documents.
#[test]
fn no_type_only_documents() {
    for (file, text) in crate::architecture::sources() {
        assert!(!text.contains("reason = \"documents "), "{file}");
    }
}

#[test]
fn every_body_has_an_example() {
    let document = tenantry::router::document();
    for (_, _, operation) in operations(&document) {
        let id = operation["operationId"].as_str().unwrap();
        let mut contents = Vec::new();
        for (kind, content) in operation["requestBody"]["content"].as_object().into_iter().flatten() {
            contents.push((format!("{id}, request, {kind}"), content));
        }
        for (status, response) in operation["responses"].as_object().unwrap() {
            let content = response["content"].as_object();
            assert_eq!(content.is_none(), status == "204" || status == "304", "{id} {status}");
            for (kind, content) in content.into_iter().flatten() {
                contents.push((format!("{id}, {status}, {kind}"), content));
                if kind == "application/problem+json" {
                    assert_eq!(content["example"]["status"].to_string(), *status, "{id}");
                    assert!(content["example"]["code"].is_string(), "{id} {status}");
                }
            }
        }
        for (place, content) in contents {
            let example = content.get("example").unwrap_or_else(|| panic!("{place} has no example"));
            conforms(example, &content["schema"], &document, &place);
        }
    }
}

/// That an example has what its schema requires, and nothing else.
fn conforms(example: &Value, schema: &Value, document: &Value, place: &str) {
    if let Some(target) = schema["$ref"].as_str() {
        return conforms(example, document.pointer(&target[1..]).unwrap(), document, place);
    }
    if let Some(items) = schema.get("items") {
        let list = example.as_array().unwrap_or_else(|| panic!("{place}: {example} is no array"));
        assert!(!list.is_empty() || place.contains('.'), "{place}: an empty list shows nothing");
        return list.iter().for_each(|one| conforms(one, items, document, place));
    }
    let Some(properties) = schema["properties"].as_object() else { return };
    let object = example.as_object().unwrap_or_else(|| panic!("{place}: {example} is no object"));
    for name in schema["required"].as_array().into_iter().flatten() {
        assert!(object.contains_key(name.as_str().unwrap()), "{place}: {name} is missing in {example}");
    }
    for (name, value) in object {
        let property = properties.get(name).unwrap_or_else(|| panic!("{place}: {name} is not in the schema"));
        conforms(value, property, document, &format!("{place}.{name}"));
    }
}

#[test]
fn every_reference_leads_somewhere_and_every_schema_is_used() {
    let document = tenantry::router::document();
    let mut found = BTreeSet::new();
    refs(&document, &mut found);
    assert!(found.contains("#/components/schemas/User"));
    for target in &found {
        assert!(document.pointer(target.strip_prefix('#').unwrap()).is_some(), "{target} leads nowhere");
    }
    for name in document["components"]["schemas"].as_object().unwrap().keys() {
        assert!(found.contains(&format!("#/components/schemas/{name}")), "{name} is used nowhere");
    }
}

/// The router serves exactly the methods that the document names.
#[tokio::test]
async fn routes_and_document_agree() {
    let t = T::start().await;
    let document = tenantry::router::document();
    for (path, item) in document["paths"].as_object().unwrap() {
        let mut documented: BTreeSet<String> =
            item.as_object().unwrap().keys().map(|m| m.to_uppercase()).collect();
        if documented.contains("GET") {
            documented.insert(String::from("HEAD"));
        }
        let path = path
            .replace("{userId}", "1")
            .replace("{groupId}", "1")
            .replace("{pid}", "1")
            .replace("{objectType}", "TAGS")
            .replace("{sessionId}", "x");
        let response = t.anonymous().send("TRACE".parse().unwrap(), &path, None, "").await.expect(405);
        let allowed: BTreeSet<String> =
            response.header("allow").split(',').map(|m| m.trim().to_owned()).collect();
        assert_eq!(allowed, documented, "{path}");
        assert_eq!(response.body["code"], "method-not-allowed");
    }
    // Whatever else is routed by hand is listed here: no operations of the API. Pages are in tests/it/pages.rs.
    let by_hand: BTreeSet<String> = crate::architecture::sources()
        .iter()
        .filter(|(file, _)| !file.starts_with("crates/web/"))
        .flat_map(|(file, text)| {
            let code = crate::architecture::shipped(file, text);
            let routes =
                code.split(".route(\"").skip(1).map(|rest| rest.split('"').next().unwrap().to_owned());
            routes.collect::<Vec<_>>()
        })
        .collect();
    assert_eq!(
        by_hand,
        BTreeSet::from(
            [
                "/api/v1/openapi.json",
                "/healthz",
                "/metrics",
                "/oauth/authorize",
                "/oauth/authorize/continue",
                "/oauth/jwks",
                "/oauth/logout",
                "/oauth/userinfo",
                "/readyz",
            ]
            .map(String::from)
        )
    );
}

#[tokio::test]
async fn swagger_ui_loads_nothing_from_other_hosts() {
    let t = T::start().await;
    let nobody = t.anonymous();
    // reqwest follows the redirect to /docs/.
    for path in ["/docs", "/docs/"] {
        let page = nobody.get(path).await.expect(200);
        assert!(page.header("content-type").starts_with("text/html"), "{}", page.header("content-type"));
        assert!(page.text.contains("swagger-ui"), "{}", page.text);
    }
    for file in ["index.html", "swagger-initializer.js"] {
        let text = nobody.get(&format!("/docs/{file}")).await.expect(200).text;
        assert!(
            !text.contains("//") || !text.replace("// ", "").contains("://"),
            "{file} names another host: {text}"
        );
    }
    let config = nobody.get("/docs/swagger-initializer.js").await.expect(200).text;
    assert!(config.contains(DOCUMENT), "{config}");
    assert!(
        config.contains(r#""validatorUrl": "none""#),
        "nothing is sent to validator.swagger.io: {config}"
    );
    // Every file that the page asks for is in the binary.
    let page = nobody.get("/docs/").await.expect(200).text;
    let mut files = 0;
    for attribute in ["src=\"", "href=\""] {
        for rest in page.split(attribute).skip(1) {
            let file = rest.split('"').next().unwrap().trim_start_matches("./");
            nobody.get(&format!("/docs/{file}")).await.expect(200);
            files += 1;
        }
    }
    assert!(files >= 4, "{page}");
    nobody.get("/docs/nothing.js").await.expect(404);
}

#[tokio::test]
async fn health_and_readiness() {
    let t = T::start().await;
    for (path, status) in [("/healthz", "ok"), ("/readyz", "ready"), ("/healthz/", "ok")] {
        assert_eq!(t.anonymous().get(path).await.expect(200).body["status"], status);
    }
}

#[tokio::test]
async fn metrics_are_for_allowed_networks_and_contain_no_names() {
    let t = T::with(|config| config.metrics_allow = vec!["127.0.0.0/8".parse().unwrap()]).await;
    let (_, fenna) = t.member("fenna").await;
    t.other_partner("other").await;
    fenna.get("/api/v1/users/self").await.expect(200);
    fenna.get("/api/v1/users").await.expect(403);
    let response = t.anonymous().get("/metrics").await.expect(200);
    assert!(response.header("content-type").starts_with("text/plain; version=0.0.4"));
    assert!(response.text.contains("tenantry_http_requests_total{class=\"4xx\"}"), "{}", response.text);
    for name in ["fenna", "admin", "other", "pid", "userId", "partner=", "user="] {
        assert!(!response.text.contains(name), "{name} is in the metrics");
    }
    for (header, value) in
        [("x-forwarded-for", "127.0.0.1"), ("forwarded", "for=127.0.0.1"), ("x-real-ip", "127.0.0.1")]
    {
        let request = t.anonymous().request(Method::GET, "/metrics").header(header, value);
        TestResponse::of(request.send().await.unwrap()).await.expect(404);
    }
}

#[tokio::test]
async fn metrics_are_refused_unless_the_network_is_allowed() {
    for allowed in [&[][..], &["203.0.113.0/24"], &["::1/128", "10.0.0.0/8"]] {
        let t = T::with(|config| {
            config.metrics_allow = allowed.iter().map(|net| net.parse().unwrap()).collect();
            // Whom a proxy speaks for does not count, even where it is believed.
            config.trusted_proxies = vec!["127.0.0.0/8".parse().unwrap()];
        })
        .await;
        let refused = t.anonymous().get("/metrics").await.expect(404);
        let unknown = t.anonymous().get("/nothing").await.expect(404);
        assert_eq!(refused.body, unknown.body, "strangers are not told that there is anything");
        for header in ["x-forwarded-for", "forwarded", "x-real-ip"] {
            let request = t.anonymous().request(Method::GET, "/metrics").header(header, "203.0.113.7");
            TestResponse::of(request.send().await.unwrap()).await.expect(404);
        }
        assert!(t.log().contains("metrics-allow"), "whoever runs the server finds out why");
    }
}

/// Pages, their files, redirects, errors and answers without a body.
#[tokio::test]
async fn every_answer_has_the_security_headers() {
    let t = T::start().await;
    let admin = t.admin().await;
    let client =
        reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none()).build().unwrap();
    for (path, status, is_page) in [
        ("/docs/", 200, true),
        ("/docs/index.html", 200, true),
        ("/docs/swagger-ui-bundle.js", 200, true),
        ("/docs/nothing.js", 404, true),
        ("/docs", 303, true),
        ("/api/v1/openapi.json", 200, false),
        ("/api/v1/users", 401, false),
        ("/healthz", 200, false),
        ("/nowhere", 404, false),
        ("/metrics", 404, false),
    ] {
        let response = client.get(format!("http://{}{path}", t.address)).send().await.unwrap();
        assert_eq!(response.status(), status, "{path}");
        assert_secure(&TestResponse::of(response).await, is_page, path);
    }
    let etag = admin.get("/api/v1/users/1").await.expect(200).header("etag").to_owned();
    let request = admin.request(Method::GET, "/api/v1/users/1").header("if-none-match", etag);
    assert_secure(&TestResponse::of(request.send().await.unwrap()).await.expect(304), false, "304");
    assert_secure(&admin.get("/api/v1/users").await.expect(200), false, "a stream");
    assert_secure(&admin.delete("/api/v1/users/999").await.expect(404), false, "DELETE");
}

fn assert_secure(response: &TestResponse, is_page: bool, what: &str) {
    let policy = response.header("content-security-policy");
    assert!(
        policy.starts_with("default-src 'none'; ") && policy.contains("frame-ancestors 'none'"),
        "{what}: {policy}"
    );
    assert_eq!(policy.contains("script-src 'self'"), is_page, "{what}: {policy}");
    assert!(
        !policy.contains("unsafe-eval") && !policy.contains("script-src 'self' 'unsafe-inline'"),
        "{what}: {policy}"
    );
    for (name, value) in [
        ("x-content-type-options", "nosniff"),
        ("x-frame-options", "DENY"),
        ("referrer-policy", "no-referrer"),
    ] {
        assert_eq!(response.header(name), value, "{what}: {name}");
    }
    assert_ne!(response.header("x-request-id"), "", "{what}");
}
