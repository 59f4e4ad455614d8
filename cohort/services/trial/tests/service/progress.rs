//! Progress: true numbers, rounded down, or an error.

use serde_json::{Value, json};
use trial_contract::rpc::{GetProgressReq, TrialService};

use crate::kit::{Account, house};

#[tokio::test]
async fn progress_is_the_enrolled_in_percent_of_the_target_rounded_down() {
    let house = house().await;
    let admin = Account::admin();
    for (n, (target, enrolled, percent)) in [
        (Some(100), 85, json!(85)),
        (Some(3), 2, json!(66)),
        (Some(200), 199, json!(99)),
        (Some(200), 254, json!(127)),
        (Some(7), 0, json!(0)),
        (None, 12, Value::Null),
    ]
    .into_iter()
    .enumerate()
    {
        let mut body = json!({"code": n.to_string(), "title": "t"});
        if let Some(target) = target {
            body["target"] = json!(target);
        }
        let id = house.study(body).await;
        house
            .patients
            .enrolled
            .lock()
            .unwrap()
            .insert(id.clone(), enrolled);
        let (status, progress) = house
            .get(&format!("/api/v1/trial/{id}/progress"), &admin)
            .await;
        assert_eq!(status, 200);
        let expected = json!({
            "trialId": id, "progress": percent, "status": "recruiting",
            "enrolled": enrolled, "target": target,
        });
        assert_eq!(progress, expected);
        let cx = tenon::Context::background();
        let req = GetProgressReq { trial_id: id };
        let told = house.client.get_progress(&cx, req).await.unwrap();
        assert_eq!((told.enrolled, told.target), (enrolled, target));
        assert_eq!(told.progress, percent.as_i64());
    }
    // The patient service is asked in the name of the caller, where there is one.
    let callers = house.patients.callers.lock().unwrap().clone();
    assert_eq!(callers[..2], [Some("account-admin".to_owned()), None]);
}

#[tokio::test]
async fn without_the_patient_service_there_is_no_number() {
    let house = house().await;
    let id = house
        .study(json!({"code": "A", "title": "t", "target": 10}))
        .await;
    *house.patients.is_down.lock().unwrap() = true;
    let path = format!("/api/v1/trial/{id}/progress");
    let (status, problem) = house.get(&path, &Account::admin()).await;
    assert_eq!(
        (status.as_u16(), problem["code"].as_str()),
        (503, Some("UNAVAILABLE"))
    );
    // The study itself does not need it.
    let (status, _) = house
        .get(&format!("/api/v1/trial/{id}"), &Account::admin())
        .await;
    assert_eq!(status, 200);
}
