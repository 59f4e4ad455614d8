//! Passwords and tokens are in no log line of any thread, in no error and in no file.
//!
//! A program of its own, because it takes the log of the whole process.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a failure here is the failure of a test"
)]

#[allow(dead_code, reason = "each test program uses its part")]
#[path = "identity/platform.rs"]
mod platform;

use std::{
    fs, io,
    sync::{Arc, Mutex},
};

use serde_json::json;
use tracing::level_filters::LevelFilter;

use platform::{PASSWORD, Platform};

const NEW: &str = "a lamp beside seven rivers";
const GUESS: &str = "my own bank password in the wrong field";

#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Everything that a session can do, well and badly. Answers what must stay secret, and what was
/// answered to callers beside the tokens.
async fn a_day(platform: &Platform) -> (Vec<String>, String) {
    let mut secrets = vec![PASSWORD.to_owned(), NEW.to_owned(), GUESS.to_owned()];
    secrets.push(platform.admin_password.clone());
    let mut answers = String::new();
    let admin = platform.admin().await;
    let weak = json!({"username": "x", "password": format!("{GUESS}{}", "x".repeat(128))});
    answers.push_str(&platform.post("/account", &admin.access, weak).await.text);
    let body = json!({"username": "chen", "password": PASSWORD});
    answers.push_str(&platform.post("/account", &admin.access, body).await.text);
    for (name, password) in [("chen", GUESS), (GUESS, PASSWORD), ("nobody", NEW)] {
        answers.push_str(&platform.try_login(name, password).await.text);
    }
    let chen = platform.login("chen", PASSWORD).await;
    let change = json!({"currentPassword": GUESS, "newPassword": NEW});
    answers.push_str(&platform.post("/password", &chen.access, change).await.text);
    let change = json!({"currentPassword": PASSWORD, "newPassword": NEW});
    answers.push_str(&platform.post("/password", &chen.access, change).await.text);
    let next = platform.refresh(&chen.refresh).await;
    let last = platform.refresh(&next.refresh).await;
    answers.push_str(&platform.try_refresh(&chen.refresh).await.text);
    answers.push_str(&platform.get("/me", &last.access).await.text);
    answers.push_str(
        &platform
            .try_refresh(&format!("{}x", last.refresh))
            .await
            .text,
    );
    for tokens in [admin, chen, next, last] {
        secrets.extend([tokens.access, tokens.refresh]);
    }
    (secrets, answers)
}

#[tokio::test]
async fn no_password_and_no_token_is_written_anywhere() {
    let lines = Lines::default();
    let writer = lines.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(LevelFilter::TRACE)
        .with_writer(move || writer.clone())
        .finish();
    tracing::subscriber::set_global_default(subscriber).unwrap();
    let platform = Platform::start().await;
    let (secrets, answers) = a_day(&platform).await;
    platform.db.close().await.unwrap();
    let log = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
    assert!(log.contains("login failed") && log.contains("refresh token refused"));
    let mut places = vec![("the log".to_owned(), log.into_bytes())];
    places.push(("an answer".to_owned(), answers.into_bytes()));
    for file in fs::read_dir(platform.folder.path()).unwrap() {
        let path = file.unwrap().path();
        if path.is_file() {
            places.push((path.display().to_string(), fs::read(path).unwrap()));
        }
    }
    assert!(places.len() > 2, "the data is looked at");
    for (place, bytes) in places {
        for secret in &secrets {
            let secret = secret.as_bytes();
            let found = bytes.windows(secret.len()).any(|window| window == secret);
            assert!(!found, "a secret of {} bytes is in {place}", secret.len());
        }
    }
}
