//! The keys outside the database: those that wrap data keys, by version, and that of the blind
//! indexes.

use std::{
    collections::BTreeMap,
    fmt,
    fs::{self, File, OpenOptions},
    io::{ErrorKind, Read, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use aws_lc_rs::{hmac, rand};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use tenon_core::{Error, Result, secret_file};
use uuid::Uuid;
use zeroize::Zeroizing;

use super::{BlindIndex, KeyBytes, decrypt, encrypt};
use crate::entries::open_failed;

/// The keys of a service, read from one file of mode 0600.
///
/// The file has a line for each key: `wrap <version> <base64 of 32 bytes>`, and one
/// `index <base64 of 32 bytes>`. To rotate, add a line with the next version, restart, and
/// [`super::rewrap`]. Keep a copy of the file apart from the backups of the data: without it
/// nothing that was sealed can be opened.
pub struct Keyring {
    wrapping: BTreeMap<u32, KeyBytes>,
    newest: u32,
    index: hmac::Key,
}

impl Keyring {
    /// Reads the file, or creates it with new keys when it is missing.
    ///
    /// # Errors
    /// `OPEN_FAILED` when it cannot be read or created, others than its owner may read it, or a
    /// line is not a key.
    pub fn load_or_create(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        if !path.exists() {
            write_new(path)?;
        }
        Self::load(path)
    }

    /// Reads the file.
    ///
    /// # Errors
    /// As [`Keyring::load_or_create`], and when it is missing.
    pub fn load(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let read = || -> std::io::Result<(bool, Zeroizing<String>)> {
            let mut file = File::open(path)?;
            let is_kept = secret_file::is_kept(&file.metadata()?);
            let mut text = Zeroizing::new(String::new());
            file.read_to_string(&mut text)?;
            Ok((is_kept, text))
        };
        let (is_kept, text) = read().map_err(|cause| open_failed(path, cause))?;
        if !is_kept {
            let problem = "others may read these keys; set its mode to 0600";
            return Err(open_failed(path, problem));
        }
        Self::parse(&text).map_err(|problem| open_failed(path, problem))
    }

    /// The blind index of a value in a column (or any other name of what is compared). The caller
    /// normalises the value first: equal values must be equal bytes.
    pub fn blind_index(&self, column: &str, normalised: &str) -> BlindIndex {
        let mut code = hmac::Context::with_key(&self.index);
        let length = u64::try_from(column.len()).unwrap_or(u64::MAX);
        code.update(&length.to_be_bytes());
        code.update(column.as_bytes());
        code.update(normalised.as_bytes());
        let code = code.sign();
        let mut index = [0; 16];
        index.copy_from_slice(&code.as_ref()[..16]);
        BlindIndex(index)
    }

    /// The version under which keys are wrapped now.
    pub(super) fn newest(&self) -> u32 {
        self.newest
    }

    pub(super) fn wrap(&self, owner: &str, key: &KeyBytes) -> Result<Vec<u8>> {
        let missing = || Error::internal("wrap a data key", "the ring is empty");
        let wrapping = self.wrapping.get(&self.newest).ok_or_else(missing)?;
        let mut wrapped = Vec::new();
        encrypt(
            wrapping,
            &bound(owner, self.newest),
            key.as_slice(),
            &mut wrapped,
        )?;
        Ok(wrapped)
    }

    pub(super) fn unwrap(&self, owner: &str, version: u32, wrapped: &[u8]) -> Result<KeyBytes> {
        let refused = |problem: String| Error::internal("unwrap a data key", problem);
        let wrapping = self
            .wrapping
            .get(&version)
            .ok_or_else(|| refused(format!("the ring lacks its wrapping key {version}")))?;
        let plain = decrypt(wrapping, &bound(owner, version), wrapped).ok_or_else(|| {
            refused(format!(
                "wrapping key {version} is not the one it was wrapped by"
            ))
        })?;
        let key = <[u8; 32]>::try_from(plain.as_slice());
        key.map(Zeroizing::new)
            .map_err(|_| refused("it is not 32 bytes".to_owned()))
    }

    fn parse(text: &str) -> Result<Self, String> {
        let mut wrapping = BTreeMap::new();
        let mut index = None;
        for (line, number) in text.lines().zip(1..) {
            let words: Vec<&str> = line.split_whitespace().collect();
            let refused = || {
                format!(
                    "line {number} is not `wrap VERSION BASE64` or `index BASE64` with 32 bytes"
                )
            };
            match words.as_slice() {
                [] => {}
                [first, ..] if first.starts_with('#') => {}
                ["wrap", version, key] => {
                    let version = version.parse::<u32>().map_err(|_| refused())?;
                    let key = key_bytes(key).ok_or_else(refused)?;
                    if wrapping.insert(version, key).is_some() {
                        return Err(format!("version {version} stands there twice"));
                    }
                }
                ["index", key] if index.is_none() => {
                    let key = key_bytes(key).ok_or_else(refused)?;
                    index = Some(hmac::Key::new(hmac::HMAC_SHA256, key.as_slice()));
                }
                _ => return Err(refused()),
            }
        }
        let newest = wrapping.keys().next_back().copied();
        match (newest, index) {
            (Some(newest), Some(index)) => Ok(Self {
                wrapping,
                newest,
                index,
            }),
            _ => Err("it needs a `wrap` and an `index` line; restore it from its copy".to_owned()),
        }
    }
}

impl fmt::Debug for Keyring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keyring")
            .field("versions", &self.wrapping.keys())
            .finish_non_exhaustive()
    }
}

/// A key from the system's random source.
pub(super) fn random_key() -> Result<KeyBytes> {
    let mut key = Zeroizing::new([0; 32]);
    rand::fill(key.as_mut_slice())
        .map_err(|_| Error::internal("make a key", "the system gave no random bytes"))?;
    Ok(key)
}

/// Writes a ring of new keys under a name of its own and then gives it its name, unless another
/// process was faster: whoever finds the file finds it whole, also after a power cut.
fn write_new(path: &Path) -> Result<()> {
    let (wrap, index) = (random_key()?, random_key()?);
    let text = Zeroizing::new(format!(
        "wrap 1 {}\nindex {}\n",
        *Zeroizing::new(STANDARD.encode(wrap.as_slice())),
        *Zeroizing::new(STANDARD.encode(index.as_slice()))
    ));
    let mut partial = path.as_os_str().to_owned();
    partial.push(format!(".{}.partial", Uuid::new_v4().simple()));
    let partial = PathBuf::from(partial);
    let write = || {
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&partial)?;
        // Values are sealed by these keys at once: neither they nor their name may be lost.
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        match fs::hard_link(&partial, path) {
            Err(cause) if cause.kind() == ErrorKind::AlreadyExists => {}
            linked => linked?,
        }
        let folder = path
            .parent()
            .filter(|folder| !folder.as_os_str().is_empty());
        File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
    };
    let written = write();
    // Its keys live on under the right name, or never sealed anything.
    let _ = fs::remove_file(&partial);
    written.map_err(|cause| open_failed(path, cause))
}

fn key_bytes(text: &str) -> Option<KeyBytes> {
    let bytes = Zeroizing::new(STANDARD.decode(text).ok()?);
    <[u8; 32]>::try_from(bytes.as_slice())
        .ok()
        .map(Zeroizing::new)
}

fn bound(owner: &str, version: u32) -> Vec<u8> {
    let mut bound = b"tenon-data-key/1".to_vec();
    bound.extend(version.to_be_bytes());
    bound.extend(owner.as_bytes());
    bound
}
