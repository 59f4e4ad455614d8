//! Who calls: the verified caller of a request.

use secrecy::{ExposeSecret, SecretString};
use serde_json::{Map, Value};

/// The verified caller. Only the token verifier makes one; nothing else from a token reaches
/// the logic.
#[derive(Clone)]
pub struct Principal {
    subject: String,
    claims: Map<String, Value>,
    token: Option<SecretString>,
}

impl Principal {
    /// A caller with the claims of its token.
    pub fn new(subject: impl Into<String>, claims: Map<String, Value>) -> Self {
        Self {
            subject: subject.into(),
            claims,
            token: None,
        }
    }

    /// Keeps the token, so that calls to other services act in the caller's name.
    pub fn with_token(mut self, token: impl Into<String>) -> Self {
        self.token = Some(SecretString::from(token.into()));
        self
    }

    /// The subject of the token: an account, never a person's name.
    pub fn subject(&self) -> &str {
        &self.subject
    }

    /// A claim of the token, read as `T`; `None` when it is absent or of another shape.
    pub fn claim<T: serde::de::DeserializeOwned>(&self, name: &str) -> Option<T> {
        let value = self.claims.get(name)?;
        T::deserialize(value).ok()
    }

    /// The token to send on to other services.
    pub fn token(&self) -> Option<&str> {
        self.token.as_ref().map(|token| token.expose_secret())
    }
}

impl std::fmt::Debug for Principal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Principal")
            .field("subject", &self.subject)
            .finish_non_exhaustive()
    }
}
