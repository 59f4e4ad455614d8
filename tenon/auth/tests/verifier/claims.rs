//! The claims: traps 1, 4, 5 and 12.

use serde_json::{Value, json};
use tenon_core::config::AuthConfig;

use crate::mint::{
    AUDIENCE, ISSUER, NOW, assert_refused, claims_with, claims_without, good_claims, hs256,
    hs256_raw, secret_config, strict, verifier, verify,
};

/// Every type of JSON, with the edges of each.
fn every_type() -> Vec<Value> {
    vec![
        json!(null),
        json!(true),
        json!(false),
        json!(0),
        json!(-1),
        json!(i64::MIN),
        json!(i64::MAX),
        json!(u64::MAX),
        json!(1.5),
        json!(1e300),
        json!(NOW),
        json!(NOW + 900),
        json!((NOW + 900) as f64),
        json!((NOW + 900).to_string()),
        json!(""),
        json!("text"),
        json!(ISSUER),
        json!(AUDIENCE),
        json!([]),
        json!([AUDIENCE]),
        json!([AUDIENCE, 1]),
        json!([[AUDIENCE]]),
        json!({}),
        json!({"exp": NOW + 900}),
    ]
}

#[test]
fn every_json_type_in_every_claim_is_answered_and_only_the_right_ones_accepted() {
    let verifier = verifier(&strict(secret_config()));
    let time_ok = |value: &Value| {
        value
            .as_i64()
            .is_some_and(|second| (0..=NOW).contains(&second))
    };
    let text_ok = |value: &Value| value.as_str().is_some_and(|text| !text.is_empty());
    let accepts = |claim: &str, value: &Value| match claim {
        "exp" => *value == json!(NOW + 900),
        "nbf" | "iat" => time_ok(value),
        "iss" => *value == json!(ISSUER),
        "aud" => *value == json!(AUDIENCE) || *value == json!([AUDIENCE]),
        "sub" => text_ok(value),
        "jti" => value.is_string(),
        _ => true,
    };
    for claim in ["exp", "nbf", "iat", "iss", "aud", "sub", "jti", "role"] {
        for value in every_type() {
            let token = hs256(&claims_with(claim, value.clone()));
            let accepted = verify(&verifier, &token).is_ok();
            assert_eq!(accepted, accepts(claim, &value), "{claim}: {value}");
        }
    }
}

#[test]
fn a_numeric_user_id_is_refused_and_not_a_crash() {
    let config = AuthConfig {
        subject_claim: Some("userId".to_owned()),
        ..secret_config()
    };
    let verifier = verifier(&config);
    for value in every_type() {
        let text = value.as_str().filter(|text| !text.is_empty());
        let result = verify(&verifier, &hs256(&claims_with("userId", value.clone())));
        match text {
            Some(text) => assert_eq!(result.unwrap().subject(), text),
            None => assert_eq!(result.unwrap_err().code(), "TOKEN_INVALID", "{value}"),
        }
    }
    assert_refused(&verifier, &hs256(&good_claims()), "only `sub`, no `userId`");
}

#[test]
fn a_subject_that_would_harm_a_log_line_is_refused() {
    let verifier = verifier(&secret_config());
    for bad in ["  ", "\t", "a\nb", "a\u{0}", "a\u{7f}", &"x".repeat(256)] {
        assert_refused(&verifier, &hs256(&claims_with("sub", json!(bad))), bad);
    }
    let longest = "x".repeat(255);
    assert!(verify(&verifier, &hs256(&claims_with("sub", json!(longest)))).is_ok());
}

#[test]
fn a_token_ends_at_its_expiry_and_must_have_one() {
    let verifier = verifier(&secret_config());
    assert_refused(&verifier, &hs256(&claims_without("exp")), "without exp");
    assert!(verify(&verifier, &hs256(&claims_with("exp", json!(NOW + 1)))).is_ok());
    for past in [NOW, NOW - 1, NOW - 3600, 1] {
        assert_refused(
            &verifier,
            &hs256(&claims_with("exp", json!(past))),
            "expired",
        );
    }
    let last = 253_402_300_799_i64;
    assert!(verify(&verifier, &hs256(&claims_with("exp", json!(last)))).is_ok());
    assert_refused(
        &verifier,
        &hs256(&claims_with("exp", json!(last + 1))),
        "past 9999",
    );
}

#[test]
fn numbers_that_are_no_plain_integers_are_no_times() {
    let verifier = verifier(&secret_config());
    let header = r#"{"alg":"HS256"}"#;
    for number in [
        "1.9e9",
        "1900000000.0",
        "1e400",
        "99999999999999999999999",
        "-0.0",
    ] {
        let payload = format!(r#"{{"sub":"a","exp":{number}}}"#);
        assert_refused(&verifier, &hs256_raw(header, &payload), number);
        let payload = format!(r#"{{"sub":"a","exp":{},"nbf":{number}}}"#, NOW + 900);
        assert_refused(&verifier, &hs256_raw(header, &payload), number);
    }
}

#[test]
fn a_clock_that_is_ahead_is_forgiven_by_thirty_seconds_at_most() {
    let verifier = verifier(&secret_config());
    for claim in ["nbf", "iat"] {
        assert!(verify(&verifier, &hs256(&claims_with(claim, json!(NOW + 30)))).is_ok());
        assert_refused(
            &verifier,
            &hs256(&claims_with(claim, json!(NOW + 31))),
            claim,
        );
        assert!(verify(&verifier, &hs256(&claims_without(claim))).is_ok());
    }
}

#[test]
fn audience_and_issuer_must_be_ours_exactly() {
    let verifier = verifier(&strict(secret_config()));
    for other in ["", "Cohort", "cohort ", "cohort2", "co", "*"] {
        assert_refused(&verifier, &hs256(&claims_with("aud", json!(other))), other);
        assert_refused(
            &verifier,
            &hs256(&claims_with("aud", json!([other]))),
            other,
        );
    }
    for other in ["", "https://identity.example/", "HTTPS://identity.example"] {
        assert_refused(&verifier, &hs256(&claims_with("iss", json!(other))), other);
    }
    for claim in ["aud", "iss"] {
        assert_refused(&verifier, &hs256(&claims_without(claim)), claim);
    }
    let several = claims_with("aud", json!(["billing", AUDIENCE]));
    assert!(verify(&verifier, &hs256(&several)).is_ok());
}

#[test]
fn audience_and_issuer_are_free_where_none_is_configured() {
    let verifier = verifier(&secret_config());
    assert!(verify(&verifier, &hs256(&claims_without("aud"))).is_ok());
    assert!(verify(&verifier, &hs256(&claims_with("aud", json!("other")))).is_ok());
    assert!(verify(&verifier, &hs256(&claims_with("iss", json!("other")))).is_ok());
}

#[test]
fn claims_that_are_no_object_are_refused() {
    let verifier = verifier(&secret_config());
    let header = r#"{"alg":"HS256"}"#;
    let deep = format!(
        r#"{{"sub":"a","exp":{},"a":{}{}}}"#,
        NOW + 900,
        "[".repeat(500),
        "]".repeat(500)
    );
    for payload in [
        "",
        "null",
        "[]",
        "1",
        "\"a\"",
        "{",
        "{}x",
        "\u{feff}{}",
        &deep,
    ] {
        assert_refused(&verifier, &hs256_raw(header, payload), payload);
    }
}

#[test]
fn no_private_claim_takes_the_place_of_the_caller() {
    let verifier = verifier(&secret_config());
    let mut claims = good_claims();
    for name in [
        "principal",
        "subject",
        "user",
        "deadline",
        "trace",
        "__proto__",
    ] {
        claims[name] = json!("administrator");
    }
    let principal = verify(&verifier, &hs256(&claims)).unwrap();
    assert_eq!(principal.subject(), "account-1");
    assert_eq!(
        principal.claim::<u64>("role"),
        None,
        "another type reads as absent"
    );
}
