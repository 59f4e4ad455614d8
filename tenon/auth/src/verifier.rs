//! The token verifier: from an `authorization` header to a [`Principal`].

use std::sync::Arc;

use aws_lc_rs::digest;
use moka::sync::Cache;
use tenon_core::{
    Clock, Principal, Result, catalogue,
    config::{AuthConfig, ConfigError},
};

use crate::{
    claims::Rules,
    keys::Keys,
    token::{MAX_BYTES, Refusal, Token},
};

/// What the cache may hold, in bytes of tokens and claims.
const CACHE_BYTES: u64 = 32 << 20;

/// Verifies the tokens of callers.
///
/// Accepted tokens are remembered by their SHA-256 until they expire, because one Ed25519
/// verification costs more than all the rest of a small request. Refused ones are not remembered,
/// so that made-up tokens displace nobody's.
pub struct Verifier {
    keys: Keys,
    rules: Rules,
    clock: Arc<dyn Clock>,
    cache: Cache<[u8; 32], Remembered>,
}

/// An accepted token.
#[derive(Clone)]
struct Remembered {
    principal: Arc<Principal>,
    /// The second from which it is no longer accepted.
    until: i64,
    /// The generation of keys that accepted it.
    generation: u64,
    bytes: u32,
}

impl Verifier {
    /// The verifier of a configuration; `None` when it names neither a secret nor keys.
    ///
    /// # Errors
    /// The secret is weak, a key file cannot be used, or both kinds of keys are named.
    pub fn new(
        config: &AuthConfig,
        clock: Arc<dyn Clock>,
    ) -> Result<Option<Arc<Self>>, ConfigError> {
        let cache = Cache::builder()
            .max_capacity(CACHE_BYTES)
            .weigher(|_, remembered: &Remembered| remembered.bytes)
            .build();
        Ok(Keys::new(config)?.map(|keys| {
            Arc::new(Self {
                keys,
                rules: Rules::new(config),
                clock,
                cache,
            })
        }))
    }

    /// The caller that the value of an `authorization` header stands for.
    ///
    /// # Errors
    /// `TOKEN_MISSING` without a value, `TOKEN_MALFORMED` when it is not `Bearer <token>`, and
    /// `TOKEN_INVALID` for every token that is not accepted. The precise reason goes to the log
    /// target `security`, without the token.
    pub fn verify(&self, authorization: Option<&str>) -> Result<Arc<Principal>> {
        let token = bearer(authorization)?;
        self.accept(token).map_err(|refusal| {
            let reason = refusal.reason();
            tracing::warn!(target: "security", reason, "token refused");
            catalogue::TOKEN_INVALID.error()
        })
    }

    fn accept(&self, token: &str) -> Result<Arc<Principal>, Refusal> {
        if token.len() > MAX_BYTES {
            return Err(Refusal::TooLong);
        }
        let now = self.clock.now().as_second();
        let generation = self.keys.generation(now);
        let digest = sha256(token);
        if let Some(known) = self.cache.get(&digest) {
            if known.generation == generation && now < known.until {
                return Ok(known.principal);
            }
            self.cache.invalidate(&digest);
        }
        let mut remembered = self.examine(token, now)?;
        remembered.generation = generation;
        let principal = Arc::clone(&remembered.principal);
        self.cache.insert(digest, remembered);
        Ok(principal)
    }

    fn examine(&self, text: &str, now: i64) -> Result<Remembered, Refusal> {
        let token = Token::parse(text)?;
        let key_end = self.keys.verify(&token, now)?;
        let claims = token.claims()?;
        let accepted = self.rules.check(&claims, now)?;
        let principal = Principal::new(accepted.subject, claims).with_token(text);
        Ok(Remembered {
            principal: Arc::new(principal),
            until: key_end.map_or(accepted.expires, |end| end.min(accepted.expires)),
            generation: 0,
            // The token, its claims as a tree of about twice that, and the entry itself.
            bytes: u32::try_from(text.len() * 3 + 256).unwrap_or(u32::MAX),
        })
    }
}

impl std::fmt::Debug for Verifier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Verifier")
            .field("rules", &self.rules)
            .finish_non_exhaustive()
    }
}

/// The token of a header value: the scheme in any case, exactly one space, then only characters
/// that RFC 6750 allows.
fn bearer(authorization: Option<&str>) -> Result<&str> {
    let value = authorization.unwrap_or_default();
    if value.is_empty() {
        return Err(catalogue::TOKEN_MISSING.error());
    }
    value
        .split_once(' ')
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
        .map(|(_, token)| token)
        .filter(|token| !token.is_empty() && token.bytes().all(|byte| ALLOWED[usize::from(byte)]))
        .ok_or_else(|| catalogue::TOKEN_MALFORMED.error())
}

/// The bytes of a token (RFC 6750, section 2.1). A table, because every request looks up some three
/// hundred of them.
const ALLOWED: [bool; 256] = {
    let mut allowed = [false; 256];
    let mut byte = 0_u8;
    while byte < 128 {
        let mark = matches!(byte, b'-' | b'.' | b'_' | b'~' | b'+' | b'/' | b'=');
        allowed[byte as usize] = byte.is_ascii_alphanumeric() || mark;
        byte += 1;
    }
    allowed
};

fn sha256(token: &str) -> [u8; 32] {
    let mut bytes = [0; 32];
    bytes.copy_from_slice(digest::digest(&digest::SHA256, token.as_bytes()).as_ref());
    bytes
}
