//! Lists of responses: pages, filters, and what each caller's list is made of.

use jiff::SignedDuration;

use crate::house::{House, MILD, phq9};

/// One response of each subject, twice, a second apart.
async fn filled(house: &House) -> Vec<String> {
    let mut ids = Vec::new();
    for _ in 0..2 {
        for (subject, study, site) in [
            ("P1", "T1", "S1"),
            ("P2", "T1", "S1"),
            ("P3", "T1", "S2"),
            ("P4", "T2", "S9"),
        ] {
            house.clock.advance(SignedDuration::from_secs(1));
            let response = phq9(subject, MILD);
            let answer = house
                .submit(&house.patient(subject, study, site), &response)
                .await;
            assert_eq!(answer.status, 201, "{}", answer.json);
            ids.push(response["id"].as_str().unwrap().to_owned());
        }
    }
    ids
}

async fn all_pages(house: &House, token: &str, query: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut path = format!("response?limit=2{query}");
    loop {
        let page = house.get(&path, token).await;
        assert!(page.ids().len() <= 2);
        found.extend(page.ids().iter().map(|id| (*id).to_owned()));
        match page.json["nextCursor"].as_str() {
            Some(cursor) => path = format!("response?limit=2{query}&cursor={cursor}"),
            None => return found,
        }
    }
}

#[tokio::test]
async fn lists_hold_what_the_caller_may_see_oldest_first() {
    let house = House::furnished().await;
    let ids = filled(&house).await;
    let picked = |places: &[usize]| -> Vec<String> {
        places.iter().map(|place| ids[*place].clone()).collect()
    };
    let admin = house.admin();
    let site = house.coordinator();
    let study = house.staff("monitor", "T1", None);
    let patient = house.patient("P2", "T1", "S1");
    for (token, query, expected) in [
        (&admin, "", &[0, 1, 2, 3, 4, 5, 6, 7][..]),
        (&admin, "&trialId=T2", &[3, 7]),
        (&admin, "&subjectId=P3", &[2, 6]),
        (&admin, "&subjectId=P3&trialId=T2", &[]),
        (&study, "", &[0, 1, 2, 4, 5, 6]),
        (&study, "&trialId=T1", &[0, 1, 2, 4, 5, 6]),
        (&study, "&trialId=T2", &[]),
        (&study, "&subjectId=P4", &[]),
        (&site, "", &[0, 1, 4, 5]),
        (&site, "&subjectId=P1", &[0, 4]),
        (&site, "&subjectId=P3", &[]),
        (&patient, "", &[1, 5]),
        (&patient, "&subjectId=P2", &[1, 5]),
        (&patient, "&subjectId=P1", &[]),
        (&patient, "&trialId=T1", &[1, 5]),
        (&patient, "&trialId=T2", &[]),
    ] {
        assert_eq!(
            all_pages(&house, token, query).await,
            picked(expected),
            "{query}"
        );
    }
}

#[tokio::test]
async fn cursors_and_limits_that_are_none_are_refused() {
    let house = House::furnished().await;
    let admin = house.admin();
    for query in [
        "cursor=1",
        "cursor=0190a3c4-7b1e-7c3a-9f00-0123456789ab",
        "limit=0",
        "limit=201",
        "limit=x",
    ] {
        let answer = house.get(&format!("response?{query}"), &admin).await;
        assert_eq!(answer.problem(), (400, "REQUEST_INVALID"), "{query}");
    }
}
