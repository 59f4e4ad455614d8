//! Callers without a valid token.

use serde_json::{Value, json};
use tenon::auth::Signer;

use crate::{cast::Actor, world::World};

/// What a stranger sends, and the code of the answer.
pub(super) struct Stranger {
    pub(super) name: &'static str,
    /// The token, where it is one at all.
    pub(super) token: Option<String>,
    pub(super) code: &'static str,
}

/// Somebody without a token, with a forged one, with an expired one, with one for another
/// audience, with one that was changed, and with one that is signed by nobody.
pub(super) async fn all(world: &World) -> Vec<Stranger> {
    let genuine = world.cast().await.token(Actor::Investigator);
    let claims = claims(genuine);
    let with = |name: &str, value: Value| {
        let mut claims = claims.clone();
        claims[name] = value;
        claims
    };
    let keys = Signer::open(&world.data().join("keys")).unwrap();
    let forger = Signer::generate().unwrap();
    let now = tenon::Timestamp::now().as_second();
    let unsigned = format!(
        "{}.{}.",
        encode(&json!({"alg": "none", "typ": "JWT"})),
        encode(&claims)
    );
    let mut changed = genuine.to_owned();
    let last = changed.pop().unwrap();
    // The last character carries bits that mean nothing; the one before it does not.
    let before = changed.pop().unwrap();
    changed.push(if before == 'A' { 'B' } else { 'A' });
    changed.push(last);
    let invalid = |name, token| Stranger {
        name,
        token: Some(token),
        code: "TOKEN_INVALID",
    };
    vec![
        Stranger {
            name: "no token",
            token: None,
            code: "TOKEN_MISSING",
        },
        invalid("forged", forger.sign(&claims).unwrap()),
        invalid(
            "expired",
            keys.sign(&with("exp", json!(now - 120))).unwrap(),
        ),
        invalid(
            "other audience",
            keys.sign(&with("aud", json!("elsewhere"))).unwrap(),
        ),
        invalid("changed", changed),
        invalid("unsigned", unsigned),
    ]
}

/// The claims of a token, unverified.
fn claims(token: &str) -> Value {
    let payload = token.split('.').nth(1).unwrap();
    serde_json::from_slice(&decode(payload)).unwrap()
}

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// Base 64 for addresses, without padding (RFC 4648, section 5).
fn encode(value: &Value) -> String {
    let mut text = String::new();
    for group in value.to_string().as_bytes().chunks(3) {
        let mut bits = 0_u32;
        for place in 0..3 {
            bits = bits << 8 | u32::from(group.get(place).copied().unwrap_or_default());
        }
        for place in 0..=group.len() {
            let digit = bits >> (18 - 6 * place) & 63;
            text.push(char::from(ALPHABET[usize::try_from(digit).unwrap()]));
        }
    }
    text
}

fn decode(text: &str) -> Vec<u8> {
    let (mut bytes, mut bits, mut held) = (Vec::new(), 0_u32, 0);
    for digit in text.bytes() {
        let value = ALPHABET.iter().position(|known| *known == digit).unwrap();
        bits = bits << 6 | u32::try_from(value).unwrap();
        held += 6;
        if held >= 8 {
            held -= 8;
            bytes.push(u8::try_from(bits >> held & 255).unwrap());
        }
    }
    bytes
}
