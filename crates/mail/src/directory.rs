//! Mails as files: `<dir>/<time>-<id>.eml`, for a server without SMTP.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, ErrorKind, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Instant;

use crate::message::{Sender, compose};
use crate::template::message_time;
use crate::{Email, SendError};

/// Number of files that are written before the first is synced: limits the open files, and lets the file system write
/// them together.
const TOGETHER: usize = 64;

/// Prefix of the name of an unfinished file.
const UNFINISHED: &str = ".tmp-";

/// Writes each mail to a separate file, mode 0600. A file is complete once it has its final name, and durable once the
/// mail counts as sent. The name consists of the row's time and id, so a redelivery rewrites the same file.
#[derive(Debug, Clone)]
pub struct Directory {
    path: PathBuf,
    sender: Sender,
}

impl Directory {
    /// Creates the directory (mode 0700) if it is missing, but not its parent, and removes unfinished files of an
    /// earlier process: they may contain a password.
    ///
    /// # Errors
    /// The directory cannot be created or read.
    pub fn open(path: impl Into<PathBuf>, sender: Sender) -> io::Result<Self> {
        let directory = Self { path: path.into(), sender };
        directory.create()?;
        for entry in fs::read_dir(&directory.path)? {
            let entry = entry?;
            if entry.file_name().as_encoded_bytes().starts_with(UNFINISHED.as_bytes()) {
                remove(&entry.path())?;
            }
        }
        Ok(directory)
    }

    /// The path of the directory.
    pub fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn send_batch(&self, mails: &[Email], until: Instant) -> Vec<Result<(), SendError>> {
        let begun = mails.chunks(TOGETHER).take_while(|_| Instant::now() < until);
        begun.flat_map(|chunk| self.send_together(chunk)).collect()
    }

    /// Writes all files, then syncs them, then renames them: the directory is synced once.
    fn send_together(&self, mails: &[Email]) -> Vec<Result<(), SendError>> {
        if let Err(e) = self.create() {
            return vec![Err(self.failed(&e)); mails.len()];
        }
        let written: Vec<_> = mails.iter().map(|mail| self.write(mail)).collect();
        let mut sent: Vec<_> = written
            .into_iter()
            .map(|file| file.and_then(|f| f.finish().map_err(|e| self.failed(&e))))
            .collect();
        if let Err(e) = sync(&self.path) {
            // the files have their names, but could lose them: a redelivery writes the same files
            sent.iter_mut().filter(|s| s.is_ok()).for_each(|s| *s = Err(self.failed(&e)));
        }
        sent
    }

    fn write(&self, mail: &Email) -> Result<Unfinished, SendError> {
        let message = compose(mail, &self.sender)?;
        let name = file_name(mail);
        let unfinished = self.path.join(format!("{UNFINISHED}{name}"));
        let write = || {
            remove(&unfinished)?;
            // `create_new` follows no symbolic link and keeps no existing mode
            let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&unfinished)?;
            file.write_all(&message.bytes)?;
            Ok(file)
        };
        match write() {
            Ok(file) => Ok(Unfinished { file, unfinished, finished: self.path.join(name) }),
            Err(e) => {
                // a full disk: a partial file with a password must not stay; the delivery is retried anyway
                let _ = remove(&unfinished);
                Err(self.failed(&e))
            }
        }
    }

    fn create(&self) -> io::Result<()> {
        match DirBuilder::new().mode(0o700).create(&self.path) {
            Ok(()) => match self.path.parent() {
                Some(parent) if !parent.as_os_str().is_empty() => sync(parent),
                _ => sync(Path::new(".")),
            },
            Err(e) if e.kind() == ErrorKind::AlreadyExists && self.path.is_dir() => Ok(()),
            Err(e) => Err(e),
        }
    }

    fn failed(&self, e: &io::Error) -> SendError {
        SendError::temporary(format!("cannot write to {}: {e}", self.path.display()))
    }
}

struct Unfinished {
    file: File,
    unfinished: PathBuf,
    finished: PathBuf,
}

impl Unfinished {
    fn finish(self) -> io::Result<()> {
        self.file.sync_all()?;
        fs::rename(self.unfinished, self.finished)
    }
}

/// `20261123T055959.123Z-42.eml`: sorts by time.
fn file_name(mail: &Email) -> String {
    let time = message_time(mail.created_at).strftime("%Y%m%dT%H%M%S.%3fZ");
    format!("{time}-{}.eml", mail.id)
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(e) if e.kind() == ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

fn sync(directory: &Path) -> io::Result<()> {
    File::open(directory)?.sync_all()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;
    use crate::{Mailer, testing};

    fn open(parent: &tempfile::TempDir) -> Directory {
        Directory::open(parent.path().join("mail"), testing::sender()).unwrap()
    }

    fn names(directory: &Directory) -> Vec<String> {
        let entries = fs::read_dir(directory.path()).unwrap();
        let mut names: Vec<String> = entries.map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o7777
    }

    #[test]
    fn a_mail_is_a_file() {
        let parent = tempfile::tempdir().unwrap();
        let directory = open(&parent);
        let mailer = Mailer::Directory(directory.clone());
        mailer.send(&testing::password("Ada Lovelace")).unwrap();
        assert_eq!(names(&directory), ["20261123T055959.123Z-42.eml"]);
        let file = directory.path().join("20261123T055959.123Z-42.eml");
        assert_eq!((mode(directory.path()), mode(&file)), (0o700, 0o600));
        let read = testing::read(&fs::read(&file).unwrap());
        assert!(read.text.lines().any(|l| l == format!("Password: {}", testing::PASSWORD)));
        assert_eq!(mailer.describe(), format!("mail: files in {}", directory.path().display()));
    }

    #[test]
    fn a_redelivery_rewrites_the_same_file() {
        let parent = tempfile::tempdir().unwrap();
        let mail = testing::password("Zoë");
        let directory = open(&parent);
        assert_eq!(directory.send_batch(std::slice::from_ref(&mail), testing::later()), [Ok(())]);
        let [name] = names(&directory).try_into().unwrap();
        let first = fs::read(directory.path().join(&name)).unwrap();
        // another process, after a crash during a write
        let left = directory.path().join(format!("{UNFINISHED}{name}"));
        fs::write(&left, "half a ma").unwrap();
        fs::set_permissions(&left, fs::Permissions::from_mode(0o644)).unwrap();
        assert_eq!(directory.send_batch(&[mail], testing::later()), [Ok(())]);
        assert_eq!(names(&directory), [name.as_str()]);
        assert_eq!(fs::read(directory.path().join(&name)).unwrap(), first);
        assert_eq!(mode(&directory.path().join(&name)), 0o600);
    }

    #[test]
    fn unfinished_files_are_removed_at_the_next_start() {
        let parent = tempfile::tempdir().unwrap();
        let directory = open(&parent);
        directory.send_batch(&[testing::password("Ada")], testing::later())[0].clone().unwrap();
        fs::write(directory.path().join(".tmp-20261123T055959.123Z-43.eml"), "Password: x").unwrap();
        assert_eq!(names(&open(&parent)), ["20261123T055959.123Z-42.eml"]);
    }

    #[test]
    fn a_batch_responds_to_each() {
        let parent = tempfile::tempdir().unwrap();
        let directory = open(&parent);
        let mut batch: Vec<Email> = (0..150)
            .map(|id| {
                let mut mail = testing::password("Ada");
                mail.id = id;
                mail
            })
            .collect();
        batch[70].to.address = String::from("nowhere");
        let sent = directory.send_batch(&batch, testing::later());
        assert_eq!(sent.len(), 150);
        let failed: Vec<usize> = (0..150).filter(|&i| sent[i].is_err()).collect();
        assert_eq!(failed, [70]);
        assert!(sent[70].as_ref().unwrap_err().permanent);
        assert_eq!(names(&directory).len(), 149);
    }

    #[test]
    fn a_removed_directory_is_created_again() {
        let parent = tempfile::tempdir().unwrap();
        let directory = open(&parent);
        fs::remove_dir(directory.path()).unwrap();
        assert_eq!(directory.send_batch(&[testing::password("Ada")], testing::later()), [Ok(())]);
        fs::remove_dir_all(directory.path()).unwrap();
        fs::write(directory.path(), "a file").unwrap();
        let sent = directory.send_batch(&[testing::password("Ada")], testing::later());
        assert!(!sent[0].as_ref().unwrap_err().permanent);
        assert!(Directory::open(directory.path(), testing::sender()).is_err());
        assert!(Directory::open(parent.path().join("no/mail"), testing::sender()).is_err());
    }
}
