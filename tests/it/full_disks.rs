//! Disks that are full, or become so.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::json;
use tempfile::TempDir;

use crate::binary::{Ended, GIVEN, Home, Process, binary, tenantry};
use crate::harness::new_user;
use crate::serve::set_mode;

/// A small file system of its own.
pub struct Small(TempDir);

impl Small {
    /// None when this user may not mount.
    pub fn mount(size: &str) -> Option<Self> {
        let dir = tempfile::tempdir().unwrap();
        let options = format!("size={size},mode=0700");
        let mounted =
            Command::new("mount").args(["-t", "tmpfs", "-o", &options, "tmpfs"]).arg(dir.path()).output();
        mounted.is_ok_and(|output| output.status.success()).then(|| Self(dir))
    }

    pub fn path(&self) -> &Path {
        self.0.path()
    }

    /// Makes room.
    fn grow(&self) {
        let mut command = Command::new("mount");
        assert!(command.args(["-o", "remount,size=64m"]).arg(self.0.path()).status().unwrap().success());
    }

    /// Leaves no room at all; gives the file that takes it.
    fn fill(&self) -> PathBuf {
        let path = self.0.path().join("filler");
        let mut file = fs::File::create(&path).unwrap();
        let full = std::io::copy(&mut std::io::repeat(b'x'), &mut file).unwrap_err();
        assert_eq!(full.kind(), std::io::ErrorKind::StorageFull);
        path
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        // Lazily: a server that is about to be killed must not keep it.
        let _ = Command::new("umount").arg("-l").arg(self.0.path()).status();
    }
}

/// A server that can write no file beyond `blocks` of 512 bytes, for users who may not mount: not a full disk, but
/// writes that fail in the same place (setrlimit(2), RLIMIT_FSIZE).
fn limited(home: &Home, blocks: u32) -> Result<Process, Ended> {
    let script = format!("trap '' XFSZ; ulimit -f {blocks}; exec \"$0\" \"$@\"");
    let program = binary().to_str().unwrap();
    let args = ["-c", &script, program, "serve", "--listen", "127.0.0.1:0"];
    Process::start(&mut tenantry(Path::new("/bin/sh"), home.path(), &args, &GIVEN))
}

/// A start that failed leaves what a later start, with room, ends: the admin gets in, if with nothing else then with
/// the password that was given.
async fn ends_what_was_begun(home: &Home, args: &[&str]) {
    let server = Process::serve(home.path(), args, &GIVEN);
    server.admin().await.create("fenna").await;
}

#[tokio::test]
async fn a_first_start_on_a_full_disk_is_refused_and_can_be_repeated() {
    let full = |said: &str| said.contains("free space") || said.contains("cannot write the database");
    let mut refused = 0;
    for size in (20..800).step_by(60) {
        let home = Home::new();
        let Some(small) = Small::mount(&format!("{size}k")) else {
            // So many blocks of 512 bytes for each file.
            match limited(&home, size) {
                Ok(server) => assert_eq!(server.terminate().code, Some(0)),
                Err(ended) => {
                    let said = ended.refused(1);
                    assert!(said.contains("./tenantry-data/"), "{said}");
                    refused += 1;
                }
            }
            ends_what_was_begun(&home, &[]).await;
            continue;
        };
        let data = small.0.path().join("data");
        let args = ["--data-dir", data.to_str().unwrap()];
        match Process::try_serve(home.path(), &args, &GIVEN) {
            Ok(server) => assert_eq!(server.terminate().code, Some(0)),
            Err(ended) => {
                let said = ended.refused(1);
                assert!(full(&said) && said.contains(args[1]), "{size}k: {said}");
                refused += 1;
            }
        }
        small.grow();
        ends_what_was_begun(&home, &args).await;
    }
    assert!(refused >= 3, "{refused} starts were refused");
}

#[tokio::test]
async fn a_failed_start_does_not_lose_the_password() {
    let home = Home::new();
    fs::create_dir(home.data()).unwrap();
    set_mode(&home.data(), 0o700);
    // Found late: the data directory and the database are good.
    fs::write(home.data().join("control.sock"), "mine").unwrap();
    let said = home.refused(&[], &[]).refused(1);
    assert!(said.contains("control.sock is in the way"), "{said}");
    fs::remove_file(home.data().join("control.sock")).unwrap();
    let server = Process::serve(home.path(), &[], &[]);
    let out = server.out();
    let password = out.lines().find_map(|line| line.strip_prefix("  password: "));
    server.login("admin", password.unwrap_or_else(|| panic!("nobody knows the password: {out}"))).await;
}

#[tokio::test]
async fn a_disk_that_fills_up_refuses_writes_and_nothing_else() {
    let home = Home::new();
    let small = Small::mount("48m");
    let server = match &small {
        Some(small) => Process::serve(home.path(), &["--data-dir", small.0.path().to_str().unwrap()], &GIVEN),
        None => limited(&home, 6_000).unwrap(),
    };
    let admin = server.admin().await;
    let filler = small.as_ref().map(Small::fill);
    let mut made = Vec::new();
    // What has been given to the files is used up first.
    let refused = loop {
        let name = format!("user{}", made.len());
        let response = admin.post("/api/v1/users/", &new_user(&name)).await;
        if response.status != 201 {
            break response;
        }
        made.push(response.body);
        assert!(made.len() < 20_000, "it is never full");
    };
    assert_eq!(refused.status, 503, "{}", refused.text);
    assert!(!refused.header("retry-after").is_empty());
    // Reads go on, and what was refused is nowhere.
    let seen = admin.everybody().await;
    assert_eq!(seen.as_array().unwrap()[1..], made);
    let next = format!("user{}", made.len());
    assert_eq!(admin.get(&format!("/api/v1/users/?username={next}")).await.expect(200).body, json!([]));
    let server = match filler {
        // The same server works again as soon as there is room.
        Some(filler) => {
            fs::remove_file(filler).unwrap();
            server
        }
        None => {
            assert_eq!(server.terminate().code, Some(0));
            home.serve()
        }
    };
    let admin = server.admin().await;
    assert_eq!(admin.everybody().await.as_array().unwrap()[1..], made);
    admin.create(&next).await;
}
