//! Sites: checked, unique in their study, in the zone that they name.

use serde_json::json;

use crate::kit::{Account, house, violations};

#[tokio::test]
async fn a_site_has_the_zone_as_iana_names_it() {
    let house = house().await;
    let study = house.study(json!({"code": "A", "title": "t"})).await;
    let path = format!("/api/v1/trial/{study}/site");
    let admin = Account::admin();
    for (n, (given, expected)) in [
        (Some("asia/shanghai"), "Asia/Shanghai"),
        (Some("America/New_York"), "America/New_York"),
        (Some("utc"), "UTC"),
        (None, "UTC"),
    ]
    .into_iter()
    .enumerate()
    {
        let mut body = json!({"code": n.to_string(), "name": "Ward", "target": 20});
        if let Some(zone) = given {
            body["timeZone"] = json!(zone);
        }
        let (status, site) = house.post(&path, &admin, body).await;
        assert_eq!(status, 201, "{site}");
        assert_eq!(site["timeZone"], expected);
        assert_eq!(site["trialId"], study.as_str());
        assert_eq!(
            (&site["status"], &site["target"]),
            (&json!("active"), &json!(20))
        );
    }
    let (_, list) = house.get(&format!("{path}?limit=2"), &admin).await;
    assert_eq!(list["items"].as_array().unwrap().len(), 2);
    let next = format!(
        "{path}?limit=2&cursor={}",
        list["nextCursor"].as_str().unwrap()
    );
    let (_, rest) = house.get(&next, &admin).await;
    assert_eq!(rest["items"][1]["code"], "3");
    assert!(rest.get("nextCursor").is_none());
}

#[tokio::test]
async fn wrong_and_repeated_sites_are_refused() {
    let house = house().await;
    let study = house.study(json!({"code": "A", "title": "t"})).await;
    let other = house.study(json!({"code": "B", "title": "t"})).await;
    let admin = Account::admin();
    let path = format!("/api/v1/trial/{study}/site");
    let body = json!({"code": "", "name": "\t", "timeZone": "Mars/Olympus"});
    let (status, problem) = house.post(&path, &admin, body).await;
    assert_eq!(status, 400);
    let expected = [
        ("code", "text"),
        ("name", "text"),
        ("timeZone", "time-zone"),
    ];
    let expected = expected.map(|(path, rule)| (path.to_owned(), rule.to_owned()));
    assert_eq!(violations(&problem), expected);

    house.site(&study, "701").await;
    house.site(&other, "701").await;
    let body = json!({"code": "701", "name": "again"});
    let (status, problem) = house.post(&path, &admin, body.clone()).await;
    assert_eq!(
        (status.as_u16(), problem["code"].as_str()),
        (409, Some("SITE_CODE_TAKEN"))
    );
    for nowhere in [
        "nowhere",
        "01890a5d-ac96-774b-bcce-b302099a8057",
        "%00",
        "' OR 1=1 --",
    ] {
        let path = format!("/api/v1/trial/{}/site", nowhere.replace(' ', "%20"));
        let (status, problem) = house.post(&path, &admin, body.clone()).await;
        assert_eq!(
            (status.as_u16(), problem["code"].as_str()),
            (404, Some("TRIAL_NOT_FOUND"))
        );
    }
}
