//! What the cache of accepted tokens may and may not change.

use std::sync::Arc;

use jiff::SignedDuration;
use serde_json::json;

use crate::mint::{
    NOW, assert_refused, claims_with, clock, good_claims, hs256, secret_config, verifier_at, verify,
};

#[test]
fn an_accepted_token_is_remembered() {
    let verifier = verifier_at(&secret_config(), &clock());
    let token = hs256(&good_claims());
    let first = verify(&verifier, &token).unwrap();
    let second = verify(&verifier, &token).unwrap();
    assert!(Arc::ptr_eq(&first, &second));
    let other = verify(&verifier, &hs256(&claims_with("sub", json!("account-2")))).unwrap();
    assert_eq!(other.subject(), "account-2");
}

#[test]
fn a_remembered_token_still_expires() {
    let clock = clock();
    let verifier = verifier_at(&secret_config(), &clock);
    let token = hs256(&claims_with("exp", json!(NOW + 10)));
    assert!(verify(&verifier, &token).is_ok());
    clock.advance(SignedDuration::from_secs(9));
    assert!(verify(&verifier, &token).is_ok());
    clock.advance(SignedDuration::from_secs(1));
    assert_refused(&verifier, &token, "expired while remembered");
}

#[test]
fn a_refusal_is_not_remembered() {
    let clock = clock();
    let verifier = verifier_at(&secret_config(), &clock);
    let token = hs256(&claims_with("nbf", json!(NOW + 60)));
    assert_refused(&verifier, &token, "not yet valid");
    clock.advance(SignedDuration::from_secs(30));
    assert!(verify(&verifier, &token).is_ok());
}
