//! Creating, seeing and ending accounts.

use cohort_access::Role;
use identity_contract::rpc::{GetAccountReq, IdentityService};
use serde_json::{Value, json};
use tenon::Context;

use crate::platform::{PASSWORD, Platform, grant};

fn account(username: &str) -> Value {
    json!({"username": username, "password": PASSWORD})
}

#[tokio::test]
async fn r_12_no_two_people_share_a_name_and_closed_ones_are_never_given_again() {
    let platform = Platform::start().await;
    let admin = platform.admin().await;
    let made = platform
        .post("/account", &admin.access, account("chen.li"))
        .await;
    assert_eq!(made.status, 201, "{}", made.text);
    let id = made.json()["id"].as_str().unwrap().to_owned();
    for name in ["chen.li", "CHEN.LI", " Chen.Li\t"] {
        let answer = platform
            .post("/account", &admin.access, account(name))
            .await;
        assert_eq!(
            answer.problem(),
            (409, "USERNAME_TAKEN".to_owned()),
            "{name}"
        );
    }
    let path = format!("/account/{id}/status");
    let body = json!({"status": "closed", "reason": "left the team"});
    let closed = platform.post(&path, &admin.access, body).await;
    assert_eq!(closed.json()["status"], "closed");
    let answer = platform
        .post("/account", &admin.access, account("chen.li"))
        .await;
    assert_eq!(answer.problem(), (409, "USERNAME_TAKEN".to_owned()));
    for status in ["active", "suspended", "closed"] {
        let body = json!({"status": status, "reason": "came back"});
        let answer = platform.post(&path, &admin.access, body).await;
        assert_eq!(answer.problem(), (409, "STATUS_CONFLICT".to_owned()));
    }
    let body = json!({"role": "monitor", "trialId": "T1"});
    let answer = platform
        .post(&format!("/account/{id}/grant"), &admin.access, body)
        .await;
    assert_eq!(answer.problem(), (409, "STATUS_CONFLICT".to_owned()));
    let other = platform
        .post("/account", &admin.access, account("chen.li2"))
        .await;
    assert_ne!(other.json()["id"], id.as_str());
}

#[tokio::test]
async fn r_12_a_subject_has_one_account_at_a_time() {
    let platform = Platform::start().await;
    let admin = platform.admin().await;
    let patient = |name: &str| {
        json!({"username": name, "password": PASSWORD, "subjectId": "subject-1",
            "grants": [{"role": "patient", "trialId": "T1"}]})
    };
    let first = platform
        .post("/account", &admin.access, patient("p001"))
        .await;
    assert_eq!(first.status, 201, "{}", first.text);
    let second = platform
        .post("/account", &admin.access, patient("p002"))
        .await;
    assert_eq!(second.problem(), (409, "SUBJECT_TAKEN".to_owned()));
    let path = format!("/account/{}/status", first.json()["id"].as_str().unwrap());
    let body = json!({"status": "closed", "reason": "lost the phone and the name"});
    assert_eq!(platform.post(&path, &admin.access, body).await.status, 200);
    let second = platform
        .post("/account", &admin.access, patient("p002"))
        .await;
    assert_eq!(second.status, 201, "{}", second.text);
}

#[tokio::test]
async fn everything_that_is_wrong_with_an_account_is_told_at_once() {
    let platform = Platform::start().await;
    let admin = platform.admin().await;
    let body = json!({
        "username": "a b", "password": "short", "subjectId": "no spaces",
        "grants": [{"role": "coordinator", "siteId": "S1"}, {"role": "monitor", "trialId": "T 1"}],
    });
    let answer = platform.post("/account", &admin.access, body).await;
    let expected = [
        ("grants[0].trialId", "required"),
        ("grants[1].trialId", "format"),
        ("password", "length"),
        ("subjectId", "format"),
        ("username", "username"),
    ];
    let expected = expected.map(|(path, rule)| (path.to_owned(), rule.to_owned()));
    assert_eq!(answer.violations(), expected);
    let body = json!({"username": "chen", "password": PASSWORD, "grants": [{"role": "root"}]});
    let answer = platform.post("/account", &admin.access, body).await;
    assert_eq!(answer.status, 400, "{}", answer.text);
}

#[tokio::test]
async fn a_patient_is_nothing_else_and_has_a_subject_and_a_trial() {
    let platform = Platform::start().await;
    let admin = platform.admin().await;
    let patient = json!({"role": "patient", "trialId": "T1"});
    let monitor = json!({"role": "monitor", "trialId": "T1"});
    for (subject, grants, place) in [
        (None, vec![patient.clone()], "grants"),
        (Some("s1"), vec![patient.clone(), monitor.clone()], "grants"),
        (Some("s1"), vec![monitor], "grants"),
        (Some("s1"), vec![], "grants"),
        (
            Some("s1"),
            vec![json!({"role": "patient"})],
            "grants[0].trialId",
        ),
    ] {
        let mut body = json!({"username": "p001", "password": PASSWORD, "grants": grants});
        if let Some(subject) = subject {
            body["subjectId"] = json!(subject);
        }
        let answer = platform.post("/account", &admin.access, body).await;
        assert_eq!(answer.status, 400, "{}", answer.text);
        assert_eq!(answer.violations()[0].0, place, "{}", answer.text);
    }
    let (staff, phone) = (
        platform.staff("chen", &[]).await,
        platform.patient("p001", "T1", "s1").await,
    );
    for (id, role) in [(staff, "patient"), (phone, "monitor")] {
        let body = json!({"role": role, "trialId": "T1"});
        let answer = platform
            .post(&format!("/account/{id}/grant"), &admin.access, body)
            .await;
        assert_eq!(answer.problem(), (409, "ROLE_CONFLICT".to_owned()));
    }
}

#[tokio::test]
async fn the_last_administrator_stays() {
    let platform = Platform::start().await;
    let admin = platform.admin().await;
    let me = platform.get("/me", &admin.access).await.json();
    let id = me["id"].as_str().unwrap().to_owned();
    let status = json!({"status": "suspended", "reason": "a test"});
    let revoke = json!({"role": "admin"});
    for (path, body) in [("status", &status), ("revoke", &revoke)] {
        let path = format!("/account/{id}/{path}");
        let answer = platform.post(&path, &admin.access, body.clone()).await;
        assert_eq!(answer.problem(), (409, "LAST_ADMINISTRATOR".to_owned()));
    }
    platform
        .staff("second", &[grant(Role::Admin, None, None)])
        .await;
    let path = format!("/account/{id}/revoke");
    let answer = platform.post(&path, &admin.access, revoke).await;
    assert_eq!(
        (answer.status.as_u16(), answer.json()["grants"].clone()),
        (200, json!([]))
    );
}

#[tokio::test]
async fn pages_follow_each_other_without_gaps_or_doubles() {
    let platform = Platform::start().await;
    let admin = platform.admin().await;
    for number in 0..7 {
        platform.staff(&format!("member.{number}"), &[]).await;
    }
    let (mut seen, mut cursor) = (Vec::new(), String::new());
    loop {
        let path = format!("/account?limit=3&cursor={cursor}");
        let page = platform.get(&path, &admin.access).await.json();
        let items = page["items"].as_array().unwrap().clone();
        assert!(items.len() <= 3);
        seen.extend(
            items
                .iter()
                .map(|item| item["username"].as_str().unwrap().to_owned()),
        );
        match page["nextCursor"].as_str() {
            Some(next) => next.clone_into(&mut cursor),
            None => break,
        }
    }
    let expected: Vec<String> = std::iter::once("admin".to_owned())
        .chain((0..7).map(|number| format!("member.{number}")))
        .collect();
    assert_eq!(seen, expected);
    for query in ["cursor=1", "limit=0", "limit=201", "limit=x"] {
        let answer = platform
            .get(&format!("/account?{query}"), &admin.access)
            .await;
        assert_eq!(answer.status, 400, "{query}");
    }
}

#[tokio::test]
async fn who_is_no_administrator_sees_itself_only() {
    let platform = Platform::start().await;
    let admin = platform.admin().await;
    let admin_id = platform.principal(&admin.access).subject().to_owned();
    platform
        .staff("chen", &[grant(Role::Sponsor, Some("T1"), None)])
        .await;
    platform.patient("p001", "T1", "s1").await;
    for name in ["chen", "p001"] {
        let tokens = platform.login(name, PASSWORD).await;
        let own = platform.principal(&tokens.access).subject().to_owned();
        assert_eq!(platform.get("/account", &tokens.access).await.status, 403);
        let answer = platform
            .post("/account", &tokens.access, account("new.one"))
            .await;
        assert_eq!(answer.problem(), (403, "PERMISSION_DENIED".to_owned()));
        for path in ["grant", "revoke"] {
            let path = format!("/account/{own}/{path}");
            let answer = platform
                .post(&path, &tokens.access, json!({"role": "admin"}))
                .await;
            assert_eq!(answer.status, 403);
        }
        let cx = platform.as_caller(&tokens.access);
        let shown = platform
            .client
            .get_account(&cx, GetAccountReq { id: own.clone() });
        assert_eq!(shown.await.unwrap().id, own);
        for id in [admin_id.clone(), "no such account".to_owned()] {
            let refused = platform.client.get_account(&cx, GetAccountReq { id }).await;
            assert_eq!(refused.unwrap_err().code(), "PERMISSION_DENIED");
        }
    }
    let nobody = Context::background();
    let refused = platform
        .client
        .get_account(&nobody, GetAccountReq { id: admin_id });
    assert_eq!(refused.await.unwrap_err().code(), "TOKEN_MISSING");
}

#[tokio::test]
async fn an_administrator_sees_others_over_rpc() {
    let platform = Platform::start().await;
    let admin = platform.admin().await;
    let id = platform.patient("p001", "T1", "s1").await;
    let cx = platform.as_caller(&admin.access);
    let shown = platform
        .client
        .get_account(&cx, GetAccountReq { id: id.clone() });
    let shown = shown.await.unwrap();
    assert_eq!(
        (shown.id, shown.subject_id, shown.status),
        (id, "s1".to_owned(), "active".to_owned())
    );
    assert_eq!(shown.grants[0].trial_id, "T1");
    let unknown = GetAccountReq {
        id: "no such account".to_owned(),
    };
    let refused = platform.client.get_account(&cx, unknown).await.unwrap_err();
    assert_eq!(refused.code(), "ACCOUNT_NOT_FOUND");
}
