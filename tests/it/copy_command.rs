//! `tenantry copy` as a command: what it prints, and a killed one that resumes.

use std::process::Stdio;

use serde_json::{Value, json};

use crate::binary::{Home, binary, command, tenantry, until};
use crate::copy::Other;
use crate::databases::is_postgres;

#[tokio::test]
async fn the_command_copies_and_reports() {
    let home = Home::new();
    let server = home.serve();
    let admin = server.admin().await;
    for n in 0..5 {
        admin.create(&format!("user{n}")).await;
    }
    let to = Other::new(home.path(), "to.db");
    let from = "sqlite:tenantry-data/tenantry.db";
    let url = to.url();
    let line = ["copy", "--from", from, "--to", &url];

    // Not beside a server.
    let refused = command(home.path(), &line).refused(1);
    assert!(refused.contains("tenantry serve (pid ") && refused.contains("stop it first"), "{refused}");
    assert_eq!(server.terminate().code, Some(0));

    let ended = command(home.path(), &line);
    assert_eq!(ended.code, Some(0), "{}", ended.err);
    let users = ended.out.lines().find(|line| line.starts_with("users ")).unwrap();
    let cells: Vec<&str> = users.split_whitespace().collect();
    assert_eq!((cells[1], cells[2].len()), ("6", 32), "{users}");
    assert!(ended.out.contains("copied and verified "), "{}", ended.out);
    for word in ["copying ", "building ", "verifying ", "100 %"] {
        assert!(ended.err.contains(word), "{word}: {}", ended.err);
    }
    assert!(!ended.err.contains('\r'), "no bar where nobody looks: {}", ended.err);

    // The omitted side is the database of the settings; and back again, as JSON.
    let back = "sqlite:back.db";
    let ended = command(home.path(), &["copy", "--from", &url, "--to", back, "--json"]);
    assert_eq!(ended.code, Some(0), "{}", ended.err);
    let told: Value = serde_json::from_str(&ended.out).unwrap();
    let users = told["tables"].as_array().unwrap().iter().find(|table| table["name"] == "users").unwrap();
    assert_eq!((&users["rows"], users["checksum"].as_str().unwrap().len()), (&json!(6), 64));
    assert!(users["checksum"].as_str().unwrap().starts_with(cells[2]), "the same there and back");
    assert_eq!((&told["resumed"], &told["sequences"]["users"]), (&json!(false), &json!(6)));
    let again = command(home.path(), &["copy", "--to", back]);
    assert!(again.refused(1).contains("is not empty"));

    // The command line itself.
    assert!(home.command("copy").refused(1).contains("--from URL or --to URL"));
    let hidden =
        home.command("copy --from sqlite:tenantry-data/tenantry.db --to postgres:me:Geheim-77@host/x");
    let words = hidden.refused(2);
    assert!(words.contains("to (flag --to) ") && !words.contains("Geheim"), "{words}");
    let same = home.command(&format!("copy --from {from} --to {from}"));
    assert!(same.refused(1).contains("same database on both sides"));
    let nothing = home.command("copy --from sqlite:nowhere.db --to sqlite:x.db").refused(1);
    assert!(nothing.contains("no database at nowhere.db"), "{nothing}");
    let nowhere = home.command(&format!("copy --from {from} --to sqlite:no/such/x.db")).refused(1);
    assert!(
        nowhere.contains("the directory no/such for the database no/such/x.db does not exist"),
        "{nowhere}"
    );
}

#[tokio::test]
async fn a_killed_command_resumes_when_it_is_run_again() {
    let home = Home::new();
    let server = home.serve();
    server.admin().await.create("one").await;
    assert_eq!(server.terminate().code, Some(0));
    let to = Other::new(home.path(), "to.db");
    let url = to.url();
    let line = ["copy", "--from", "sqlite:tenantry-data/tenantry.db", "--to", &url, "--json"];
    let start = || {
        tenantry(binary(), home.path(), &line, &[])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap()
    };

    let is_killed_in_the_middle = if let Some(database) = &to.postgres {
        // It has to wait in the middle of the tables, where it is killed.
        tenantry_store::store::Store::migrate_postgres(
            &crate::databases::options(&url),
            &tenantry_core::clock::Clock::manual(0),
        )
        .ok();
        let (holder, connection) = tokio_postgres::connect(&url, tokio_postgres::NoTls).await.unwrap();
        tokio::spawn(connection);
        holder.batch_execute("BEGIN; LOCK TABLE counters IN SHARE MODE").await.unwrap();
        let mut child = start();
        loop {
            let waiting =
                "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'counters'::regclass";
            if holder.query_one(waiting, &[]).await.unwrap().get::<_, i64>(0) > 0 {
                break;
            }
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
        child.kill().unwrap();
        child.wait().unwrap();
        let refused = home.refused(&["--database-url", &database.url().unwrap()], &[]).refused(1);
        assert!(refused.contains("is an unfinished copy"), "{refused}");
        holder.batch_execute("ROLLBACK").await.unwrap();
        true
    } else {
        // As soon as there is something in the file. Should it have been quicker than that, it was whole.
        let mut child = start();
        let file = to.file.clone();
        until("something is copied", || std::fs::metadata(&file).ok().filter(|meta| meta.len() > 0)).await;
        child.kill().unwrap();
        !child.wait().unwrap().success()
    };
    let again = command(home.path(), &line);
    if !is_killed_in_the_middle || again.err.contains("is not empty") {
        assert!(again.refused(1).contains("is not empty"));
    } else {
        assert_eq!(again.code, Some(0), "{}", again.err);
        let told: Value = serde_json::from_str(&again.out).unwrap();
        assert!(!is_postgres() || told["resumed"] == true, "{told}");
    }
    let server = crate::binary::Process::serve(home.path(), &["--database-url", &url], &[]);
    assert_eq!(server.admin().await.everybody().await.as_array().unwrap().len(), 2);
}
