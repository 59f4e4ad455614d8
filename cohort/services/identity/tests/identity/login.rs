//! Logging in, and failing to.

use std::sync::Arc;

use cohort_access::{Role, Rules};
use identity::{
    ServiceContext,
    attempts::{DELAY_MAX, FORGET_AFTER, FREE_FAILURES},
};
use serde_json::{Value, json};
use tenon::{Runtime, Service, auth::password::Passwords};
use tokio::task::JoinSet;

use crate::platform::{PASSWORD, Platform, configuration, days, grant, seconds};

const WRONG: &str = "not the password of anybody";

#[tokio::test]
async fn a_token_says_who_calls_in_which_session_and_with_which_grants() {
    let platform = Platform::start().await;
    let grants = [
        grant(Role::Monitor, Some("T2"), None),
        grant(Role::Coordinator, Some("T1"), Some("S1")),
    ];
    let id = platform.staff("chen", &grants).await;
    let answer = platform.try_login("  Chen ", PASSWORD).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.headers["cache-control"], "no-store");
    let body = answer.json();
    assert_eq!(body["expiresIn"], 900);
    assert_eq!(body["refreshToken"].as_str().unwrap().len(), 43);
    let principal = platform.principal(body["accessToken"].as_str().unwrap());
    assert_eq!(principal.subject(), id);
    let claim = |name: &str| principal.claim::<Value>(name).unwrap_or_default();
    assert_eq!(
        (claim("iss"), claim("aud")),
        (json!("cohort"), json!("cohort"))
    );
    assert_eq!(
        claim("exp").as_i64().unwrap() - claim("iat").as_i64().unwrap(),
        900
    );
    assert!(claim("jti").is_string() && claim("sid").is_string());
    assert_eq!(claim("username"), "chen");
    assert_eq!(
        claim("grants"),
        json!([
            {"role": "coordinator", "study": "T1", "site": "S1"},
            {"role": "monitor", "study": "T2"},
        ])
    );
    assert_eq!(claim("subjectId"), Value::Null);
}

#[tokio::test]
async fn the_token_of_a_patient_carries_its_subject() {
    let platform = Platform::start().await;
    platform.patient("p001", "T1", "subject-1").await;
    let tokens = platform.login("p001", PASSWORD).await;
    let principal = platform.principal(&tokens.access);
    assert_eq!(
        principal.claim::<String>("subjectId").as_deref(),
        Some("subject-1")
    );
    let me = platform.get("/me", &tokens.access).await.json();
    assert_eq!(me["subjectId"], "subject-1");
    assert_eq!(me["grants"], json!([{"role": "patient", "trialId": "T1"}]));
}

#[tokio::test]
async fn every_failure_gets_the_same_answer() {
    let platform = Platform::start().await;
    let admin = platform.admin().await;
    for (name, status) in [("suspended.one", "suspended"), ("closed.one", "closed")] {
        let id = platform.staff(name, &[]).await;
        let body = json!({"status": status, "reason": "left the team"});
        let moved = platform
            .post(&format!("/account/{id}/status"), &admin.access, body)
            .await;
        assert_eq!(moved.status, 200, "{}", moved.text);
    }
    platform.staff("known.one", &[]).await;
    let expected = platform.try_login("nobody", PASSWORD).await;
    assert_eq!(expected.problem(), (401, "LOGIN_FAILED".to_owned()));
    for (name, password) in [
        ("known.one", WRONG),
        ("known.one", ""),
        ("suspended.one", PASSWORD),
        ("closed.one", PASSWORD),
        ("", ""),
        ("nobody else\u{0}", WRONG),
        (&"x".repeat(5000), WRONG),
        ("known.one", &"x".repeat(5000)),
    ] {
        let answer = platform.try_login(name, password).await;
        assert_eq!(answer.status, expected.status);
        assert_eq!(answer.without_trace(), expected.without_trace());
        assert_eq!(answer.retry_after(), None);
    }
}

#[tokio::test]
async fn what_is_no_login_is_told_in_full() {
    let platform = Platform::start().await;
    let answer = platform.call("POST", "/login", None, Some(json!({}))).await;
    assert_eq!(answer.problem(), (400, "REQUEST_INVALID".to_owned()));
    let places: Vec<String> = answer.violations().into_iter().map(|one| one.0).collect();
    assert_eq!(places, ["password", "username"]);
    for body in [
        json!({"username": 1, "password": null}),
        json!([]),
        json!("x"),
    ] {
        let answer = platform.call("POST", "/login", None, Some(body)).await;
        assert_eq!(answer.status, 400);
    }
}

#[tokio::test]
async fn failures_delay_a_name_known_or_not_and_the_delay_heals() {
    let platform = Platform::start().await;
    platform.staff("known.one", &[]).await;
    for name in ["known.one", "unknown.one"] {
        for _ in 0..FREE_FAILURES {
            let answer = platform.try_login(name, WRONG).await;
            assert_eq!(answer.problem(), (401, "LOGIN_FAILED".to_owned()), "{name}");
        }
        // Also the right password is not looked at, so that the delay tells nothing of it.
        let answer = platform.try_login(name, PASSWORD).await;
        assert_eq!(
            answer.problem(),
            (429, "LOGIN_DELAYED".to_owned()),
            "{name}"
        );
        assert_eq!(answer.retry_after(), Some(1), "{name}");
    }
    platform.wait(seconds(1));
    for name in ["known.one", "unknown.one"] {
        assert_eq!(platform.try_login(name, WRONG).await.status, 401, "{name}");
        let answer = platform.try_login(name, PASSWORD).await;
        assert_eq!(answer.retry_after(), Some(2), "{name}");
    }
    platform.wait(seconds(2));
    platform.login("known.one", PASSWORD).await;
    // A success begins anew.
    for _ in 0..FREE_FAILURES {
        assert_eq!(platform.try_login("known.one", WRONG).await.status, 401);
    }
}

#[tokio::test]
async fn a_delay_has_an_end_and_old_failures_are_forgotten() {
    let platform = Platform::start().await;
    platform.staff("known.one", &[]).await;
    let mut delays = Vec::new();
    while delays.last() != Some(&DELAY_MAX.as_secs()) {
        assert_eq!(platform.try_login("known.one", WRONG).await.status, 401);
        let refused = platform.try_login("known.one", WRONG).await;
        if let Some(delay) = refused.retry_after() {
            let delay = i64::try_from(delay).unwrap();
            delays.push(delay);
            platform.wait(seconds(delay));
        }
        assert!(delays.len() < 20, "{delays:?}");
    }
    assert!(delays.is_sorted(), "{delays:?}");
    platform.wait(FORGET_AFTER);
    for _ in 0..FREE_FAILURES {
        assert_eq!(platform.try_login("known.one", WRONG).await.status, 401);
    }
    assert_eq!(
        platform
            .try_login("known.one", PASSWORD)
            .await
            .retry_after(),
        Some(1)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn many_guesses_at_once_get_no_more_tries() {
    let platform = Arc::new(Platform::start().await);
    platform.staff("known.one", &[]).await;
    let mut guesses = JoinSet::new();
    for _ in 0..24 {
        let platform = platform.clone();
        guesses.spawn(async move { platform.try_login("known.one", WRONG).await.problem() });
    }
    let answers = guesses.join_all().await;
    let count = |code: &str| answers.iter().filter(|answer| answer.1 == code).count();
    assert_eq!(
        count("LOGIN_FAILED"),
        usize::try_from(FREE_FAILURES).unwrap()
    );
    assert_eq!(count("LOGIN_DELAYED"), 24 - count("LOGIN_FAILED"));
    assert_eq!(platform.told("session.login_failed").await.len(), 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn many_right_logins_at_once_all_succeed() {
    let platform = Arc::new(Platform::start().await);
    platform.staff("known.one", &[]).await;
    let mut logins = JoinSet::new();
    for _ in 0..12 {
        let platform = platform.clone();
        logins.spawn(async move { platform.try_login("known.one", PASSWORD).await.status });
    }
    assert!(logins.join_all().await.iter().all(|status| *status == 200));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_pool_is_told_at_once_and_is_nobodys_failure() {
    let platform = Platform::start().await;
    let narrow = ServiceContext {
        passwords: Passwords::with_limits(1, 0),
        ..platform.context.clone()
    };
    let config = configuration(platform.folder.path());
    let service = Service::new("identity").auth(Some(platform.verifier.clone()));
    let service = identity::doors::open(service, config.rest, config.rpc, narrow, Arc::new(Rules));
    let mut open = service.open(&Runtime::default()).unwrap();
    let door = open.take_rest().unwrap();
    let platform = Arc::new(Platform {
        router: tenon::rest::merge([&*door]).unwrap(),
        ..platform
    });
    let mut logins = JoinSet::new();
    for number in 0..16 {
        let platform = platform.clone();
        logins.spawn(async move {
            let answer = platform.try_login(&format!("name.{number}"), WRONG).await;
            (answer.problem(), answer.retry_after())
        });
    }
    let answers = logins.join_all().await;
    let busy = ((503, "OVERLOADED".to_owned()), Some(1));
    let refused = answers.iter().filter(|answer| **answer == busy).count();
    let failed = ((401, "LOGIN_FAILED".to_owned()), None);
    let compared = answers.iter().filter(|answer| **answer == failed).count();
    assert!(refused > 0 && compared > 0, "{answers:?}");
    assert_eq!(refused + compared, 16, "{answers:?}");
    assert_eq!(platform.told("session.login_failed").await.len(), compared);
}

#[tokio::test]
async fn an_invitation_is_used_in_time_or_never() {
    let platform = Platform::start().await;
    let admin = platform.admin().await;
    for name in ["early.one", "late.one"] {
        let body = json!({"username": name, "password": PASSWORD});
        let made = platform.post("/account", &admin.access, body).await;
        assert_eq!(
            (made.status.as_u16(), made.json()["status"].clone()),
            (201, json!("invited"))
        );
    }
    platform.wait(days(29));
    let early = platform.login("early.one", PASSWORD).await;
    let me = platform.get("/me", &early.access).await.json();
    assert_eq!(me["status"], "active");
    platform.wait(days(1));
    let late = platform.try_login("late.one", PASSWORD).await;
    assert_eq!(late.problem(), (401, "LOGIN_FAILED".to_owned()));
    platform.login("early.one", PASSWORD).await;
}
