//! Who may do what: every route with every role, and what stays hidden.

use http::Method;
use serde_json::{Value, json};

use crate::kit::{Account, House, house};

const ROLES: [&str; 6] = [
    "admin",
    "sponsor",
    "investigator",
    "coordinator",
    "monitor",
    "patient",
];

fn ids(list: &Value) -> Vec<&str> {
    let items = list["items"].as_array().unwrap();
    items
        .iter()
        .map(|item| item["id"].as_str().unwrap())
        .collect()
}

/// The status of each route for an account, in the order of the contract.
async fn walk(house: &House, account: Option<&Account>, study: &str, code: &str) -> Vec<u16> {
    let body = json!({"code": code, "title": "t", "name": "n"});
    let mut statuses = Vec::new();
    for (method, path) in [
        (Method::POST, "/api/v1/trial".to_owned()),
        (Method::GET, "/api/v1/trial".to_owned()),
        (Method::GET, format!("/api/v1/trial/{study}")),
        (Method::GET, format!("/api/v1/trial/{study}/progress")),
        (Method::POST, format!("/api/v1/trial/{study}/site")),
        (Method::GET, format!("/api/v1/trial/{study}/site")),
    ] {
        let body = (method == Method::POST).then(|| body.clone());
        let (status, _) = house.send(method, &path, account, body).await;
        statuses.push(status.as_u16());
    }
    statuses
}

#[tokio::test]
async fn r_15_every_route_asks_who_calls_in_which_role_and_where() {
    let house = house().await;
    let study = house.study(json!({"code": "A", "title": "t"})).await;
    let other = house.study(json!({"code": "B", "title": "t"})).await;
    let site = house.site(&study, "701").await;
    assert_eq!(walk(&house, None, &study, "x").await, [401; 6]);
    for role in ROLES {
        let writes = matches!(role, "admin" | "sponsor");
        let everywhere = match role {
            _ if writes => [201, 200, 200, 200, 201, 200],
            "patient" => [403; 6],
            _ => [403, 200, 200, 200, 403, 200],
        };
        let account = Account::new(role, None, None);
        let told = walk(&house, Some(&account), &study, role).await;
        assert_eq!(told, everywhere, "{role} everywhere");

        // In a study: no new studies, and another one does not exist.
        let account = Account::new(role, Some(&study), None);
        let in_study = match role {
            _ if writes => [403, 200, 200, 200, 201, 200],
            _ => everywhere,
        };
        let told = walk(&house, Some(&account), &study, &format!("{role} in study")).await;
        assert_eq!(told, in_study, "{role} in its study");
        let in_other = match role {
            _ if writes => [403, 200, 404, 404, 404, 404],
            "patient" => [403; 6],
            _ => [403, 200, 404, 404, 403, 404],
        };
        let told = walk(&house, Some(&account), &other, "y").await;
        assert_eq!(told, in_other, "{role} in another study");

        // At a site: the study is seen, and no site is added.
        let account = Account::new(role, Some(&study), Some(&site));
        let at_site = match role {
            "patient" => [403; 6],
            _ => [403, 200, 200, 200, 403, 200],
        };
        let told = walk(&house, Some(&account), &study, "z").await;
        assert_eq!(told, at_site, "{role} at its site");
    }
}

#[tokio::test]
async fn r_15_lists_hold_what_the_grants_cover() {
    let house = house().await;
    let first = house.study(json!({"code": "A", "title": "t"})).await;
    let second = house.study(json!({"code": "B", "title": "t"})).await;
    let third = house.study(json!({"code": "C", "title": "t"})).await;
    let near = house.site(&first, "701").await;
    let far = house.site(&first, "702").await;
    let there = house.site(&second, "701").await;
    let account = Account::new("coordinator", Some(&first), Some(&near))
        .and("monitor", Some(&second), None)
        .and("coordinator", Some(&first), Some(&near));
    let (_, list) = house.get("/api/v1/trial", &account).await;
    assert_eq!(ids(&list), [&first, &second]);
    let (_, list) = house
        .get(&format!("/api/v1/trial/{first}/site"), &account)
        .await;
    assert_eq!(ids(&list), [&near]);
    let (_, list) = house
        .get(&format!("/api/v1/trial/{second}/site"), &account)
        .await;
    assert_eq!(ids(&list), [&there]);
    let (_, list) = house
        .get(&format!("/api/v1/trial/{first}/site"), &Account::admin())
        .await;
    assert_eq!(ids(&list), [&near, &far]);
    let stranger = Account::new(
        "monitor",
        Some("01890a5d-ac96-774b-bcce-b302099a8057"),
        None,
    );
    let (status, list) = house.get("/api/v1/trial", &stranger).await;
    assert_eq!((status.as_u16(), list), (200, json!({"items": []})));
    assert_eq!(
        house
            .get(&format!("/api/v1/trial/{third}"), &account)
            .await
            .0,
        404
    );
}

#[tokio::test]
async fn r_15_a_hidden_study_answers_like_one_that_does_not_exist() {
    let house = house().await;
    let study = house.study(json!({"code": "A", "title": "t"})).await;
    let stranger = Account::new(
        "sponsor",
        Some("01890a5d-ac96-774b-bcce-b302099a8057"),
        None,
    );
    for rest in ["", "/progress", "/site"] {
        let path = |id: &str| format!("/api/v1/trial/{id}{rest}");
        let (_, mut hidden) = house.get(&path(&study), &stranger).await;
        let nowhere = "01890a5d-ac96-774b-bcce-b302099a8058";
        let (_, mut absent) = house.get(&path(nowhere), &stranger).await;
        for problem in [&mut hidden, &mut absent] {
            problem.as_object_mut().unwrap().remove("traceId").unwrap();
        }
        assert_eq!(hidden, absent);
    }
}
