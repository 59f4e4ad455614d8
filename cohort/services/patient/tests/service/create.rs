//! New subjects: checked as a whole, sealed, linked to their person, each number once.

use serde_json::{Value, json};
use tenon::{
    Context,
    store::{Rx, args, audit},
};

use crate::kit::{Account, house, now, person, person_with, violations};

/// The standard's own example: female, born on 1949-12-31.
const NUMBER: &str = "11010519491231002X";

#[tokio::test]
async fn a_subject_reads_back_as_it_was_created() {
    let house = house().await;
    let coordinator = Account::coordinator();
    let body = person_with(
        "01-701-1015",
        json!({"name": "王小明", "identityNumber": " １１０１０５１９４９１２３１００２ｘ ", "phone": "+86 138-0013 8000"}),
    );
    let (status, created) = house.create(&coordinator, body).await;
    assert_eq!(status, 201, "{created}");
    let patient = &created["patient"];
    let expected = json!({
        "id": patient["id"], "personId": patient["personId"],
        "name": "王小明", "trialId": "T1", "siteId": "S1", "subjectNo": "01-701-1015",
        "status": 0, "sex": "F", "birthDate": "1949-12-31",
        "identityNumber": NUMBER, "phone": "+8613800138000",
        "createdAt": now().to_string(), "updatedAt": now().to_string(),
    });
    assert_eq!(*patient, expected);
    let path = format!("/api/v1/patient/{}", patient["id"].as_str().unwrap());
    let (status, read) = house.get(&path, &coordinator).await;
    assert_eq!((status.as_u16(), &read), (200, &created));
    // Without `subject.identify` there is no trace of who it is.
    let (status, read) = house.get(&path, &Account::new("sponsor", None, None)).await;
    assert_eq!(status, 200);
    for hidden in ["name", "identityNumber", "phone"] {
        assert!(read["patient"].get(hidden).is_none(), "{hidden}");
    }
    assert_eq!(read["patient"]["subjectNo"], "01-701-1015");
}

#[tokio::test]
async fn everything_that_is_wrong_is_said_at_once_and_never_repeated() {
    let house = house().await;
    let body = json!({
        "trialId": "T1", "siteId": "S1", "subjectNo": " 7", "sex": "F",
        "birthDate": "2024-06-03", "name": "secret\u{0}name", "identityNumber": "110105194912310021",
        "phone": "call 13800138000",
    });
    let (status, problem) = house.create(&Account::coordinator(), body).await;
    assert_eq!(
        (status.as_u16(), problem["code"].as_str()),
        (400, Some("REQUEST_INVALID"))
    );
    let expected = [
        ("subjectNo", "text"),
        ("birthDate", "date"),
        ("name", "text"),
        ("phone", "phone"),
        ("identityNumber", "checksum"),
    ];
    let expected = expected.map(|(path, rule)| (path.to_owned(), rule.to_owned()));
    assert_eq!(violations(&problem), expected);
    let text = problem.to_string();
    for given in ["secret", "110105194912310021", "13800138000"] {
        assert!(!text.contains(given), "{text}");
    }
}

#[tokio::test]
async fn an_identity_number_must_fit_the_date_of_birth() {
    let house = house().await;
    for (n, (birth, number, expected)) in [
        ("1949-12-31", NUMBER, None),
        ("1949-12", NUMBER, None),
        ("1949", NUMBER, None),
        ("1949-12-30", NUMBER, Some(("birthDate", "identity-number"))),
        ("1950", NUMBER, Some(("birthDate", "identity-number"))),
        (
            "1990-02-03",
            "350303900203307",
            Some(("identityNumber", "format")),
        ),
        ("1991-13", NUMBER, Some(("birthDate", "date"))),
        (
            "1991-12-01",
            "990426199112010074",
            Some(("identityNumber", "region")),
        ),
        (
            "1991",
            "360426199113010079",
            Some(("identityNumber", "date")),
        ),
        (
            "1949",
            "11010519491231002",
            Some(("identityNumber", "format")),
        ),
    ]
    .into_iter()
    .enumerate()
    {
        let fields = json!({"birthDate": birth, "identityNumber": number});
        let body = person_with(&n.to_string(), fields);
        let (status, answer) = house.create(&Account::coordinator(), body).await;
        match expected {
            None => assert_eq!(status, 201, "{birth}: {answer}"),
            Some((path, rule)) => {
                assert_eq!(status, 400, "{birth} {number}");
                assert_eq!(violations(&answer), [(path.to_owned(), rule.to_owned())]);
            }
        }
    }
}

#[tokio::test]
async fn a_number_of_the_other_sex_is_kept_and_noted_for_a_question() {
    let house = house().await;
    let cx = Context::background();
    for (no, sex, noted) in [("1", "M", true), ("2", "F", false), ("3", "U", false)] {
        let body = person_with(no, json!({"sex": sex, "identityNumber": NUMBER}));
        let (status, created) = house.create(&Account::coordinator(), body).await;
        assert_eq!(status, 201);
        let id = created["patient"]["id"].as_str().unwrap().to_owned();
        let history = async move |rx: &mut Rx| audit::history(rx, "subject", &id, 10).await;
        let records = house.db.read(&cx, history).await.unwrap();
        let told = records[0].record.attributes.get("sexByIdentityNumber");
        assert_eq!(told.is_some(), noted, "{sex}");
    }
}

#[tokio::test]
async fn a_known_identity_number_is_the_same_person_and_shows_nobody_elses_entries() {
    let house = house().await;
    let here = Account::coordinator();
    let there = Account::new("coordinator", Some("T2"), Some("S3"));
    let fields = json!({"name": "王小明", "identityNumber": NUMBER, "phone": "13800138000"});
    let (_, first) = house.create(&here, person_with("1", fields)).await;
    let fields = json!({
        "trialId": "T2", "siteId": "S3", "birthDate": "1949", "identityNumber": "11010519491231002x",
        "name": "somebody who tries numbers",
    });
    let (status, second) = house.create(&there, person_with("1", fields)).await;
    assert_eq!(status, 201, "{second}");
    assert_eq!(first["patient"]["personId"], second["patient"]["personId"]);
    assert_ne!(first["patient"]["id"], second["patient"]["id"]);
    assert_eq!(second["patient"]["name"], "somebody who tries numbers");
    assert!(second["patient"].get("phone").is_none());
    // Equal names, or none, make nobody the same.
    let (_, third) = house
        .create(&here, person_with("2", json!({"name": "王小明"})))
        .await;
    let (_, fourth) = house
        .create(&here, person_with("3", json!({"name": "王小明"})))
        .await;
    assert_ne!(third["patient"]["personId"], fourth["patient"]["personId"]);
    assert_ne!(third["patient"]["personId"], first["patient"]["personId"]);
}

#[tokio::test]
async fn a_request_that_comes_again_is_told_its_subject() {
    let house = house().await;
    let coordinator = Account::coordinator();
    let fields = json!({"phone": "13800138000", "identityNumber": NUMBER});
    let body = person_with("7", fields);
    let (_, created) = house.create(&coordinator, body.clone()).await;
    let id = created["patient"]["id"].as_str().unwrap();
    // The same in another spelling, and another one with its number.
    let mut again = body.clone();
    again["phone"] = json!("138 0013 8000");
    let (status, problem) = house.create(&coordinator, again).await;
    assert_eq!(
        (status.as_u16(), problem["code"].as_str()),
        (409, Some("SUBJECT_NO_TAKEN"))
    );
    assert!(
        problem["detail"].as_str().unwrap().contains(id),
        "{problem}"
    );
    let mut other = body.clone();
    other["phone"] = json!("13800138001");
    let mut elsewhere = body.clone();
    elsewhere["siteId"] = json!("S2");
    let both = coordinator
        .clone()
        .and("coordinator", Some("T1"), Some("S2"));
    let only_there = Account::new("coordinator", Some("T1"), Some("S2"));
    for (account, body) in [
        (&coordinator, other),
        (&both, elsewhere.clone()),
        (&only_there, elsewhere),
    ] {
        let (status, problem) = house.create(account, body).await;
        assert_eq!(
            (status.as_u16(), problem["code"].as_str()),
            (409, Some("SUBJECT_NO_TAKEN"))
        );
        assert!(!problem.to_string().contains(id), "{problem}");
    }
    // In another study the number is free.
    let account = Account::new("coordinator", Some("T2"), None);
    let body = person_with("7", json!({"trialId": "T2", "siteId": "S3"}));
    assert_eq!(house.create(&account, body).await.0, 201);
}

#[tokio::test]
async fn of_many_at_the_same_time_one_has_the_number() {
    let house = std::sync::Arc::new(house().await);
    let mut asked = Vec::new();
    for n in 0..16 {
        let house = house.clone();
        asked.push(tokio::spawn(async move {
            let body = person_with("7", json!({"name": format!("name {n}")}));
            house.create(&Account::coordinator(), body).await.0.as_u16()
        }));
    }
    let mut statuses = Vec::new();
    for one in asked {
        statuses.push(one.await.unwrap());
    }
    statuses.sort_unstable();
    assert_eq!(statuses[..2], [201, 409]);
    assert_eq!(statuses[15], 409);
    let cx = Context::background();
    let count = async |sql: &'static str| house.db.one::<i64>(&cx, sql, args![]).await.unwrap();
    assert_eq!(count("SELECT count(*) FROM subject").await, 1);
    assert_eq!(count("SELECT count(*) FROM person").await, 1);
    assert_eq!(count("SELECT count(*) FROM data_key").await, 1);
    assert_eq!(count("SELECT count(*) FROM audit_record").await, 1);
}

#[tokio::test]
async fn of_many_at_the_same_time_an_identity_number_is_one_person() {
    let house = std::sync::Arc::new(house().await);
    let mut asked = Vec::new();
    for n in 0..16 {
        let house = house.clone();
        asked.push(tokio::spawn(async move {
            let body = person_with(&n.to_string(), json!({"identityNumber": NUMBER}));
            let (status, created) = house.create(&Account::coordinator(), body).await;
            assert_eq!(status, 201);
            created["patient"]["personId"].as_str().unwrap().to_owned()
        }));
    }
    let mut persons = std::collections::BTreeSet::new();
    for one in asked {
        persons.insert(one.await.unwrap());
    }
    assert_eq!(persons.len(), 1);
}

#[tokio::test]
async fn a_study_that_does_not_recruit_and_a_site_that_is_not_active_take_nobody() {
    let house = house().await;
    let account = Account::new("investigator", None, None);
    for state in [
        "draft",
        "ready",
        "suspended",
        "closed-to-accrual",
        "completed",
        "locked",
    ] {
        house.trials.set("T1", state);
        let (status, problem) = house.create(&account, person("1")).await;
        assert_eq!(
            (status.as_u16(), problem["code"].as_str()),
            (409, Some("TRIAL_NOT_RECRUITING"))
        );
        assert!(problem["detail"].as_str().unwrap().contains(state));
    }
    house.trials.set("T1", "recruiting");
    for state in ["planned", "suspended", "closed"] {
        house.trials.set("S1", state);
        let (status, problem) = house.create(&account, person("1")).await;
        assert_eq!(
            (status.as_u16(), problem["code"].as_str()),
            (409, Some("SITE_NOT_ACTIVE"))
        );
    }
    house.trials.set("S1", "active");
    for (fields, code) in [
        (json!({"siteId": "S3"}), "SITE_NOT_FOUND"),
        (json!({"trialId": "T9"}), "TRIAL_NOT_FOUND"),
    ] {
        let (status, problem) = house.create(&account, person_with("1", fields)).await;
        assert_eq!(
            (status.as_u16(), problem["code"].as_str()),
            (404, Some(code))
        );
    }
    *house.trials.is_down.lock().unwrap() = true;
    let (status, problem) = house.create(&account, person("1")).await;
    assert_eq!(
        (status.as_u16(), problem["code"].as_str()),
        (503, Some("UNAVAILABLE"))
    );
    *house.trials.is_down.lock().unwrap() = false;
    assert_eq!(house.create(&account, person("1")).await.0, 201);
}

#[tokio::test]
async fn r_01_the_record_of_a_new_subject_has_its_values_sealed() {
    let house = house().await;
    let body = person_with(
        "7",
        json!({"identityNumber": NUMBER, "phone": "13800138000"}),
    );
    let (_, created) = house.create(&Account::coordinator(), body).await;
    let id = created["patient"]["id"].as_str().unwrap().to_owned();
    let entity = id.clone();
    let history = async move |rx: &mut Rx| audit::history(rx, "subject", &entity, 10).await;
    let records = house
        .db
        .read(&Context::background(), history)
        .await
        .unwrap();
    let [record] = records.as_slice() else {
        panic!("one change leaves one record")
    };
    let record = &record.record;
    assert_eq!(
        (record.stream.as_str(), record.action.as_str()),
        ("T1", "subject.create")
    );
    assert_eq!(record.actor_role, "coordinator");
    assert_eq!(record.attributes["subject"], id);
    let new = record.new.as_ref().unwrap();
    assert_eq!(
        (&new["status"], &new["subjectNo"]),
        (&json!(0), &json!("7"))
    );
    for sealed in ["name", "identityNumber", "phone"] {
        assert!(
            matches!(new[sealed]["sealed"], Value::String(_)),
            "{sealed}"
        );
    }
    assert!(house.db.verify_audit().await.unwrap().is_sound());
}
