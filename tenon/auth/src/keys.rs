//! The keys that a verifier trusts: shared secrets, or public keys from files that are read again
//! when they change.

use std::{
    fs, io,
    path::PathBuf,
    sync::{
        Arc, Mutex, PoisonError, RwLock,
        atomic::{AtomicI64, AtomicU64, Ordering},
    },
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
const UNKNOWN_SECONDS: i64 = 5;

/// The files are read again this often in any case, in seconds: how long a key that was taken out
/// of its file may still be trusted.
const ALWAYS_SECONDS: i64 = 10;

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
    read_at: AtomicI64,
    reading: Mutex<()>,
}

impl KeySets {
    fn open(files: Vec<PathBuf>) -> Result<Self, ConfigError> {
        let keys = read_all(&files)?;
        Ok(Self {
            files,
            keys: RwLock::new(Arc::new(keys)),
            generation: AtomicU64::new(0),
            read_at: AtomicI64::new(i64::MIN),
            reading: Mutex::new(()),
        })
    }

    fn verify(&self, token: &Token<'_>, now: i64) -> Result<Option<i64>, Refusal> {
        let id = token.key_id.as_deref().ok_or(Refusal::KeyUnknown)?;
        let mut keys = self.current();
        if !keys.contains_key(id) {
            self.read_again(now, UNKNOWN_SECONDS);
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

    /// Counts the changes of keys. Now and then the files are read again, so that a key taken out
    /// of them is not trusted for ever.
    fn generation(&self, now: i64) -> u64 {
        self.read_again(now, ALWAYS_SECONDS);
        self.generation.load(Ordering::Acquire)
    }

    /// Reads the files again unless that was done less than `seconds` ago: a flood of made-up key
    /// ids costs one reading in a while. Their content is compared and not their times, which are
    /// too coarse to tell two writings apart.
    fn read_again(&self, now: i64, seconds: i64) {
        let is_recent = || recent(self.read_at.load(Ordering::Acquire), now, seconds);
        if is_recent() {
            return;
        }
        let _one_at_a_time = self.reading.lock().unwrap_or_else(PoisonError::into_inner);
        if !is_recent() {
            self.replace();
            self.read_at.store(now, Ordering::Release);
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

#[cfg(test)]
mod tests {
    use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};

    use super::*;

    #[test]
    fn the_token_of_rfc_7515_is_verified() {
        // Appendix A.1, whose key is no text and so cannot stand in a configuration.
        let key = "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr\
                   1Z9CAow";
        let text = "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4\
                    MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.dBjftJeZ4CVP-mB92K\
                    27uhbUJU1p1r_wW1gFWFOEjXk";
        let key = BASE64_URL_SAFE_NO_PAD.decode(key).unwrap();
        let token = Token::parse(text).unwrap();
        let right = [hmac::Key::new(hmac::HMAC_SHA256, &key)];
        let wrong = [hmac::Key::new(hmac::HMAC_SHA256, &key[1..])];
        assert_eq!(verify_hmac(&right, &token), Ok(()));
        assert_eq!(verify_hmac(&wrong, &token), Err(Refusal::Signature));
        assert_eq!(token.claims().unwrap()["iss"], "joe");
    }

    #[test]
    fn a_clock_that_went_back_makes_nothing_recent() {
        assert!(recent(100, 104, 5));
        assert!(!recent(100, 105, 5));
        assert!(!recent(100, 90, 5));
        assert!(!recent(i64::MIN, 90, 5));
    }
}
