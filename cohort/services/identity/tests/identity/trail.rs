//! The audit trail of this service.

use cohort_access::Role;
use identity::attempts::FREE_FAILURES;
use serde_json::json;
use tenon::store::audit::Record;

use crate::platform::{PASSWORD, Platform, grant, seconds};

#[tokio::test]
async fn r_06_accounts_roles_logins_failed_logins_and_locks_are_recorded() {
    let platform = Platform::start().await;
    let admin = platform.admin().await;
    let admin_id = platform.principal(&admin.access).subject().to_owned();
    let body = json!({"username": "chen", "password": PASSWORD});
    let made = platform.post("/account", &admin.access, body).await.json();
    let id = made["id"].as_str().unwrap().to_owned();
    let role = json!({"role": "monitor", "trialId": "T1"});
    for path in ["grant", "revoke"] {
        let path = format!("/account/{id}/{path}");
        assert_eq!(
            platform
                .post(&path, &admin.access, role.clone())
                .await
                .status,
            200
        );
    }
    let chen = platform.login("chen", PASSWORD).await;
    platform
        .call("POST", "/logout", Some(&chen.access), None)
        .await;
    for _ in 0..FREE_FAILURES {
        platform.try_login("chen", "not the password at all").await;
    }
    platform
        .try_login("nobody.there", "not the password at all")
        .await;
    let told = platform.trail("service").await;
    check_service_stream(&told, &admin_id, &id);
    let study = platform.trail("T1").await;
    let actions: Vec<&str> = study.iter().map(|record| record.action.as_str()).collect();
    assert_eq!(actions, ["grant.add", "grant.remove"]);
    assert_eq!(
        (study[0].new.clone(), study[1].old.clone()),
        (Some(role.clone()), Some(role))
    );
    assert!(platform.db.verify_audit().await.unwrap().is_sound());
}

fn check_service_stream(told: &[Record], admin: &str, id: &str) {
    let of = |action: &str| {
        let mut found = told.iter().filter(|record| record.action == action);
        found
            .next_back()
            .unwrap_or_else(|| panic!("{action} is not recorded"))
    };
    let created = of("account.create");
    assert_eq!(
        (created.actor.as_str(), created.actor_role.as_str()),
        (admin, "admin")
    );
    assert_eq!(created.new.as_ref().unwrap()["username"], "chen");
    assert!(created.session.is_some());
    let login = of("session.login");
    assert_eq!((login.actor.as_str(), login.entity_id.as_str()), (id, id));
    assert_eq!(login.attributes["username"], "chen");
    assert_eq!(of("session.logout").actor, id);
    assert_eq!(of("account.lock").entity_id, id);
    let invited = of("account.status");
    assert_eq!(invited.new, Some(json!({"status": "active"})));
    let failed: Vec<_> = told
        .iter()
        .filter(|one| one.action == "session.login_failed")
        .collect();
    assert_eq!(failed.len(), 6);
    assert_eq!(
        (failed[0].entity_id.as_str(), failed[0].actor.as_str()),
        (id, "anonymous")
    );
    // Who typed a name that nobody has may have typed a password.
    assert_eq!(
        (failed[5].entity.as_str(), failed[5].entity_id.len()),
        ("loginName", 32)
    );
    assert!(!format!("{told:?}").contains("nobody.there"));
}

#[tokio::test]
async fn r_13_a_lock_is_shown_and_its_end_by_an_administrator_is_recorded() {
    let platform = Platform::start().await;
    let admin = platform.admin().await;
    let id = platform
        .staff("chen", &[grant(Role::Monitor, Some("T1"), None)])
        .await;
    let open = platform.login("chen", PASSWORD).await;
    for _ in 0..FREE_FAILURES {
        platform.try_login("chen", "not the password at all").await;
    }
    let status = async || {
        let all = platform.get("/account", &admin.access).await.json();
        all["items"][1]["status"].as_str().unwrap().to_owned()
    };
    assert_eq!(status().await, "locked");
    // Whoever is in stays in, so that nobody is thrown out by somebody else's attempts.
    let open = platform.refresh(&open.refresh).await;
    assert_eq!(platform.get("/me", &open.access).await.status, 200);
    platform.wait(seconds(1));
    assert_eq!(status().await, "active");
    platform.try_login("chen", "not the password at all").await;
    assert_eq!(platform.try_login("chen", PASSWORD).await.status, 429);
    let path = format!("/account/{id}/status");
    let body = json!({"status": "active", "reason": "called and proved who she is"});
    let unlocked = platform.post(&path, &admin.access, body).await;
    assert_eq!(unlocked.json()["status"], "active");
    platform.login("chen", PASSWORD).await;
    let told = platform.told("account.unlock").await;
    assert_eq!(told.len(), 1);
    assert_eq!(
        told[0].reason.as_deref(),
        Some("called and proved who she is")
    );
    let blank = json!({"status": "active", "reason": "  "});
    assert_eq!(platform.post(&path, &admin.access, blank).await.status, 400);
}
