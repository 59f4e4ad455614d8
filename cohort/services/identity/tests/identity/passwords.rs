//! Choosing and changing passwords.

use identity::attempts::FREE_FAILURES;
use serde_json::json;

use crate::platform::{PASSWORD, Platform};

const NEW: &str = "a lamp beside seven rivers";

#[tokio::test]
async fn r_13_the_password_policy_holds_wherever_a_password_is_set() {
    let platform = Platform::start().await;
    let admin = platform.admin().await;
    platform.staff("chen.li", &[]).await;
    let chen = platform.login("chen.li", PASSWORD).await;
    for (password, rules) in [
        ("short", vec!["length"]),
        ("Password2026!", vec!["common"]),
        ("chen.li-2026-03", vec!["common"]),
        ("1234567890", vec!["common", "length"]),
        (&"long ".repeat(26), vec!["length"]),
    ] {
        let expect = |field: &str| -> Vec<(String, String)> {
            let pair = |rule: &&str| (field.to_owned(), (*rule).to_owned());
            rules.iter().map(pair).collect()
        };
        let body = json!({"username": "chen.li", "password": password});
        let answer = platform.post("/account", &admin.access, body).await;
        assert_eq!(answer.violations(), expect("password"), "{password}");
        let body = json!({"currentPassword": PASSWORD, "newPassword": password});
        let answer = platform.post("/password", &chen.access, body).await;
        assert_eq!(answer.violations(), expect("newPassword"), "{password}");
    }
    let body = json!({"currentPassword": PASSWORD, "newPassword": PASSWORD});
    let answer = platform.post("/password", &chen.access, body).await;
    let reused = ("newPassword".to_owned(), "reused".to_owned());
    assert_eq!(answer.violations(), [reused]);
}

#[tokio::test]
async fn a_new_password_ends_the_other_sessions() {
    let platform = Platform::start().await;
    platform.staff("chen", &[]).await;
    let (here, there) = (
        platform.login("chen", PASSWORD).await,
        platform.login("chen", PASSWORD).await,
    );
    let body = json!({"currentPassword": PASSWORD, "newPassword": NEW});
    let answer = platform.post("/password", &here.access, body).await;
    assert_eq!(answer.status, 204, "{}", answer.text);
    assert_eq!(platform.get("/me", &here.access).await.status, 200);
    assert_eq!(platform.get("/me", &there.access).await.status, 401);
    assert_eq!(platform.try_refresh(&there.refresh).await.status, 401);
    assert_eq!(platform.try_login("chen", PASSWORD).await.status, 401);
    platform.login("chen", NEW).await;
    assert_eq!(platform.told("password.change").await.len(), 1);
}

#[tokio::test]
async fn a_stolen_session_cannot_guess_the_password() {
    let platform = Platform::start().await;
    platform.staff("chen", &[]).await;
    let chen = platform.login("chen", PASSWORD).await;
    let guess = json!({"currentPassword": "a guess at the password", "newPassword": NEW});
    for _ in 0..FREE_FAILURES {
        let answer = platform
            .post("/password", &chen.access, guess.clone())
            .await;
        let wrong = ("currentPassword".to_owned(), "wrong".to_owned());
        assert_eq!(answer.violations(), [wrong]);
    }
    let answer = platform.post("/password", &chen.access, guess).await;
    assert_eq!(answer.problem(), (429, "LOGIN_DELAYED".to_owned()));
    assert_eq!(platform.told("password.change_failed").await.len(), 5);
}
