//! Lists: what the grants cover, page by page, with names for those who may know them.

use serde_json::{Value, json};

use crate::kit::{Account, House, house, person_with};

/// Subjects at the three sites in turn; gives their ids by site.
async fn fill(house: &House, count: usize) -> [Vec<String>; 3] {
    let account = Account::new("investigator", None, None);
    let mut ids = [const { Vec::new() }; 3];
    for n in 0..count {
        let (study, site) = [("T1", "S1"), ("T1", "S2"), ("T2", "S3")][n % 3];
        let fields = json!({"trialId": study, "siteId": site});
        let (status, body) = house
            .create(&account, person_with(&n.to_string(), fields))
            .await;
        assert_eq!(status, 201, "{body}");
        ids[n % 3].push(body["patient"]["id"].as_str().unwrap().to_owned());
    }
    ids
}

/// All pages of a list.
async fn walk(house: &House, account: &Account, query: &str) -> Vec<Value> {
    let (mut items, mut cursor) = (Vec::new(), String::new());
    loop {
        let path = format!("/api/v1/patient?{query}{cursor}");
        let (status, page) = house.get(&path, account).await;
        assert_eq!(status, 200, "{page}");
        items.extend(page["items"].as_array().unwrap().iter().cloned());
        match page["nextCursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return items,
        }
    }
}

fn ids(items: &[Value]) -> Vec<&str> {
    items
        .iter()
        .map(|item| item["id"].as_str().unwrap())
        .collect()
}

fn sorted<'a>(lists: impl IntoIterator<Item = &'a Vec<String>>) -> Vec<&'a str> {
    let mut all: Vec<&str> = lists.into_iter().flatten().map(String::as_str).collect();
    all.sort_unstable();
    all
}

#[tokio::test]
async fn r_15_lists_hold_what_the_grants_cover_on_every_page() {
    let house = house().await;
    let [first, second, third] = fill(&house, 60).await;
    let everybody = Account::new("admin", None, None);
    let study = Account::new("sponsor", Some("T1"), None);
    let site = Account::coordinator();
    let mixed = Account::coordinator().and("monitor", Some("T2"), None);
    let doubled = site.clone().and("monitor", Some("T1"), None);
    let own = Account::patient("T1", &first[3]);
    let foreign = Account::patient("T2", &first[3]);
    let own_one = vec![first[3].clone()];
    for query in ["limit=7", "limit=200", "limit=1", ""] {
        let told = |account| walk(&house, account, query);
        assert_eq!(
            ids(&told(&everybody).await),
            sorted([&first, &second, &third])
        );
        assert_eq!(ids(&told(&study).await), sorted([&first, &second]));
        assert_eq!(ids(&told(&site).await), sorted([&first]));
        assert_eq!(ids(&told(&mixed).await), sorted([&first, &third]));
        assert_eq!(ids(&told(&doubled).await), sorted([&first, &second]));
        assert_eq!(ids(&told(&own).await), sorted([&own_one]));
        assert!(told(&foreign).await.is_empty());
    }
    for (account, study, expected) in [
        (&everybody, "T1", sorted([&first, &second])),
        (&mixed, "T1", sorted([&first])),
        (&mixed, "T2", sorted([&third])),
        (&site, "T2", vec![]),
        (&everybody, "T9", vec![]),
        (&own, "T2", vec![]),
        (&own, "T1", sorted([&own_one])),
    ] {
        let query = format!("limit=9&trialId={study}");
        assert_eq!(ids(&walk(&house, account, &query).await), expected);
    }
}

#[tokio::test]
async fn a_list_names_those_whom_the_caller_may_know() {
    let house = house().await;
    fill(&house, 9).await;
    // A coordinator at one site and a monitor of the other study.
    let account = Account::coordinator().and("monitor", Some("T2"), None);
    for item in walk(&house, &account, "limit=50").await {
        let named = item["siteId"] == "S1";
        assert_eq!(item.get("name").is_some(), named, "{item}");
        if named {
            let no = item["subjectNo"].as_str().unwrap();
            assert_eq!(item["name"], format!("受试者 {no}"));
        }
    }
}

#[tokio::test]
async fn bad_pages_are_refused() {
    let house = house().await;
    for bad in [
        "cursor=abc",
        "limit=0",
        "limit=201",
        "limit=x",
        "cursor=%00",
    ] {
        let path = format!("/api/v1/patient?{bad}");
        let (status, problem) = house.get(&path, &Account::coordinator()).await;
        assert_eq!(status, 400, "{bad}: {problem}");
        assert_eq!(problem["errors"][0]["in"], "query");
    }
}
