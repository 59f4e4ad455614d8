//! Which keys are trusted: trap 8, and configurations that refuse to start.

use std::{fs, path::Path, sync::Arc};

use jiff::SignedDuration;
use serde_json::{Value, json};
use tenon_auth::{Signer, Verifier};
use tenon_core::{
    SystemClock,
    config::{AuthConfig, KeyConfig},
};

use crate::mint::{
    NOW, SECRET, assert_refused, clock, good_claims, hs256, hs256_with, keyed, keys_config,
    secret_config, verifier, verifier_at, verify,
};

#[track_caller]
fn refusal(config: &AuthConfig) -> String {
    match Verifier::new(config, Arc::new(SystemClock)) {
        Ok(_) => panic!("the configuration was accepted"),
        Err(error) => error.to_string(),
    }
}

#[test]
fn without_keys_there_is_no_verifier() {
    let none = Verifier::new(&AuthConfig::default(), Arc::new(SystemClock)).unwrap();
    assert!(none.is_none());
}

#[test]
fn weak_secrets_refuse_to_start_and_say_how_to_make_a_good_one() {
    for weak in ["", "hunter2", &"short".repeat(6), &"a".repeat(64)] {
        let current = AuthConfig {
            access_secret: Some(weak.into()),
            ..AuthConfig::default()
        };
        let previous = AuthConfig {
            previous_secret: Some(weak.into()),
            ..secret_config()
        };
        for (config, key) in [
            (current, "auth.accessSecret"),
            (previous, "auth.previousSecret"),
        ] {
            let text = refusal(&config);
            assert!(text.contains(key), "{text}");
            assert!(text.contains("openssl rand -base64 32"), "{text}");
            assert!(
                weak.is_empty() || !text.contains(weak),
                "the secret is printed: {text}"
            );
        }
    }
}

#[test]
fn contradicting_sources_refuse_to_start() {
    let both = AuthConfig {
        keys: vec![KeyConfig {
            file: "keys.json".into(),
        }],
        ..secret_config()
    };
    let text = refusal(&both);
    assert!(
        text.contains("accessSecret") && text.contains("keys"),
        "{text}"
    );
    let only_previous = AuthConfig {
        previous_secret: Some(SECRET.into()),
        ..AuthConfig::default()
    };
    assert!(refusal(&only_previous).contains("accessSecret"));
}

#[test]
fn the_previous_secret_is_accepted_while_it_is_configured() {
    let old = "the secret before it, thirty-two bytes";
    let header = r#"{"alg":"HS256","typ":"JWT"}"#;
    let token = hs256_with(old.as_bytes(), header, &good_claims().to_string());
    let transition = AuthConfig {
        previous_secret: Some(old.into()),
        ..secret_config()
    };
    assert!(verify(&verifier(&transition), &token).is_ok());
    assert!(verify(&verifier(&transition), &hs256(&good_claims())).is_ok());
    assert_refused(&verifier(&secret_config()), &token, "after the transition");
}

#[test]
fn key_sets_that_are_mistakes_refuse_to_start() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("keys.json");
    let good = Signer::generate().unwrap().jwks()["keys"][0].clone();
    let with = |name: &str, value: Value| {
        let mut jwk = good.clone();
        jwk[name] = value;
        json!({"keys": [jwk]}).to_string()
    };
    let shared = json!({"kty": "oct", "kid": "a", "k": "c2VjcmV0"});
    for (text, hint) in [
        (String::new(), "JSON"),
        ("{}".to_owned(), "keys"),
        (r#"{"keys":[]}"#.to_owned(), "no Ed25519 key"),
        (r#"{"keys":[1]}"#.to_owned(), "object"),
        (json!({"keys": [good, good]}).to_string(), "kid"),
        (json!({"keys": [good, shared]}).to_string(), "private"),
        (with("d", json!("AAAA")), "private"),
        (with("kid", json!("")), "kid"),
        (with("kid", json!(1)), "kid"),
        (with("use", json!("enc")), "use"),
        (with("alg", json!("HS256")), "alg"),
        (with("key_ops", json!(["sign"])), "key_ops"),
        (with("x", json!("AAAA")), "32 bytes"),
        (with("exp", json!("soon")), "exp"),
        (with("crv", json!("X25519")), "no Ed25519 key"),
        (with("kty", json!("RSA")), "no Ed25519 key"),
    ] {
        fs::write(&file, &text).unwrap();
        let problem = refusal(&keys_config(&[&file]));
        assert!(problem.contains(hint), "{text}: {problem}");
        assert!(problem.contains("keys.json"), "{problem}");
    }
    let missing = refusal(&keys_config(&[&folder.path().join("none.json")]));
    assert!(missing.contains("none.json"), "{missing}");
}

#[test]
fn keys_of_other_types_are_left_out_of_a_set() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("keys.json");
    let signer = Signer::generate().unwrap();
    let rsa = json!({"kty": "RSA", "kid": "rsa", "n": "AQAB", "e": "AQAB"});
    let set = json!({"keys": [rsa, signer.jwks()["keys"][0]]});
    fs::write(&file, set.to_string()).unwrap();
    let verifier = verifier(&keys_config(&[&file]));
    assert!(verify(&verifier, &signer.sign(&good_claims()).unwrap()).is_ok());
}

#[test]
fn keys_of_several_files_are_trusted() {
    let folder = tempfile::tempdir().unwrap();
    let files = [folder.path().join("a.json"), folder.path().join("b.json")];
    let signers = [Signer::generate().unwrap(), Signer::generate().unwrap()];
    for (file, signer) in files.iter().zip(&signers) {
        signer.write_jwks(file).unwrap();
    }
    let verifier = verifier(&keys_config(&[&files[0], &files[1]]));
    for signer in &signers {
        assert!(verify(&verifier, &signer.sign(&good_claims()).unwrap()).is_ok());
    }
}

#[test]
fn a_key_id_is_never_a_path() {
    let keyed = keyed();
    // The stranger's key stands in a file beside the set: no spelling of a key id reaches it.
    let stranger = Signer::generate().unwrap();
    let beside = keyed.folder.path().join("stranger.json");
    stranger.write_jwks(&beside).unwrap();
    let pem = keyed.folder.path().join("stranger.pem");
    let signer = Signer::create(&pem).unwrap();
    let key = crate::mint::foreign_key(&pem);
    let absolute = beside.display().to_string();
    for id in [
        absolute.as_str(),
        "stranger.json",
        "./stranger.json",
        "../../../../etc/passwd",
        "file:///etc/passwd",
        "' OR 1=1 --",
        "keys[0]",
        "",
        "\u{0}",
        signer.key_id(),
    ] {
        let mut header = jsonwebtoken::Header::new(jsonwebtoken::Algorithm::EdDSA);
        header.kid = Some(id.to_owned());
        header.typ = Some("at+jwt".to_owned());
        let token = jsonwebtoken::encode(&header, &good_claims(), &key).unwrap();
        assert_refused(&keyed.verifier, &token, id);
    }
}

#[test]
fn a_new_key_is_found_without_a_storm_of_readings() {
    let keyed = keyed();
    let file = keyed.folder.path().join("keys.json");
    let stranger = Signer::generate().unwrap();
    let token = |signer: &Signer| signer.sign(&good_claims()).unwrap();
    assert_refused(
        &keyed.verifier,
        &token(&stranger),
        "unknown: the file is read again",
    );

    let newer = Signer::generate().unwrap().with_older(&keyed.signer, None);
    newer.write_jwks(&file).unwrap();
    assert_refused(
        &keyed.verifier,
        &token(&newer),
        "the file was read this very second",
    );
    keyed.clock.advance(SignedDuration::from_secs(4));
    assert_refused(&keyed.verifier, &token(&newer), "four seconds ago");
    keyed.clock.advance(SignedDuration::from_secs(1));
    assert!(
        verify(&keyed.verifier, &token(&newer)).is_ok(),
        "it is read again"
    );
    assert!(
        verify(&keyed.verifier, &token(&keyed.signer)).is_ok(),
        "the older key lives on"
    );
}

#[test]
fn a_key_taken_out_of_its_file_is_trusted_no_more() {
    let keyed = keyed();
    let token = keyed.signer.sign(&good_claims()).unwrap();
    assert!(verify(&keyed.verifier, &token).is_ok());
    let file = keyed.folder.path().join("keys.json");
    Signer::generate().unwrap().write_jwks(&file).unwrap();
    keyed.clock.advance(SignedDuration::from_secs(10));
    assert_refused(&keyed.verifier, &token, "remembered, but its key is gone");
}

#[test]
fn a_file_that_breaks_leaves_the_keys_as_they_were() {
    let keyed = keyed();
    let file = keyed.folder.path().join("keys.json");
    let token = keyed.signer.sign(&good_claims()).unwrap();
    fs::write(&file, "{").unwrap();
    keyed.clock.advance(SignedDuration::from_secs(60));
    assert!(verify(&keyed.verifier, &token).is_ok());
    fs::remove_file(&file).unwrap();
    keyed.clock.advance(SignedDuration::from_secs(60));
    assert!(verify(&keyed.verifier, &token).is_ok());
}

#[test]
fn a_key_past_its_end_verifies_nothing_even_if_remembered() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("keys.json");
    let older = Signer::generate().unwrap();
    let end = jiff::Timestamp::from_second(NOW + 60).unwrap();
    let newest = Signer::generate().unwrap().with_older(&older, Some(end));
    newest.write_jwks(&file).unwrap();
    let clock = clock();
    let verifier = verifier_at(&keys_config(&[&file]), &clock);
    let token = older.sign(&good_claims()).unwrap();
    let other = older.sign(&json!({"sub": "b", "exp": NOW + 900})).unwrap();
    assert!(verify(&verifier, &token).is_ok());
    clock.advance(SignedDuration::from_secs(60));
    assert_refused(&verifier, &token, "remembered");
    assert_refused(&verifier, &other, "new");
    assert!(verify(&verifier, &newest.sign(&good_claims()).unwrap()).is_ok());
}

#[test]
fn the_algorithm_that_a_set_names_is_the_only_one_of_its_key() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("keys.json");
    let signer = Signer::generate().unwrap();
    let mut set = signer.jwks();
    set["keys"][0]["alg"] = json!("Ed25519");
    write(&file, &set);
    let token = signer.sign(&good_claims()).unwrap();
    assert_refused(
        &verifier(&keys_config(&[&file])),
        &token,
        "EdDSA by an Ed25519 key",
    );
    set["keys"][0].as_object_mut().unwrap().remove("alg");
    write(&file, &set);
    assert!(verify(&verifier(&keys_config(&[&file])), &token).is_ok());
}

fn write(file: &Path, set: &Value) {
    fs::write(file, set.to_string()).unwrap();
}
