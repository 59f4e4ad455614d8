//! Signing keys on disk: PKCS#8 in PEM that only its owner may read, and files that appear whole
//! or not at all.

use std::{
    fmt,
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Read, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
};

use aws_lc_rs::{rand, signature::Ed25519KeyPair};
use base64::{Engine, prelude::BASE64_STANDARD};
use tenon_core::secret_file;
use zeroize::Zeroizing;

const BEGIN: &str = "-----BEGIN PRIVATE KEY-----";
const END: &str = "-----END PRIVATE KEY-----";

/// The largest key file that is read, in bytes.
const FILE_MAX_BYTES: u64 = 16 * 1024;

/// A key file that cannot be used, with what to do about it.
#[derive(Debug)]
pub struct KeyError {
    path: PathBuf,
    problem: String,
    kind: Option<io::ErrorKind>,
}

impl KeyError {
    pub(super) fn new(path: &Path, problem: impl Into<String>) -> Self {
        Self {
            path: path.to_owned(),
            problem: problem.into(),
            kind: None,
        }
    }

    fn io(path: &Path, what: &str, cause: &io::Error) -> Self {
        Self {
            kind: Some(cause.kind()),
            ..Self::new(path, format!("{what}: {cause}"))
        }
    }

    /// Whether the file was there already.
    pub(super) fn exists(&self) -> bool {
        self.kind == Some(io::ErrorKind::AlreadyExists)
    }
}

impl fmt::Display for KeyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "key file {}: {}", self.path.display(), self.problem)
    }
}

impl std::error::Error for KeyError {}

/// Loads a key that nobody but its owner can read.
pub(super) fn load(path: &Path) -> Result<Ed25519KeyPair, KeyError> {
    let unreadable = |cause: io::Error| KeyError::io(path, "it could not be read", &cause);
    let mut file = File::open(path).map_err(unreadable)?;
    // Asked of the open file, so that it cannot be swapped between the question and the reading.
    let rights = file.metadata().map_err(unreadable)?;
    if !secret_file::is_kept(&rights) {
        let mode = rights.permissions().mode() & 0o777;
        let problem = format!("others may read it (mode {mode:03o}); run `chmod 600` on it");
        return Err(KeyError::new(path, problem));
    }
    let mut text = Zeroizing::new(String::new());
    Read::by_ref(&mut file)
        .take(FILE_MAX_BYTES)
        .read_to_string(&mut text)
        .map_err(unreadable)?;
    let refused = || {
        let expected = "expected one Ed25519 private key as PKCS#8 in PEM";
        KeyError::new(
            path,
            format!("{expected}, as `openssl genpkey -algorithm ed25519` writes"),
        )
    };
    let document = from_pem(&text).ok_or_else(refused)?;
    Ed25519KeyPair::from_pkcs8_maybe_unchecked(&document).map_err(|_| refused())
}

/// Generates a key into a new file.
pub(super) fn create_new_key(path: &Path) -> Result<(), KeyError> {
    let pair = Ed25519KeyPair::generate()
        .map_err(|_| KeyError::new(path, "the machine gave no randomness for a new key"))?;
    create(path, &pair)
}

/// Writes a key into a new file of mode 0600. The whole file appears under its name at once: a
/// crash leaves no half of a key, and an existing file is never replaced.
pub(super) fn create(path: &Path, pair: &Ed25519KeyPair) -> Result<(), KeyError> {
    let document = pair
        .to_pkcs8v1()
        .map_err(|_| KeyError::new(path, "the new key could not be encoded"))?;
    let text = to_pem(document.as_ref());
    let unwritable = |cause: io::Error| KeyError::io(path, "it could not be written", &cause);
    let temporary = write_beside(path, text.as_bytes(), 0o600).map_err(unwritable)?;
    let linked = fs::hard_link(&temporary, path);
    let removed = fs::remove_file(&temporary);
    linked.and(removed).map_err(unwritable)?;
    sync_folder(path).map_err(unwritable)
}

/// Replaces a public file, or makes it; one that says the same already stays, so that the keys of
/// an orchestrator may stand where nothing can be written. It has mode 0600 like the keys beside it: what everybody may
/// know is served by the identity service, and nobody else has business in the folder.
pub(super) fn replace(path: &Path, content: &[u8]) -> Result<(), KeyError> {
    if fs::read(path).is_ok_and(|present| present == content) {
        return Ok(());
    }
    let unwritable = |cause: io::Error| KeyError::io(path, "it could not be written", &cause);
    let temporary = write_beside(path, content, 0o600).map_err(unwritable)?;
    if let Err(cause) = fs::rename(&temporary, path) {
        // The first failure is the one to report.
        let _ = fs::remove_file(&temporary);
        return Err(unwritable(cause));
    }
    sync_folder(path).map_err(unwritable)
}

/// Makes the folder of the keys, for its owner alone, where it is not there yet.
pub(super) fn create_folder(folder: &Path) -> Result<(), KeyError> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)
        .map_err(|cause| KeyError::io(folder, "the folder could not be made", &cause))
}

/// The path of the key with this number.
pub(super) fn numbered(folder: &Path, number: u32) -> PathBuf {
    folder.join(format!("signing-{number:04}.pem"))
}

/// The keys of the folder in ascending order. Other files are none of our business.
pub(super) fn list(folder: &Path) -> Result<Vec<(u32, PathBuf)>, KeyError> {
    let unreadable =
        |cause: io::Error| KeyError::io(folder, "the folder could not be read", &cause);
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        let number = path
            .file_name()
            .and_then(|name| name.to_str())
            .and_then(|name| name.strip_prefix("signing-")?.strip_suffix(".pem"))
            .and_then(|number| number.parse().ok());
        files.extend(number.map(|number| (number, path)));
    }
    files.sort();
    Ok(files)
}

/// Writes and syncs a new file in the same folder, under a name that nobody else uses.
fn write_beside(path: &Path, content: &[u8], mode: u32) -> io::Result<PathBuf> {
    let mut random = [0_u8; 8];
    rand::fill(&mut random).map_err(io::Error::other)?;
    let name = format!(".{:016x}.tmp", u64::from_ne_bytes(random));
    let temporary = path.with_file_name(name);
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(&temporary)?;
    let written = file.write_all(content).and_then(|()| file.sync_all());
    if let Err(cause) = written {
        // The first failure is the one to report.
        let _ = fs::remove_file(&temporary);
        return Err(cause);
    }
    Ok(temporary)
}

/// A new name is durable only once its folder is.
fn sync_folder(path: &Path) -> io::Result<()> {
    let folder = path.parent().filter(|folder| *folder != Path::new(""));
    File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
}

fn to_pem(document: &[u8]) -> Zeroizing<String> {
    let body = Zeroizing::new(BASE64_STANDARD.encode(document));
    let mut text = Zeroizing::new(format!("{BEGIN}\n"));
    for line in body.as_bytes().chunks(64) {
        text.push_str(&String::from_utf8_lossy(line));
        text.push('\n');
    }
    text.push_str(END);
    text.push('\n');
    text
}

fn from_pem(text: &str) -> Option<Zeroizing<Vec<u8>>> {
    let body = text.trim().strip_prefix(BEGIN)?.strip_suffix(END)?;
    let body: Zeroizing<String> = Zeroizing::new(body.split_ascii_whitespace().collect());
    BASE64_STANDARD
        .decode(body.as_bytes())
        .ok()
        .map(Zeroizing::new)
}
