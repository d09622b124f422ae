//! No password and no token is in the log of the binary, not even at the level of trace.

use serde_json::json;

use crate::binary::{Ended, Home, Process, password_in, until};
use crate::fixtures::with;
use crate::foreign_hashes::{BCRYPT, OLD, SSHA};
use crate::harness::{Person, new_user, password_of};
use crate::mail::SmtpServer;

/// Remembers the tokens of a response.
fn keep(secrets: &mut Vec<String>, response: &serde_json::Value) {
    for name in ["access_token", "refresh_token", "client_secret", "token", "password"] {
        secrets.extend(response[name].as_str().map(str::to_owned));
    }
}

async fn change_password(person: &Person<'_>, old: &str, new: &str) {
    let body = json!({ "oldPassword": old, "newPassword": new });
    person.post("/api/v1/users/self/update-password", &body).await.expect(200);
}

#[tokio::test]
async fn no_secret_is_in_the_log_of_the_binary() {
    let home = Home::new();
    let server = Process::serve(home.path(), &["--log", "trace"], &[]);
    let printed = server.out().lines().find_map(|line| line.strip_prefix("  password: ").map(str::to_owned));
    let printed = printed.unwrap();
    let mut secrets = vec![printed.clone()];

    // Logins, right and wrong; a token renewed, used again, revoked.
    let tokens = server.try_login("admin", &printed).await.expect(200).body;
    keep(&mut secrets, &tokens);
    for wrong in ["Wrong.Tea-Pot-99x", "Wr0ng%2FTea+Pot=&98x"] {
        server.try_login("admin", wrong).await.expect(400);
        server.try_login("nobody", wrong).await.expect(400);
        secrets.push(wrong.to_owned());
    }
    let refresh = tokens["refresh_token"].as_str().unwrap();
    let form = [("grant_type", "refresh_token"), ("refresh_token", refresh)];
    let renewed = server.token(&form).await.expect(200).body;
    keep(&mut secrets, &renewed);
    // Its predecessor returns it again, until it is used itself.
    keep(&mut secrets, &server.token(&form).await.expect(200).body);
    let next =
        [("grant_type", "refresh_token"), ("refresh_token", renewed["refresh_token"].as_str().unwrap())];
    keep(&mut secrets, &server.token(&next).await.expect(200).body);
    server.token(&form).await.expect(400);
    let tokens = server.try_login("admin", &printed).await.expect(200).body;
    keep(&mut secrets, &tokens);
    let admin = server.bearer(tokens["access_token"].as_str().unwrap());

    // Mailed passwords, permanent ones, refused ones.
    let user = admin.create_with(&new_user("fenna")).await;
    let temporary = password_in(&home.mails(1).await[0]);
    let fenna = server.login("fenna", &temporary).await;
    fenna.get("/api/v1/users/").await.expect(403);
    change_password(&fenna, &temporary, &password_of("fenna")).await;
    let body = json!({ "oldPassword": "Not.My-Old-1-pw", "newPassword": "not-g00d:-Password" });
    fenna.post("/api/v1/users/self/update-password", &body).await.expect(400);
    secrets.extend(["Not.My-Old-1-pw", "not-g00d:-Password"].map(str::to_owned));
    secrets.extend([temporary, password_of("fenna"), fenna.token.clone().unwrap()]);
    let path = format!("/api/v1/users/{}/reset-password", user["userId"]);
    admin.post(&path, &json!({})).await.expect(200);
    let mails = home.mails(3).await;
    let reset = mails.iter().filter(|mail| mail.contains("\nPassword: ")).map(|mail| password_in(mail));
    secrets.extend(reset);
    // A broken body with a password in it, and a token where none belongs.
    let broken = b"{\"oldPassword\": \"Br0ken.Body-Pass\", \"newPassword\": ".to_vec();
    admin.send(reqwest::Method::POST, "/api/v1/self/update-password", Some(broken), "application/json").await;
    secrets.push(String::from("Br0ken.Body-Pass"));
    server.bearer("at_1_c29tZXRoaW5nIHRoYXQgaXMgbm8gdG9rZW4gYXQgYWxs").get("/api/v1/self").await.expect(401);
    secrets.push(String::from("c29tZXRoaW5nIHRoYXQgaXMgbm8gdG9rZW4gYXQgYWxs"));

    // Hashes from elsewhere: good ones, a bad one, and one that is told again.
    let hashes = [BCRYPT, SSHA, "{SSHA}no-h4sh-but-a.Pass-word"];
    let row = |name: &str, hash| with(&new_user(name), json!({ "passwordHash": hash })).to_string();
    let rows = |prefix: &str| {
        let rows = hashes.iter().enumerate().map(|(n, hash)| row(&format!("{prefix}{n}"), hash));
        rows.collect::<Vec<_>>().join("\n")
    };
    let body = Some(rows("moved").into_bytes());
    let import = "/api/v1/users/import";
    admin.send(reqwest::Method::POST, import, body, "application/x-ndjson").await.expect(200);
    server.login("moved0", OLD).await;
    std::fs::write(home.path().join("rows.ndjson"), rows("come")).unwrap();
    let imported = home.command("import rows.ndjson --partner 1 --report rejected");
    let report = std::fs::read_to_string(home.path().join("rejected")).unwrap();
    for hash in hashes {
        assert!(!imported.err.contains(hash) && !report.contains(hash));
        secrets.push(hash.to_owned());
    }
    secrets.push(String::from(OLD));

    // Clients and operators, over the control socket.
    let client = home.json("client create --partner 1 --name robot --admin");
    keep(&mut secrets, &client);
    let (id, secret) = (client["client_id"].as_str().unwrap(), client["client_secret"].as_str().unwrap());
    let form = [("grant_type", "client_credentials"), ("client_id", id), ("client_secret", secret)];
    let robot = server.anonymous().form("/oauth/token", &form).await.expect(200).body;
    keep(&mut secrets, &robot);
    let basic = server.anonymous().request(reqwest::Method::POST, "/oauth/introspect");
    let basic =
        basic.basic_auth(id, Some(secret)).header("content-type", "application/x-www-form-urlencoded");
    let token = robot["access_token"].as_str().unwrap();
    assert_eq!(basic.body(format!("token={token}")).send().await.unwrap().status(), 200);
    let operator = home.json("operator token --name ci");
    keep(&mut secrets, &operator);
    let operator = server.bearer(operator["token"].as_str().unwrap());
    let partner = json!({ "name": "Acme", "adminUsername": "ada", "adminEmail": "ada@example.com" });
    operator.post("/operator/v1/partners", &partner).await.expect(201);
    keep(&mut secrets, &home.json("user reset-password ada --print-password"));
    let revoked = tokens["refresh_token"].as_str().unwrap();
    server
        .anonymous()
        .form("/oauth/revoke", &[("client_id", "tenantry"), ("token", revoked)])
        .await
        .expect(200);
    admin.get("/api/v1/self").await.expect(401);

    // The password of the mail server, which does not know it.
    let smtp = SmtpServer::up();
    let ended = server.terminate();
    let url = format!("smtp://ada:Hush-Smtp.Pass-w0rd@127.0.0.1:{}", smtp.port);
    secrets.push(String::from("Hush-Smtp.Pass-w0rd"));
    home.json("user reset-password ada");
    let server = Process::serve(home.path(), &["--log", "trace"], &[("TENANTRY_SMTP_URL", &url)]);
    let failed = || server.err().contains("mail was not delivered").then_some(());
    until("the mail server turns it away", failed).await;
    let again = server.terminate();
    let ended =
        Ended { code: again.code, out: ended.out + again.out.as_str(), err: ended.err + again.err.as_str() };
    assert_eq!(ended.code, Some(0));
    assert!(
        ended.err.contains(" DEBUG ") && ended.err.contains("/oauth/token"),
        "much is logged: {}",
        ended.err
    );
    assert!(secrets.len() >= 20 && secrets.iter().all(|secret| secret.len() >= 12), "{}", secrets.len());
    for secret in &secrets {
        // A token's random part alone, too.
        let part = secret.splitn(3, ['.', '_']).last().filter(|part| part.len() >= 20).unwrap_or(secret);
        for part in [secret, part] {
            let line = ended.err.lines().find(|line| line.contains(part));
            assert_eq!(line, None, "a secret is in the log");
            let printed = ended.out.matches(part).count();
            assert_eq!(printed, usize::from(*secret == secrets[0]), "on standard output");
        }
    }
}
