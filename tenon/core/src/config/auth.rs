//! The section `auth`.

use std::path::PathBuf;

use secrecy::SecretString;
use serde::Deserialize;

/// The section `auth`: which tokens are accepted. One of `accessSecret` and `keys`, or none where
/// no route asks for a token.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct AuthConfig {
    /// The shared secret of HS256 tokens, at least 32 bytes.
    pub access_secret: Option<SecretString>,
    /// The secret before the last change, still accepted (`jwtTransition`).
    pub previous_secret: Option<SecretString>,
    /// Public keys of EdDSA tokens.
    pub keys: Vec<KeyConfig>,
    /// The issuer that a token must name.
    pub issuer: Option<String>,
    /// The audience that a token must name.
    pub audience: Option<String>,
    /// The claim that names the caller. Default `sub`.
    pub subject_claim: Option<String>,
}

/// One source of public keys.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct KeyConfig {
    /// A JSON Web Key Set (RFC 7517) in a file; read again when a token names an unknown key.
    pub file: PathBuf,
}
