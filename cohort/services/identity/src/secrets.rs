//! What only this service knows: the keyed hash of names, and the refresh tokens that follow from
//! those before them.

use std::path::Path;

use aws_lc_rs::{digest, rand};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use tenon::{
    OrInternal, Result,
    store::{
        ToValue, Value,
        seal::{BlindIndex, Keyring},
    },
};
use zeroize::Zeroizing;

/// The file of the secret, in the folder of the keys.
const FILE: &str = "identity.keyring";

/// The secret of the service.
#[derive(Debug)]
pub struct Secrets {
    ring: Keyring,
}

impl Secrets {
    /// Reads the secret from its file in `folder`; a first start makes it, with mode 0600.
    ///
    /// # Errors
    /// `OPEN_FAILED` when the file cannot be read or made, or others may read it.
    pub fn open(folder: &Path) -> Result<Self> {
        let ring = Keyring::load_or_create(folder.join(FILE))?;
        Ok(Self { ring })
    }

    /// A hash of a folded name that nobody without the secret can compare with: people type
    /// passwords into the field of the name, and these end up here too.
    pub fn name_key(&self, folded: &str) -> BlindIndex {
        self.ring.blind_index("login_attempt.name", folded)
    }

    /// The token that replaces `token` when it is used. It follows from the secret and the token,
    /// so that a retried refresh gets the same one although only hashes are stored.
    pub fn successor(&self, token: &RefreshToken) -> RefreshToken {
        let text = token.expose();
        let halves = ["refresh.successor.0", "refresh.successor.1"];
        let mut bytes = Zeroizing::new([0; 32]);
        for (half, label) in bytes.chunks_exact_mut(16).zip(halves) {
            let code = self.ring.blind_index(label, &text);
            if let Value::Bytes(code) = code.to_value() {
                half.copy_from_slice(code);
            }
        }
        RefreshToken(bytes)
    }
}

/// A refresh token: 256 random bits, or 256 bits that look so. It is never printed.
pub struct RefreshToken(Zeroizing<[u8; 32]>);

impl RefreshToken {
    /// A new one.
    ///
    /// # Errors
    /// `INTERNAL` when the machine gives no randomness.
    pub fn generate() -> Result<Self> {
        let mut bytes = Zeroizing::new([0; 32]);
        rand::fill(bytes.as_mut_slice()).or_internal("make a refresh token")?;
        Ok(Self(bytes))
    }

    /// Reads what a caller sent; `None` when it cannot be one of ours.
    pub fn parse(text: &str) -> Option<Self> {
        let bytes = Zeroizing::new(BASE64_URL_SAFE_NO_PAD.decode(text).ok()?);
        let bytes: [u8; 32] = bytes.as_slice().try_into().ok()?;
        Some(Self(Zeroizing::new(bytes)))
    }

    /// The text for its owner: base64url of 43 characters.
    pub fn expose(&self) -> Zeroizing<String> {
        Zeroizing::new(BASE64_URL_SAFE_NO_PAD.encode(self.0.as_slice()))
    }

    /// What is stored of it: its SHA-256.
    pub fn digest(&self) -> [u8; 32] {
        let mut out = [0; 32];
        out.copy_from_slice(digest::digest(&digest::SHA256, self.0.as_slice()).as_ref());
        out
    }
}

impl std::fmt::Debug for RefreshToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("[refresh token]")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn successors_need_the_secret_and_are_the_same_each_time() {
        let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let (ours, theirs) = (
            Secrets::open(one.path()).unwrap(),
            Secrets::open(two.path()).unwrap(),
        );
        let token = RefreshToken::generate().unwrap();
        let next = ours.successor(&token);
        assert_eq!(next.expose(), ours.successor(&token).expose());
        assert_ne!(next.expose(), theirs.successor(&token).expose());
        assert_ne!(next.0[..16], next.0[16..]);
        let again = Secrets::open(one.path()).unwrap();
        assert_eq!(next.expose(), again.successor(&token).expose());
    }

    #[test]
    fn only_our_form_is_read() {
        let token = RefreshToken::generate().unwrap();
        let text = token.expose();
        assert_eq!(RefreshToken::parse(&text).unwrap().digest(), token.digest());
        for other in ["", "a", &text[1..], &format!("{}=", *text), "é"] {
            assert!(RefreshToken::parse(other).is_none(), "{other:?}");
        }
        assert_eq!(format!("{token:?}"), "[refresh token]");
    }
}
