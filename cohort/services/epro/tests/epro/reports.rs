//! What other services ask over RPC.

use epro_contract::rpc::{EproService, GetEproDataReq};
use jiff::SignedDuration;
use serde_json::json;

use crate::house::{House, MILD, MODERATE, PHQ9, phq9};

fn of(subject: &str, limit: i32) -> GetEproDataReq {
    GetEproDataReq {
        patient_id: subject.to_owned(),
        limit,
    }
}

#[tokio::test]
async fn scored_responses_come_newest_first_to_who_may_see_them() {
    let house = House::furnished().await;
    for values in [MILD, MODERATE, MILD] {
        house.clock.advance(SignedDuration::from_secs(1));
        assert_eq!(
            house
                .submit(&house.coordinator(), &phq9("P1", values))
                .await
                .status,
            201
        );
    }
    let site = house.context(
        &json!([{"role": "investigator", "study": "T1", "site": "S1"}]),
        None,
    );
    let data = house
        .client
        .get_epro_data(&site, of("P1", 2))
        .await
        .unwrap();
    assert_eq!(data.patient_id, "P1");
    let totals: Vec<Option<i64>> = data
        .responses
        .iter()
        .map(|response| response.scores[0].value)
        .collect();
    assert_eq!(totals, [Some(5), Some(13)]);
    assert_eq!(data.responses[1].questionnaire, PHQ9);
    assert_eq!(data.responses[1].scores[0].band, "moderate");
    assert_eq!(
        data.responses[0].received_at - data.responses[1].received_at,
        1_000_000
    );
    assert_eq!(
        house
            .client
            .get_epro_data(&site, of("P1", 0))
            .await
            .unwrap()
            .responses
            .len(),
        3
    );

    // Two grants that cover the same subject do not double it; its own account sees it too.
    let twice = json!([{"role": "monitor", "study": "T1"}, {"role": "monitor", "study": "T1", "site": "S1"}]);
    let twice = house.context(&twice, None);
    assert_eq!(
        house
            .client
            .get_epro_data(&twice, of("P1", 0))
            .await
            .unwrap()
            .responses
            .len(),
        3
    );
    let own = house.context(&json!([{"role": "patient", "study": "T1"}]), Some("P1"));
    assert_eq!(
        house
            .client
            .get_epro_data(&own, of("P1", 0))
            .await
            .unwrap()
            .responses
            .len(),
        3
    );
}

#[tokio::test]
async fn r_15_others_get_what_a_subject_without_responses_has() {
    let house = House::furnished().await;
    assert_eq!(
        house
            .submit(&house.coordinator(), &phq9("P1", MILD))
            .await
            .status,
        201
    );
    for (grants, subject) in [
        (
            json!([{"role": "coordinator", "study": "T1", "site": "S2"}]),
            None,
        ),
        (json!([{"role": "sponsor", "study": "T2"}]), None),
        (json!([{"role": "patient", "study": "T1"}]), Some("P2")),
    ] {
        let cx = house.context(&grants, subject);
        let data = house.client.get_epro_data(&cx, of("P1", 0)).await.unwrap();
        assert!(data.responses.is_empty(), "{grants}");
    }
    let nobody = house
        .client
        .get_epro_data(&tenon::Context::background(), of("P1", 0))
        .await;
    assert_eq!(nobody.unwrap_err().code(), "TOKEN_MISSING");
    let powerless = house.context(&json!([]), None);
    let refused = house.client.get_epro_data(&powerless, of("P1", 0)).await;
    assert_eq!(refused.unwrap_err().code(), "PERMISSION_DENIED");
    let site = house.context(&json!([{"role": "coordinator", "study": "T1"}]), None);
    for limit in [-1, 201] {
        let refused = house.client.get_epro_data(&site, of("P1", limit)).await;
        assert_eq!(refused.unwrap_err().code(), "REQUEST_INVALID");
    }
}
