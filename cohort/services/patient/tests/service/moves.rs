//! Moves: the table and nothing else, with reason and day, told to everybody who has to know.

use patient_contract::rpc::{CountEnrolledReq, PatientService};
use serde_json::{Value, json};
use tenon::{
    Context,
    store::{Rx, args, audit},
};

use crate::kit::{Account, House, house, violations};

/// The moves that clinical.md 2.3 allows, written out.
const TABLE: [(i64, i64); 6] = [(0, 1), (0, 3), (1, 2), (1, 4), (1, 5), (1, 6)];

/// A subject that was brought to a status.
async fn in_status(house: &House, subject_no: &str, status: i64) -> String {
    let id = house.subject(subject_no).await;
    let way: &[i64] = match status {
        0 => &[],
        1 => &[1],
        3 => &[3],
        _ => &[1, status],
    };
    for to in way {
        let (answer, body) = house.shift(&id, *to, "2024-05-01").await;
        assert_eq!(answer, 200, "{body}");
    }
    id
}

async fn enrolled(house: &House) -> i64 {
    let req = CountEnrolledReq {
        trial_id: "T1".to_owned(),
    };
    let told = house
        .client
        .count_enrolled(&Context::background(), req)
        .await
        .unwrap();
    told.enrolled
}

#[tokio::test]
async fn r_17_every_move_is_in_the_table_or_refused() {
    let house = house().await;
    for from in 0..7 {
        for to in 0..7 {
            let id = in_status(&house, &format!("{from}{to}"), from).await;
            let (status, answer) = house.shift(&id, to, "2024-05-01").await;
            if TABLE.contains(&(from, to)) {
                assert_eq!(status, 200, "{from} to {to}: {answer}");
                assert_eq!(answer["patient"]["status"], to);
            } else {
                assert_eq!(status, 409, "{from} to {to}: {answer}");
                assert_eq!(answer["code"], "SUBJECT_MOVE_REFUSED");
                let path = format!("/api/v1/patient/{id}");
                let (_, read) = house.get(&path, &Account::coordinator()).await;
                assert_eq!(read["patient"]["status"], from, "nothing has changed");
            }
        }
    }
    let cx = Context::background();
    const EVER: &str = "SELECT count(*) FROM subject WHERE ever_enrolled = 1";
    let rows: i64 = house.db.one(&cx, EVER, args![]).await.unwrap();
    // All but those of the rows 0 and 3, and the one that went from 0 to 1.
    assert_eq!((rows, enrolled(&house).await), (36, 36));
    assert!(house.db.verify_audit().await.unwrap().is_sound());
}

#[tokio::test]
async fn a_move_has_a_reason_and_a_day_that_can_be() {
    let house = house().await;
    let id = house.subject("1").await;
    let path = format!("/api/v1/patient/{id}/status");
    let send = async |body: Value| house.post(&path, &Account::coordinator(), body).await;
    let long = "x".repeat(2_001);
    for (reason, date, expected) in [
        ("", "2024-05-01", vec![("reason", "required")]),
        (" \t\n", "2024-05-01", vec![("reason", "required")]),
        (&long, "2024-05-01", vec![("reason", "text")]),
        ("a\u{0}b", "2024-05-01", vec![("reason", "text")]),
        ("why", "2024-06-03", vec![("date", "range")]),
        ("why", "1949-12-30", vec![("date", "range")]),
        (
            "",
            "2024-05",
            vec![("reason", "required"), ("date", "date")],
        ),
        ("why", "2024-02-30", vec![("date", "date")]),
        ("why", "2024-05-01T10:00:00Z", vec![("date", "date")]),
        ("why", "", vec![("date", "date")]),
    ] {
        let (status, problem) = send(json!({"status": 1, "reason": reason, "date": date})).await;
        assert_eq!(status, 400, "{reason} {date}: {problem}");
        let expected: Vec<(String, String)> = expected
            .into_iter()
            .map(|(path, rule)| (path.to_owned(), rule.to_owned()))
            .collect();
        assert_eq!(violations(&problem), expected);
    }
    for body in [
        json!({"status": 7, "reason": "why", "date": "2024-05-01"}),
        json!({"status": 1.5, "reason": "why", "date": "2024-05-01"}),
        json!({"status": 1, "date": "2024-05-01"}),
        json!({"status": 1, "reason": "why"}),
    ] {
        assert_eq!(send(body).await.0, 400);
    }
    // Today is that of the site: in Shanghai the second of June has begun.
    let (status, moved) = send(json!({"status": 1, "reason": "why", "date": "2024-06-02"})).await;
    assert_eq!(status, 200, "{moved}");
    let (status, problem) = send(json!({"status": 2, "reason": "why", "date": "2024-06-01"})).await;
    assert_eq!(status, 400, "before the enrolment: {problem}");
    assert_eq!(
        violations(&problem),
        [("date".to_owned(), "range".to_owned())]
    );
}

#[tokio::test]
async fn a_day_that_has_not_begun_at_the_site_is_in_the_future() {
    let house = house().await;
    let account = Account::new("investigator", Some("T1"), Some("S2"));
    let body = crate::kit::person_with("1", json!({"siteId": "S2"}));
    let (_, created) = house.create(&account, body).await;
    let path = format!(
        "/api/v1/patient/{}/status",
        created["patient"]["id"].as_str().unwrap()
    );
    let body = |date: &str| json!({"status": 3, "reason": "why", "date": date});
    assert_eq!(house.post(&path, &account, body("2024-06-02")).await.0, 400);
    assert_eq!(house.post(&path, &account, body("2024-06-01")).await.0, 200);
}

#[tokio::test]
async fn r_01_a_move_is_told_with_reason_day_and_both_states() {
    let house = house().await;
    let id = in_status(&house, "1", 2).await;
    let cx = Context::background();
    let entity = id.clone();
    let history = async move |rx: &mut Rx| audit::history(rx, "subject", &entity, 10).await;
    let records = house.db.read(&cx, history).await.unwrap();
    let actions: Vec<&str> = records
        .iter()
        .map(|one| one.record.action.as_str())
        .collect();
    assert_eq!(actions, ["subject.create", "subject.move", "subject.move"]);
    let last = &records[2].record;
    assert_eq!(last.reason.as_deref(), Some("as the protocol says"));
    assert_eq!(last.old, Some(json!({"status": 1, "date": "2024-05-01"})));
    assert_eq!(last.new, Some(json!({"status": 2, "date": "2024-05-01"})));
    assert_eq!(last.attributes["site"], "S1");

    const STAYS: &str = "SELECT number, status, from_day, to_day, reason, moved_by_role
        FROM episode WHERE subject_id = $1 ORDER BY number";
    type Stay = (
        i64,
        i64,
        Option<String>,
        Option<String>,
        Option<String>,
        String,
    );
    let stays: Vec<Stay> = house.db.all(&cx, STAYS, args![id]).await.unwrap();
    let day = || Some("2024-05-01".to_owned());
    let why = || Some("as the protocol says".to_owned());
    let who = || "coordinator".to_owned();
    let expected = [
        (1, 0, None, day(), None, who()),
        (2, 1, day(), day(), why(), who()),
        (3, 2, day(), None, why(), who()),
    ];
    assert_eq!(stays, expected);
}

#[tokio::test]
async fn the_enrolled_are_those_who_ever_were() {
    let house = house().await;
    assert_eq!(enrolled(&house).await, 0);
    for (no, status, expected) in [
        ("1", 0, 0),
        ("2", 3, 0),
        ("3", 1, 1),
        ("4", 2, 2),
        ("5", 6, 3),
    ] {
        in_status(&house, no, status).await;
        assert_eq!(enrolled(&house).await, expected);
    }
}

#[tokio::test]
async fn of_two_moves_at_the_same_time_one_is_made() {
    let house = house().await;
    for n in 0..8 {
        let id = in_status(&house, &n.to_string(), 1).await;
        let (one, two) = tokio::join!(
            house.shift(&id, 2, "2024-05-02"),
            house.shift(&id, 4, "2024-05-02")
        );
        let mut statuses = [one.0.as_u16(), two.0.as_u16()];
        statuses.sort_unstable();
        assert_eq!(statuses, [200, 409]);
    }
}

#[tokio::test]
async fn enrolment_needs_an_open_site_and_leaving_needs_nobody() {
    let house = house().await;
    let id = house.subject("1").await;
    house.trials.set("S1", "suspended");
    let (status, problem) = house.shift(&id, 1, "2024-05-01").await;
    assert_eq!(
        (status.as_u16(), problem["code"].as_str()),
        (409, Some("SITE_NOT_ACTIVE"))
    );
    house.trials.set("S1", "active");
    house.trials.set("T1", "closed-to-accrual");
    let (status, problem) = house.shift(&id, 1, "2024-05-01").await;
    assert_eq!(
        (status.as_u16(), problem["code"].as_str()),
        (409, Some("TRIAL_NOT_RECRUITING"))
    );
    house.trials.set("T1", "recruiting");
    assert_eq!(house.shift(&id, 1, "2024-05-01").await.0, 200);
    *house.trials.is_down.lock().unwrap() = true;
    assert_eq!(house.shift(&id, 6, "2024-05-02").await.0, 200);
}
