//! Studies: created whole or not at all, read, listed, audited.

use serde_json::{Value, json};
use tenon::store::{Rx, audit};

use crate::kit::{Account, house, now, violations};

fn whole() -> Value {
    json!({
        "code": "CDISCPILOT01",
        "title": "阿尔茨海默病研究",
        "target": 300,
        "arms": [{"code": "Pbo", "title": "Placebo"}, {"code": "Xan_Hi", "title": "High dose"}],
        "cycles": [
            {"code": "SCR", "title": "Screening", "screening": true, "offsetDays": -7,
             "windowBeforeDays": 7, "questionnaires": ["http://cohort.example/phq9|1.0"]},
            {"code": "WEEK 2", "title": "Week 2", "offsetDays": 14, "windowBeforeDays": 3,
             "windowAfterDays": 3,
             "questionnaires": ["http://cohort.example/gad7|1.0", "http://cohort.example/phq9|1.0"]},
            {"code": "END", "title": "End"},
        ],
    })
}

#[tokio::test]
async fn a_study_reads_back_as_it_was_created() {
    let house = house().await;
    let admin = Account::admin();
    let (status, created) = house.post("/api/v1/trial", &admin, whole()).await;
    assert_eq!(status, 201, "{created}");
    let id = created["id"].as_str().unwrap();
    assert_eq!(created["status"], "recruiting");
    assert_eq!(created["createdAt"], now().to_string());
    assert_eq!(created["arms"], whole()["arms"]);
    assert_eq!(
        created["cycles"][1]["questionnaires"],
        whole()["cycles"][1]["questionnaires"]
    );
    assert_eq!(created["cycles"][2]["offsetDays"], 0);
    let (status, read) = house.get(&format!("/api/v1/trial/{id}"), &admin).await;
    assert_eq!((status.as_u16(), &read), (200, &created));
    let (_, list) = house.get("/api/v1/trial", &admin).await;
    assert_eq!(list, json!({"items": [created]}));
}

#[tokio::test]
async fn everything_that_is_wrong_is_said_at_once() {
    let house = house().await;
    let arm = |code: &str| json!({"code": code, "title": "t"});
    let body = json!({
        "code": " A", "title": "", "target": 1,
        "arms": [arm("A"), arm("B"), arm("A"), arm("")],
        "cycles": [
            {"code": "C", "title": "t", "questionnaires": ["http://a|1", "http://a|1", "phq9"]},
            {"code": "C", "title": "bell\u{7}"},
        ],
    });
    let (status, problem) = house.post("/api/v1/trial", &Account::admin(), body).await;
    assert_eq!(
        (status.as_u16(), problem["code"].as_str()),
        (400, Some("REQUEST_INVALID"))
    );
    let expected = [
        ("code", "text"),
        ("title", "text"),
        ("arms[2].code", "unique"),
        ("arms[3].code", "text"),
        ("cycles[0].questionnaires[1]", "unique"),
        ("cycles[0].questionnaires[2]", "canonical"),
        ("cycles[1].title", "text"),
        ("cycles[1].code", "unique"),
    ];
    let expected = expected.map(|(path, rule)| (path.to_owned(), rule.to_owned()));
    assert_eq!(violations(&problem), expected);
    let (_, list) = house.get("/api/v1/trial", &Account::admin()).await;
    assert_eq!(list["items"], json!([]));
}

#[tokio::test]
async fn what_the_contract_refuses_never_reaches_the_study() {
    let house = house().await;
    let admin = Account::admin();
    for (change, path) in [
        (json!({"target": 0}), "target"),
        (json!({"target": 10_000_001}), "target"),
        (json!({"target": "many"}), "target"),
        (json!({"status": "locked"}), "status"),
        (
            json!({"cycles": [{"code": "C", "title": "t", "offsetDays": 4000}]}),
            "cycles[0].offsetDays",
        ),
    ] {
        let mut body = json!({"code": "A", "title": "t"});
        body.as_object_mut()
            .unwrap()
            .extend(change.as_object().unwrap().clone());
        let (status, problem) = house.post("/api/v1/trial", &admin, body).await;
        assert_eq!(status, 400, "{problem}");
        assert_eq!(violations(&problem)[0].0, path);
    }
    let many: Vec<Value> = (0..101)
        .map(|n| json!({"code": n.to_string(), "title": "t"}))
        .collect();
    let body = json!({"code": "A", "title": "t", "arms": many});
    let (status, problem) = house.post("/api/v1/trial", &admin, body).await;
    assert_eq!(status, 400);
    assert_eq!(
        violations(&problem),
        [("arms".to_owned(), "length".to_owned())]
    );
}

#[tokio::test]
async fn a_code_is_used_once_also_by_two_at_the_same_time() {
    let house = house().await;
    let admin = Account::admin();
    let (one, two) = tokio::join!(
        house.post(
            "/api/v1/trial",
            &admin,
            json!({"code": "A", "title": "one"})
        ),
        house.post(
            "/api/v1/trial",
            &admin,
            json!({"code": "A", "title": "two"})
        ),
    );
    let mut statuses = [one.0.as_u16(), two.0.as_u16()];
    statuses.sort_unstable();
    assert_eq!(statuses, [201, 409]);
    let refused = if one.0 == 409 { one.1 } else { two.1 };
    assert_eq!(refused["code"], "TRIAL_CODE_TAKEN");
    let (_, list) = house.get("/api/v1/trial", &admin).await;
    assert_eq!(list["items"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn pages_follow_each_other_and_bad_ones_are_refused() {
    let house = house().await;
    let mut ids = Vec::new();
    for n in 0..7 {
        ids.push(
            house
                .study(json!({"code": format!("T{n}"), "title": "t"}))
                .await,
        );
    }
    let sponsor = ids[1..6]
        .iter()
        .fold(Account::new("sponsor", Some(&ids[0]), None), |a, id| {
            a.and("sponsor", Some(id), None)
        });
    for (account, expected) in [(Account::admin(), &ids[..]), (sponsor, &ids[..6])] {
        let (mut seen, mut path, mut pages) = (Vec::new(), "/api/v1/trial?limit=3".to_owned(), 0);
        loop {
            let (status, page) = house.get(&path, &account).await;
            assert_eq!(status, 200, "{page}");
            let items = page["items"].as_array().unwrap();
            seen.extend(
                items
                    .iter()
                    .map(|item| item["id"].as_str().unwrap().to_owned()),
            );
            pages += 1;
            let Some(cursor) = page["nextCursor"].as_str() else {
                break;
            };
            path = format!("/api/v1/trial?limit=3&cursor={cursor}");
        }
        assert_eq!(seen, expected);
        assert_eq!(pages, expected.len().div_ceil(3));
    }
    for bad in ["cursor=abc", "limit=0", "limit=201", "limit=x"] {
        let (status, problem) = house
            .get(&format!("/api/v1/trial?{bad}"), &Account::admin())
            .await;
        assert_eq!(status, 400, "{bad}: {problem}");
        assert_eq!(problem["errors"][0]["in"], "query");
    }
}

#[tokio::test]
async fn r_01_each_change_leaves_one_record_of_who_and_what() {
    let house = house().await;
    let id = house.study(whole()).await;
    let site = house.site(&id, "701").await;
    // What is refused leaves none.
    house
        .post("/api/v1/trial", &Account::admin(), whole())
        .await;
    let cx = tenon::Context::background();
    let stream = id.clone();
    let list = async move |rx: &mut Rx| audit::list(rx, &stream, 0, 10).await;
    let records = house.db.read(&cx, list).await.unwrap();
    let told: Vec<(&str, &str)> = records
        .iter()
        .map(|one| (one.record.action.as_str(), one.record.entity_id.as_str()))
        .collect();
    assert_eq!(
        told,
        [
            ("study.create", id.as_str()),
            ("site.create", site.as_str())
        ]
    );
    let record = &records[0].record;
    assert_eq!(
        (record.actor.as_str(), record.actor_role.as_str()),
        ("account-admin", "admin")
    );
    assert_eq!(record.session.as_deref(), Some("session-1"));
    assert_eq!(record.time, now());
    assert_eq!(record.old, None);
    assert_eq!(record.new.as_ref().unwrap()["target"], 300);
    assert_eq!(
        records[1].record.new.as_ref().unwrap()["timeZone"],
        "Asia/Shanghai"
    );
    let report = house.db.verify_audit().await.unwrap();
    assert!(report.problems.is_empty(), "{report:?}");
}
