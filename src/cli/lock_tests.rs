//! Who may work on the data.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use crate::cli::lock::{self, Holder, Taken};
use crate::config::{Config, DatabaseUrl};

#[test]
fn one_process_holds_the_lock() {
    let dir = tempfile::tempdir().unwrap();
    let config = Config::for_tests(dir.path());
    let Taken::Ours(first) = lock::take(&config, Holder::Server).unwrap() else { panic!("not ours") };
    let Taken::Theirs(held) = lock::take(&config, Holder::Command).unwrap() else { panic!("two locks") };
    assert_eq!(held.by, Some((std::process::id(), "tenantry serve".into())));
    let error = lock::take_for_server(&config).unwrap_err();
    assert_eq!(error.code, "locked");
    assert!(error.detail.contains("tenantry.lock"), "{error}");
    assert!(error.detail.contains(&format!("pid {}", std::process::id())), "{error}");
    let file = std::fs::metadata(dir.path().join("tenantry.lock")).unwrap();
    assert_eq!(file.permissions().mode() & 0o777, 0o600);
    drop(first);
    assert!(matches!(lock::take(&config, Holder::Command).unwrap(), Taken::Ours(_)));
    assert!(matches!(lock::take(&config, Holder::Command).unwrap(), Taken::Ours(_)));
}

#[test]
fn two_data_directories_cannot_share_one_database() {
    let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    for name in ["tenantry.db", "other.db"] {
        let database = one.path().join(name);
        let link = two.path().join("link.db");
        std::fs::write(&database, "x").unwrap();
        std::os::unix::fs::symlink(&database, &link).unwrap();
        let on = |dir: &Path, path: &Path| {
            let database_url = DatabaseUrl::Sqlite(path.to_owned());
            Config { database_url, ..Config::for_tests(dir) }
        };
        let Taken::Ours(held) = lock::take(&on(one.path(), &database), Holder::Server).unwrap() else {
            panic!("not ours")
        };
        for path in [&database, &link] {
            let second = lock::take(&on(two.path(), path), Holder::Server).unwrap();
            assert!(matches!(second, Taken::Theirs(_)), "{}", path.display());
        }
        drop(held);
        assert!(matches!(lock::take(&on(two.path(), &link), Holder::Server).unwrap(), Taken::Ours(_)));
        std::fs::remove_file(link).unwrap();
    }
}

#[test]
fn a_data_directory_is_made_for_its_owner_alone_and_without_parents() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    lock::create_data_dir(&data).unwrap();
    assert_eq!(std::fs::metadata(&data).unwrap().permissions().mode() & 0o777, 0o700);
    lock::create_data_dir(&data).unwrap();
    let error = lock::create_data_dir(&dir.path().join("no/data")).unwrap_err();
    assert!(error.detail.contains("no does not exist"), "{error}");
    assert!(!dir.path().join("no").exists());
    let file = dir.path().join("file");
    std::fs::write(&file, "").unwrap();
    let error = lock::create_data_dir(&file).unwrap_err();
    assert!(error.detail.contains("is a file"), "{error}");
}

#[test]
fn an_unused_new_data_directory_is_removed_only_if_empty() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    lock::create_data_dir(&data).unwrap();
    let config = Config::for_tests(&data);
    drop(lock::take(&config, Holder::Command).unwrap());
    std::fs::write(data.join("mine"), "").unwrap();
    lock::remove_data_dir(&data);
    assert!(data.join("mine").exists() && data.join("tenantry.lock").exists());
    std::fs::remove_file(data.join("mine")).unwrap();
    lock::remove_data_dir(&data);
    assert!(!data.exists());
}
