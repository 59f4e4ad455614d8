//! The accounts and objects that the scenarios share, made through the interface alone.
//!
//! Study A has the sites A1 and A2, study B has B1. Two subjects are at A1, one at A2 and one at
//! B1; each has answered a PHQ-9 that raised an alert.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use uuid::Uuid;

use crate::{http::text, phq9, secrets, world::World};

/// A password that no list has. It is searched for in everything that is written down.
pub(crate) const PASSWORD: &str = "velvet-otter-7-lantern";

/// Who calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Actor {
    /// The administrator of the installation.
    Admin,
    /// The sponsor of study A.
    Sponsor,
    /// The investigator of site A1.
    Investigator,
    /// The coordinator of site A1.
    Coordinator,
    /// The monitor of site A1.
    Monitor,
    /// The first subject of A1.
    Patient,
    /// The coordinator of site A2.
    OtherSite,
    /// The investigator of site B1.
    OtherStudy,
    /// The second subject of A1.
    OtherPatient,
}

impl Actor {
    /// All, in the order of the columns of the access tables.
    pub(crate) const ALL: [Self; 9] = [
        Self::Admin,
        Self::Sponsor,
        Self::Investigator,
        Self::Coordinator,
        Self::Monitor,
        Self::Patient,
        Self::OtherSite,
        Self::OtherStudy,
        Self::OtherPatient,
    ];
}

/// An account that is logged in.
#[derive(Debug, Clone)]
pub(crate) struct Account {
    pub(crate) id: String,
    pub(crate) token: String,
    pub(crate) refresh: String,
}

/// A site.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    pub(crate) study: String,
    pub(crate) site: String,
}

/// A subject with what it left behind.
#[derive(Debug, Clone)]
pub(crate) struct Subject {
    pub(crate) id: String,
    pub(crate) place: Place,
    pub(crate) response: String,
    pub(crate) alert: String,
}

/// Everybody and everything.
pub(crate) struct Cast {
    pub(crate) accounts: BTreeMap<Actor, Account>,
    /// The two of A1, the one of A2, the one of B1.
    pub(crate) subjects: [Subject; 4],
    /// A1, A2, B1.
    pub(crate) places: [Place; 3],
    /// The id of the published PHQ-9.
    pub(crate) questionnaire: String,
    /// An account that is there to be changed.
    pub(crate) target: String,
}

impl Cast {
    /// Makes all of it.
    pub(crate) async fn gather(world: &World) -> Self {
        let first = login(world, "admin", world.administrator()).await;
        let admin = first.token.as_str();
        let questionnaire = publish(world, admin).await;
        let a = study(world, admin, &json!({"target": 4})).await;
        let b = study(world, admin, &json!({})).await;
        let mut places = Vec::new();
        for study in [&a, &a, &b] {
            places.push(site(world, admin, study).await);
        }
        let places: [Place; 3] = places.try_into().unwrap();
        let [a1, a2, b1] = &places;
        let mut accounts = BTreeMap::new();
        for (actor, grant) in [
            (Actor::Admin, json!({"role": "admin"})),
            (Actor::Sponsor, json!({"role": "sponsor", "trialId": a})),
            (Actor::Investigator, at("investigator", a1)),
            (Actor::Coordinator, at("coordinator", a1)),
            (Actor::Monitor, at("monitor", a1)),
            (Actor::OtherSite, at("coordinator", a2)),
            (Actor::OtherStudy, at("investigator", b1)),
        ] {
            let account = account(world, admin, &grant, None).await;
            accounts.insert(actor, account);
        }
        let mut subjects = Vec::new();
        for (number, (place, by)) in (1..).zip([
            (a1, Actor::Coordinator),
            (a1, Actor::Coordinator),
            (a2, Actor::OtherSite),
            (b1, Actor::OtherStudy),
        ]) {
            subjects.push(subject(world, &accounts[&by].token, place, number).await);
        }
        let subjects: [Subject; 4] = subjects.try_into().unwrap();
        let patient = json!({"role": "patient", "trialId": a});
        for (actor, subject) in [Actor::Patient, Actor::OtherPatient]
            .into_iter()
            .zip(&subjects)
        {
            let account = account(world, admin, &patient, Some(&subject.id)).await;
            accounts.insert(actor, account);
        }
        let target = account(world, admin, &at("monitor", b1), None).await.id;
        Self {
            accounts,
            subjects,
            places,
            questionnaire,
            target,
        }
    }

    /// The access token of an actor.
    pub(crate) fn token(&self, actor: Actor) -> &str {
        &self.accounts[&actor].token
    }

    /// The first subject, whose account is [`Actor::Patient`].
    pub(crate) fn own(&self) -> &Subject {
        &self.subjects[0]
    }
}

fn at(role: &str, place: &Place) -> Value {
    json!({"role": role, "trialId": place.study, "siteId": place.site})
}

/// Exchanges name and password for tokens.
pub(crate) async fn login(world: &World, username: &str, password: &str) -> Account {
    let body = json!({"username": username, "password": password});
    let call = world.call("POST", "/api/v1/identity/login").json(&body);
    let tokens = call.send().await.expect(200);
    let (token, refresh) = (text(&tokens, "accessToken"), text(&tokens, "refreshToken"));
    let me = world.get(&token, "/api/v1/identity/me").await.expect(200);
    Account {
        id: text(&me, "id"),
        token,
        refresh,
    }
}

/// Creates an account under a random name and logs it in.
pub(crate) async fn account(
    world: &World,
    admin: &str,
    grant: &Value,
    subject: Option<&str>,
) -> Account {
    let username = format!("u{}", Uuid::new_v4().simple());
    let mut body = json!({"username": username, "password": PASSWORD, "grants": [grant]});
    if let Some(subject) = subject {
        body["subjectId"] = json!(subject);
    }
    world
        .post(admin, "/api/v1/identity/account", &body)
        .await
        .expect(201);
    login(world, &username, PASSWORD).await
}

/// Publishes the questionnaires that come with the platform. Returns the id of the PHQ-9.
async fn publish(world: &World, admin: &str) -> String {
    let path = "/api/v1/epro/questionnaire";
    world
        .post(admin, path, &phq9::instrument("gad7"))
        .await
        .expect(201);
    let published = world
        .post(admin, path, &phq9::instrument("phq9"))
        .await
        .expect(201);
    text(&published, "id")
}

/// Creates a study with a code of its own; `more` are further members.
pub(crate) async fn study(world: &World, admin: &str, more: &Value) -> String {
    let mut body = json!({"code": code("T"), "title": "A study"});
    for (name, value) in more.as_object().unwrap() {
        body[name] = value.clone();
    }
    let made = world.post(admin, "/api/v1/trial", &body).await.expect(201);
    text(&made, "id")
}

/// Creates a site.
pub(crate) async fn site(world: &World, admin: &str, study: &str) -> Place {
    let body = json!({"code": code("S"), "name": "A site", "timeZone": "Asia/Shanghai"});
    let path = format!("/api/v1/trial/{study}/site");
    let made = world.post(admin, &path, &body).await.expect(201);
    Place {
        study: study.to_owned(),
        site: text(&made, "id"),
    }
}

/// The body that creates a subject, with everything that tells who it is.
pub(crate) fn person(place: &Place, number: u32) -> Value {
    json!({
        "trialId": place.study,
        "siteId": place.site,
        "subjectNo": code("N"),
        "sex": "F",
        "birthDate": "1981-02-03",
        "name": secrets::name(number),
        "identityNumber": secrets::identity_number(number),
        "phone": secrets::phone(number),
    })
}

/// Creates and enrols a subject that answers a PHQ-9.
async fn subject(world: &World, token: &str, place: &Place, number: u32) -> Subject {
    let made = world
        .post(token, "/api/v1/patient", &person(place, number))
        .await
        .expect(201);
    let id = text(&made["patient"], "id");
    shift(world, token, &id, 1).await.expect(200);
    let response = phq9::response(&id, phq9::MODERATE);
    world
        .post(token, "/api/v1/epro/response", &response)
        .await
        .expect(201);
    let path = format!("/api/v1/epro/alert?trialId={}", place.study);
    let alerts = world.get(token, path).await.expect(200);
    let alerts = alerts["items"].as_array().unwrap();
    let alert = alerts
        .iter()
        .find(|alert| alert["responseId"] == response["id"]);
    Subject {
        id,
        place: place.clone(),
        response: text(&response, "id"),
        alert: text(alert.unwrap(), "id"),
    }
}

/// Moves a subject to another status, today in UTC, which no site of the suite is behind.
pub(crate) async fn shift(
    world: &World,
    token: &str,
    subject: &str,
    status: u8,
) -> crate::http::Answer {
    let today = tenon::Timestamp::now().to_string();
    let body = json!({"status": status, "reason": "as agreed", "date": &today[..10]});
    world
        .post(token, &format!("/api/v1/patient/{subject}/status"), &body)
        .await
}

/// A code that nothing else has.
pub(crate) fn code(prefix: &str) -> String {
    format!("{prefix}-{}", Uuid::new_v4().simple())
}
