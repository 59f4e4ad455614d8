//! Ending a session.

use serde_json::json;

use crate::platform::{PASSWORD, Platform};

#[tokio::test]
async fn a_session_that_ended_is_dead_at_once() {
    let platform = Platform::start().await;
    let tokens = platform.admin().await;
    let other = platform.admin().await;
    let answer = platform
        .call("POST", "/logout", Some(&tokens.access), None)
        .await;
    assert_eq!((answer.status.as_u16(), answer.text.as_str()), (204, ""));
    let refreshed = platform.try_refresh(&tokens.refresh).await;
    assert_eq!(refreshed.problem(), (401, "REFRESH_INVALID".to_owned()));
    for path in ["/me", "/account"] {
        let answer = platform.get(path, &tokens.access).await;
        assert_eq!(
            answer.problem(),
            (401, "SESSION_ENDED".to_owned()),
            "{path}"
        );
    }
    assert_eq!(platform.get("/me", &other.access).await.status, 200);
    let again = platform.post("/logout", &tokens.access, json!({})).await;
    assert_eq!(again.status, 204);
    assert_eq!(platform.told("session.logout").await.len(), 1);
}

#[tokio::test]
async fn a_refresh_token_names_the_session_that_ends() {
    let platform = Platform::start().await;
    let (here, there) = (platform.admin().await, platform.admin().await);
    let body = json!({ "refreshToken": there.refresh });
    assert_eq!(
        platform.post("/logout", &here.access, body).await.status,
        204
    );
    assert_eq!(platform.try_refresh(&there.refresh).await.status, 401);
    platform.refresh(&here.refresh).await;
}

#[tokio::test]
async fn nobody_ends_the_session_of_somebody_else() {
    let platform = Platform::start().await;
    platform.staff("chen", &[]).await;
    let (admin, chen) = (
        platform.admin().await,
        platform.login("chen", PASSWORD).await,
    );
    for token in [admin.refresh.as_str(), "nonsense"] {
        let body = json!({ "refreshToken": token });
        assert_eq!(
            platform.post("/logout", &chen.access, body).await.status,
            204
        );
    }
    platform.refresh(&admin.refresh).await;
    platform.refresh(&chen.refresh).await;
}

#[tokio::test]
async fn who_is_not_logged_in_cannot_log_out() {
    let platform = Platform::start().await;
    let answer = platform.call("POST", "/logout", None, None).await;
    assert_eq!(answer.problem(), (401, "TOKEN_MISSING".to_owned()));
}
