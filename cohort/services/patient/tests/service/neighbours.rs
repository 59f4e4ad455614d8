//! What other services ask, in the process and over a socket.

use std::path::Path;

use patient::Config;
use patient_contract::rpc::{
    Answers, CountEnrolledReq, GetPatientReq, GetPatientsByTrialReq, GetStandingReq, PatientClient,
    PatientService,
};
use serde_json::json;
use tenon::{
    Context, Result,
    store::{Tx, args},
};

use crate::kit::{Account, House, house, house_in, person_with};

/// More than the article's example, and than one page of a list.
const MANY: usize = 310;

async fn by_trial(
    client: &PatientClient,
    cx: &Context,
    study: &str,
) -> Result<Vec<(String, String, i32)>> {
    let trial_id = study.to_owned();
    let told = client
        .get_patients_by_trial(cx, GetPatientsByTrialReq { trial_id })
        .await?;
    let row =
        |one: patient_contract::rpc::PatientInfo| (one.id, one.name.into_exposed(), one.status);
    Ok(told.patients.into_iter().map(row).collect())
}

/// The article's call, the same from everywhere.
async fn list_as_everybody(house: &House, client: &PatientClient, ids: &[String]) {
    let names = |account: Account| async move {
        let cx = house.context(&account);
        by_trial(client, &cx, "T1").await.unwrap()
    };
    let all: Vec<(String, String, i32)> = ids
        .iter()
        .enumerate()
        .map(|(n, id)| (id.clone(), format!("受试者 {n}"), i32::from(n == 0)))
        .collect();
    assert_eq!(
        names(Account::new("investigator", Some("T1"), None)).await,
        all
    );
    // Again, from the names that are open already.
    assert_eq!(names(Account::new("investigator", None, None)).await, all);
    let unnamed: Vec<(String, String, i32)> = all
        .iter()
        .map(|(id, _, status)| (id.clone(), String::new(), *status))
        .collect();
    assert_eq!(
        names(Account::new("sponsor", Some("T1"), None)).await,
        unnamed
    );
    // At one site: every second one.
    let near: Vec<_> = all.iter().step_by(2).cloned().collect();
    assert_eq!(names(Account::coordinator()).await, near);
    // A coordinator here who monitors the whole study knows the names of one site.
    let mixed = Account::coordinator().and("monitor", Some("T1"), None);
    let known: Vec<_> = (0..all.len())
        .map(|n| {
            if n % 2 == 0 {
                all[n].clone()
            } else {
                unnamed[n].clone()
            }
        })
        .collect();
    assert_eq!(names(mixed).await, known);
    assert_eq!(names(Account::patient("T1", &ids[1])).await, unnamed[1..2]);
    // Hidden and unknown studies are empty.
    assert_eq!(
        names(Account::new("coordinator", Some("T2"), None)).await,
        []
    );
    let cx = house.context(&Account::new("admin", None, None));
    assert_eq!(by_trial(client, &cx, "nowhere").await.unwrap(), []);
    let error = by_trial(client, &Context::background(), "T1")
        .await
        .unwrap_err();
    assert_eq!((error.code(), error.http_status()), ("TOKEN_MISSING", 401));
}

#[tokio::test]
async fn the_subjects_of_a_study_are_told_in_the_process_and_over_a_socket() {
    let house = house().await;
    let account = Account::new("investigator", Some("T1"), None);
    let mut ids = Vec::new();
    for n in 0..MANY {
        let fields = json!({"siteId": (["S1", "S2"][n % 2])});
        let (status, body) = house
            .create(&account, person_with(&n.to_string(), fields))
            .await;
        assert_eq!(status, 201, "{body}");
        ids.push(body["patient"]["id"].as_str().unwrap().to_owned());
    }
    assert_eq!(house.shift(&ids[0], 1, "2024-05-01").await.0, 200);
    list_as_everybody(&house, &house.client, &ids).await;
    let (client, running) = house.remote().await;
    list_as_everybody(&house, &client, &ids).await;
    let req = CountEnrolledReq {
        trial_id: "T1".to_owned(),
    };
    let told = client
        .count_enrolled(&Context::background(), req)
        .await
        .unwrap();
    assert_eq!(told.enrolled, 1);
    running.life().drain();
    running.wait().await.unwrap();
}

#[tokio::test]
async fn a_study_is_told_whole_or_refused_for_its_size() {
    // Rows of a number that no test could create one by one.
    const FILL: &str = "WITH RECURSIVE row (n) AS
            (SELECT $1 UNION ALL SELECT n + 1 FROM row WHERE n < $2)
        INSERT INTO subject (id, person_id, study_id, site_id, subject_no, sex, birth_date,
            content_index, time_zone, status, ever_enrolled, version, created_at, created_by,
            updated_at)
        SELECT CAST(n AS TEXT), 'person', 'T2', 'S3', CAST(n AS TEXT), 'U', '1960', $3, 'UTC',
            0, false, 1, 0, 'nobody', 0 FROM row";
    const PERSON: &str = "INSERT INTO person (id, created_at) VALUES ('person', 0)
        ON CONFLICT (id) DO NOTHING";
    let house = house().await;
    let cx = house.context(&Account::new("sponsor", Some("T2"), None));
    let fill = async |from: i64, to: i64| {
        let rows = async move |tx: &mut Tx| {
            tx.execute(PERSON, args![]).await?;
            tx.execute(FILL, args![from, to, [0_u8; 16]]).await
        };
        house
            .db
            .write_alone(&Context::background(), rows)
            .await
            .unwrap()
    };
    for (from, to, expected) in [(100_001, 102_000, 2_000), (102_001, 104_500, 4_500)] {
        fill(from, to).await;
        let told = by_trial(&house.client, &cx, "T2").await.unwrap();
        assert_eq!(told.len(), expected);
        assert!(told.is_sorted());
    }
    fill(104_501, 120_001).await;
    let error = by_trial(&house.client, &cx, "T2").await.unwrap_err();
    assert_eq!(error.code(), "TRIAL_TOO_LARGE");
}

#[tokio::test]
async fn what_was_sealed_opens_after_a_restart() {
    let before = house().await;
    let id = before.subject("7").await;
    before.db.close().await.unwrap();
    let House { folder, .. } = before;
    let house = house_in(folder).await;
    let path = format!("/api/v1/patient/{id}");
    let (status, read) = house.get(&path, &Account::coordinator()).await;
    assert_eq!(
        (status.as_u16(), read["patient"]["name"].as_str()),
        (200, Some("受试者 7"))
    );
}

#[tokio::test]
async fn one_subject_is_told_with_its_name_where_that_may_be_known() {
    let house = house().await;
    let id = house.subject("7").await;
    for (account, name) in [
        (Account::coordinator(), "受试者 7"),
        (Account::new("monitor", Some("T1"), None), ""),
        (Account::patient("T1", &id), ""),
    ] {
        let cx = house.context(&account);
        let told = house
            .client
            .get_patient_info(&cx, GetPatientReq { id: id.clone() })
            .await;
        let told = told.unwrap();
        let info = told.patient.unwrap();
        assert_eq!(
            (info.id.as_str(), info.name.expose().as_str(), info.status),
            (id.as_str(), name, 0)
        );
        assert_eq!(
            (told.trial_id.as_str(), told.site_id.as_str()),
            ("T1", "S1")
        );
        assert_eq!(told.subject_no, "7");
    }
}

#[tokio::test]
async fn who_is_enrolled_or_left_answers_what_the_study_assigns() {
    let house = house().await;
    for (status, way, expected) in [
        (0, vec![], Answers::Screening),
        (1, vec![1], Answers::Assigned),
        (2, vec![1, 2], Answers::Assigned),
        (3, vec![3], Answers::None),
        (4, vec![1, 4], Answers::Assigned),
        (5, vec![1, 5], Answers::None),
        (6, vec![1, 6], Answers::None),
    ] {
        let id = house.subject(&status.to_string()).await;
        for to in way {
            assert_eq!(house.shift(&id, to, "2024-05-01").await.0, 200);
        }
        for account in [Account::coordinator(), Account::patient("T1", &id)] {
            let cx = house.context(&account);
            let req = GetStandingReq { id: id.clone() };
            let told = house.client.get_standing(&cx, req).await.unwrap();
            assert_eq!((told.status, told.answers()), (status, expected));
            assert_eq!(
                (told.trial_id.as_str(), told.site_id.as_str()),
                ("T1", "S1")
            );
        }
    }
}

#[test]
fn the_shipped_configuration_is_one() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("etc/patient.yaml");
    let config: Config = tenon::config::load(&path).unwrap();
    assert_eq!(config.clients["trial"].endpoints, ["127.0.0.1:9102"]);
    assert_eq!(config.rest.listen.port(), 8101);
    assert!(config.keyring.ends_with("patient.keys"));
}
