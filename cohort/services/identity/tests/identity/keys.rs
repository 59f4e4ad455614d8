//! The keys: where they are, who gets the public ones, and what a change of them does.

use std::{fs, os::unix::fs::PermissionsExt};

use identity_contract::rpc::{GetKeysReq, IdentityService};
use serde_json::Value;
use tenon::Context;

use crate::platform::{Platform, seconds};

#[tokio::test]
async fn private_keys_are_private_and_public_ones_are_the_same_everywhere() {
    let platform = Platform::start().await;
    let folder = platform.folder.path().join("keys");
    let mode = |name: &str| {
        let file = if name.is_empty() {
            folder.clone()
        } else {
            folder.join(name)
        };
        fs::metadata(file).unwrap().permissions().mode() & 0o777
    };
    assert_eq!(mode(""), 0o700);
    assert_eq!(mode("signing-0001.pem"), 0o600);
    assert_eq!(mode("identity.keyring"), 0o600);
    let file: Value =
        serde_json::from_str(&fs::read_to_string(folder.join("jwks.json")).unwrap()).unwrap();
    assert_eq!(file["keys"][0]["crv"], "Ed25519");
    assert!(file["keys"][0].get("d").is_none());
    let rest = platform.call("GET", "/keys", None, None).await;
    assert_eq!(rest.json(), file);
    let cx = Context::background();
    let internal = platform.client.get_keys(&cx, GetKeysReq {});
    let rpc: Value = serde_json::from_str(&internal.await.unwrap().jwks).unwrap();
    assert_eq!(rpc, file);
}

#[tokio::test]
async fn a_new_start_takes_the_same_keys() {
    let platform = Platform::start().await;
    let tokens = platform.admin().await;
    platform.db.close().await.unwrap();
    let again = Platform::start_in(platform.folder.clone(), platform.clock.clone()).await;
    assert!(again.admin_password.is_empty());
    assert_eq!(again.get("/me", &tokens.access).await.status, 200);
    again.refresh(&tokens.refresh).await;
}

#[tokio::test]
async fn tokens_of_a_key_that_was_taken_out_are_refused() {
    let platform = Platform::start().await;
    let tokens = platform.admin().await;
    assert_eq!(platform.get("/me", &tokens.access).await.status, 200);
    platform.db.close().await.unwrap();
    fs::remove_file(platform.folder.path().join("keys/signing-0001.pem")).unwrap();
    let again = Platform::start_in(platform.folder.clone(), platform.clock.clone()).await;
    let answer = again.get("/me", &tokens.access).await;
    assert_eq!(answer.problem(), (401, "TOKEN_INVALID".to_owned()));
    // A verifier that ran through the change notices too, and knows the new key.
    platform.wait(seconds(11));
    let old = format!("Bearer {}", tokens.access);
    assert!(platform.verifier.verify(Some(&old)).is_err());
    let new = again.refresh(&tokens.refresh).await;
    platform.principal(&new.access);
}

#[tokio::test]
async fn an_older_key_stays_good_after_a_rotation() {
    let platform = Platform::start().await;
    let tokens = platform.admin().await;
    platform.db.close().await.unwrap();
    tenon::auth::Signer::rotate(&platform.folder.path().join("keys")).unwrap();
    let again = Platform::start_in(platform.folder.clone(), platform.clock.clone()).await;
    assert_eq!(again.get("/me", &tokens.access).await.status, 200);
    let keys = again.call("GET", "/keys", None, None).await.json();
    assert_eq!(keys["keys"].as_array().unwrap().len(), 2);
    let new = again.refresh(&tokens.refresh).await;
    platform.principal(&new.access);
}

#[tokio::test]
async fn a_key_that_others_may_read_stops_the_start() {
    let platform = Platform::start().await;
    let key = platform.folder.path().join("keys/signing-0001.pem");
    fs::set_permissions(&key, fs::Permissions::from_mode(0o644)).unwrap();
    let config = crate::platform::configuration(platform.folder.path());
    let refused = identity::build(config, std::sync::Arc::new(platform.clock.clone())).await;
    let text = refused.err().unwrap().to_string();
    assert!(
        text.contains("keys.dir") && text.contains("chmod 600"),
        "{text}"
    );
}
