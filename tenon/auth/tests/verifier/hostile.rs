//! Tokens that were tampered with, and text that is none: never a panic, never accepted.

use proptest::prelude::{ProptestConfig, any, prop, prop_assert, prop_oneof, proptest};
use serde_json::Value;

use crate::mint::{NOW, good_claims, hs256, hs256_raw, keyed, secret_config, verifier, verify};

/// Flips one bit of a token. `None` where no text is left.
fn flipped(token: &str, bit: usize) -> Option<String> {
    let mut bytes = token.as_bytes().to_vec();
    bytes[bit / 8] ^= 1 << (bit % 8);
    String::from_utf8(bytes).ok()
}

#[test]
fn each_flipped_bit_of_a_shared_secret_token_is_refused() {
    let verifier = verifier(&secret_config());
    let token = hs256(&good_claims());
    assert!(verify(&verifier, &token).is_ok());
    for bit in 0..token.len() * 8 {
        let Some(tampered) = flipped(&token, bit) else {
            continue;
        };
        let error = verify(&verifier, &tampered).unwrap_err();
        assert_eq!(error.http_status(), 401, "bit {bit}");
    }
}

#[test]
fn flipped_bits_of_a_signed_token_are_refused() {
    let keyed = keyed();
    let token = keyed.signer.sign(&good_claims()).unwrap();
    assert!(verify(&keyed.verifier, &token).is_ok());
    // A prime step visits each character and each bit within it about equally.
    for bit in (0..token.len() * 8).step_by(7) {
        let Some(tampered) = flipped(&token, bit) else {
            continue;
        };
        let error = verify(&keyed.verifier, &tampered).unwrap_err();
        assert_eq!(error.http_status(), 401, "bit {bit}");
    }
}

#[test]
fn parts_of_two_valid_tokens_do_not_make_a_third() {
    let keyed = keyed();
    let first = keyed.signer.sign(&good_claims()).unwrap();
    let mut claims = good_claims();
    claims["sub"] = "administrator".into();
    let second = keyed.signer.sign(&claims).unwrap();
    let (first_signed, first_signature) = first.rsplit_once('.').unwrap();
    let (second_signed, second_signature) = second.rsplit_once('.').unwrap();
    for mixed in [
        format!("{first_signed}.{second_signature}"),
        format!("{second_signed}.{first_signature}"),
    ] {
        assert!(verify(&keyed.verifier, &mixed).is_err());
    }
}

fn any_json() -> impl proptest::strategy::Strategy<Value = Value> {
    use proptest::strategy::Strategy;
    let leaf = prop_oneof![
        proptest::strategy::Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".{0,12}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 16, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map("[a-z]{1,4}", inner, 0..4)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn arbitrary_headers_never_panic_and_never_pass(text in "\\PC{0,200}", raw in ".{0,64}") {
        let verifier = verifier(&secret_config());
        prop_assert!(verifier.verify(Some(&text)).is_err());
        prop_assert!(verifier.verify(Some(&raw)).is_err());
        prop_assert!(verify(&verifier, &text).is_err());
    }

    #[test]
    fn arbitrary_parts_never_panic_and_never_pass(
        header in "[A-Za-z0-9_=-]{0,80}",
        payload in "[A-Za-z0-9_=-]{0,80}",
        signature in "[A-Za-z0-9_=-]{0,80}",
    ) {
        let verifier = verifier(&secret_config());
        let token = format!("{header}.{payload}.{signature}");
        prop_assert!(verify(&verifier, &token).is_err());
    }

    #[test]
    fn arbitrary_claims_under_a_good_signature_pass_only_with_expiry_and_subject(
        claim in prop_oneof!["exp", "nbf", "iat", "aud", "iss", "sub", "jti"],
        value in any_json(),
    ) {
        let verifier = verifier(&secret_config());
        let mut claims = good_claims();
        claims[claim.as_str()] = value;
        let token = hs256_raw(r#"{"alg":"HS256"}"#, &claims.to_string());
        if verify(&verifier, &token).is_ok() {
            prop_assert!(claims["exp"].as_i64().is_some_and(|end| end > NOW));
            prop_assert!(claims["sub"].as_str().is_some_and(|subject| !subject.is_empty()));
        }
    }
}
