//! What a container asks of the server: secrets in files, a health check, a read-only root, any user id, process 1, data
//! directories without sockets.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::os::unix::fs::{FileTypeExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread::JoinHandle;

use rustix::process::{Pid, Signal, kill_process};

use crate::binary::{Ended, GIVEN, Home, Process, binary, command, tenantry, until};
use crate::databases::{Database, is_postgres};
use crate::harness::ADMIN_PASSWORD;
use crate::serve::{everything, set_mode};

/// Runs a command to its end, with these variables.
fn run(dir: &Path, args: &[&str], env: &[(&str, &str)]) -> Ended {
    let output = tenantry(binary(), dir, args, env).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    Ended { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
}

/// The settings of tests/field, with its files in `dir`: pairs of a variable and its value.
fn settings_of_the_field(dir: &Path) -> Vec<(String, String)> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/field/F32-settings.txt");
    let text = fs::read_to_string(path).unwrap();
    let pairs = text.lines().filter_map(|line| {
        let (name, value) = line.split_once('=').filter(|_| !line.starts_with('#'))?;
        let value = match value.strip_prefix("$'").and_then(|rest| rest.strip_suffix('\'')) {
            Some(quoted) => quoted.replace("\\n", "\n"),
            None => value.replace("/run/secrets", dir.to_str().unwrap()),
        };
        Some((name.to_owned(), value))
    });
    pairs.collect()
}

#[tokio::test]
async fn secrets_are_read_from_files_and_lose_a_line_break() {
    let (home, database) = (Home::new(), Database::blank());
    let all = settings_of_the_field(home.path());
    assert_eq!(all.len(), 4, "{all:?}");
    let url = database.url().unwrap_or_else(|| format!("sqlite:{}", home.path().join("t.db").display()));
    for (name, secret) in [
        ("admin", &format!("{ADMIN_PASSWORD}\r\n")),
        ("db", &format!("{url}\n")),
        ("smtp", &"smtp://127.0.0.1:1".into()),
    ] {
        fs::write(home.path().join(name), secret).unwrap();
    }
    let env: Vec<(&str, &str)> =
        all[..3].iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let server = Process::serve(home.path(), &[], &env);
    server.admin().await.create("fenna").await;
    let shown = run(home.path(), &["config"], &env).done();
    assert!(!shown.contains(ADMIN_PASSWORD), "{shown}");
    let file = home.path().join("admin");
    let from = format!("# {}, TENANTRY_ADMIN_PASSWORD_FILE", file.display());
    assert!(shown.lines().any(|l| l.starts_with("# admin-password = ") && l.ends_with(&from)), "{shown}");
    assert!(run(home.path(), &["user", "get", "fenna"], &env).done().contains("fenna"));
    assert_eq!(server.terminate().code, Some(0));
    // A file that is missing, or a directory.
    fs::remove_file(&file).unwrap();
    let said = home.refused(&[], &env).refused(2);
    let named = format!(
        "tenantry: admin-password-file = \"{}\" (TENANTRY_ADMIN_PASSWORD_FILE) cannot",
        file.display()
    );
    assert!(said.starts_with(&named) && said.contains("No such file"), "{said}");
    fs::create_dir(&file).unwrap();
    let said = home.refused(&[], &env).refused(2);
    assert!(said.starts_with(&named) && said.contains("directory"), "{said}");
    // As a pipe: `--admin-password-file <(...)`.
    let mut piped = tenantry(
        Path::new("/bin/sh"),
        home.path(),
        &[
            "-c",
            "printf 'no\\nsecret' | \"$0\" config --admin-password-file /dev/stdin",
            binary().to_str().unwrap(),
        ],
        &[],
    );
    let err = String::from_utf8(piped.output().unwrap().stderr).unwrap();
    assert!(
        err.contains("admin-password-file = \"/dev/stdin\"") && err.contains("more than one line"),
        "{err}"
    );
}

#[tokio::test]
async fn a_variable_with_a_line_break_at_its_end_is_a_password_without() {
    let (home, database) = (Home::new(), Database::blank());
    let (name, password) = settings_of_the_field(home.path()).remove(3);
    let mut env = vec![(name.as_str(), password.as_str())];
    let url = database.url();
    env.extend(url.as_deref().map(|url| ("TENANTRY_DATABASE_URL", url)));
    let server = Process::serve(home.path(), &[], &env);
    assert!(password.ends_with('\n'));
    server.login("admin", password.trim_end()).await;
    server.try_login("admin", &password).await.expect(400);
}

/// A program that is no Tenantry, or not well: it answers one request with `answer`, or not at all.
fn responses(response: Option<&'static str>) -> (String, JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let thread = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut head = [0; 4_096];
        let read = stream.read(&mut head).unwrap();
        assert!(head[..read].starts_with(b"GET /readyz HTTP/1.1\r\n"), "{}", String::from_utf8_lossy(&head));
        match response {
            Some(response) => stream.write_all(response.as_bytes()).unwrap(),
            None => drop(stream.read(&mut head)),
        }
    });
    (address, thread)
}

#[tokio::test]
async fn health_is_the_readiness_of_the_running_server() {
    let (home, database) = (Home::new(), Database::blank());
    let url = database.url();
    let mut env = GIVEN.to_vec();
    env.extend(url.as_deref().map(|url| ("TENANTRY_DATABASE_URL", url)));
    let server = Process::serve(home.path(), &["--listen", "0.0.0.0:0"], &env);
    let port = server.address.port();
    let nowhere = Home::new();
    for args in [
        vec!["--listen".to_owned(), format!("127.0.0.1:{port}")],
        vec!["--listen".to_owned(), format!("0.0.0.0:{port}")],
        vec!["--url".to_owned(), format!("http://127.0.0.1:{port}")],
        vec!["--url".to_owned(), format!("http://localhost:{port}/")],
        // It needs no database: this one cannot be reached.
        vec![format!("--listen=127.0.0.1:{port}"), "--database-url=postgres://a:b@127.0.0.1:1/c".to_owned()],
    ] {
        let args: Vec<&str> = ["health"].into_iter().chain(args.iter().map(String::as_str)).collect();
        assert_eq!(command(nowhere.path(), &args).done(), "ready\n", "{args:?}");
    }
    let listen = format!("0.0.0.0:{port}");
    assert_eq!(run(nowhere.path(), &["health"], &[("TENANTRY_LISTEN", &listen)]).done(), "ready\n");
    assert_eq!(everything(nowhere.path()), [], "it creates nothing");
    if !is_postgres() {
        // The reason of a 503.
        let (path, away) = (home.data().join("tenantry.db"), home.path().join("away.db"));
        fs::rename(&path, &away).unwrap();
        let said = run(nowhere.path(), &["health"], &[("TENANTRY_LISTEN", &listen)]).refused(1);
        assert!(said.contains("is not ready: ") && said.contains("was moved, deleted or replaced"), "{said}");
        fs::rename(&away, &path).unwrap();
    }
    assert_eq!(server.terminate().code, Some(0));
    let said = run(nowhere.path(), &["health"], &[("TENANTRY_LISTEN", &listen)]).refused(1);
    assert!(
        said.starts_with(&format!("tenantry: the server on 127.0.0.1:{port} cannot be reached: ")),
        "{said}"
    );
    if !is_postgres() {
        // As before: other commands work on the data itself.
        assert_eq!(home.command("partner list").code, Some(0));
    }
    let said = run(nowhere.path(), &["health", "--listen", "127.0.0.1:0"], &[]).refused(1);
    assert!(said.contains("--url"), "{said}");
    assert_eq!(run(nowhere.path(), &["health", "--listen", "8080"], &[]).code, Some(2), "invalid settings");
}

#[test]
fn health_of_something_else_is_bad() {
    let home = Home::new();
    for (response, why) in [
        (
            Some("HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n"),
            "answers /readyz with 404: is it Tenantry?",
        ),
        (Some("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"), "answers /readyz with 200: is it Tenantry?"),
        (
            Some(
                "HTTP/1.1 503 Service Unavailable\r\nconnection: close\r\n\r\n{\"detail\":\"its \\u001b[1mdisk is full\"}",
            ),
            "is not ready: its [1mdisk is full",
        ),
        (Some("SSH-2.0-OpenSSH_9.2\r\n"), "disconnected: "),
        (Some(""), "disconnected: "),
        (None, "did not respond within 5 seconds"),
    ] {
        let (address, thread) = responses(response);
        let said = run(home.path(), &["health"], &[("TENANTRY_LISTEN", &address)]).refused(1);
        assert!(said.starts_with(&format!("tenantry: the server on {address} {why}")), "{said}");
        thread.join().unwrap();
    }
}

/// Whether this user may make namespaces of this kind.
fn may_unshare(kind: &str) -> bool {
    let tried = Command::new("unshare").args([kind, "--fork", "true"]).output();
    let may = tried.is_ok_and(|output| output.status.success());
    if !may {
        eprintln!(
            "unshare {kind} is not allowed here: this test needs root, or a system that allows it, and tests nothing"
        );
    }
    may
}

/// Runs the binary where only `data` can be written: in a mount namespace whose file systems are all read-only.
fn read_only(dir: &Path, data: &Path, args: &[&str], env: &[(&str, &str)]) -> Command {
    // A file system that refuses to become read-only, such as /proc, is none to leave files on; the two directories for
    // temporary files and the working directory are checked.
    let script = "data=$1; shift
        mount --make-rprivate / && mount --bind \"$data\" \"$data\" || exit 90
        while read -r _ at _; do
            [ \"$at\" = \"$data\" ] || mount -o remount,bind,ro \"$at\" 2>/dev/null
        done < /proc/self/mounts
        for at in /tmp /var/tmp . /dev/shm; do
            if [ -d \"$at\" ] && (: > \"$at/written\") 2>/dev/null; then exit 91; fi
        done
        exec \"$@\"";
    let (data, program) = (data.to_str().unwrap(), binary().to_str().unwrap());
    let all: Vec<&str> = ["--mount", "sh", "-c", script, "sh", data, program]
        .into_iter()
        .chain(args.iter().copied())
        .collect();
    tenantry(Path::new("unshare"), dir, &all, env)
}

#[tokio::test]
async fn only_the_data_directory_is_written() {
    if !may_unshare("--mount") {
        return;
    }
    let (home, database) = (Home::new(), Database::blank());
    let data = home.data();
    fs::create_dir(&data).unwrap();
    set_mode(&data, 0o700);
    let url = database.url();
    let mut env = GIVEN.to_vec();
    env.extend(url.as_deref().map(|url| ("TENANTRY_DATABASE_URL", url)));
    let start =
        || Process::start(&mut read_only(home.path(), &data, &["serve", "--listen", "127.0.0.1:0"], &env));
    let server = start().unwrap();
    let admin = server.admin().await;
    admin.create("fenna").await;
    // More rows than a cache of two megabytes holds, sorted and searched.
    let rows: String = (0..6_000)
        .map(|n| {
            let title = format!("{:0>200}", n * 7_919 % 6_000);
            format!(
                "{{\"username\":\"user{n}\",\"status\":\"ACTIVE\",\"firstName\":\"A\",\"lastName\":\"B\",\
                 \"email\":\"u{n}@example.com\",\"title\":\"{title}\"}}\n"
            )
        })
        .collect();
    let import = admin
        .request(reqwest::Method::POST, "/api/v1/users/import")
        .header("content-type", "application/x-ndjson")
        .body(rows);
    let done = import.send().await.unwrap();
    assert_eq!(done.status(), 200);
    assert!(done.text().await.unwrap().contains("\"created\":6000"));
    for path in [
        "/api/v1/users?sort=title&pageSize=1000",
        "/api/v1/users?sort=-title&search=1",
        "/api/v1/users/export?format=ndjson",
        "/api/v1/events",
    ] {
        let response = admin.get(path).await;
        assert!(!response.status.is_server_error(), "{path}: {}", response.text);
    }
    let whole = run_read_only(&home, &data, &["export", "--partner", "1"], &env).done();
    assert!(whole.lines().count() > 6_000);
    if !is_postgres() {
        let copy = data.join("copy.db");
        assert_eq!(run_read_only(&home, &data, &["backup", copy.to_str().unwrap()], &env).code, Some(0));
        assert!(copy.exists());
    }
    let ended = server.terminate();
    assert_eq!(ended.code, Some(0), "{}", ended.err);
    let server = start().unwrap();
    server.admin().await.get("/api/v1/users/2").await.expect(200);
    let left: Vec<PathBuf> = everything(home.path()).into_iter().map(|(path, _)| path).collect();
    assert!(left.iter().all(|path| path.starts_with(&data)), "{left:?}");
}

fn run_read_only(home: &Home, data: &Path, args: &[&str], env: &[(&str, &str)]) -> Ended {
    let output = read_only(home.path(), data, args, env).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    Ended { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
}

#[tokio::test]
async fn any_user_id_serves_without_a_home() {
    /// A user without an entry in /etc/passwd, in the group of root: how OpenShift starts containers.
    const SOMEBODY: u32 = 1_000_720_000;
    if !rustix::process::geteuid().is_root() {
        eprintln!("only root may become another user: this test tests nothing here");
        return;
    }
    let (home, database) = (Home::new(), Database::blank());
    let (program, data) = (home.path().join("tenantry"), home.path().join("given"));
    fs::copy(binary(), &program).unwrap();
    set_mode(&program, 0o755);
    set_mode(home.path(), 0o755);
    fs::create_dir(&data).unwrap();
    set_mode(&data, 0o770);
    chown(&data, Some(0), Some(0)).unwrap();
    let url = database.url();
    let run = |args: &[&str]| {
        let mut command = tenantry(&program, home.path(), args, &[]);
        command.env_clear().envs(GIVEN).env("TENANTRY_DATA_DIR", &data);
        command.envs(url.as_deref().map(|url| ("TENANTRY_DATABASE_URL", url)));
        command.uid(SOMEBODY).gid(0);
        command
    };
    let server = Process::start(&mut run(&["serve", "--listen", "127.0.0.1:0"])).unwrap();
    server.admin().await.create("fenna").await;
    let listed = run(&["user", "get", "fenna"]).output().unwrap();
    assert!(listed.status.success(), "{listed:?}");
    let listen = server.address.to_string();
    assert!(run(&["health", "--listen", &listen]).status().unwrap().success());
    assert_eq!(server.terminate().code, Some(0));
}

#[tokio::test]
async fn process_one_stops_gracefully() {
    if !may_unshare("--pid") {
        return;
    }
    for signal in [Signal::TERM, Signal::INT] {
        let (home, database) = (Home::new(), Database::blank());
        let program = binary().to_str().unwrap();
        let args = ["--pid", "--fork", "--kill-child", program, "serve", "--listen", "127.0.0.1:0"];
        let mut command = tenantry(Path::new("unshare"), home.path(), &args, &GIVEN);
        command.envs(database.url().map(|url| ("TENANTRY_DATABASE_URL", url)));
        let server = Process::start(&mut command).unwrap();
        server.admin().await.create("fenna").await;
        let children = format!("/proc/{0}/task/{0}/children", server.id());
        let child: i32 = fs::read_to_string(children).unwrap().trim().parse().unwrap();
        let status = fs::read_to_string(format!("/proc/{child}/status")).unwrap();
        let numbers = status.lines().find_map(|line| line.strip_prefix("NSpid:")).unwrap();
        assert_eq!(numbers.split_whitespace().last(), Some("1"), "it is process 1");
        // Process 1 is only ended by signals that it handles (pid_namespaces(7)).
        kill_process(Pid::from_raw(child).unwrap(), signal).unwrap();
        let ended = server.ended();
        assert_eq!(ended.code, Some(0), "{}", ended.err);
        assert!(ended.err.contains("stopped"), "{}", ended.err);
        assert!(!home.data().join("control.sock").exists());
    }
}

/// A library that lets no socket be made in a directory: how a program sees file systems without sockets.
fn without_sockets(home: &Home) -> PathBuf {
    let (source, library) = (home.path().join("bind.c"), home.path().join("bind.so"));
    let text = "#define _GNU_SOURCE\n#include <errno.h>\n#include <fcntl.h>\n#include <stdlib.h>\n#include <sys/socket.h>\n\
        #include <sys/syscall.h>\n#include <sys/un.h>\n#include <unistd.h>\n\
        int bind(int fd, const struct sockaddr *address, socklen_t length) {\n\
        if (address->sa_family == AF_UNIX) {\n\
        int number = atoi(getenv(\"ERRNO_OF_BIND\"));\n\
        /* exFAT leaves an empty file. */\n\
        if (number == EIO) close(open(((struct sockaddr_un *)address)->sun_path, O_CREAT | O_WRONLY, 0700));\n\
        errno = number; return -1; }\n\
        return syscall(SYS_bind, fd, address, length);\n}\n";
    fs::write(&source, text).unwrap();
    // The compiler that also builds SQLite.
    let made =
        Command::new("cc").args(["-shared", "-fPIC", "-o"]).arg(&library).arg(&source).output().unwrap();
    assert!(made.status.success(), "{made:?}");
    library
}

#[tokio::test]
async fn a_data_directory_without_sockets_is_served() {
    if is_postgres() {
        // Commands work on the database itself: there is no socket.
        return;
    }
    // exFAT by FUSE; FAT and exFAT of the kernel; network file systems.
    for (number, text) in [("5", "Input/output error"), ("1", "not permitted"), ("95", "not supported")] {
        let home = Home::new();
        let library = without_sockets(&home);
        let serve = |args: &[&str]| {
            let args: Vec<&str> = ["serve", "--listen", "127.0.0.1:0"].iter().chain(args).copied().collect();
            let mut command = tenantry(binary(), home.path(), &args, &GIVEN);
            Process::start(command.env("LD_PRELOAD", &library).env("ERRNO_OF_BIND", number))
        };
        let server = serve(&[]).unwrap();
        server.admin().await.create("fenna").await;
        let err = server.err();
        let warnings: Vec<&str> = err.lines().filter(|line| line.contains("WARN")).collect();
        assert_eq!(warnings.len(), 1, "{err}");
        for word in ["no control socket", text, "control.sock", "set control-socket to a path"] {
            assert!(warnings[0].contains(word), "{word}: {err}");
        }
        for line in ["user get fenna", "partner list", "import x.csv --partner 1"] {
            fs::write(home.path().join("x.csv"), "username\n").unwrap();
            let said = home.command(line).refused(1);
            assert!(said.contains("without a control socket (pid "), "{line}: {said}");
            assert!(said.contains("start it with control-socket set to a path"), "{line}: {said}");
        }
        assert_eq!(home.command("backup copy.db").code, Some(0), "it reads beside the server");
        let said = home.refused(&[], &GIVEN).refused(1);
        assert!(said.contains("only one server can use this data"), "{said}");
        assert_eq!(server.terminate().code, Some(0));
        assert!(!home.data().join("control.sock").exists());
        assert_eq!(home.json("user get fenna")["userId"], 2, "without a server they work");
        // Left by an earlier version.
        fs::write(home.data().join("control.sock"), "").unwrap();
        assert_eq!(serve(&[]).unwrap().terminate().code, Some(0));
        // A path that was set is an error if it does not work.
        let said = serve(&["--control-socket", "c.sock"]).unwrap_err().refused(1);
        assert!(said.contains("cannot listen on c.sock") && said.contains("or to none"), "{said}");
        // None is nothing to warn of.
        let server = serve(&["--control-socket", "none"]).unwrap();
        assert!(!server.err().contains("WARN"), "{}", server.err());
        assert!(home.command("user get fenna").refused(1).contains("without a control socket"));
        let said = home.command("user get fenna --control-socket none").refused(1);
        assert!(said.contains("without a control socket"), "{said}");
    }
}

#[tokio::test]
async fn a_control_socket_can_be_elsewhere() {
    if is_postgres() {
        return;
    }
    let home = Home::new();
    let long = home.path().join("d".repeat(120));
    fs::create_dir(&long).unwrap();
    for path in [home.path().join("run.sock"), long.join("run.sock")] {
        let env = [GIVEN[0], ("TENANTRY_CONTROL_SOCKET", path.to_str().unwrap())];
        let server = Process::serve(home.path(), &[], &env);
        assert!(fs::symlink_metadata(&path).unwrap().file_type().is_socket());
        assert_eq!(crate::serve::mode(&path), 0o600);
        assert!(!home.data().join("control.sock").exists());
        assert_eq!(run(home.path(), &["user", "get", "admin"], &env).code, Some(0));
        // The server that replaces a killed one replaces its socket.
        server.kill();
        assert!(path.exists());
        let server = Process::serve(home.path(), &[], &env);
        assert_eq!(run(home.path(), &["user", "get", "admin"], &env).code, Some(0));
        let said =
            run(home.path(), &["user", "get", "admin"], &[("TENANTRY_CONTROL_SOCKET", "none")]).refused(1);
        assert!(said.contains("control-socket is none"), "{said}");
        assert_eq!(server.terminate().code, Some(0));
        assert!(!path.exists());
    }
    // What is no socket is not removed.
    fs::write(home.path().join("file"), "mine").unwrap();
    let said = home.refused(&["--control-socket", "file"], &GIVEN).refused(1);
    assert!(said.contains("file is in the way of the control socket"), "{said}");
    assert_eq!(fs::read(home.path().join("file")).unwrap(), b"mine");
    let said = home.refused(&["--control-socket", "gone/c.sock"], &GIVEN).refused(1);
    assert!(said.contains("cannot listen on gone/c.sock"), "{said}");
}

#[tokio::test]
async fn metrics_are_read_from_the_networks_that_are_named() {
    let home = Home::new();
    let get = async |server: &Process, from: &str| {
        let client =
            reqwest::Client::builder().no_proxy().local_address(from.parse::<std::net::IpAddr>().ok());
        let url = format!("http://127.0.0.1:{}/metrics", server.address.port());
        client.build().unwrap().get(url).send().await.unwrap().status().as_u16()
    };
    let any = ["--listen", "0.0.0.0:0"];
    let server = Process::serve(home.path(), &any, &GIVEN);
    for from in ["127.0.0.1", "127.9.9.9"] {
        assert_eq!(get(&server, from).await, 404, "nobody by default");
    }
    let warned = || server.err().lines().find(|line| line.contains("metrics-listen")).map(str::to_owned);
    assert!(until("the setting is named", warned).await.contains("metrics-allow"));
    assert_eq!(server.terminate().code, Some(0));
    let args = ["--metrics-allow", "127.9.9.8/30,127.8.0.1"];
    let server = Process::serve(home.path(), &[any, args].concat(), &GIVEN);
    for (from, status) in
        [("127.9.9.9", 200), ("127.9.9.11", 200), ("127.8.0.1", 200), ("127.9.9.12", 404), ("127.0.0.1", 404)]
    {
        assert_eq!(get(&server, from).await, status, "{from}");
    }
}
