//! Accounts, their roles, and what is recorded of them.

use serde_json::json;

use crate::{
    cast::{self, Actor, PASSWORD},
    run::Outcome,
    trail,
    world::World,
};

/// Services that only verify tokens believe a role until the token expires; identity looks.
pub(super) async fn r_16_a_role_that_is_taken_away_is_gone_at_the_next_request_to_identity(
    world: &World,
) -> Outcome {
    let cast = world.cast().await;
    let admin = cast.token(Actor::Admin);
    let grant = json!({"role": "admin"});
    let second = cast::account(world, admin, &grant, None).await;
    let path = "/api/v1/identity/account";
    world.get(&second.token, path).await.expect(200);
    let revoke = format!("{path}/{}/revoke", second.id);
    world.post(admin, &revoke, &grant).await.expect(200);
    // Its token says that it is an administrator; it sees nobody and creates nobody.
    let list = world.get(&second.token, path).await.expect(200);
    assert_eq!(list["items"], json!([]));
    let body = json!({"username": cast::code("friend"), "password": PASSWORD});
    let answer = world.post(&second.token, path, &body).await;
    assert_eq!(answer.problem(), (403, "PERMISSION_DENIED"));
    let own = format!("{path}/{}/grant", second.id);
    let answer = world.post(&second.token, &own, &grant).await;
    assert_eq!(answer.problem(), (403, "PERMISSION_DENIED"));

    let suspend = format!("{path}/{}/status", second.id);
    let body = json!({"status": "suspended", "reason": "left"});
    world.post(admin, &suspend, &body).await.expect(200);
    let answer = world.get(&second.token, "/api/v1/identity/me").await;
    assert_eq!(answer.problem(), (401, "SESSION_ENDED"));
    let call = world.call("POST", "/api/v1/identity/refresh");
    let answer = call
        .json(&json!({"refreshToken": second.refresh}))
        .send()
        .await;
    assert_eq!(answer.problem(), (401, "REFRESH_INVALID"));
    Outcome::Passed
}

pub(super) async fn r_06_logins_and_role_changes_are_in_the_trail(world: &World) -> Outcome {
    let cast = world.cast().await;
    let admin = &cast.accounts[&Actor::Admin];
    let place = &cast.places[2];
    let grant = json!({"role": "monitor", "trialId": place.study});
    let username = cast::code("trail").replace('-', ".");
    let body = json!({"username": username, "password": PASSWORD});
    let path = "/api/v1/identity/account";
    let made = world.post(&admin.token, path, &body).await.expect(201);
    let id = crate::http::text(&made, "id");
    world
        .post(&admin.token, &format!("{path}/{id}/grant"), &grant)
        .await
        .expect(200);
    let login = |password: &str| {
        let body = json!({"username": username, "password": password});
        world
            .call("POST", "/api/v1/identity/login")
            .json(&body)
            .send()
    };
    assert_eq!(login("not the one").await.problem(), (401, "LOGIN_FAILED"));
    login(PASSWORD).await.expect(200);

    let told = world.identity_trail(trail::SERVICE).await;
    let of = |action: &str| {
        let mut found = told.iter().map(|stored| &stored.record);
        let found = found.find(|record| record.action == action && record.entity_id == id);
        found.unwrap_or_else(|| panic!("{action} is not recorded"))
    };
    assert_eq!(of("account.create").actor, admin.id);
    assert_eq!(of("session.login_failed").actor, "anonymous");
    assert_eq!(of("session.login").actor, id);
    let study = world.identity_trail(&place.study).await;
    let added = study
        .iter()
        .find(|stored| stored.record.entity_id == id)
        .unwrap();
    assert_eq!(added.record.action, "grant.add");
    assert_eq!(added.record.actor, admin.id);
    Outcome::Passed
}
