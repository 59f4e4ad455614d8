//! What is said of a refusal, and to whom: traps 6 and 7.

use std::{
    io,
    sync::{Arc, Mutex},
};

use serde_json::json;
use tenon_core::error::Language;

use crate::mint::{
    NOW, claims_with, good_claims, hs256, hs256_raw, hs256_with, secret_config, strict, verifier,
    verify,
};

#[derive(Clone, Default)]
struct Captured(Arc<Mutex<Vec<u8>>>);

impl io::Write for Captured {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The log of `work`, as text.
fn logged(work: impl FnOnce()) -> String {
    let captured = Captured::default();
    let writer = captured.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_ansi(false)
        .with_max_level(tracing::Level::TRACE)
        .with_writer(move || writer.clone())
        .finish();
    tracing::subscriber::with_default(subscriber, work);
    let bytes = captured.0.lock().unwrap().clone();
    String::from_utf8(bytes).unwrap()
}

#[test]
fn the_caller_learns_nothing_and_the_security_log_the_reason_without_the_token() {
    let verifier = verifier(&strict(secret_config()));
    let payload = good_claims().to_string();
    let cases = [
        ("expired", hs256(&claims_with("exp", json!(NOW - 1)))),
        ("nbf", hs256(&claims_with("nbf", json!(NOW + 600)))),
        ("audience", hs256(&claims_with("aud", json!("other")))),
        ("issuer", hs256(&claims_with("iss", json!("other")))),
        ("subject", hs256(&claims_with("sub", json!(7)))),
        ("algorithm", hs256_raw(r#"{"alg":"none"}"#, &payload)),
        ("three parts", "abc".to_owned()),
        (
            "signature",
            hs256_with(b"another secret", r#"{"alg":"HS256"}"#, &payload),
        ),
    ];
    let mut answers = Vec::new();
    for (reason, token) in &cases {
        let log = logged(|| {
            let error = verify(&verifier, token).unwrap_err();
            answers.push((
                error.code().to_owned(),
                error.http_status(),
                error.message(Language::English),
                error.message(Language::Chinese),
                error.cause_chain(),
            ));
        });
        assert_eq!(log.lines().count(), 1, "{log}");
        assert!(log.contains("security") && log.contains("WARN"), "{log}");
        assert!(log.contains(reason), "{reason}: {log}");
        let parts = token.split('.').filter(|part| part.len() > 8);
        for part in parts {
            assert!(
                !log.contains(part),
                "a part of the token is in the log: {log}"
            );
        }
    }
    assert!(
        answers.iter().all(|answer| *answer == answers[0]),
        "{answers:?}"
    );
    assert_eq!(answers[0].2, "the token is not valid");
    assert_eq!(answers[0].3, "token 无效");
}

#[test]
fn an_accepted_token_leaves_no_line() {
    let verifier = verifier(&secret_config());
    let log = logged(|| assert!(verify(&verifier, &hs256(&good_claims())).is_ok()));
    assert_eq!(log, "");
}

#[test]
fn debug_output_holds_no_secret() {
    let verifier = verifier(&secret_config());
    let token = hs256(&good_claims());
    let principal = verify(&verifier, &token).unwrap();
    let text = format!("{verifier:?} {principal:?}");
    assert!(
        !text.contains(crate::mint::SECRET) && !text.contains(&token),
        "{text}"
    );
}
