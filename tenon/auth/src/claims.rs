//! The rules that the claims of a verified token must keep (RFC 7519, section 4.1; RFC 8725).

use serde_json::{Map, Value};
use tenon_core::config::AuthConfig;

use crate::token::Refusal;

/// How many seconds the clock of the signer may be ahead of ours. An expiry gets none of it: a
/// clock that is behind only ends a token early.
const LEEWAY_SECONDS: i64 = 30;

/// The last second that a timestamp can name: the end of the year 9999.
const LAST_SECOND: i64 = 253_402_300_799;

/// The longest subject, in bytes: it goes into every access log line.
const SUBJECT_MAX_BYTES: usize = 255;

/// What the claims of an accepted token say.
pub(crate) struct Accepted {
    /// Who calls.
    pub(crate) subject: String,
    /// The second at which the token ends.
    pub(crate) expires: i64,
}

/// What the configuration demands of claims.
#[derive(Debug, Clone)]
pub(crate) struct Rules {
    issuer: Option<String>,
    audience: Option<String>,
    subject_claim: String,
}

impl Rules {
    pub(crate) fn new(config: &AuthConfig) -> Self {
        Self {
            issuer: config.issuer.clone(),
            audience: config.audience.clone(),
            subject_claim: config
                .subject_claim
                .clone()
                .unwrap_or_else(|| "sub".to_owned()),
        }
    }

    /// Checks all registered claims at the second `now`.
    pub(crate) fn check(&self, claims: &Map<String, Value>, now: i64) -> Result<Accepted, Refusal> {
        let expires = second(claims, "exp")?.ok_or(Refusal::ExpiryMissing)?;
        if expires <= now {
            return Err(Refusal::Expired);
        }
        let ahead = now.saturating_add(LEEWAY_SECONDS);
        if second(claims, "nbf")?.is_some_and(|start| start > ahead) {
            return Err(Refusal::NotYetValid);
        }
        if second(claims, "iat")?.is_some_and(|issued| issued > ahead) {
            return Err(Refusal::IssuedLater);
        }
        self.check_audience(claims.get("aud"))?;
        self.check_issuer(claims.get("iss"))?;
        if claims.get("jti").is_some_and(|id| !id.is_string()) {
            return Err(Refusal::ClaimType);
        }
        let subject = self.subject(claims)?;
        Ok(Accepted { subject, expires })
    }

    /// One text or a list of texts, of which one is ours.
    fn check_audience(&self, audience: Option<&Value>) -> Result<(), Refusal> {
        let named = match audience {
            None => Vec::new(),
            Some(Value::String(one)) => vec![one.as_str()],
            Some(Value::Array(many)) => many
                .iter()
                .map(|one| one.as_str().ok_or(Refusal::ClaimType))
                .collect::<Result<_, _>>()?,
            Some(_) => return Err(Refusal::ClaimType),
        };
        match &self.audience {
            Some(ours) if !named.contains(&ours.as_str()) => Err(Refusal::Audience),
            _ => Ok(()),
        }
    }

    fn check_issuer(&self, issuer: Option<&Value>) -> Result<(), Refusal> {
        let named = match issuer {
            None => None,
            Some(Value::String(one)) => Some(one),
            Some(_) => return Err(Refusal::ClaimType),
        };
        match &self.issuer {
            Some(expected) if named != Some(expected) => Err(Refusal::Issuer),
            _ => Ok(()),
        }
    }

    /// Text that is safe to log and to compare: a number is refused, never turned into text.
    fn subject(&self, claims: &Map<String, Value>) -> Result<String, Refusal> {
        let subject = claims
            .get(&self.subject_claim)
            .and_then(Value::as_str)
            .ok_or(Refusal::Subject)?;
        let blank = subject.trim().is_empty();
        let unusable = subject.len() > SUBJECT_MAX_BYTES || subject.chars().any(char::is_control);
        if blank || unusable {
            return Err(Refusal::Subject);
        }
        Ok(subject.to_owned())
    }
}

/// A claim in seconds since 1970. Anything but an integer in range is refused, `null` included:
/// taking it as absent is what CVE-2026-25537 was about.
fn second(claims: &Map<String, Value>, name: &str) -> Result<Option<i64>, Refusal> {
    match claims.get(name) {
        None => Ok(None),
        Some(value) => value
            .as_i64()
            .filter(|second| (0..=LAST_SECOND).contains(second))
            .map(Some)
            .ok_or(Refusal::TimeMalformed),
    }
}
