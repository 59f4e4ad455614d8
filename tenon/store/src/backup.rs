//! Copies of the data that are consistent while it is worked on.

use std::{
    fs::{self, File, OpenOptions},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use rusqlite::{
    Connection, OpenFlags,
    backup::{Backup, StepResult},
};
use tenon_core::{Context, Result};

use crate::{engine::Engine, entries::open_failed};

/// What a backup wrote.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BackupReport {
    /// The size of the file in bytes.
    pub bytes: u64,
}

/// Pages between two looks at the context: 2 MiB.
const PAGES: i32 = 256;

/// Copies the database file `from` into a new file `to` and checks the copy, also while another
/// process works on it: for operators' commands. A service copies its own with
/// [`crate::Db::backup`].
///
/// # Errors
/// `OPEN_FAILED` when `from` is no database, or `to` exists, cannot be written, or is not sound;
/// the context's error when it ended, in which case no file is left.
pub fn backup_file(
    cx: &Context,
    from: impl AsRef<Path>,
    to: impl AsRef<Path>,
) -> Result<BackupReport> {
    let from = from.as_ref();
    if !from.exists() {
        let problem = "it does not exist; expected a service's data file";
        return Err(open_failed(from, problem));
    }
    run(cx, from, to.as_ref())
}

/// Copies the database `from` into a new file `to`.
pub(crate) fn run(cx: &Context, from: &Path, to: &Path) -> Result<BackupReport> {
    if to.exists() {
        return Err(open_failed(to, "it exists; a backup needs a new file"));
    }
    let mut partial = to.as_os_str().to_owned();
    partial.push(".partial");
    let partial = Unfinished(PathBuf::from(partial));
    // The name appears only when the copy is whole, checked and on the disk.
    let file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&partial.0)
        .map_err(|cause| open_failed(&partial.0, cause))?;
    copy(cx, from, &partial.0)?;
    check_file(&partial.0)?;
    let finish = || {
        file.sync_all()?;
        fs::rename(&partial.0, to)?;
        let folder = to.parent().filter(|folder| !folder.as_os_str().is_empty());
        File::open(folder.unwrap_or(Path::new(".")))?.sync_all()?;
        Ok(BackupReport {
            bytes: file.metadata()?.len(),
        })
    };
    finish().map_err(|cause: std::io::Error| open_failed(to, cause))
}

/// Reads a whole database file and says whether it is sound, without changing it.
///
/// # Errors
/// `OPEN_FAILED` with what is wrong.
pub fn check_file(path: &Path) -> Result<()> {
    let mut engine = Engine::open_reader(path)?;
    let verdict = engine
        .connection()
        .query_row("PRAGMA integrity_check(1)", [], |row| {
            row.get::<_, String>(0)
        })
        .map_err(|cause| open_failed(path, cause))?;
    if verdict != "ok" {
        let problem = format!("it is damaged ({verdict}); restore an earlier backup");
        return Err(open_failed(path, problem));
    }
    Ok(())
}

fn copy(cx: &Context, from: &Path, to: &Path) -> Result<()> {
    let failed = |cause: rusqlite::Error| open_failed(to, cause);
    let mut source = Engine::open_reader(from)?;
    let source = source.connection();
    // The copy reads one state, that of this transaction: writes go on beside it, and none of
    // them makes the copy begin anew.
    source.execute_batch("BEGIN").map_err(failed)?;
    source
        .query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(()))
        .map_err(failed)?;
    let mut target =
        Connection::open_with_flags(to, OpenFlags::SQLITE_OPEN_READ_WRITE).map_err(failed)?;
    {
        let backup = Backup::new(source, &mut target).map_err(failed)?;
        loop {
            cx.check()?;
            match backup.step(PAGES).map_err(failed)? {
                StepResult::Done => break,
                StepResult::More => {}
                _ => return Err(open_failed(to, "it is locked by another process")),
            }
        }
    }
    // One file without a log beside it.
    target
        .query_row("PRAGMA journal_mode = DELETE", [], |_| Ok(()))
        .map_err(failed)?;
    target.close().map_err(|(_, cause)| failed(cause))
}

/// A file that is removed unless it got its name.
struct Unfinished(PathBuf);

impl Drop for Unfinished {
    fn drop(&mut self) {
        // After the rename there is nothing left to remove.
        let _ = fs::remove_file(&self.0);
    }
}
