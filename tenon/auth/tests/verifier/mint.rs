//! Tokens made by hand, so that tests can make those that no library would.

use std::{path::Path, sync::Arc};

use aws_lc_rs::hmac;
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use serde_json::{Value, json};
use tenon_auth::{Signer, Verifier};
use tenon_core::{
    Error, Principal,
    clock::ManualClock,
    config::{AuthConfig, KeyConfig},
};

/// The second at which the clocks of these tests stand.
pub(crate) const NOW: i64 = 1_800_000_000;

pub(crate) const SECRET: &str = "a secret of thirty-two bytes, or of more";

/// What [`by_keys`] and [`by_secret`] demand.
pub(crate) const ISSUER: &str = "https://identity.example";
pub(crate) const AUDIENCE: &str = "cohort";

pub(crate) fn clock() -> ManualClock {
    ManualClock::at(jiff::Timestamp::from_second(NOW).unwrap())
}

pub(crate) fn secret_config() -> AuthConfig {
    AuthConfig {
        access_secret: Some(SECRET.into()),
        ..AuthConfig::default()
    }
}

pub(crate) fn strict(config: AuthConfig) -> AuthConfig {
    AuthConfig {
        issuer: Some(ISSUER.to_owned()),
        audience: Some(AUDIENCE.to_owned()),
        ..config
    }
}

pub(crate) fn keys_config(files: &[&Path]) -> AuthConfig {
    let key = |file: &&Path| KeyConfig {
        file: file.to_path_buf(),
    };
    AuthConfig {
        keys: files.iter().map(key).collect(),
        ..AuthConfig::default()
    }
}

pub(crate) fn verifier(config: &AuthConfig) -> Arc<Verifier> {
    verifier_at(config, &clock())
}

pub(crate) fn verifier_at(config: &AuthConfig, clock: &ManualClock) -> Arc<Verifier> {
    Verifier::new(config, Arc::new(clock.clone()))
        .unwrap()
        .unwrap()
}

/// A signer whose public key stands in a file, and the verifier of that file.
pub(crate) struct Keyed {
    pub(crate) folder: tempfile::TempDir,
    pub(crate) signer: Signer,
    pub(crate) clock: ManualClock,
    pub(crate) verifier: Arc<Verifier>,
}

pub(crate) fn keyed() -> Keyed {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("keys.json");
    let signer = Signer::generate().unwrap();
    signer.write_jwks(&file).unwrap();
    let clock = clock();
    let verifier = verifier_at(&strict(keys_config(&[&file])), &clock);
    Keyed {
        folder,
        signer,
        clock,
        verifier,
    }
}

/// Claims that every verifier of these tests accepts.
pub(crate) fn good_claims() -> Value {
    json!({
        "sub": "account-1",
        "iss": ISSUER,
        "aud": AUDIENCE,
        "iat": NOW,
        "nbf": NOW,
        "exp": NOW + 900,
        "jti": "token-1",
        "role": "coordinator",
    })
}

/// The good claims with one of them replaced.
pub(crate) fn claims_with(name: &str, value: Value) -> Value {
    let mut claims = good_claims();
    claims[name] = value;
    claims
}

pub(crate) fn claims_without(name: &str) -> Value {
    let mut claims = good_claims();
    claims.as_object_mut().unwrap().remove(name);
    claims
}

pub(crate) fn hs256(claims: &Value) -> String {
    hs256_raw(r#"{"alg":"HS256","typ":"JWT"}"#, &claims.to_string())
}

/// Signs any header and payload text with [`SECRET`].
pub(crate) fn hs256_raw(header: &str, payload: &str) -> String {
    hs256_with(SECRET.as_bytes(), header, payload)
}

pub(crate) fn hs256_with(secret: &[u8], header: &str, payload: &str) -> String {
    let signed = format!("{}.{}", encode(header), encode(payload));
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret);
    let tag = hmac::sign(&key, signed.as_bytes());
    format!("{signed}.{}", BASE64_URL_SAFE_NO_PAD.encode(tag))
}

pub(crate) fn encode(text: &str) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(text)
}

pub(crate) fn verify(verifier: &Verifier, token: &str) -> Result<Arc<Principal>, Error> {
    verifier.verify(Some(&format!("Bearer {token}")))
}

/// Asserts that the token is refused as every token is that is not accepted.
#[track_caller]
pub(crate) fn assert_refused(verifier: &Verifier, token: &str, why: &str) {
    match verify(verifier, token) {
        Ok(principal) => panic!("accepted as {}: {why}", principal.subject()),
        Err(error) => assert_eq!(error.code(), "TOKEN_INVALID", "{why}"),
    }
}

/// The key of a file, for another library to sign with.
pub(crate) fn foreign_key(pem: &Path) -> jsonwebtoken::EncodingKey {
    let text = std::fs::read_to_string(pem).unwrap();
    let body: String = text.lines().filter(|line| !line.starts_with('-')).collect();
    let document = base64::prelude::BASE64_STANDARD.decode(body).unwrap();
    jsonwebtoken::EncodingKey::from_ed_der(&document)
}
