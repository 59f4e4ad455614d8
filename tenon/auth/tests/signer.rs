//! The signer: keys on disk, tokens that other libraries read, and the published key set.

#![allow(clippy::unwrap_used, reason = "a step that fails is a test that fails")]

use std::{fs, os::unix::fs::PermissionsExt, path::Path};

use serde_json::{Value, json};
use tenon_auth::Signer;

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    let mut names: Vec<String> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

fn key_ids(signer: &Signer) -> Vec<String> {
    let set = signer.jwks();
    let ids = set["keys"].as_array().unwrap().iter();
    ids.map(|key| key["kid"].as_str().unwrap().to_owned())
        .collect()
}

#[test]
fn another_library_verifies_what_is_signed() {
    use jsonwebtoken::{Algorithm, DecodingKey, Validation, jwk::JwkSet};
    let signer = Signer::generate().unwrap();
    let token = signer
        .sign(&json!({"sub": "account-1", "aud": "cohort", "exp": 4_000_000_000_i64}))
        .unwrap();
    let set: JwkSet = serde_json::from_value(signer.jwks()).unwrap();
    let header = jsonwebtoken::decode_header(&token).unwrap();
    assert_eq!(header.typ.as_deref(), Some("at+jwt"));
    let jwk = set.find(header.kid.as_deref().unwrap()).unwrap();
    let mut validation = Validation::new(Algorithm::EdDSA);
    validation.set_audience(&["cohort"]);
    let key = DecodingKey::from_jwk(jwk).unwrap();
    let decoded = jsonwebtoken::decode::<Value>(&token, &key, &validation).unwrap();
    assert_eq!(decoded.claims["sub"], "account-1");
}

#[test]
fn a_created_key_is_private_and_loads_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("signing.pem");
    let created = Signer::create(&path).unwrap();
    assert_eq!(mode(&path), 0o600);
    assert_eq!(
        names(folder.path()),
        ["signing.pem"],
        "nothing temporary is left"
    );
    let loaded = Signer::load(&path).unwrap();
    assert_eq!(loaded.key_id(), created.key_id());
    let claims = json!({"sub": "a"});
    assert_eq!(
        loaded.sign(&claims).unwrap(),
        created.sign(&claims).unwrap(),
        "Ed25519 is deterministic"
    );
}

#[test]
fn an_existing_key_is_never_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("signing.pem");
    let first = Signer::create(&path).unwrap();
    let error = Signer::create(&path).unwrap_err().to_string();
    assert!(error.contains("signing.pem"), "{error}");
    assert_eq!(Signer::load(&path).unwrap().key_id(), first.key_id());
    assert_eq!(names(folder.path()), ["signing.pem"]);
}

#[test]
fn a_key_that_others_may_read_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("signing.pem");
    Signer::create(&path).unwrap();
    for open in [0o640, 0o604, 0o660, 0o644, 0o601] {
        fs::set_permissions(&path, fs::Permissions::from_mode(open)).unwrap();
        let error = Signer::load(&path).unwrap_err().to_string();
        assert!(error.contains("chmod 600"), "{error}");
    }
    fs::set_permissions(&path, fs::Permissions::from_mode(0o400)).unwrap();
    assert!(Signer::load(&path).is_ok());
}

#[test]
fn files_that_hold_no_key_are_refused_without_being_quoted() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("signing.pem");
    Signer::create(&path).unwrap();
    let good = fs::read_to_string(&path).unwrap();
    let body = good.lines().nth(1).unwrap().to_owned();
    for bad in [
        String::new(),
        body.clone(),
        good.replace("PRIVATE", "PUBLIC"),
        good.replace(&body, &body[..20]),
        good.replace(&body, "AAAA"),
        good.replace('-', "="),
    ] {
        fs::write(&path, &bad).unwrap();
        let error = Signer::load(&path).unwrap_err().to_string();
        assert!(error.contains("PKCS#8"), "{error}");
        assert!(!error.contains(&body[..16]), "{error}");
    }
    let missing = Signer::load(&folder.path().join("none.pem")).unwrap_err();
    assert!(missing.to_string().contains("none.pem"));
}

/// Made by `openssl genpkey -algorithm ed25519`, of the key of RFC 8410, section 10.3.
const RFC_8410_KEY: &str = "-----BEGIN PRIVATE KEY-----\n\
    MC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC\n\
    -----END PRIVATE KEY-----\n";

#[test]
fn the_key_of_rfc_8410_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("signing.pem");
    fs::write(&path, RFC_8410_KEY).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    let signer = Signer::load(&path).unwrap();
    // Section 10.1 of the RFC: the same key's public half.
    let x = signer.jwks()["keys"][0]["x"].clone();
    assert_eq!(x, "Gb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE");
}

#[test]
fn a_folder_gets_its_first_key_once() {
    let parent = tempfile::tempdir().unwrap();
    let folder = parent.path().join("data/keys");
    let first = Signer::open(&folder).unwrap();
    assert_eq!(mode(&folder), 0o700);
    assert_eq!(names(&folder), ["signing-0001.pem"]);
    assert_eq!(mode(&folder.join("signing-0001.pem")), 0o600);
    let again = Signer::open(&folder).unwrap();
    assert_eq!(again.key_id(), first.key_id());
}

#[test]
fn processes_that_start_together_share_the_first_key() {
    let parent = tempfile::tempdir().unwrap();
    let folder = parent.path().join("keys");
    let starts: Vec<_> = (0..8)
        .map(|_| {
            let folder = folder.clone();
            std::thread::spawn(move || Signer::open(&folder).unwrap().key_id().to_owned())
        })
        .collect();
    let ids: Vec<String> = starts
        .into_iter()
        .map(|start| start.join().unwrap())
        .collect();
    assert!(ids.iter().all(|id| *id == ids[0]), "{ids:?}");
    assert_eq!(names(&folder), ["signing-0001.pem"]);
}

#[test]
fn rotation_signs_with_the_newest_and_publishes_the_older() {
    let parent = tempfile::tempdir().unwrap();
    let folder = parent.path().join("keys");
    let first = Signer::open(&folder).unwrap();
    let second = Signer::rotate(&folder).unwrap();
    let third = Signer::rotate(&folder).unwrap();
    assert_eq!(
        key_ids(&third),
        [third.key_id(), second.key_id(), first.key_id()]
    );
    assert_eq!(key_ids(&Signer::open(&folder).unwrap()), key_ids(&third));
    let token = third.sign(&json!({"sub": "a"})).unwrap();
    let header = jsonwebtoken::decode_header(&token).unwrap();
    assert_eq!(header.kid.as_deref(), Some(third.key_id()));
    assert!(
        !third.jwks().to_string().contains("\"d\""),
        "only public halves are published"
    );
}

#[test]
fn older_keys_are_published_once_and_may_have_an_end() {
    let older = Signer::generate().unwrap();
    let end = jiff::Timestamp::from_second(1_900_000_000).unwrap();
    let signer = Signer::generate()
        .unwrap()
        .with_older(&older, Some(end))
        .with_older(&older, None);
    let set = signer.jwks();
    assert_eq!(set["keys"].as_array().unwrap().len(), 2);
    assert_eq!(set["keys"][1]["exp"], 1_900_000_000_i64);
    assert!(set["keys"][0].get("exp").is_none());
}

#[test]
fn the_published_set_is_replaced_whole() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keys.json");
    let first = Signer::generate().unwrap();
    first.write_jwks(&path).unwrap();
    assert_eq!(
        mode(&path) & 0o777,
        0o600,
        "as private as the keys beside it"
    );
    let second = Signer::generate().unwrap();
    second.write_jwks(&path).unwrap();
    let written: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    assert_eq!(written, second.jwks());
    assert_eq!(names(folder.path()), ["keys.json"]);

    let nowhere = folder.path().join("none/keys.json");
    let error = second.write_jwks(&nowhere).unwrap_err().to_string();
    assert!(error.contains("none/keys.json"), "{error}");
}

#[test]
fn claims_that_are_no_object_are_not_signed() {
    let signer = Signer::generate().unwrap();
    for bad in [json!(1), json!("a"), json!([]), json!(null)] {
        assert_eq!(signer.sign(&bad).unwrap_err().code(), "INTERNAL");
    }
}
