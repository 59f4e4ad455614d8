//! Refresh tokens: for one use, and what happens on a second one.

use std::sync::Arc;

use cohort_access::Role;
use identity::session::{
    PATIENT_IDLE, PATIENT_LIFETIME, REFRESH_GRACE, STAFF_IDLE, STAFF_LIFETIME,
};
use serde_json::json;
use tokio::task::JoinSet;

use crate::platform::{PASSWORD, Platform, days, grant, minutes, seconds};

fn invalid() -> (u16, String) {
    (401, "REFRESH_INVALID".to_owned())
}

#[tokio::test]
async fn each_use_gives_new_tokens_of_the_same_session() {
    let platform = Platform::start().await;
    let first = platform.admin().await;
    let mut last = first.clone();
    for _ in 0..5 {
        platform.wait(minutes(10));
        let next = platform.refresh(&last.refresh).await;
        assert_ne!(next.refresh, last.refresh);
        assert_ne!(next.access, last.access);
        let session = |access: &str| platform.principal(access).claim::<String>("sid");
        assert_eq!(session(&next.access), session(&last.access));
        last = next;
    }
    assert_eq!(platform.get("/me", &last.access).await.status, 200);
}

#[tokio::test]
async fn a_second_use_ends_the_session_of_both() {
    let platform = Platform::start().await;
    let stolen = platform.admin().await;
    let own = platform.refresh(&stolen.refresh).await;
    assert_eq!(
        platform.try_refresh(&stolen.refresh).await.problem(),
        invalid()
    );
    assert_eq!(
        platform.try_refresh(&own.refresh).await.problem(),
        invalid()
    );
    let me = platform.get("/me", &own.access).await;
    assert_eq!(me.problem(), (401, "SESSION_ENDED".to_owned()));
    let told = platform.told("session.reuse").await;
    assert_eq!(told.len(), 1);
    let session: String = platform.principal(&own.access).claim("sid").unwrap();
    assert_eq!(told[0].entity_id, session);
    assert_eq!(
        told[0].attributes["account"],
        platform.principal(&own.access).subject()
    );
    // Another session of the account goes on.
    let other = platform.admin().await;
    assert_eq!(platform.get("/me", &other.access).await.status, 200);
}

#[tokio::test]
async fn a_phone_that_lost_the_answer_gets_it_again_until_its_token_is_used() {
    let platform = Platform::start().await;
    platform.patient("p001", "T1", "subject-1").await;
    let first = platform.login("p001", PASSWORD).await;
    let lost = platform.refresh(&first.refresh).await;
    platform.wait(REFRESH_GRACE);
    let again = platform.refresh(&first.refresh).await;
    assert_eq!(again.refresh, lost.refresh);
    platform.refresh(&again.refresh).await;
    // Its owner has the successor: whoever still shows the first one is somebody else.
    assert_eq!(
        platform.try_refresh(&first.refresh).await.problem(),
        invalid()
    );
    assert_eq!(
        platform.try_refresh(&again.refresh).await.problem(),
        invalid()
    );
    assert_eq!(platform.told("session.reuse").await.len(), 1);
}

#[tokio::test]
async fn a_phone_that_asks_too_late_is_somebody_else() {
    let platform = Platform::start().await;
    platform.patient("p001", "T1", "subject-1").await;
    let first = platform.login("p001", PASSWORD).await;
    platform.refresh(&first.refresh).await;
    platform.wait(REFRESH_GRACE + seconds(1));
    assert_eq!(
        platform.try_refresh(&first.refresh).await.problem(),
        invalid()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_race_of_one_token_never_makes_two_lines_of_tokens() {
    let platform = Arc::new(Platform::start().await);
    platform.patient("p001", "T1", "subject-1").await;
    let mut token = platform.login("p001", PASSWORD).await.refresh;
    for _ in 0..10 {
        let mut racers = JoinSet::new();
        for _ in 0..4 {
            let (platform, token) = (platform.clone(), token.clone());
            racers.spawn(async move { platform.refresh(&token).await.refresh });
        }
        let successors = racers.join_all().await;
        assert!(successors.iter().all(|one| *one == successors[0]));
        token.clone_from(&successors[0]);
    }
    assert!(platform.told("session.reuse").await.is_empty());
}

#[tokio::test]
async fn staff_is_logged_out_when_idle_and_at_the_end_of_the_day() {
    let platform = Platform::start().await;
    let idle = platform.admin().await;
    platform.wait(STAFF_IDLE);
    assert_eq!(
        platform.try_refresh(&idle.refresh).await.problem(),
        invalid()
    );
    let mut busy = platform.admin().await;
    let rounds = STAFF_LIFETIME.as_mins() / 20;
    for _ in 1..rounds {
        platform.wait(minutes(20));
        busy = platform.refresh(&busy.refresh).await;
    }
    platform.wait(minutes(19));
    let answer = platform.try_refresh(&busy.refresh).await;
    // The last access token ends with its session.
    assert_eq!(answer.json()["expiresIn"], 60);
    platform.wait(minutes(1));
    let last = answer.json()["refreshToken"].as_str().unwrap().to_owned();
    assert_eq!(platform.try_refresh(&last).await.problem(), invalid());
}

#[tokio::test]
async fn a_phone_stays_logged_in_between_visits() {
    let platform = Platform::start().await;
    platform.patient("p001", "T1", "subject-1").await;
    let mut phone = platform.login("p001", PASSWORD).await;
    for _ in 0..6 {
        platform.wait(days(29));
        phone = platform.refresh(&phone.refresh).await;
    }
    assert!(days(6 * 29) < PATIENT_LIFETIME);
    platform.wait(days(6));
    assert_eq!(
        platform.try_refresh(&phone.refresh).await.problem(),
        invalid()
    );
    let idle = platform.login("p001", PASSWORD).await;
    platform.wait(PATIENT_IDLE);
    assert_eq!(
        platform.try_refresh(&idle.refresh).await.problem(),
        invalid()
    );
}

#[tokio::test]
async fn a_suspended_account_has_no_sessions_and_gets_none_back() {
    let platform = Platform::start().await;
    let admin = platform.admin().await;
    let id = platform.staff("chen", &[]).await;
    let tokens = platform.login("chen", PASSWORD).await;
    let path = format!("/account/{id}/status");
    for status in ["suspended", "active"] {
        let body = json!({"status": status, "reason": "on leave"});
        assert_eq!(platform.post(&path, &admin.access, body).await.status, 200);
        assert_eq!(
            platform.try_refresh(&tokens.refresh).await.problem(),
            invalid()
        );
        let me = platform.get("/me", &tokens.access).await;
        assert_eq!(me.problem(), (401, "SESSION_ENDED".to_owned()));
    }
    platform.login("chen", PASSWORD).await;
}

#[tokio::test]
async fn a_refresh_brings_the_grants_of_now() {
    let platform = Platform::start().await;
    let admin = platform.admin().await;
    let id = platform.staff("chen", &[]).await;
    let tokens = platform.login("chen", PASSWORD).await;
    let body = json!({"role": "monitor", "trialId": "T1"});
    let path = format!("/account/{id}/grant");
    assert_eq!(platform.post(&path, &admin.access, body).await.status, 200);
    let next = platform.refresh(&tokens.refresh).await;
    let grants: Vec<cohort_access::Grant> =
        platform.principal(&next.access).claim("grants").unwrap();
    assert_eq!(grants, [grant(Role::Monitor, Some("T1"), None)]);
}

#[tokio::test]
async fn what_is_no_token_is_refused_alike() {
    let platform = Platform::start().await;
    let tokens = platform.admin().await;
    let expected = platform.try_refresh("").await.without_trace();
    for bad in [
        "x",
        &"A".repeat(43),
        &"A".repeat(100_000),
        &tokens.access,
        "' OR 1=1",
    ] {
        let answer = platform.try_refresh(bad).await;
        assert_eq!(answer.problem(), invalid());
        assert_eq!(answer.without_trace(), expected);
    }
    // An access token is not made of a refresh token either.
    let answer = platform.get("/me", &tokens.refresh).await;
    assert_eq!(answer.problem(), (401, "TOKEN_INVALID".to_owned()));
}
