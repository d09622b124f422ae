//! The commands of the binary: with a server that runs on the data, and without one.

use serde_json::{Value, json};

use crate::binary::{Home, Process, TIMEOUT, password_in, until};
use crate::fixtures::ids;
use crate::harness::{ADMIN_PASSWORD, Person, new_user, password_of};

/// A home with a first admin, and no server.
fn settled() -> Home {
    let home = Home::new();
    assert_eq!(home.serve().terminate().code, Some(0));
    home
}

/// Sets a permanent password with a temporary one, and logs in with it.
async fn settle<'p>(server: &'p Process, username: &str, temporary: &str) -> Person<'p> {
    let person = server.login(username, temporary).await;
    let body = json!({ "oldPassword": temporary, "newPassword": password_of(username) });
    person.post("/api/v1/users/self/update-password", &body).await.expect(200);
    server.login(username, &password_of(username)).await
}

/// Each command once, by what it prints: the same with a server and without.
fn every_command(home: &Home) {
    // Partners.
    let create = "partner create --name Acme --admin-username ada --admin-email ada@example.com";
    let acme = home.json(&format!("{create} --admin-first-name Ada --admin-last-name Lovelace"));
    let wanted = json!({
        "pid": 2, "name": "Acme", "users": 1, "suspended": false, "createdAt": acme["createdAt"],
        "adminUserId": 2, "adminUsername": "ada", "mail": "queued",
    });
    assert_eq!(acme, wanted);
    assert!(home.command(create).refused(1).contains("another partner has this name"));
    assert_eq!(home.json("partner get 2")["name"], "Acme");
    assert_eq!(home.json("partner rename 2 Better")["name"], "Better");
    let all = home.json("partner list");
    assert_eq!(json!([all[0]["name"], all[1]["name"], all[2]]), json!(["default", "Better", null]));
    let table = home.command("partner list").done();
    let rows: Vec<Vec<&str>> = table.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(rows[0], ["PARTNER", "NAME", "USERS", "SUSPENDED", "CREATED"]);
    assert_eq!((rows.len(), &rows[2][..4]), (3, &["2", "Better", "1", "no"][..]));
    assert_eq!(home.json("partner suspend 2")["suspended"], true);
    assert!(home.command("partner get 2").done().contains("\nsuspended: yes\n"));
    assert_eq!(home.json("partner resume 2")["suspended"], false);
    assert_eq!(home.command("partner get 99").refused(1), "tenantry: partner not found");

    // Users.
    let create = "user create --partner 2 --email bob@example.com --first-name Bob --last-name Byte";
    let bob = home.json(&format!("{create} --username bob"));
    assert_eq!(
        json!([bob["userId"], bob["status"], bob["isAdmin"], bob["mail"]]),
        json!([3, "ACTIVE", false, "queued"])
    );
    let told = home.json(&format!("{create} --username carla --admin --print-password"));
    assert_eq!((told["password"].as_str().unwrap().len(), told.get("mail")), (27, None));
    let idle = home.json(&format!("{create} --username dan --status inactive"));
    assert_eq!((&idle["status"], idle.get("mail"), idle.get("password")), (&json!("INACTIVE"), None, None));
    assert!(home.command(&format!("{create} --username BOB")).refused(1).contains("taken"));
    let bad = home.command("user create --partner 2 --username a½b --email x --first-name \t --last-name x");
    assert_eq!(bad.refused(1).lines().count(), 3);
    assert_eq!(home.json("user get bob"), home.json("user get 3"));
    assert!(home.command("user get bob").done().contains("username: bob\nstatus: ACTIVE\n"));
    assert_eq!(ids(&home.json("user list --partner 2")), [2, 3, 4, 5]);
    assert_eq!(ids(&home.json("user list --partner 2 --search BYTE")), [3, 4, 5]);
    assert_eq!(home.command("user list --partner 2").done().lines().count(), 5);
    assert_eq!(home.json("user lock bob")["status"], "LOCKED");
    assert!(home.command("user reset-password bob").refused(1).contains("LOCKED"));
    assert_eq!(home.json("user unlock bob")["status"], "ACTIVE");
    assert_eq!(home.json("user reset-password bob"), json!({ "userId": 3, "mail": "queued" }));
    let reset = home.command("user reset-password bob --print-password").done();
    assert!(reset.starts_with("userId: 3\npassword: "), "{reset}");
    assert_eq!(home.json("user factors list bob"), json!([]));
    assert_eq!(home.json("user factors remove bob"), json!({ "userId": 3, "removed": 0 }));
    assert_eq!(
        home.command("user factors remove bob --factor totp").refused(1),
        "tenantry: factor not found"
    );
    let policy = home.json("partner policy 2");
    assert_eq!(json!([policy["secondFactor"], policy["effectiveSecondFactor"]]), json!(["off", "optional"]));
    let policy = home.json("partner policy 2 --require-second-factor admins --password-rules nist");
    assert_eq!(json!([policy["effectiveSecondFactor"], policy["passwordPolicy"]]), json!(["admins", "nist"]));
    let bad = home.command("partner policy 2 --require-second-factor all --password-rules weak").refused(1);
    assert_eq!(bad.lines().count(), 2, "{bad}");
    home.json("partner policy 2 --require-second-factor off --password-rules server");
    assert_eq!(home.command("partner policy 99").refused(1), "tenantry: partner not found");
    assert_eq!(home.json("user delete bob"), json!({ "userId": 3, "deleted": true }));
    assert_eq!(home.command("user get bob").refused(1), "tenantry: user not found");

    // B10, and its override.
    home.json("user delete carla");
    for line in ["user lock ada", "user delete ada"] {
        assert!(home.command(line).refused(1).contains("ACTIVE partner admin"), "{line}");
    }
    assert_eq!(home.json("user get ada")["status"], "ACTIVE", "refused and unchanged");
    assert_eq!(home.json("user lock ada --force")["status"], "LOCKED");
    assert_eq!(home.json("user unlock ada")["status"], "ACTIVE");
    assert_eq!(home.json("user delete ada --force")["deleted"], true);

    // Clients and operators.
    let client = home.json("client create --partner 2 --name robot --admin");
    assert_eq!(
        (&client["pid"], &client["isAdmin"], &client["name"]),
        (&json!(2), &json!(true), &json!("robot"))
    );
    let id = client["client_id"].as_str().unwrap();
    let listed = home.json("client list --partner 2");
    assert_eq!((&listed[0]["client_id"], listed[0].get("client_secret")), (&json!(id), None));
    assert_eq!(home.json(&format!("client revoke {id}")), json!({ "client_id": id, "revoked": true }));
    assert_eq!(home.json("client list --partner 2"), json!([]));
    assert!(home.command(&format!("client revoke {id}")).refused(1).contains("not found"));
    let token = home.json("operator token --name ci");
    assert!(token["token"].as_str().unwrap().starts_with("op_"));
    let listed = home.json("operator list");
    assert_eq!(
        json!([listed[0]["id"], listed[0]["name"], listed[0].get("token")]),
        json!([token["id"], "ci", null])
    );
    assert_eq!(home.json(&format!("operator revoke {}", token["id"]))["revoked"], true);
    assert_eq!(home.json("operator list"), json!([]));
    assert!(home.command(&format!("operator revoke {}", token["id"])).refused(1).contains("not found"));

    // A partner with people in it goes only when that is meant.
    let full =
        "partner create --name Full --admin-username eve --admin-email eve@example.com --print-password";
    let full = home.json(full);
    assert_eq!((full["password"].as_str().unwrap().len(), full.get("mail")), (27, None));
    home.json("user create --partner 3 --username finn --email f@example.com --first-name F --last-name G");
    assert!(home.command("partner delete 3").refused(1).contains("--force"));
    assert_eq!(home.json("partner delete 3 --force"), json!({ "pid": 3, "deleted": true }));
    assert_eq!(home.command("user get eve").refused(1), "tenantry: user not found");
    assert_eq!(ids(&home.json("user list --partner 1")), [1]);
}

#[test]
fn every_command_works_without_a_server() {
    let home = settled();
    every_command(&home);
    assert_eq!(home.mail_names(), Vec::<String>::new(), "mails wait for a server");
}

#[tokio::test]
async fn every_command_works_through_a_running_server() {
    let home = Home::new();
    let server = home.serve();
    every_command(&home);
    // The server did it: it holds the lock still, and knows of it.
    let names: Vec<Value> = server.admin().await.everybody().await.as_array().unwrap().clone();
    assert_eq!(names.len(), 1);
    assert_eq!(server.terminate().code, Some(0));
}

#[tokio::test]
async fn changes_by_commands_without_a_server_take_effect_at_the_next_start() {
    let home = settled();
    let bob =
        "user create --partner 1 --username bob --email bob@example.com --first-name Bob --last-name Byte";
    let printed = home.json(&format!("{bob} --print-password"))["password"].as_str().unwrap().to_owned();
    home.json(
        "user create --partner 1 --username eve --email eve@example.com --first-name Eve --last-name X",
    );
    let server = home.serve();
    settle(&server, "bob", &printed).await.get("/api/v1/self").await.expect(200);
    let mails = home.mails(2).await;
    let welcome = mails.iter().find(|mail| mail.contains("Username: eve")).unwrap();
    let response = server.try_login("eve", &password_in(welcome)).await.expect(200);
    assert_eq!(response.body["passwordChangeRequired"], true);
    assert!(!mails.iter().any(|mail| mail.contains(&printed)), "printed instead of mailed");
    // The admin who did it is nobody of the partner: the machine's operator.
    let events = server.admin().await.events().await;
    let created =
        events.iter().find(|event| event["type"] == "user.created" && event["userId"] == 2).unwrap();
    assert_eq!(created["actor"], "operator");
}

#[tokio::test]
async fn a_user_locked_by_a_command_loses_access_at_the_next_request() {
    let home = Home::new();
    let server = home.serve();
    let admin = server.admin().await;
    admin.create("fenna").await;
    let fenna = settle(&server, "fenna", &password_in(&home.mails(1).await[0])).await;
    let tokens = server.try_login("fenna", &password_of("fenna")).await.expect(200).body;
    // In the server's memory.
    fenna.get("/api/v1/self").await.expect(200);
    home.json("user lock fenna");
    fenna.get("/api/v1/self").await.expect(401);
    server.try_login("fenna", &password_of("fenna")).await.expect(400);
    let refresh =
        [("grant_type", "refresh_token"), ("refresh_token", tokens["refresh_token"].as_str().unwrap())];
    server.token(&refresh).await.expect(400);
    home.json("user unlock fenna");
    fenna.get("/api/v1/self").await.expect(401);
    let fenna = server.login("fenna", &password_of("fenna")).await;
    fenna.get("/api/v1/self").await.expect(200);
    // A reset ends the password and the sessions at once, a deletion everything.
    let printed =
        home.json("user reset-password fenna --print-password")["password"].as_str().unwrap().to_owned();
    fenna.get("/api/v1/self").await.expect(401);
    server.try_login("fenna", &password_of("fenna")).await.expect(400);
    let fenna = server.login("fenna", &printed).await;
    fenna.get("/api/v1/self").await.expect(200);
    home.json("user delete fenna");
    fenna.get("/api/v1/self").await.expect(401);
    admin.get("/api/v1/users/2").await.expect(404);
    server.try_login("fenna", &printed).await.expect(400);
}

#[tokio::test]
async fn a_command_unlocks_a_user_locked_by_failures() {
    let home = Home::new();
    let server = home.serve();
    server.admin().await.create("fenna").await;
    settle(&server, "fenna", &password_in(&home.mails(1).await[0])).await;
    for _ in 0..5 {
        server.try_login("fenna", "Wrong.Tea-Pot-99x").await.expect(400);
    }
    assert_eq!(home.json("user get fenna")["status"], "LOCKED");
    server.try_login("fenna", &password_of("fenna")).await.expect(400);
    home.json("user unlock fenna");
    // The count is 0 again: four more do no harm.
    for _ in 0..4 {
        server.try_login("fenna", "Wrong.Tea-Pot-99x").await.expect(400);
    }
    server.login("fenna", &password_of("fenna")).await;
}

#[tokio::test]
async fn users_of_a_suspended_partner_lose_access_at_once() {
    let home = Home::new();
    let server = home.serve();
    let create =
        "partner create --name Acme --admin-username ada --admin-email a@example.com --print-password";
    let ada = settle(&server, "ada", home.json(create)["password"].as_str().unwrap()).await;
    let tokens = server.try_login("ada", &password_of("ada")).await.expect(200).body;
    let client = home.json("client create --partner 2 --name robot --admin");
    let form = [
        ("grant_type", "client_credentials"),
        ("client_id", client["client_id"].as_str().unwrap()),
        ("client_secret", client["client_secret"].as_str().unwrap()),
    ];
    let robot = server.anonymous().form("/oauth/token", &form).await.expect(200).body;
    let robot = server.bearer(robot["access_token"].as_str().unwrap());
    ada.get("/api/v1/users/").await.expect(200);
    robot.get("/api/v1/users/").await.expect(200);
    home.json("partner suspend 2");
    ada.get("/api/v1/users/").await.expect(401);
    robot.get("/api/v1/users/").await.expect(401);
    server.try_login("ada", &password_of("ada")).await.expect(400);
    let refresh =
        [("grant_type", "refresh_token"), ("refresh_token", tokens["refresh_token"].as_str().unwrap())];
    server.token(&refresh).await.expect(400);
    let refused = server.anonymous().form("/oauth/token", &form).await;
    assert!(refused.status == 400 || refused.status == 401, "{}", refused.text);
    // Nobody else is.
    server.admin().await.get("/api/v1/users/").await.expect(200);
    home.json("partner resume 2");
    server.login("ada", &password_of("ada")).await.get("/api/v1/users/").await.expect(200);
    server.anonymous().form("/oauth/token", &form).await.expect(200);
    home.json("partner delete 2");
    server.try_login("ada", &password_of("ada")).await.expect(400);
    server.anonymous().form("/oauth/token", &form).await.expect(401);
}

#[tokio::test]
async fn a_client_made_by_a_command_works_until_it_is_revoked() {
    let home = Home::new();
    let server = home.serve();
    for (flag, may) in [("", 403), (" --admin", 200)] {
        let out = home.command(&format!("client create --partner 1 --name robot{flag}")).done();
        let lines: Vec<&str> = out.lines().collect();
        let id = lines[0].strip_prefix("client_id: ").unwrap();
        let secret = lines[1].strip_prefix("client_secret: ").unwrap();
        let form = [("grant_type", "client_credentials"), ("client_id", id), ("client_secret", secret)];
        let response = server.anonymous().form("/oauth/token", &form).await.expect(200);
        let robot = server.bearer(response.body["access_token"].as_str().unwrap());
        robot.get("/api/v1/users/").await.expect(may);
        // Also with people's passwords.
        let form = [
            ("grant_type", "password"),
            ("username", "admin"),
            ("password", ADMIN_PASSWORD),
            ("client_id", id),
            ("client_secret", secret),
        ];
        let person = server.anonymous().form("/oauth/token", &form).await.expect(200);
        let person = server.bearer(person.body["access_token"].as_str().unwrap());
        person.get("/api/v1/users/").await.expect(200);
        home.command(&format!("client revoke {id}")).done();
        robot.get("/api/v1/users/").await.expect(401);
        person.get("/api/v1/users/").await.expect(401);
        server.anonymous().form("/oauth/token", &form).await.expect(401);
    }
}

#[tokio::test]
async fn an_operators_token_manages_partners_until_it_is_revoked() {
    let home = Home::new();
    let server = home.serve();
    let out = home.command("operator token --name ci").done();
    let token = out.lines().find_map(|line| line.strip_prefix("token: ")).unwrap();
    let operator = server.bearer(token);
    let body = json!({ "name": "Acme", "adminUsername": "ada", "adminEmail": "ada@example.com" });
    let made = operator.post("/operator/v1/partners", &body).await.expect(201);
    assert_eq!(made.header("location"), "/operator/v1/partners/2");
    let page = operator.get("/operator/v1/partners").await.expect(200);
    assert_eq!((page.list().len(), &page.body["total"]), (2, &json!(2)));
    operator.patch("/operator/v1/partners/2", &json!({ "suspended": true })).await.expect(200);
    assert_eq!(home.json("partner get 2")["suspended"], true);
    operator.get("/api/v1/users/").await.expect(401);
    operator.delete("/operator/v1/partners/2").await.expect(204);
    assert_eq!(home.command("partner get 2").refused(1), "tenantry: partner not found");
    let id = home.json("operator list")[0]["id"].clone();
    home.command(&format!("operator revoke {id}")).done();
    operator.get("/operator/v1/partners").await.expect(401);
    server.admin().await.get("/operator/v1/partners").await.expect(401);
}

#[test]
fn a_command_creates_no_database() {
    let home = Home::new();
    let lines = [
        "partner list",
        "partner create --name A --admin-username a --admin-email a@example.com",
        "user get admin",
        "user create --partner 1 --username u --email u@example.com --first-name U --last-name V",
        "client create --partner 1 --name robot",
        "operator token",
    ];
    let nothing_happens = |what: &str, left: usize| {
        for line in lines {
            let said = home.command(line).refused(1);
            assert!(said.contains(what) && said.contains("run `tenantry serve` once"), "{said}");
        }
        assert_eq!(std::fs::read_dir(home.path()).unwrap().count(), left);
    };
    nothing_happens("no database at ./tenantry-data/tenantry.db", 0);
    std::fs::create_dir(home.data()).unwrap();
    nothing_happens("no database at ./tenantry-data/tenantry.db", 1);
    assert_eq!(std::fs::read_dir(home.data()).unwrap().count(), 0);
}

#[tokio::test]
async fn commands_and_servers_at_once_keep_out_of_each_others_way() {
    let home = settled();
    // Each takes the lock for itself, or waits for it; a server in between takes over.
    let commands: Vec<_> = (0..6)
        .map(|n| {
            let dir = home.path().to_owned();
            let line = format!(
                "user create --partner 1 --username u{n} --email u@example.com --first-name U --last-name V --json"
            );
            tokio::task::spawn_blocking(move || {
                crate::binary::command(&dir, &line.split(' ').collect::<Vec<_>>()).done()
            })
        })
        .collect();
    let server = home.serve();
    for command in commands {
        tokio::time::timeout(TIMEOUT, command).await.unwrap().unwrap();
    }
    let admin = server.admin().await;
    let mut made = ids(&admin.everybody().await);
    made.sort_unstable();
    assert_eq!(made, (1..=7).collect::<Vec<_>>());
    admin.create_with(&new_user("later")).await;
    until("all mails are written", || (home.mail_names().len() == 7).then_some(())).await;
}
