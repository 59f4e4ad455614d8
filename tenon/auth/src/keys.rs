//! The keys that a verifier trusts: shared secrets, or public keys from files that are read again
//! when they change.

use std::{
    fs, io,
    path::PathBuf,
    sync::{
        Arc, Mutex, PoisonError, RwLock,
        atomic::{AtomicI64, AtomicU64, Ordering},
    },
    time::SystemTime,
};

use aws_lc_rs::hmac;
use secrecy::{ExposeSecret, SecretString};
use tenon_core::config::{AuthConfig, ConfigError};

use crate::{
    jwks::{self, PublicKeys},
    secret,
    token::{Refusal, Token},
};

/// An unknown key id makes the files be read again at most this often, in seconds.
const REREAD_SECONDS: i64 = 5;

/// The files are looked at for a change at most this often, in seconds: how long a key that was
/// taken out of its file may still be trusted.
const LOOK_SECONDS: i64 = 10;

/// The largest key set that is read, in bytes.
const SET_MAX_BYTES: u64 = 1 << 20;

/// All keys that are trusted.
pub(crate) enum Keys {
    /// HS256 by any of these secrets.
    Secrets(Vec<hmac::Key>),
    /// EdDSA by key id.
    Sets(KeySets),
}

impl Keys {
    /// The keys of the configuration; `None` when it names none.
    pub(crate) fn new(config: &AuthConfig) -> Result<Option<Self>, ConfigError> {
        let refuse = |key: &str, problem: &str| Err(ConfigError::new(key, problem));
        match (&config.access_secret, config.keys.is_empty()) {
            (Some(_), false) => refuse(
                "auth",
                "`accessSecret` and `keys` stand together; keep the one that signs your tokens",
            ),
            (None, _) if config.previous_secret.is_some() => refuse(
                "auth.previousSecret",
                "it needs `accessSecret`; name the secret in use there",
            ),
            (None, true) => Ok(None),
            (None, false) => {
                let files = config.keys.iter().map(|key| key.file.clone()).collect();
                Ok(Some(Self::Sets(KeySets::open(files)?)))
            }
            (Some(current), true) => {
                let mut secrets = vec![hmac_key("auth.accessSecret", current)?];
                if let Some(previous) = &config.previous_secret {
                    secrets.push(hmac_key("auth.previousSecret", previous)?);
                }
                Ok(Some(Self::Secrets(secrets)))
            }
        }
    }

    /// Verifies the signature of `token`. Answers the second from which its key is retired.
    pub(crate) fn verify(&self, token: &Token<'_>, now: i64) -> Result<Option<i64>, Refusal> {
        match self {
            Self::Secrets(secrets) => verify_hmac(secrets, token).map(|()| None),
            Self::Sets(sets) => sets.verify(token, now),
        }
    }

    /// Changes whenever a key that was trusted may no longer be.
    pub(crate) fn generation(&self, now: i64) -> u64 {
        match self {
            Self::Secrets(_) => 0,
            Self::Sets(sets) => sets.generation(now),
        }
    }
}

fn hmac_key(name: &str, secret: &SecretString) -> Result<hmac::Key, ConfigError> {
    let secret = secret.expose_secret().as_bytes();
    match secret::weakness(secret) {
        Some(problem) => Err(ConfigError::new(name, problem)),
        None => Ok(hmac::Key::new(hmac::HMAC_SHA256, secret)),
    }
}

fn verify_hmac(secrets: &[hmac::Key], token: &Token<'_>) -> Result<(), Refusal> {
    if token.algorithm != "HS256" {
        return Err(Refusal::Algorithm);
    }
    check_kind(
        token,
        &[
            None,
            Some("jwt"),
            Some("at+jwt"),
            Some("application/at+jwt"),
        ],
    )?;
    let fits = |secret: &hmac::Key| hmac::verify(secret, token.signed, &token.signature).is_ok();
    if secrets.iter().any(fits) {
        Ok(())
    } else {
        Err(Refusal::Signature)
    }
}

/// Media types are compared without case.
fn check_kind(token: &Token<'_>, allowed: &[Option<&str>]) -> Result<(), Refusal> {
    let kind = token.kind.as_ref().map(|kind| kind.to_ascii_lowercase());
    if allowed.contains(&kind.as_deref()) {
        Ok(())
    } else {
        Err(Refusal::Kind)
    }
}

/// Public keys from files.
pub(crate) struct KeySets {
    files: Vec<PathBuf>,
    keys: RwLock<Arc<PublicKeys>>,
    generation: AtomicU64,
    next_look: AtomicI64,
    reading: Mutex<Reading>,
}

/// When the files were last read, and what they looked like.
struct Reading {
    at: i64,
    stamps: Vec<Stamp>,
}

/// A file as it looked: what changes when its content does.
type Stamp = Option<(SystemTime, u64)>;

impl KeySets {
    fn open(files: Vec<PathBuf>) -> Result<Self, ConfigError> {
        let stamps = stamps(&files);
        let keys = read_all(&files)?;
        Ok(Self {
            files,
            keys: RwLock::new(Arc::new(keys)),
            generation: AtomicU64::new(0),
            next_look: AtomicI64::new(i64::MIN),
            reading: Mutex::new(Reading {
                at: i64::MIN,
                stamps,
            }),
        })
    }

    fn verify(&self, token: &Token<'_>, now: i64) -> Result<Option<i64>, Refusal> {
        let id = token.key_id.as_deref().ok_or(Refusal::KeyUnknown)?;
        let mut keys = self.current();
        if !keys.contains_key(id) {
            self.reread(now);
            keys = self.current();
        }
        let key = keys.get(id).ok_or(Refusal::KeyUnknown)?;
        if token.algorithm != key.algorithm {
            return Err(Refusal::Algorithm);
        }
        check_kind(token, &[Some("at+jwt"), Some("application/at+jwt")])?;
        if key.not_after.is_some_and(|end| end <= now) {
            return Err(Refusal::KeyRetired);
        }
        if key.verifies(token.signed, &token.signature) {
            Ok(key.not_after)
        } else {
            Err(Refusal::Signature)
        }
    }

    fn current(&self) -> Arc<PublicKeys> {
        Arc::clone(&self.keys.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Reads the files again for an unknown key id, unless that was done just now: a flood of
    /// made-up ids costs one reading in a while.
    fn reread(&self, now: i64) {
        let mut reading = self.reading.lock().unwrap_or_else(PoisonError::into_inner);
        if recent(reading.at, now, REREAD_SECONDS) {
            return;
        }
        reading.at = now;
        reading.stamps = stamps(&self.files);
        self.replace();
    }

    /// Looks now and then whether a file changed, so that a key taken out of it is not trusted
    /// for ever.
    fn generation(&self, now: i64) -> u64 {
        let due = self.next_look.load(Ordering::Relaxed);
        let clock_went_back = due > now.saturating_add(LOOK_SECONDS);
        if due <= now || clock_went_back {
            let next = now.saturating_add(LOOK_SECONDS);
            let mine = self
                .next_look
                .compare_exchange(due, next, Ordering::Relaxed, Ordering::Relaxed)
                .is_ok();
            if mine {
                self.look();
            }
        }
        self.generation.load(Ordering::Acquire)
    }

    fn look(&self) {
        let mut reading = self.reading.lock().unwrap_or_else(PoisonError::into_inner);
        let stamps = stamps(&self.files);
        if stamps != reading.stamps {
            reading.stamps = stamps;
            self.replace();
        }
    }

    /// Files that cannot be used now leave the keys as they are: half a change is no reason to
    /// refuse everybody.
    fn replace(&self) {
        match read_all(&self.files) {
            Ok(keys) if keys == *self.current() => {}
            Ok(keys) => {
                tracing::info!(target: "security", count = keys.len(), "verification keys changed");
                *self.keys.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(keys);
                self.generation.fetch_add(1, Ordering::Release);
            }
            Err(error) => {
                tracing::warn!(target: "security", %error, "verification keys kept as they were");
            }
        }
    }
}

/// Whether `then` is less than `seconds` before `now`. A clock that went back makes nothing recent.
fn recent(then: i64, now: i64, seconds: i64) -> bool {
    then <= now && now.saturating_sub(then) < seconds
}

fn stamps(files: &[PathBuf]) -> Vec<Stamp> {
    let stamp = |file: &PathBuf| {
        let metadata = fs::metadata(file).ok()?;
        Some((metadata.modified().ok()?, metadata.len()))
    };
    files.iter().map(stamp).collect()
}

fn read_all(files: &[PathBuf]) -> Result<PublicKeys, ConfigError> {
    let mut keys = PublicKeys::new();
    for file in files {
        let refuse = |problem: String| {
            ConfigError::new("auth.keys", format!("{}: {problem}", file.display()))
        };
        let text = read_bounded(file).map_err(|cause| {
            refuse(format!(
                "the file could not be read: {cause}; write the key set there first"
            ))
        })?;
        let before = keys.len();
        jwks::read(&text, &mut keys).map_err(refuse)?;
        if keys.len() == before {
            return Err(refuse("it holds no Ed25519 key".to_owned()));
        }
    }
    Ok(keys)
}

fn read_bounded(file: &PathBuf) -> io::Result<Vec<u8>> {
    use io::Read;
    let mut text = Vec::new();
    let mut limited = fs::File::open(file)?.take(SET_MAX_BYTES + 1);
    limited.read_to_end(&mut text)?;
    if text.len() as u64 > SET_MAX_BYTES {
        return Err(io::Error::other("it is larger than 1 MiB"));
    }
    Ok(text)
}
