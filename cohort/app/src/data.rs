//! The data folder: one database a service, the keys, and the lock that keeps a second process
//! out.
//!
//! ```text
//! DIR/                   0700
//!   lock                 held by `cohort up`, or shared by the services of `cohort serve`; the
//!                        process id of who held it alone last
//!   identity.db trial.db patient.db epro.db
//!   keys/                the signing keys, the public key set, the keys of sealed values
//!   demo.json            0600, only after `cohort up --demo`
//! ```

use std::{
    fs::{self, DirBuilder, File, OpenOptions, Permissions, TryLockError},
    io::{self, Read, Seek, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, bail};

/// The services that keep data. A reference points from a service to one after it, so that
/// copies taken in this order never hold a reference to something that they lack.
pub(crate) const SERVICES: [&str; 4] = ["epro", "patient", "trial", "identity"];

const LOCK: &str = "lock";
const KEYS: &str = "keys";

/// The names by which a folder is known to be ours.
const MARKS: [&str; 3] = [LOCK, KEYS, "identity.db"];

/// Where the data is. Nothing is locked.
#[derive(Debug, Clone)]
pub(crate) struct Folder {
    path: PathBuf,
}

impl Folder {
    /// The folder at `path`, whatever is in it.
    pub(crate) fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    /// A folder that holds data.
    pub(crate) fn existing(path: &Path) -> Result<Self> {
        let folder = Self::new(path);
        if !SERVICES.iter().any(|name| folder.database(name).exists()) {
            bail!(
                "{} holds no data of cohort; give the folder of `cohort up` with --data",
                path.display()
            );
        }
        Ok(folder)
    }

    /// The database of a service.
    pub(crate) fn database(&self, service: &str) -> PathBuf {
        self.path.join(format!("{service}.db"))
    }

    /// The folder of the keys.
    pub(crate) fn keys(&self) -> PathBuf {
        self.path.join(KEYS)
    }

    /// What `--demo` writes.
    pub(crate) fn demo(&self) -> PathBuf {
        self.path.join("demo.json")
    }

    /// Makes the folder if it is missing, for its owner alone, and keeps every other process out
    /// until the lock is dropped.
    ///
    /// A folder that exists has to be empty or ours: whoever names his home by mistake should
    /// not find its rights changed.
    pub(crate) fn lock(&self) -> Result<Lock> {
        self.claim()?;
        let path = self.path.join(LOCK);
        let file = open_lock(&path)?;
        match file.try_lock() {
            Ok(()) => Lock::held(file).with_context(|| path.display().to_string()),
            Err(TryLockError::WouldBlock) => bail!(
                "the data folder {} is in use by {}; stop it, or choose another folder with --data",
                self.path.display(),
                holder(file)
            ),
            Err(TryLockError::Error(cause)) => {
                Err(cause).with_context(|| format!("{} cannot be locked", path.display()))
            }
        }
    }

    /// Keeps `cohort up` out of the folder and lets other services in, until the lock is dropped:
    /// for a service that is a process of its own.
    pub(crate) fn share(&self) -> Result<Lock> {
        let path = self.path.join(LOCK);
        let file = open_lock(&path)?;
        match file.try_lock_shared() {
            Ok(()) => Ok(Lock { _file: file }),
            Err(TryLockError::WouldBlock) => bail!(
                "the data folder {} is in use by {}, which runs all services; stop it first",
                self.path.display(),
                holder(file)
            ),
            Err(TryLockError::Error(cause)) => {
                Err(cause).with_context(|| format!("{} cannot be locked", path.display()))
            }
        }
    }

    fn claim(&self) -> Result<()> {
        let shown = self.path.display();
        let made = DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&self.path);
        made.with_context(|| {
            format!("the data folder {shown} cannot be made; choose with --data a folder that this user may write to")
        })?;
        let unreadable = || format!("the data folder {shown} cannot be read");
        let empty = is_empty(&self.path).with_context(unreadable)?;
        if !empty && !MARKS.iter().any(|name| self.path.join(name).exists()) {
            bail!("{shown} holds other files; choose an empty folder with --data");
        }
        let mode = fs::metadata(&self.path).with_context(unreadable)?;
        if mode.permissions().mode() & 0o077 != 0 {
            fs::set_permissions(&self.path, Permissions::from_mode(0o700))
                .with_context(|| format!("others may read {shown}, and that cannot be changed"))?;
        }
        Ok(())
    }
}

/// Holds the data folder. The system releases it when the process ends, however it ends.
#[derive(Debug)]
pub(crate) struct Lock {
    _file: File,
}

impl Lock {
    fn held(mut file: File) -> io::Result<Self> {
        file.set_len(0)?;
        file.rewind()?;
        writeln!(file, "{}", std::process::id())?;
        Ok(Self { _file: file })
    }
}

fn open_lock(path: &Path) -> Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    let opened = options.mode(0o600).open(path);
    opened.with_context(|| {
        let path = path.display();
        format!("the lock {path} cannot be opened; the data folder must be one that this user may write to")
    })
}

/// Who holds the lock, as its file says.
fn holder(mut file: File) -> String {
    let mut text = String::new();
    let id = match file.read_to_string(&mut text) {
        Ok(_) => text.trim().parse::<u32>().ok(),
        Err(_) => None,
    };
    id.map_or_else(|| "another process".into(), |id| format!("process {id}"))
}

/// Whether a folder has no entries.
pub(crate) fn is_empty(folder: &Path) -> io::Result<bool> {
    Ok(fs::read_dir(folder)?.next().is_none())
}

/// Writes a file that only its owner may read: whole, or not at all.
pub(crate) fn write_private(path: &Path, content: &[u8]) -> Result<()> {
    let mut partial = path.as_os_str().to_owned();
    partial.push(".partial");
    let partial = PathBuf::from(partial);
    let write = || {
        // One that an interrupted process left may have other rights.
        match fs::remove_file(&partial) {
            Err(cause) if cause.kind() != io::ErrorKind::NotFound => return Err(cause),
            _ => {}
        }
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&partial)?;
        file.write_all(content)?;
        file.sync_all()?;
        fs::rename(&partial, path)?;
        sync_parent(path)
    };
    write().with_context(|| format!("{} cannot be written", path.display()))
}

/// Makes a rename or a new file survive a power cut.
pub(crate) fn sync_parent(path: &Path) -> io::Result<()> {
    File::open(parent(path))?.sync_all()
}

/// The folder that a path stands in.
pub(crate) fn parent(path: &Path) -> &Path {
    let parent = path
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty());
    parent.unwrap_or(Path::new("."))
}
