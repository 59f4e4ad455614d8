//! Who may do what: every route and method with every role, and what stays hidden.

use http::Method;
use patient_contract::rpc::{GetPatientReq, GetPatientsByTrialReq, GetStandingReq, PatientService};
use serde_json::json;
use tenon::Context;

use crate::kit::{Account, House, house, person_with};

/// The status of each route for an account: list, read, create, move; then of the methods
/// getPatientsByTrial, GetPatientInfo and GetStanding.
async fn walk(house: &House, account: Option<&Account>, id: &str, no: &str) -> Vec<u16> {
    let mut statuses = Vec::new();
    let body = person_with(no, json!({}));
    // A move that no status allows: whoever may move is told so.
    let shift = json!({"status": 0, "reason": "why", "date": "2024-05-01"});
    for (method, path, body) in [
        (Method::GET, "/api/v1/patient".to_owned(), None),
        (Method::GET, format!("/api/v1/patient/{id}"), None),
        (Method::POST, "/api/v1/patient".to_owned(), Some(body)),
        (
            Method::POST,
            format!("/api/v1/patient/{id}/status"),
            Some(shift),
        ),
    ] {
        let (status, _) = house.send(method, &path, account, body).await;
        statuses.push(status.as_u16());
    }
    let cx = account.map_or_else(Context::background, |account| house.context(account));
    let (id, trial_id) = (id.to_owned(), "T1".to_owned());
    let by_trial = GetPatientsByTrialReq { trial_id };
    let list = house.client.get_patients_by_trial(&cx, by_trial).await;
    statuses.push(list.map_or_else(|error| error.http_status(), |_| 200));
    let info = house
        .client
        .get_patient_info(&cx, GetPatientReq { id: id.clone() })
        .await;
    statuses.push(info.map_or_else(|error| error.http_status(), |_| 200));
    let standing = house.client.get_standing(&cx, GetStandingReq { id }).await;
    statuses.push(standing.map_or_else(|error| error.http_status(), |_| 200));
    statuses
}

#[tokio::test]
async fn r_15_every_door_asks_who_calls_in_which_role_and_where() {
    let house = house().await;
    let id = house.subject("0").await;
    assert_eq!(walk(&house, None, &id, "x").await, [401; 7]);
    for role in ["admin", "sponsor", "investigator", "coordinator", "monitor"] {
        let works = matches!(role, "investigator" | "coordinator");
        let inside = if works {
            [200, 200, 201, 409, 200, 200, 200]
        } else {
            [200, 200, 403, 403, 200, 200, 403]
        };
        let outside = if works {
            [200, 404, 404, 404, 200, 404, 404]
        } else {
            [200, 404, 403, 403, 200, 404, 403]
        };
        for (study, site, expected) in [
            (None, None, inside),
            (Some("T1"), None, inside),
            (Some("T1"), Some("S1"), inside),
            (Some("T1"), Some("S2"), outside),
            (Some("T2"), None, outside),
            // A site without its study covers nothing.
            (None, Some("S1"), outside),
        ] {
            let account = Account::new(role, study, site);
            let told = walk(
                &house,
                Some(&account),
                &id,
                &format!("{role}{study:?}{site:?}"),
            )
            .await;
            assert_eq!(told, expected, "{role} {study:?} {site:?}");
        }
    }
    let own = Account::patient("T1", &id);
    let told = walk(&house, Some(&own), &id, "x").await;
    assert_eq!(told, [200, 200, 403, 403, 200, 200, 200]);
    let other = house.subject("1").await;
    let told = walk(&house, Some(&own), &other, "x").await;
    assert_eq!(told, [200, 404, 403, 403, 200, 404, 404]);
}

#[tokio::test]
async fn r_15_what_one_grant_allows_in_one_study_no_other_study_gets() {
    let house = house().await;
    // May create in T2 and read in T1, where the subject is known and not hidden.
    let account = Account::new("coordinator", Some("T2"), None).and("monitor", Some("T1"), None);
    let id = house.subject("0").await;
    let (status, _) = house.create(&account, person_with("1", json!({}))).await;
    assert_eq!(status, 403);
    let path = format!("/api/v1/patient/{id}");
    let (status, read) = house.get(&path, &account).await;
    assert_eq!(status, 200);
    assert!(read["patient"].get("name").is_none());
}

#[tokio::test]
async fn r_15_another_sites_subject_answers_like_one_that_does_not_exist() {
    let house = house().await;
    let id = house.subject("0").await;
    let account = Account::new("coordinator", Some("T1"), Some("S2"));
    let nowhere = "01890a5d-ac96-774b-bcce-b302099a8057";
    let shift = json!({"status": 1, "reason": "why", "date": "2024-05-01"});
    for rest in ["", "/status"] {
        let mut told = Vec::new();
        for id in [id.as_str(), nowhere, "%F0%9F%92%A9", "x'--"] {
            let path = format!("/api/v1/patient/{id}{rest}");
            let (status, mut problem) = match rest {
                "" => house.get(&path, &account).await,
                _ => house.post(&path, &account, shift.clone()).await,
            };
            assert_eq!(
                (status.as_u16(), problem["code"].as_str()),
                (404, Some("PATIENT_NOT_FOUND"))
            );
            problem.as_object_mut().unwrap().remove("traceId").unwrap();
            told.push(problem);
        }
        assert!(told.iter().all(|problem| *problem == told[0]));
    }
}
