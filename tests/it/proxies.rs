//! Real reverse proxies before a real server: nginx and Apache, with the configurations that docs/OPERATIONS.md shows.

use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use reqwest::Method;
use serde_json::json;
use tempfile::TempDir;
use tokio::net::TcpStream;

use crate::binary::TIMEOUT;
use crate::fixtures::field;
use crate::harness::{ADMIN_PASSWORD, Person, T, TestResponse, new_user};

/// A program that passes requests on, from a port of its own. Killed by its id when dropped.
pub struct Front {
    child: Child,
    pub address: SocketAddr,
    http: reqwest::Client,
    _dir: TempDir,
}

impl Front {
    /// Starts a program on a free port. `command` writes its configuration for a directory and a port.
    async fn start(command: impl Fn(&Path, u16) -> Command) -> Self {
        // Another program can take the port in between; then it ends, and another port is tried.
        for _ in 0..5 {
            let dir = tempfile::tempdir().unwrap();
            let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
            let address = free.local_addr().unwrap();
            drop(free);
            let mut command = command(dir.path(), address.port());
            let output = std::fs::File::create(dir.path().join("output")).unwrap();
            command.stdin(Stdio::null()).stdout(output.try_clone().unwrap()).stderr(output);
            let child =
                command.spawn().unwrap_or_else(|e| panic!("{command:?}: {e}; scripts/test installs it"));
            let http = reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none());
            let mut front = Self { child, address, http: http.build().unwrap(), _dir: dir };
            if front.responses().await {
                return front;
            }
        }
        panic!("it does not start on any port");
    }

    /// Waits until it accepts connections; `false` if it ends.
    async fn responses(&mut self) -> bool {
        let waited = async {
            loop {
                if self.child.try_wait().unwrap().is_some() {
                    let output = std::fs::read_to_string(self._dir.path().join("output")).unwrap();
                    assert!(output.contains("ddress already in use"), "{output}");
                    return false;
                }
                if TcpStream::connect(self.address).await.is_ok() {
                    return true;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(TIMEOUT, waited).await.unwrap()
    }

    /// nginx with a piece of its `http` block, which listens on 8081 and passes on to 8080.
    async fn nginx(piece: &str, to: SocketAddr) -> Self {
        Self::start(|dir, port| {
            let at = dir.display();
            let paths: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
                .map(|name| format!("{name}_temp_path {at}/{name};\n"))
                .concat();
            let piece = piece.replace("127.0.0.1:8081", &format!("127.0.0.1:{port}"));
            let piece = piece.replace("127.0.0.1:8080", &to.to_string());
            let config = format!(
                "daemon off;\nmaster_process off;\npid {at}/pid;\nerror_log stderr;\nevents {{}}\n\
                 http {{\naccess_log off;\n{paths}{piece}\n}}\n"
            );
            std::fs::write(dir.join("nginx.conf"), config).unwrap();
            let mut command = Command::new("/usr/sbin/nginx");
            command.arg("-p").arg(dir).arg("-c").arg(dir.join("nginx.conf")).args(["-g", ""]);
            command
        })
        .await
    }

    /// nginx with a piece of a `server` block.
    async fn nginx_server(piece: &str, to: SocketAddr) -> Self {
        Self::nginx(&format!("server {{ listen 127.0.0.1:8081;\n{piece}\n}}"), to).await
    }

    /// Apache with a piece of a virtual host that passes on to 8080.
    async fn apache(piece: &str, to: SocketAddr) -> Self {
        Self::apache_on(&[], |_| piece.replace("127.0.0.1:8080", &to.to_string())).await
    }

    /// Apache with other modules and a piece of a virtual host, which is made for a port.
    pub async fn apache_on(others: &[&str], piece: impl Fn(u16) -> String) -> Self {
        Self::start(|dir, port| {
            let usual = ["mpm_event", "authz_core", "proxy", "proxy_http", "headers", "filter", "deflate"];
            let modules: String = usual
                .iter()
                .chain(others)
                .map(|name| format!("LoadModule {name}_module /usr/lib/apache2/modules/mod_{name}.so\n"))
                .collect();
            let (at, piece) = (dir.display(), piece(port));
            let config = format!(
                "ServerRoot {at}\nServerName localhost\nDefaultRuntimeDir {at}\nPidFile {at}/pid\nErrorLog /dev/stderr\n\
                 {modules}User www-data\nGroup www-data\nListen 127.0.0.1:{port}\n<VirtualHost *>\n{piece}\n</VirtualHost>\n"
            );
            std::fs::write(dir.join("apache.conf"), config).unwrap();
            let mut command = Command::new("/usr/sbin/apache2");
            // One process, in the foreground.
            command.arg("-X").arg("-f").arg(dir.join("apache.conf"));
            command
        })
        .await
    }

    fn person(&self, token: Option<&str>) -> Person<'_> {
        Person::over(&self.http, self.address, token)
    }
}

impl Drop for Front {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The pieces of docs/OPERATIONS.md in a language, in its order.
fn documented(language: &str) -> Vec<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/OPERATIONS.md");
    let text = std::fs::read_to_string(path).unwrap();
    let begin = format!("```{language}\n");
    text.split(&begin).skip(1).map(|rest| rest.split("\n```").next().unwrap().to_owned()).collect()
}

/// A server that trusts the proxies of this machine, and whose metrics this machine may read.
async fn server() -> T {
    T::with(|config| {
        config.trusted_proxies = vec!["127.0.0.1/32".parse().unwrap()];
        config.metrics_allow = vec!["127.0.0.1/32".parse().unwrap()];
    })
    .await
}

/// A GET by somebody who takes gzip.
async fn get_compressed(person: &Person<'_>, path: &str) -> TestResponse {
    let request = person.request(Method::GET, path).header("accept-encoding", "gzip");
    TestResponse::of(request.send().await.unwrap()).await.expect(200)
}

/// What a client that read through a compressing proxy has is what it may write with.
async fn assert_tags_work(person: &Person<'_>, path: &str, form: impl Fn(&str) -> bool) {
    let read = get_compressed(person, path).await;
    assert_eq!(read.header("content-encoding"), "gzip", "{:?}", read.headers);
    let tag = read.header("etag").to_owned();
    assert!(form(&tag), "{tag}");
    let known = person.request(Method::GET, path).header("if-none-match", &tag);
    let known = known.header("accept-encoding", "gzip").send().await.unwrap();
    assert_eq!(known.status(), 304, "{tag}");
    let body = person.get(path).await.expect(200).body;
    let put = |title: &str| {
        let request = person.request(Method::PUT, path).header("if-match", &tag);
        request
            .header("content-type", "application/json")
            .body(crate::fixtures::with(&body, json!({ "title": title })).to_string())
    };
    TestResponse::of(put(&format!("by {path}")).send().await.unwrap()).await.expect(200);
    // It was the tag of that version only.
    TestResponse::of(put("y").send().await.unwrap()).await.expect(412);
}

/// Whatever the client says, its session shows where it is.
async fn assert_address_is_the_clients(front: &Front, prefix: &str) {
    let form = [
        ("grant_type", "password"),
        ("client_id", "tenantry"),
        ("username", "admin"),
        ("password", ADMIN_PASSWORD),
    ];
    let form = form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
    let request = front
        .person(None)
        .request(Method::POST, &format!("{prefix}/oauth/token"))
        .header("content-type", "application/x-www-form-urlencoded")
        .header("x-forwarded-for", "1.2.3.4")
        .header("forwarded", "for=1.2.3.5")
        .header("x-forwarded-prefix", "/elsewhere")
        .body(form);
    let response = TestResponse::of(request.send().await.unwrap()).await.expect(200);
    let person = front.person(response.body["access_token"].as_str());
    let sessions = person.get(&format!("{prefix}/api/v1/users/self/sessions")).await.expect(200);
    let current = sessions.list().iter().find(|session| session["isCurrent"] == true).unwrap();
    assert_eq!(current["address"], "127.0.0.1");
}

/// Everything that names a path can be followed through the proxy.
async fn assert_paths_can_be_followed(front: &Front, token: &str, prefix: &str) {
    let person = front.person(Some(token));
    let users = format!("{prefix}/api/v1/users");
    // A prefix that a client invents is dropped.
    let body = new_user("ada").to_string();
    let request = person.request(Method::POST, &users).header("x-forwarded-prefix", "//evil.example");
    let made = request.header("content-type", "application/json").body(body).send().await.unwrap();
    let made = TestResponse::of(made).await.expect(201);
    assert_eq!(made.header("location"), format!("{users}/{}", made.body["userId"]));
    assert_eq!(person.get(made.header("location")).await.expect(200).body["username"], "ada");
    let group = person.post(&format!("{prefix}/api/v1/groups"), &json!({ "name": "One" })).await.expect(201);
    person.get(group.header("location")).await.expect(200);
    let page = person.get(&format!("{users}?page=0&pageSize=1")).await.expect(200);
    let next = crate::user_lists::next_of(&page);
    assert!(next.starts_with(&format!("{users}?")), "{next}");
    assert_eq!(person.get(&next).await.expect(200).list()[0]["username"], "ada");
    // The pages of the documentation, the document that they ask for, and what that says.
    let to = person.get(&format!("{prefix}/docs")).await;
    assert!(to.status.is_redirection(), "{}", to.status);
    assert_eq!(to.header("location"), format!("{prefix}/docs/"));
    let page = person.get(to.header("location")).await.expect(200);
    assert!(page.text.contains("swagger-ui"), "{}", page.text);
    let settings = person.get(&format!("{prefix}/docs/swagger-initializer.js")).await.expect(200);
    assert!(settings.text.contains("\"../api/v1/openapi.json\""), "{}", settings.text);
    let document = person.get(&format!("{prefix}/api/v1/openapi.json")).await.expect(200).body;
    let server = if prefix.is_empty() { "/" } else { prefix };
    assert_eq!(document["servers"][0]["url"], server);
    let flows = &document["components"]["securitySchemes"]["login"]["flows"];
    assert_eq!(flows["password"]["tokenUrl"], format!("{prefix}/oauth/token"));
}

#[tokio::test]
async fn nginx_as_documented() {
    let t = server().await;
    let token = t.admin().await.token.unwrap();
    let pieces = documented("nginx");
    let [root, below] = pieces.as_slice() else { panic!("{} pieces", pieces.len()) };
    for (piece, prefix) in [(root, ""), (below, "/iam")] {
        let front = Front::nginx_server(piece, t.address).await;
        let person = front.person(Some(&token));
        assert_paths_can_be_followed(&front, &token, prefix).await;
        assert_address_is_the_clients(&front, prefix).await;
        let path = format!("{prefix}/api/v1/users/1");
        assert_tags_work(&person, &path, |tag| tag.starts_with("W/\"u1-")).await;
        person.get(&format!("{prefix}/metrics")).await.expect(404);
        person.get(&format!("{prefix}/readyz")).await.expect(200);
        // More than nginx takes by default.
        let body = json!((0..100_000).map(|id| 1_000_000_000_000_i64 + id).collect::<Vec<_>>());
        person.post(&format!("{prefix}/api/v1/users/bulk-delete"), &body).await.expect(404);
        clean(&t).await;
    }
    // The address that is allowed is the proxy's own, not that of its clients.
    t.anonymous().get("/metrics").await.expect(200);
}

#[tokio::test]
async fn apache_as_documented() {
    let t = server().await;
    let token = t.admin().await.token.unwrap();
    let pieces = documented("apache");
    let [root, below] = pieces.as_slice() else { panic!("{} pieces", pieces.len()) };
    for (piece, prefix) in [(root, ""), (below, "/iam")] {
        let front = Front::apache(piece, t.address).await;
        let person = front.person(Some(&token));
        assert_paths_can_be_followed(&front, &token, prefix).await;
        assert_address_is_the_clients(&front, prefix).await;
        let path = format!("{prefix}/api/v1/users/1");
        assert_tags_work(&person, &path, |tag| tag.starts_with("\"u1-") && tag.ends_with("-gzip\"")).await;
        person.get(&format!("{prefix}/metrics")).await.expect(404);
        clean(&t).await;
    }
}

/// Deletes what a run has made.
async fn clean(t: &T) {
    let admin = t.admin().await;
    let found = admin.get("/api/v1/users?username=ada").await.expect(200).body;
    admin.delete(&format!("/api/v1/users/{}", found[0]["userId"])).await.expect(204);
    let groups = admin.get("/api/v1/groups").await.expect(200).body;
    admin.delete(&format!("/api/v1/groups/{}", groups[0]["groupId"])).await.expect(204);
}

/// Configurations as people have them, which tell nothing about the client or compress what they pass on.
#[tokio::test]
async fn nginx_as_people_have_it() {
    let t = T::with(|config| config.trusted_proxies = vec!["127.0.0.1/32".parse().unwrap()]).await;
    let token = t.admin().await.token.unwrap();
    let piece = |name: &str| String::from_utf8(field(name)).unwrap();
    // Metrics are for nobody unless somebody is named.
    let front = Front::nginx(&piece("X03.nginx"), t.address).await;
    front.person(None).get("/metrics").await.expect(404);
    front.person(None).get("/healthz").await.expect(200);
    drop(front);
    let front = Front::nginx(&piece("F08.nginx"), t.address).await;
    let person = front.person(Some(&token));
    assert_tags_work(&person, "/api/v1/users/1", |tag| tag.starts_with("W/\"u1-")).await;
    drop(front);
    let front = Front::nginx(&piece("F34.nginx"), t.address).await;
    let person = front.person(Some(&token));
    let made = person.post("/iam/api/v1/users/", &new_user("ada")).await.expect(201);
    assert_eq!(made.header("location"), "/iam/api/v1/users/2");
    assert_eq!(person.get("/iam/docs").await.header("location"), "/iam/docs/");
    // Doubled slashes of a proxy and a client.
    assert_eq!(person.get("/iam//api/v1//users//self//").await.expect(200).body["username"], "admin");
}

/// The path of `public-url` counts without a proxy that states it, and a stranger's statement never.
#[tokio::test]
async fn paths_follow_the_public_url() {
    for (is_trusted, stated, prefix) in [
        (false, None, "/iam"),
        (false, Some("/other"), "/iam"),
        (true, None, "/iam"),
        (true, Some("/other"), "/other"),
        (true, Some("/"), ""),
        (true, Some("//evil.example"), "/iam"),
        (true, Some("/a b"), "/iam"),
        (true, Some("https://evil.example"), "/iam"),
        (true, Some("/a, /b"), "/iam"),
    ] {
        let t = T::with(|config| {
            config.public_url = String::from("https://users.example.com/iam");
            if is_trusted {
                config.trusted_proxies = vec!["127.0.0.1/32".parse().unwrap()];
            }
        })
        .await;
        let admin = t.admin().await;
        let send = async |method: Method, path: &str, body: &str| {
            let mut request = admin.request(method, path).header("content-type", "application/json");
            request = request.header("idempotency-key", "once").body(body.to_owned());
            if let Some(stated) = stated {
                request = request.header("x-forwarded-prefix", stated);
            }
            TestResponse::of(request.send().await.unwrap()).await
        };
        let what = format!("{is_trusted} {stated:?}");
        for _ in 0..2 {
            // A stored response, too, follows the request that it answers.
            let made = send(Method::POST, "/api/v1/users", &new_user("ada").to_string()).await.expect(201);
            assert_eq!(made.header("location"), format!("{prefix}/api/v1/users/2"), "{what}");
        }
        let page = send(Method::GET, "/v1/users/?page=0&pageSize=1", "").await.expect(200);
        assert!(page.header("link").starts_with(&format!("<{prefix}/api/v1/users?")), "{what}");
        let document = send(Method::GET, "/api/v1/openapi.json", "").await.expect(200).body;
        let server = if prefix.is_empty() { "/" } else { prefix };
        assert_eq!(document["servers"][0]["url"], server, "{what}");
    }
}

/// Doubled slashes and other spellings never lead to another host, and count like the canonical path.
#[tokio::test]
async fn other_spellings_of_a_path_are_the_same_path() {
    let t = T::with(|config| config.forgot_password_per_address = 5).await;
    let front =
        reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none()).build().unwrap();
    let nobody = Person::over(&front, t.address, None);
    for (path, location) in [("//docs", "/docs/"), ("/docs", "/docs/"), ("///docs", "/docs/")] {
        let response = nobody.get(path).await;
        assert!(response.status.is_redirection(), "{path}");
        assert_eq!(response.header("location"), location, "{path}");
    }
    for path in ["//evil.example/docs", "//evil.example//docs//", "/docs//evil.example", "//evil.example"] {
        let response = nobody.get(path).await.expect(404);
        assert!(response.headers.get("location").is_none(), "{path}");
    }
    let admin = t.admin().await;
    for path in [
        "//api/v1/users/self",
        "/api/v1//users/self",
        "/api/v1/users/self//",
        "/portal/api/v1/users/self/",
        "//portal//api/v1/self",
        "//v1//self",
        "//self",
    ] {
        assert_eq!(admin.get(path).await.expect(200).body["username"], "admin", "{path}");
        nobody.get(path).await.expect(401);
    }
    let form = [
        ("grant_type", "password"),
        ("client_id", "tenantry"),
        ("username", "admin"),
        ("password", ADMIN_PASSWORD),
    ];
    let response = nobody.form("//oauth//token", &form).await.expect(200);
    t.secret(response.body["access_token"].as_str().unwrap());
    // Limits of an operation are those of its path, however it is written.
    let paths = [
        "/api/v1/users/forgot-password",
        "//api/v1/users/forgot-password",
        "/portal/api/v1/users//forgot-password/",
    ];
    let large = json!({ "username": "x".repeat(5 * 1024) });
    for path in paths {
        nobody.post(path, &large).await.expect(413);
        nobody.post(path, &json!({ "username": "nobody" })).await.expect(202);
    }
    nobody.post("/v1//users/forgot-password", &json!({ "username": "nobody" })).await.expect(202);
    nobody.post("/v1/users/forgot-password", &json!({ "username": "nobody" })).await.expect(202);
    for path in paths {
        nobody.post(path, &json!({ "username": "nobody" })).await.expect(429);
    }
}
