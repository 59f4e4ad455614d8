//! Giving and taking roles, within one's own scope.

use cohort_access::Role;
use identity::account::GRANTS_MAX;
use serde_json::{Value, json};

use crate::platform::{Answer, PASSWORD, Platform, grant};

async fn give(platform: &Platform, token: &str, id: &str, body: Value) -> Answer {
    platform
        .post(&format!("/account/{id}/grant"), token, body)
        .await
}

#[tokio::test]
async fn a_role_granted_twice_is_there_once() {
    let platform = Platform::start().await;
    let admin = platform.admin().await;
    let id = platform.staff("chen", &[]).await;
    let site = json!({"role": "coordinator", "trialId": "T1", "siteId": "S1"});
    for _ in 0..2 {
        let answer = give(&platform, &admin.access, &id, site.clone()).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        assert_eq!(answer.json()["grants"], json!([site]));
    }
    let told = platform.trail("T1").await;
    assert_eq!(told.len(), 1);
    assert_eq!(
        (told[0].action.as_str(), told[0].entity_id.as_str()),
        ("grant.add", id.as_str())
    );
    let body = json!({"username": "li.two", "password": PASSWORD, "grants": [site, site]});
    let made = platform.post("/account", &admin.access, body).await;
    assert_eq!(made.json()["grants"], json!([site]));
    let lonely = json!({"role": "coordinator", "siteId": "S1"});
    let answer = give(&platform, &admin.access, &id, lonely).await;
    let required = ("trialId".to_owned(), "required".to_owned());
    assert_eq!(answer.violations(), [required]);
    let unknown = give(&platform, &admin.access, "no-such", site).await;
    assert_eq!(unknown.problem(), (404, "ACCOUNT_NOT_FOUND".to_owned()));
}

#[tokio::test]
async fn nobody_grants_beyond_its_own_scope() {
    let platform = Platform::start().await;
    platform
        .staff("local", &[grant(Role::Admin, Some("T1"), None)])
        .await;
    let ours = platform
        .staff("ours", &[grant(Role::Monitor, Some("T1"), None)])
        .await;
    let theirs = platform
        .staff("theirs", &[grant(Role::Monitor, Some("T2"), None)])
        .await;
    let both = [
        grant(Role::Monitor, Some("T1"), None),
        grant(Role::Monitor, Some("T2"), None),
    ];
    let both = platform.staff("both", &both).await;
    let local = platform.login("local", PASSWORD).await.access;
    let within = json!({"role": "sponsor", "trialId": "T1"});
    let answer = give(&platform, &local, &ours, within.clone()).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    let elsewhere = json!({"role": "sponsor", "trialId": "T2"});
    let answer = give(&platform, &local, &ours, elsewhere.clone()).await;
    assert_eq!(answer.problem(), (404, "TRIAL_NOT_FOUND".to_owned()));
    let everywhere = json!({"role": "admin"});
    let answer = give(&platform, &local, &ours, everywhere.clone()).await;
    assert_eq!(answer.problem(), (403, "PERMISSION_DENIED".to_owned()));
    let answer = give(&platform, &local, &theirs, within.clone()).await;
    assert_eq!(answer.problem(), (404, "ACCOUNT_NOT_FOUND".to_owned()));
    for (grants, code) in [
        (json!([everywhere]), "PERMISSION_DENIED"),
        (json!([within, elsewhere]), "TRIAL_NOT_FOUND"),
        (json!([]), "PERMISSION_DENIED"),
    ] {
        let body = json!({"username": "new.one", "password": PASSWORD, "grants": grants});
        let answer = platform.post("/account", &local, body).await;
        assert_eq!(answer.code(), code);
    }
    let body = json!({"username": "new.one", "password": PASSWORD, "grants": [within]});
    assert_eq!(platform.post("/account", &local, body).await.status, 201);
    // It sees the accounts of its study, without what they are elsewhere, and cannot end those
    // that work elsewhere too.
    let seen = platform.get("/account", &local).await.json();
    let names: Vec<&str> = seen["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| item["username"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["local", "ours", "both", "new.one"]);
    assert_eq!(
        seen["items"][2]["grants"],
        json!([{"role": "monitor", "trialId": "T1"}])
    );
    let close = json!({"status": "closed", "reason": "a test"});
    for (id, status) in [(&both, 403), (&theirs, 404), (&ours, 200)] {
        let answer = platform
            .post(&format!("/account/{id}/status"), &local, close.clone())
            .await;
        assert_eq!(answer.status, status, "{}", answer.text);
    }
}

#[tokio::test]
async fn an_administrator_of_a_site_stays_at_its_site() {
    let platform = Platform::start().await;
    platform
        .staff("local", &[grant(Role::Admin, Some("T1"), Some("S1"))])
        .await;
    let ours = platform
        .staff("ours", &[grant(Role::Coordinator, Some("T1"), Some("S1"))])
        .await;
    platform
        .staff(
            "theirs",
            &[grant(Role::Coordinator, Some("T1"), Some("S2"))],
        )
        .await;
    let local = platform.login("local", PASSWORD).await.access;
    let at = |site: &str| json!({"role": "investigator", "trialId": "T1", "siteId": site});
    assert_eq!(give(&platform, &local, &ours, at("S1")).await.status, 200);
    assert_eq!(
        give(&platform, &local, &ours, at("S2")).await.code(),
        "TRIAL_NOT_FOUND"
    );
    let whole = json!({"role": "investigator", "trialId": "T1"});
    assert_eq!(
        give(&platform, &local, &ours, whole).await.code(),
        "PERMISSION_DENIED"
    );
    let seen = platform.get("/account", &local).await.json();
    assert_eq!(seen["items"].as_array().unwrap().len(), 2, "{seen}");
}

#[tokio::test]
async fn r_16_a_role_that_is_taken_away_counts_at_the_next_request() {
    let platform = Platform::start().await;
    let admin = platform.admin().await;
    let everything = [grant(Role::Admin, None, None)];
    let id = platform.staff("second", &everything).await;
    let second = platform.login("second", PASSWORD).await;
    assert_eq!(platform.get("/account", &second.access).await.status, 200);
    let path = format!("/account/{id}/revoke");
    for _ in 0..2 {
        let answer = platform
            .post(&path, &admin.access, json!({"role": "admin"}))
            .await;
        assert_eq!(
            (answer.status.as_u16(), answer.json()["grants"].clone()),
            (200, json!([]))
        );
    }
    // Its token still says that it may.
    let items = platform.get("/account", &second.access).await.json();
    assert_eq!(items["items"], json!([]));
    let own = give(&platform, &second.access, &id, json!({"role": "admin"})).await;
    assert_eq!(own.problem(), (403, "PERMISSION_DENIED".to_owned()));
    let body = json!({"username": "third", "password": PASSWORD});
    let made = platform.post("/account", &second.access, body).await;
    assert_eq!(made.problem(), (403, "PERMISSION_DENIED".to_owned()));
    assert_eq!(platform.told("grant.remove").await.len(), 1);
}

#[tokio::test]
async fn a_token_holds_as_many_grants_as_an_account_may_have() {
    let platform = Platform::start().await;
    let admin = platform.admin().await;
    let study = |number: usize| format!("{number:0>64}");
    let grants: Vec<_> = (0..GRANTS_MAX)
        .map(|number| grant(Role::Investigator, Some(&study(number)), Some(&study(0))))
        .collect();
    let id = platform.staff(&"x".repeat(64), &grants).await;
    let tokens = platform.login(&"x".repeat(64), PASSWORD).await;
    assert_eq!(platform.get("/me", &tokens.access).await.status, 200);
    let more = json!({"role": "investigator", "trialId": "T1"});
    let answer = give(&platform, &admin.access, &id, more).await;
    assert_eq!(answer.problem(), (409, "GRANTS_FULL".to_owned()));
    let known = json!({"role": "investigator", "trialId": study(1), "siteId": study(0)});
    assert_eq!(give(&platform, &admin.access, &id, known).await.status, 200);
}

#[tokio::test]
async fn r_20_nobody_who_runs_a_trial_becomes_one_who_writes_its_data() {
    let platform = Platform::start().await;
    let admin = platform.admin().await;
    let me = platform.get("/me", &admin.access).await.json();
    let id = me["id"].as_str().unwrap();
    for role in ["coordinator", "investigator"] {
        let writer = json!({"role": role, "trialId": "T1", "siteId": "S1"});
        let answer = give(&platform, &admin.access, id, writer).await;
        assert_eq!(answer.problem(), (409, "ROLE_CONFLICT".to_owned()));
    }
    let coordinator = [grant(Role::Coordinator, Some("T1"), Some("S1"))];
    let coordinator = platform.staff("coordinator", &coordinator).await;
    let sponsor = |trial: &str| json!({"role": "sponsor", "trialId": trial});
    let answer = give(&platform, &admin.access, &coordinator, sponsor("T1")).await;
    assert_eq!(answer.problem(), (409, "ROLE_CONFLICT".to_owned()));
    // Another trial is another matter.
    let answer = give(&platform, &admin.access, &coordinator, sponsor("T2")).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    let both = json!([sponsor("T1"), {"role": "coordinator", "trialId": "T1"}]);
    let body = json!({"username": "both", "password": PASSWORD, "grants": both});
    let answer = platform.post("/account", &admin.access, body).await;
    assert_eq!(answer.status, 400);
    assert_eq!(answer.json()["errors"][0]["path"], "grants");
}
