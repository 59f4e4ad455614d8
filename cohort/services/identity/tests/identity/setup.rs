//! What the operator does on the machine.

use std::sync::Arc;

use cohort_access::Role;
use identity::{
    Draft, MIGRATIONS,
    attempts::FREE_FAILURES,
    setup::{ensure_account, ensure_administrator, reset_account},
};
use secrecy::{ExposeSecret, SecretString};
use serde_json::json;
use tenon::{
    Context,
    store::{Db, Options, Tx, args},
};
use tokio::task::JoinSet;

use crate::platform::{PASSWORD, Platform, grant};

#[tokio::test(flavor = "multi_thread")]
async fn there_is_one_first_administrator() {
    let platform = Arc::new(Platform::start().await);
    assert_eq!(platform.admin_password.len(), 23);
    let mut again = JoinSet::new();
    for _ in 0..4 {
        let platform = platform.clone();
        again.spawn(async move {
            let cx = Context::background();
            ensure_administrator(&cx, &platform.context, None)
                .await
                .unwrap()
                .is_none()
        });
    }
    assert!(again.join_all().await.iter().all(|none| *none));
    let tokens = platform.admin().await;
    let me = platform.get("/me", &tokens.access).await.json();
    assert_eq!(me["grants"], json!([{"role": "admin"}]));
    assert_eq!(platform.told("account.create").await.len(), 1);
}

#[tokio::test]
async fn a_reset_works_beside_the_running_service() {
    let platform = Platform::start().await;
    let before = platform.admin().await;
    for _ in 0..FREE_FAILURES {
        platform.try_login("admin", "not the password at all").await;
    }
    assert_eq!(platform.admin_login_status().await, 429);
    let file = platform.folder.path().join("identity.db");
    let beside = Db::open(Options::new(file), MIGRATIONS).await.unwrap();
    let cx = Context::background();
    let reset = reset_account(&cx, &beside, &platform.clock, " ADMIN ")
        .await
        .unwrap();
    assert_eq!(reset.username, "admin");
    assert!(!format!("{reset:?}").contains(reset.password.expose_secret()));
    beside.close().await.unwrap();
    assert_eq!(platform.admin_login_status().await, 401);
    platform
        .login("admin", reset.password.expose_secret())
        .await;
    assert_eq!(platform.try_refresh(&before.refresh).await.status, 401);
    assert_eq!(platform.get("/me", &before.access).await.status, 401);
    assert_eq!(platform.told("password.reset").await.len(), 1);
    assert!(platform.db.verify_audit().await.unwrap().is_sound());
}

#[tokio::test]
async fn a_reset_revives_nobody() {
    let platform = Platform::start().await;
    let admin = platform.admin().await;
    let id = platform.staff("chen", &[]).await;
    let body = json!({"status": "suspended", "reason": "a test"});
    platform
        .post(&format!("/account/{id}/status"), &admin.access, body)
        .await;
    let cx = Context::background();
    for (name, code) in [("chen", "STATUS_CONFLICT"), ("nobody", "ACCOUNT_NOT_FOUND")] {
        let refused = reset_account(&cx, &platform.db, &platform.clock, name).await;
        assert_eq!(refused.unwrap_err().code(), code);
    }
}

#[tokio::test]
async fn an_account_is_ensured_as_often_as_one_likes() {
    let platform = Platform::start().await;
    let cx = Context::background();
    let mut draft = Draft::new("demo.one", SecretString::from(PASSWORD));
    draft.grants = vec![grant(Role::Monitor, Some("T1"), None)];
    let first = ensure_account(&cx, &platform.context, draft.clone())
        .await
        .unwrap();
    assert!(first.created);
    draft.password = SecretString::from("another password than before");
    draft.grants.push(grant(Role::Sponsor, Some("T1"), None));
    for _ in 0..2 {
        let again = ensure_account(&cx, &platform.context, draft.clone())
            .await
            .unwrap();
        assert_eq!(
            (again.id.as_str(), again.created),
            (first.id.as_str(), false)
        );
    }
    let tokens = platform.login("demo.one", PASSWORD).await;
    let me = platform.get("/me", &tokens.access).await.json();
    assert_eq!(me["grants"].as_array().unwrap().len(), 2);
    assert_eq!(platform.trail("T1").await.len(), 1);
    let mut other = draft.clone();
    other.subject_id = Some("s1".to_owned());
    other.grants = vec![grant(Role::Patient, Some("T1"), None)];
    let refused = ensure_account(&cx, &platform.context, other).await;
    assert_eq!(refused.unwrap_err().code(), "USERNAME_TAKEN");
    let weak = Draft::new("demo.two", SecretString::from("short"));
    let refused = ensure_account(&cx, &platform.context, weak).await;
    assert_eq!(refused.unwrap_err().code(), "REQUEST_INVALID");
}

#[tokio::test]
async fn r_20_roles_of_an_earlier_release_stay_and_none_is_added_to_them() {
    let platform = Platform::start().await;
    let cx = Context::background();
    let mut draft = Draft::new("demo.one", SecretString::from(PASSWORD));
    draft.grants = vec![grant(Role::Sponsor, Some("T1"), None)];
    let account = ensure_account(&cx, &platform.context, draft.clone()).await;
    let id = account.unwrap().id;
    let both = async move |tx: &mut Tx| {
        const SQL: &str = "INSERT INTO account_grant VALUES ($1, 'coordinator', 'T1', '', 0)";
        tx.execute(SQL, args![id]).await
    };
    platform.db.write(&cx, both).await.unwrap();
    ensure_account(&cx, &platform.context, draft.clone())
        .await
        .unwrap();
    draft.grants = vec![grant(Role::Investigator, Some("T1"), None)];
    let refused = ensure_account(&cx, &platform.context, draft).await;
    assert_eq!(refused.unwrap_err().code(), "ROLE_CONFLICT");
}

impl Platform {
    async fn admin_login_status(&self) -> u16 {
        let answer = self.try_login("admin", &self.admin_password).await;
        answer.status.as_u16()
    }
}
