//! A compact JSON Web Token taken apart (RFC 7515, section 3.1), before anything in it is trusted.

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use serde_json::{Map, Value};

use crate::json;

/// The longest token that is looked at, in bytes.
pub(crate) const MAX_BYTES: usize = 8 * 1024;

/// Header members that would let a token choose its own key, or change how it is to be read.
const FORBIDDEN_MEMBERS: [&str; 8] = ["crit", "jku", "x5u", "jwk", "x5c", "b64", "zip", "enc"];

/// A token taken apart. Nothing of it is verified yet.
pub(crate) struct Token<'a> {
    /// The algorithm that the token says it was signed with.
    pub(crate) algorithm: String,
    /// The id of the key that the token says it was signed with.
    pub(crate) key_id: Option<String>,
    /// What kind of token it says it is.
    pub(crate) kind: Option<String>,
    /// The bytes that were signed.
    pub(crate) signed: &'a [u8],
    /// The signature.
    pub(crate) signature: Vec<u8>,
    payload: &'a str,
}

impl<'a> Token<'a> {
    /// Takes `text` apart.
    pub(crate) fn parse(text: &'a str) -> Result<Self, Refusal> {
        if text.len() > MAX_BYTES {
            return Err(Refusal::TooLong);
        }
        let (signed, signature) = text.rsplit_once('.').ok_or(Refusal::NotThreeParts)?;
        let (header, payload) = signed.split_once('.').ok_or(Refusal::NotThreeParts)?;
        if payload.contains('.') {
            return Err(Refusal::NotThreeParts);
        }
        let header = object(header)?;
        if FORBIDDEN_MEMBERS
            .iter()
            .any(|name| header.contains_key(*name))
        {
            return Err(Refusal::HeaderMember);
        }
        Ok(Self {
            algorithm: text_member(&header, "alg")?.ok_or(Refusal::Algorithm)?,
            key_id: text_member(&header, "kid")?,
            kind: text_member(&header, "typ")?,
            signed: signed.as_bytes(),
            signature: decode(signature)?,
            payload,
        })
    }

    /// The claims, to be read only once the signature was verified.
    pub(crate) fn claims(&self) -> Result<Map<String, Value>, Refusal> {
        object(self.payload)
    }
}

/// Why a token is refused: for the security log, never for the caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refusal {
    TooLong,
    NotThreeParts,
    Encoding,
    Json,
    HeaderMember,
    Algorithm,
    Kind,
    KeyUnknown,
    KeyRetired,
    Signature,
    ExpiryMissing,
    Expired,
    NotYetValid,
    IssuedLater,
    TimeMalformed,
    Audience,
    Issuer,
    Subject,
    ClaimType,
}

impl Refusal {
    /// The reason in words.
    pub(crate) fn reason(self) -> &'static str {
        match self {
            Self::TooLong => "longer than 8 KiB",
            Self::NotThreeParts => "not three parts",
            Self::Encoding => "not strict base64url",
            Self::Json => "header or claims are no JSON object with unique keys",
            Self::HeaderMember => "header member that chooses a key or changes the reading",
            Self::Algorithm => "algorithm is not the one bound to the key",
            Self::Kind => "typ is not that of an access token",
            Self::KeyUnknown => "key id is not known",
            Self::KeyRetired => "key is past its end",
            Self::Signature => "signature does not fit",
            Self::ExpiryMissing => "exp is missing",
            Self::Expired => "expired",
            Self::NotYetValid => "nbf is in the future",
            Self::IssuedLater => "iat is in the future",
            Self::TimeMalformed => "exp, nbf or iat is no integer in range",
            Self::Audience => "meant for another audience",
            Self::Issuer => "from another issuer",
            Self::Subject => "subject claim is no usable text",
            Self::ClaimType => "registered claim of another type",
        }
    }
}

fn object(part: &str) -> Result<Map<String, Value>, Refusal> {
    json::object(&decode(part)?).map_err(|_| Refusal::Json)
}

/// Base64url without padding; line breaks, padding and stray trailing bits are refused, so that
/// one token has one spelling.
fn decode(part: &str) -> Result<Vec<u8>, Refusal> {
    BASE64_URL_SAFE_NO_PAD
        .decode(part)
        .map_err(|_| Refusal::Encoding)
}

fn text_member(header: &Map<String, Value>, name: &str) -> Result<Option<String>, Refusal> {
    match header.get(name) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.clone())),
        Some(_) => Err(Refusal::Json),
    }
}
