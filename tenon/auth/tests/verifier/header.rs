//! The authorization header and the header of the token: traps 2 and 3.

use serde_json::json;
use tenon_auth::Signer;

use crate::mint::{
    NOW, SECRET, assert_refused, claims_with, encode, good_claims, hs256, hs256_raw, hs256_with,
    keyed, secret_config, verifier, verify,
};

#[test]
fn without_a_header_the_token_is_missing() {
    let verifier = verifier(&secret_config());
    for absent in [None, Some("")] {
        let error = verifier.verify(absent).unwrap_err();
        assert_eq!((error.code(), error.http_status()), ("TOKEN_MISSING", 401));
    }
}

#[test]
fn a_header_that_is_not_bearer_and_one_token_is_malformed() {
    let verifier = verifier(&secret_config());
    let token = hs256(&good_claims());
    for bad in [
        token.clone(),
        format!("Bearer  {token}"),
        format!("Bearer\t{token}"),
        format!(" Bearer {token}"),
        format!("Bearer {token} "),
        format!("Bearer {token} more"),
        format!("Bearer: {token}"),
        format!("Basic {token}"),
        format!("Bearer{token}"),
        format!("Bearer {token}\r\nX: 1"),
        "Bearer".to_owned(),
        "Bearer ".to_owned(),
        " ".to_owned(),
        "Bearer tökén".to_owned(),
    ] {
        let error = verifier.verify(Some(&bad)).unwrap_err();
        assert_eq!(error.code(), "TOKEN_MALFORMED", "{bad:?}");
        assert_eq!(error.http_status(), 401);
    }
}

#[test]
fn the_scheme_is_read_in_any_case() {
    let verifier = verifier(&secret_config());
    let token = hs256(&good_claims());
    for scheme in ["Bearer", "bearer", "BEARER", "bEaReR"] {
        let principal = verifier.verify(Some(&format!("{scheme} {token}"))).unwrap();
        assert_eq!(principal.subject(), "account-1");
    }
}

#[test]
fn the_algorithm_must_be_the_one_bound_to_the_key() {
    let verifier = verifier(&secret_config());
    let payload = good_claims().to_string();
    for algorithm in [
        "none", "None", "NONE", "nOnE", "", "HS384", "HS512", "RS256", "ES256", "EdDSA", "hs256",
        "HS256 ",
    ] {
        let header = json!({"alg": algorithm, "typ": "JWT"}).to_string();
        assert_refused(&verifier, &hs256_raw(&header, &payload), algorithm);
        let unsigned = format!("{}.{}.", encode(&header), encode(&payload));
        assert_refused(&verifier, &unsigned, algorithm);
    }
}

#[test]
fn a_public_key_is_never_taken_for_a_shared_secret() {
    let keyed = keyed();
    let jwk = &keyed.signer.jwks()["keys"][0];
    let header = json!({"alg": "HS256", "kid": keyed.signer.key_id(), "typ": "at+jwt"});
    let payload = good_claims().to_string();
    let x = jwk["x"].as_str().unwrap();
    let point = base64::Engine::decode(&base64::prelude::BASE64_URL_SAFE_NO_PAD, x).unwrap();
    for secret in [point.as_slice(), x.as_bytes(), jwk.to_string().as_bytes()] {
        let forged = hs256_with(secret, &header.to_string(), &payload);
        assert_refused(
            &keyed.verifier,
            &forged,
            "HS256 by the bytes of a public key",
        );
    }
}

#[test]
fn members_that_choose_a_key_or_change_the_reading_are_refused() {
    let verifier = verifier(&secret_config());
    let payload = good_claims().to_string();
    for (name, value) in [
        ("crit", json!(["exp"])),
        ("crit", json!([])),
        ("jku", json!("https://evil.example/keys")),
        ("x5u", json!("https://evil.example/chain")),
        ("jwk", Signer::generate().unwrap().jwks()["keys"][0].clone()),
        ("x5c", json!(["MIIB"])),
        ("b64", json!(false)),
        ("b64", json!(true)),
        ("zip", json!("DEF")),
        ("enc", json!("A256GCM")),
    ] {
        let mut header = json!({"alg": "HS256", "typ": "JWT"});
        header[name] = value;
        assert_refused(&verifier, &hs256_raw(&header.to_string(), &payload), name);
    }
}

#[test]
fn header_members_of_other_types_are_refused() {
    let verifier = verifier(&secret_config());
    let payload = good_claims().to_string();
    for header in [
        json!({"alg": 256}),
        json!({"alg": ["HS256"]}),
        json!({"alg": null}),
        json!({"typ": "JWT"}),
        json!({"alg": "HS256", "typ": 1}),
        json!({"alg": "HS256", "kid": 1}),
        json!({"alg": "HS256", "kid": {"a": 1}}),
        json!(["HS256"]),
        json!("HS256"),
        json!(null),
    ] {
        let header = header.to_string();
        assert_refused(&verifier, &hs256_raw(&header, &payload), &header);
    }
}

#[test]
fn repeated_keys_are_refused_in_header_and_claims() {
    let verifier = verifier(&secret_config());
    let header = r#"{"alg":"HS256","typ":"JWT"}"#;
    let payload = good_claims().to_string();
    let twice_header = r#"{"alg":"none","typ":"JWT","alg":"HS256"}"#;
    assert_refused(&verifier, &hs256_raw(twice_header, &payload), "header");
    let exp = NOW + 900;
    for twice in [
        format!(r#"{{"sub":"a","sub":"b","exp":{exp}}}"#),
        format!(r#"{{"sub":"a","s\u0075b":"b","exp":{exp}}}"#),
        format!(r#"{{"sub":"a","exp":{exp},"grants":{{"site":1,"site":2}}}}"#),
    ] {
        assert_refused(&verifier, &hs256_raw(header, &twice), &twice);
    }
}

#[test]
fn the_kind_of_token_is_checked() {
    let verifier = verifier(&secret_config());
    let payload = good_claims().to_string();
    for kind in ["JWT", "jwt", "at+jwt", "application/at+jwt"] {
        let header = json!({"alg": "HS256", "typ": kind}).to_string();
        assert!(
            verify(&verifier, &hs256_raw(&header, &payload)).is_ok(),
            "{kind}"
        );
    }
    assert!(verify(&verifier, &hs256_raw(r#"{"alg":"HS256"}"#, &payload)).is_ok());
    for kind in ["refresh+jwt", "rt+jwt", "JOSE", "", "at+jwt "] {
        let header = json!({"alg": "HS256", "typ": kind}).to_string();
        assert_refused(&verifier, &hs256_raw(&header, &payload), kind);
    }
}

#[test]
fn a_token_by_key_id_must_say_that_it_is_an_access_token() {
    use jsonwebtoken::{Algorithm, Header};
    let folder = tempfile::tempdir().unwrap();
    let pem = folder.path().join("signing.pem");
    let signer = Signer::create(&pem).unwrap();
    let file = folder.path().join("keys.json");
    signer.write_jwks(&file).unwrap();
    let verifier = verifier(&crate::mint::keys_config(&[&file]));
    let key = crate::mint::foreign_key(&pem);
    let mut header = Header::new(Algorithm::EdDSA);
    header.kid = Some(signer.key_id().to_owned());
    for (kind, accepted) in [
        ("at+jwt", true),
        ("application/AT+JWT", true),
        ("JWT", false),
    ] {
        header.typ = Some(kind.to_owned());
        let token = jsonwebtoken::encode(&header, &good_claims(), &key).unwrap();
        assert_eq!(verify(&verifier, &token).is_ok(), accepted, "{kind}");
    }
    header.typ = Some("at+jwt".to_owned());
    header.kid = None;
    let token = jsonwebtoken::encode(&header, &good_claims(), &key).unwrap();
    assert_refused(&verifier, &token, "without a key id");
}

#[test]
fn other_spellings_of_the_same_bytes_are_refused() {
    let verifier = verifier(&secret_config());
    let token = hs256(&good_claims());
    let parts: Vec<&str> = token.split('.').collect();
    let [header, payload, signature] = parts[..] else {
        panic!("three parts")
    };
    assert!(verify(&verifier, &token).is_ok());
    // A 32-byte tag leaves two unused bits in its last character: the next letter in the
    // alphabet decodes to the same bytes in a lenient reader.
    let (stem, last) = signature.split_at(signature.len() - 1);
    let next = char::from(last.as_bytes()[0] + 1);
    for other in [
        format!("{header}.{payload}.{signature}="),
        format!("{header}.{payload}.{signature}=="),
        format!("{header}.{payload}.{stem}{next}"),
        format!("{header}.{payload}.{signature}."),
        format!(".{header}.{payload}.{signature}"),
        format!("{header}..{payload}.{signature}"),
        format!("{header}.{payload}"),
        format!("{header}.{payload}."),
        format!("{header}.{payload}.{signature}.{signature}.{signature}"),
        format!("{header}={payload}={signature}"),
    ] {
        assert_refused(&verifier, &other, &other);
    }
}

#[test]
fn a_token_is_bounded_by_8_kibibytes() {
    let verifier = verifier(&secret_config());
    let sized = |bytes: usize| {
        let token = hs256(&claims_with("note", json!("x".repeat(bytes))));
        (token.len(), token)
    };
    let (length, token) = sized(5_800);
    assert!(length <= 8_192);
    assert!(verify(&verifier, &token).is_ok());
    let (length, token) = sized(6_200);
    assert!(length > 8_192);
    assert_refused(&verifier, &token, "longer than 8 KiB");
}

#[test]
fn tokens_of_another_library_are_accepted() {
    use jsonwebtoken::{EncodingKey, Header};
    let verifier = verifier(&secret_config());
    let key = EncodingKey::from_secret(SECRET.as_bytes());
    let token = jsonwebtoken::encode(&Header::default(), &good_claims(), &key).unwrap();
    let principal = verify(&verifier, &token).unwrap();
    assert_eq!(principal.subject(), "account-1");
    assert_eq!(
        principal.claim::<String>("role").as_deref(),
        Some("coordinator")
    );
    assert_eq!(principal.token(), Some(token.as_str()));
}
