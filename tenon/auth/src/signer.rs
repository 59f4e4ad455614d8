//! The signer: makes access tokens with an Ed25519 key and publishes the public keys.

mod file;

use std::path::{Path, PathBuf};

use aws_lc_rs::{
    digest,
    signature::{Ed25519KeyPair, KeyPair},
};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Value, json};
use tenon_core::{OrInternal, Result};

pub use file::KeyError;

/// Signs tokens with its newest key and publishes that key and the older ones.
///
/// Rotation: make a new key, sign with it, and keep the old one published for as long as its
/// tokens live.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let signer = tenon_auth::Signer::generate()?;
/// let token = signer.sign(&serde_json::json!({"sub": "account-1", "exp": 4_000_000_000_i64}))?;
/// assert_eq!(token.split('.').count(), 3);
/// # Ok(())
/// # }
/// ```
pub struct Signer {
    pair: Ed25519KeyPair,
    key_id: String,
    older: Vec<Published>,
}

/// A key that signs no more and is still published.
#[derive(Clone)]
struct Published {
    key_id: String,
    point: Vec<u8>,
    not_after: Option<Timestamp>,
}

impl Signer {
    /// A signer with a new key that stands only in memory.
    ///
    /// # Errors
    /// `INTERNAL` when the machine gives no randomness.
    pub fn generate() -> Result<Self> {
        let pair = Ed25519KeyPair::generate().or_internal("generate a signing key")?;
        Ok(Self::from_pair(pair))
    }

    /// A signer with a new key in a new file (PKCS#8 in PEM, mode 0600).
    ///
    /// # Errors
    /// The file exists already or cannot be written.
    pub fn create(path: &Path) -> Result<Self, KeyError> {
        let pair = Ed25519KeyPair::generate()
            .map_err(|_| KeyError::new(path, "the machine gave no randomness for a new key"))?;
        file::create(path, &pair)?;
        Ok(Self::from_pair(pair))
    }

    /// A signer with the key of a file (PKCS#8 in PEM).
    ///
    /// # Errors
    /// The file cannot be read, is readable by others than its owner, or holds no Ed25519 key.
    pub fn load(path: &Path) -> Result<Self, KeyError> {
        file::load(path).map(Self::from_pair)
    }

    /// A signer with the keys of a folder: `signing-0001.pem` and so on, of which the highest
    /// signs and the others stay published. A first start makes folder (mode 0700) and key.
    ///
    /// # Errors
    /// The folder or one of its keys cannot be used.
    pub fn open(folder: &Path) -> Result<Self, KeyError> {
        file::create_folder(folder)?;
        let mut files = file::list(folder)?;
        if files.is_empty() {
            let first = file::numbered(folder, 1);
            match file::create_new_key(&first) {
                // Another process was first; its key is as good.
                Err(error) if error.exists() => {}
                made => made?,
            }
            files.push((1, first));
        }
        Self::load_all(files)
    }

    /// Makes a new key in the folder, to sign from now on; the keys before it stay published.
    /// A process that verifies should know the new key before tokens are signed with it: it reads
    /// the published set again when it meets an unknown key.
    ///
    /// # Errors
    /// As [`Signer::open`].
    pub fn rotate(folder: &Path) -> Result<Self, KeyError> {
        file::create_folder(folder)?;
        let last = file::list(folder)?.last().map_or(0, |(number, _)| *number);
        file::create_new_key(&file::numbered(folder, last + 1))?;
        Self::open(folder)
    }

    /// Publishes the keys of `older` too, so that their tokens live on; after `until`, where
    /// given, verifiers refuse them.
    #[must_use]
    pub fn with_older(mut self, older: &Self, until: Option<Timestamp>) -> Self {
        let newest = Published {
            not_after: until,
            ..older.published()
        };
        for key in std::iter::once(newest).chain(older.older.iter().cloned()) {
            let known = self.older.iter().any(|one| one.key_id == key.key_id);
            if key.key_id != self.key_id && !known {
                self.older.push(key);
            }
        }
        self
    }

    /// The id of the key that signs: its RFC 7638 thumbprint.
    pub fn key_id(&self) -> &str {
        &self.key_id
    }

    /// A compact token over the claims, of the type `at+jwt` (RFC 9068). The claims must name
    /// `exp` and what else the verifiers demand; nothing is added.
    ///
    /// # Errors
    /// `INTERNAL` when the claims are no JSON object or signing fails.
    pub fn sign(&self, claims: &impl Serialize) -> Result<String> {
        let claims = serde_json::to_value(claims).or_internal("write the claims of a token")?;
        if !claims.is_object() {
            return Err(tenon_core::Error::internal(
                "sign a token",
                "its claims must be a JSON object",
            ));
        }
        let header = json!({"alg": "EdDSA", "kid": self.key_id, "typ": "at+jwt"});
        let encode = |value: &Value| BASE64_URL_SAFE_NO_PAD.encode(value.to_string());
        let signed = format!("{}.{}", encode(&header), encode(&claims));
        let signature = self
            .pair
            .try_sign(signed.as_bytes())
            .or_internal("sign a token")?;
        let signature = BASE64_URL_SAFE_NO_PAD.encode(signature);
        Ok(format!("{signed}.{signature}"))
    }

    /// The public keys as a JSON Web Key Set, the newest first.
    pub fn jwks(&self) -> Value {
        let newest = self.published();
        let keys: Vec<Value> = std::iter::once(&newest)
            .chain(&self.older)
            .map(Published::jwk)
            .collect();
        json!({ "keys": keys })
    }

    /// Writes [`Signer::jwks`] to a file that verifiers read: at once or not at all.
    ///
    /// # Errors
    /// The file cannot be written; one that was there before stands as it was.
    pub fn write_jwks(&self, path: &Path) -> Result<(), KeyError> {
        file::replace(path, format!("{:#}\n", self.jwks()).as_bytes())
    }

    fn from_pair(pair: Ed25519KeyPair) -> Self {
        Self {
            key_id: thumbprint(pair.public_key().as_ref()),
            pair,
            older: Vec::new(),
        }
    }

    /// `files` in ascending order, at least one.
    fn load_all(files: Vec<(u32, PathBuf)>) -> Result<Self, KeyError> {
        let mut signer: Option<Self> = None;
        for (_, path) in files {
            let newer = Self::load(&path)?;
            signer = Some(match &signer {
                Some(older) => newer.with_older(older, None),
                None => newer,
            });
        }
        signer.ok_or_else(|| KeyError::new(Path::new("keys"), "no signing key was given"))
    }

    fn published(&self) -> Published {
        Published {
            key_id: self.key_id.clone(),
            point: self.pair.public_key().as_ref().to_vec(),
            not_after: None,
        }
    }
}

impl std::fmt::Debug for Signer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Signer")
            .field("key_id", &self.key_id)
            .field("older", &self.older.len())
            .finish_non_exhaustive()
    }
}

impl Published {
    fn jwk(&self) -> Value {
        let mut jwk = json!({
            "kty": "OKP",
            "crv": "Ed25519",
            "alg": "EdDSA",
            "use": "sig",
            "kid": self.key_id,
            "x": BASE64_URL_SAFE_NO_PAD.encode(&self.point),
        });
        if let Some(end) = self.not_after {
            jwk["exp"] = end.as_second().into();
        }
        jwk
    }
}

/// RFC 7638 over the members that RFC 8037, appendix A.3 names, in lexicographic order.
fn thumbprint(point: &[u8]) -> String {
    let x = BASE64_URL_SAFE_NO_PAD.encode(point);
    let canonical = format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{x}"}}"#);
    let digest = digest::digest(&digest::SHA256, canonical.as_bytes());
    BASE64_URL_SAFE_NO_PAD.encode(digest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn key_id_and_signature_are_those_of_rfc_8037() {
        // Appendix A.1 (private key), A.3 (thumbprint).
        let decode = |text: &str| BASE64_URL_SAFE_NO_PAD.decode(text).unwrap();
        let seed = decode("nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A");
        let point = decode("11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo");
        let pair = Ed25519KeyPair::from_seed_and_public_key(&seed, &point).unwrap();
        let signer = Signer::from_pair(pair);
        assert_eq!(
            signer.key_id(),
            "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"
        );
        assert_eq!(signer.jwks()["keys"][0]["kid"], signer.key_id());
    }
}
