//! A built service with its data in a temporary folder, its neighbours, and its callers.

use std::{
    collections::HashMap,
    path::PathBuf,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use clinical::instrument::{OptionValue, Questionnaire, shipped};
use epro::{Clients, Config};
use epro_contract::rpc::EproClient;
use http::{HeaderMap, Request, StatusCode};
use http_body_util::BodyExt;
use patient_contract::rpc::{
    Answers, CountEnrolledReq, CountEnrolledResp, GetPatientInfoResp, GetPatientReq,
    GetPatientsByTrialReq, GetPatientsByTrialResp, GetStandingReq, GetStandingResp, PatientClient,
    PatientService,
};
use serde_json::{Value, json};
use tenon::{
    Code, Context, Entry, Principal, Result, Runtime,
    auth::Signer,
    catalogue,
    clock::ManualClock,
    config::KeyConfig,
    rest::axum::{Router, body::Body},
    store::{Db, Options, audit, audit::Stored},
};
use tower::ServiceExt;
use trial_contract::rpc::{
    GetAssignmentReq, GetAssignmentResp, GetProgressReq, GetProgressResp, GetSiteReq, GetSiteResp,
    TrialClient, TrialService,
};
use uuid::Uuid;

pub(crate) const PHQ9: &str = "urn:cohort:questionnaire:phq9|1.0.0";
pub(crate) const GAD7: &str = "urn:cohort:questionnaire:gad7|1.0.0";

/// A neighbour's own code for a subject that it does not show.
static SUBJECT_UNKNOWN: Entry = Entry::new("PATIENT_NOT_FOUND", Code::NotFound, "none", "无");

/// How the neighbours are.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Health {
    Well,
    Dead,
    Hanging,
}

/// The patient and the trial service.
pub(crate) struct Neighbours {
    /// Trial, site and status of each subject.
    pub(crate) subjects: Mutex<HashMap<String, (&'static str, &'static str, i32)>>,
    /// What each study assigns.
    pub(crate) assignments: Mutex<HashMap<String, GetAssignmentResp>>,
    pub(crate) health: Mutex<Health>,
    pub(crate) asked_for_standing: AtomicUsize,
    pub(crate) asked_for_assignment: AtomicUsize,
}

impl Neighbours {
    async fn answer(&self) -> Result<()> {
        let health = *self.health.lock().unwrap();
        match health {
            Health::Well => Ok(()),
            Health::Dead => Err(catalogue::UNAVAILABLE.error()),
            Health::Hanging => std::future::pending().await,
        }
    }

    pub(crate) fn become_(&self, health: Health) {
        *self.health.lock().unwrap() = health;
    }

    pub(crate) fn move_subject(&self, subject: &str, status: i32) {
        self.subjects.lock().unwrap().get_mut(subject).unwrap().2 = status;
    }
}

#[derive(Clone)]
struct Fake(Arc<Neighbours>);

impl PatientService for Fake {
    async fn get_standing(&self, _: &Context, req: GetStandingReq) -> Result<GetStandingResp> {
        self.0.asked_for_standing.fetch_add(1, Ordering::Relaxed);
        self.0.answer().await?;
        let found = self.0.subjects.lock().unwrap().get(&req.id).copied();
        let (trial, site, status) = found.ok_or_else(|| SUBJECT_UNKNOWN.error())?;
        let answers = match status {
            0 => Answers::Screening,
            1 | 2 | 4 => Answers::Assigned,
            _ => Answers::None,
        };
        Ok(GetStandingResp {
            id: req.id,
            trial_id: trial.to_owned(),
            site_id: site.to_owned(),
            status,
            answers: answers.into(),
        })
    }

    async fn get_patients_by_trial(
        &self,
        _: &Context,
        _: GetPatientsByTrialReq,
    ) -> Result<GetPatientsByTrialResp> {
        panic!("the service asked for names")
    }

    async fn get_patient_info(&self, _: &Context, _: GetPatientReq) -> Result<GetPatientInfoResp> {
        panic!("the service asked for a name")
    }

    async fn count_enrolled(&self, _: &Context, _: CountEnrolledReq) -> Result<CountEnrolledResp> {
        panic!("the service asked how many are enrolled")
    }
}

impl TrialService for Fake {
    async fn get_assignment(
        &self,
        _: &Context,
        req: GetAssignmentReq,
    ) -> Result<GetAssignmentResp> {
        self.0.asked_for_assignment.fetch_add(1, Ordering::Relaxed);
        self.0.answer().await?;
        let found = self
            .0
            .assignments
            .lock()
            .unwrap()
            .get(&req.trial_id)
            .cloned();
        Ok(found.unwrap_or_default())
    }

    async fn get_progress(&self, _: &Context, _: GetProgressReq) -> Result<GetProgressResp> {
        panic!("the service asked for progress")
    }

    async fn get_site(&self, _: &Context, _: GetSiteReq) -> Result<GetSiteResp> {
        panic!("the service asked for a site")
    }
}

/// The service and what is around it.
pub(crate) struct House {
    pub(crate) router: Router,
    pub(crate) client: EproClient,
    pub(crate) db: Db,
    pub(crate) neighbours: Arc<Neighbours>,
    pub(crate) clock: ManualClock,
    signer: Signer,
    folder: tempfile::TempDir,
}

/// An answer of the REST door.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) json: Value,
}

impl Answer {
    /// The code of a problem document.
    pub(crate) fn code(&self) -> &str {
        self.json["code"].as_str().unwrap_or_default()
    }

    /// Status and code together.
    pub(crate) fn problem(&self) -> (u16, &str) {
        (self.status, self.code())
    }

    /// The ids of a list.
    pub(crate) fn ids(&self) -> Vec<&str> {
        assert_eq!(self.status, 200, "{}", self.json);
        let items = self.json["items"].as_array().unwrap();
        items
            .iter()
            .map(|item| item["id"].as_str().unwrap())
            .collect()
    }
}

impl House {
    /// Two subjects at site S1 of T1, one at S2, one in T2; T1 assigns everything and screens
    /// with GAD-7.
    pub(crate) async fn new() -> Self {
        Self::with(|_, _| {}).await
    }

    /// A house whose configuration or store is changed.
    pub(crate) async fn with(change: impl FnOnce(&mut Config, &mut Options)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (signer, file) = (Signer::generate().unwrap(), folder.path().join("keys.json"));
        signer.write_jwks(&file).unwrap();
        let mut config = Config::new("epro");
        config.auth.keys = vec![KeyConfig { file }];
        config.auth.audience = Some("cohort".to_owned());
        let mut options = Options::new(folder.path().join("epro.db"));
        change(&mut config, &mut options);
        let clock = ManualClock::at("2026-08-01T08:00:00Z".parse().unwrap());
        let neighbours = Arc::new(neighbours());
        let fake = Fake(neighbours.clone());
        let clients = Clients {
            patient: PatientClient::local(fake.clone()),
            trial: TrialClient::local(fake),
        };
        let db = Db::open(options, epro::MIGRATIONS).await.unwrap();
        let built = epro::build_on(db, config, clients, Arc::new(clock.clone())).unwrap();
        let mut open = built.service.open(&Runtime::default()).unwrap();
        let door = open.take_rest().unwrap();
        Self {
            router: tenon::rest::merge([&*door]).unwrap(),
            client: built.client,
            db: built.db,
            neighbours,
            clock,
            signer,
            folder,
        }
    }

    /// A house in which PHQ-9 and GAD-7 are published.
    pub(crate) async fn furnished() -> Self {
        let house = Self::new().await;
        house.furnish().await;
        house
    }

    pub(crate) async fn furnish(&self) {
        for name in ["phq9", "gad7"] {
            let answer = self.publish(&self.admin(), &instrument(name)).await;
            assert_eq!(answer.status, 201, "{}", answer.json);
        }
    }

    pub(crate) async fn publish(&self, token: &str, questionnaire: &Value) -> Answer {
        let path = "/api/v1/epro/questionnaire";
        self.post(path, token, questionnaire.to_string()).await
    }

    pub(crate) async fn submit(&self, token: &str, response: &Value) -> Answer {
        self.post("/api/v1/epro/response", token, response.to_string())
            .await
    }

    pub(crate) async fn post(&self, path: &str, token: &str, body: impl Into<Body>) -> Answer {
        let request = Request::post(path)
            .header("authorization", format!("Bearer {token}"))
            .header("content-type", "application/fhir+json")
            .body(body.into());
        self.send(request.unwrap()).await
    }

    pub(crate) async fn get(&self, path: &str, token: &str) -> Answer {
        let request = Request::get(format!("/api/v1/epro/{path}"))
            .header("authorization", format!("Bearer {token}"))
            .body(Body::empty());
        self.send(request.unwrap()).await
    }

    pub(crate) async fn send(&self, request: Request<Body>) -> Answer {
        send(&self.router, request).await
    }

    /// How many rows a table has.
    pub(crate) async fn count(&self, sql: &'static str) -> i64 {
        self.db.one(&Context::background(), sql, &[]).await.unwrap()
    }

    pub(crate) async fn responses(&self) -> i64 {
        self.count("SELECT count(*) FROM response").await
    }

    /// The audit trail of a study, or of the service.
    pub(crate) async fn trail(&self, stream: &'static str) -> Vec<Stored> {
        let read = async move |rx: &mut tenon::store::Rx| audit::list(rx, stream, 0, 1000).await;
        self.db.read(&Context::background(), read).await.unwrap()
    }

    /// The folder with the data.
    pub(crate) fn data(&self) -> PathBuf {
        self.folder.path().to_owned()
    }

    pub(crate) fn admin(&self) -> String {
        self.token("account-admin", &json!([{"role": "admin"}]), None)
    }

    pub(crate) fn staff(&self, role: &str, study: &str, site: Option<&str>) -> String {
        let mut grant = json!({"role": role, "study": study});
        if let Some(site) = site {
            grant["site"] = json!(site);
        }
        self.token(&format!("account-{role}"), &json!([grant]), None)
    }

    /// The coordinator of site S1 of T1.
    pub(crate) fn coordinator(&self) -> String {
        self.staff("coordinator", "T1", Some("S1"))
    }

    pub(crate) fn patient(&self, subject: &str, study: &str, site: &str) -> String {
        let grants = json!([{"role": "patient", "study": study, "site": site}]);
        self.token(&format!("account-{subject}"), &grants, Some(subject))
    }

    fn token(&self, account: &str, grants: &Value, subject: Option<&str>) -> String {
        self.signer.sign(&claims(account, grants, subject)).unwrap()
    }

    /// The context of an RPC caller.
    pub(crate) fn context(&self, grants: &Value, subject: Option<&str>) -> Context {
        let Value::Object(claims) = claims("account-rpc", grants, subject) else {
            panic!("claims are an object")
        };
        Context::background().with_principal(Arc::new(Principal::new("account-rpc", claims)))
    }
}

pub(crate) async fn send(router: &Router, request: Request<Body>) -> Answer {
    let (head, body) = router.clone().oneshot(request).await.unwrap().into_parts();
    let bytes = body.collect().await.unwrap().to_bytes();
    Answer {
        status: StatusCode::as_u16(&head.status),
        headers: head.headers,
        json: serde_json::from_slice(&bytes).unwrap_or_default(),
    }
}

fn claims(account: &str, grants: &Value, subject: Option<&str>) -> Value {
    let mut claims = json!({
        "sub": account, "aud": "cohort", "exp": 4_102_444_800_i64,
        "username": format!("{account}-name"), "sid": "session-1", "grants": grants,
    });
    if let Some(subject) = subject {
        claims["subjectId"] = json!(subject);
    }
    claims
}

fn neighbours() -> Neighbours {
    let all = GetAssignmentResp {
        trial_id: "T1".to_owned(),
        all: true,
        assigned: Vec::new(),
        screening: vec![GAD7.to_owned()],
    };
    let subjects = [
        ("P1", ("T1", "S1", 1)),
        ("P2", ("T1", "S1", 1)),
        ("P3", ("T1", "S2", 1)),
        ("P4", ("T2", "S9", 1)),
    ];
    Neighbours {
        subjects: Mutex::new(subjects.map(|(id, at)| (id.to_owned(), at)).into()),
        assignments: Mutex::new([("T1".to_owned(), all.clone()), ("T2".to_owned(), all)].into()),
        health: Mutex::new(Health::Well),
        asked_for_standing: AtomicUsize::new(0),
        asked_for_assignment: AtomicUsize::new(0),
    }
}

/// A shipped questionnaire.
pub(crate) fn instrument(name: &str) -> Value {
    let found = shipped().iter().find(|shipped| shipped.name == name);
    serde_json::from_str(found.unwrap().json).unwrap()
}

/// PHQ-9 answered with these scores of its items.
pub(crate) fn phq9(subject: &str, values: [i64; 9]) -> Value {
    answered("phq9", subject, &values)
}

/// A shipped questionnaire answered with these scores of its items, under a new id.
pub(crate) fn answered(name: &str, subject: &str, values: &[i64]) -> Value {
    let questionnaire = Questionnaire::parse(&instrument(name)).unwrap();
    let scoring = &questionnaire.scorings()[0];
    assert_eq!(scoring.items().len(), values.len());
    let items = scoring.items().iter().zip(values).map(|(&index, value)| {
        let item = questionnaire.item(index);
        #[expect(clippy::cast_precision_loss, reason = "scores are small")]
        let chosen = item
            .options
            .iter()
            .find(|option| option.score == Some(*value as f64));
        let OptionValue::Coding { code, .. } = &chosen.unwrap().value else {
            panic!("an option is a coding")
        };
        json!({"linkId": item.link_id, "answer": [{"valueCoding": {"code": code}}]})
    });
    json!({
        "resourceType": "QuestionnaireResponse",
        "id": Uuid::new_v4().to_string(),
        "status": "completed",
        "questionnaire": questionnaire.canonical(),
        "subject": {"reference": format!("Patient/{subject}")},
        "item": items.collect::<Vec<_>>(),
    })
}

/// Answers that make up 13, moderate, with item 9 above zero.
pub(crate) const MODERATE: [i64; 9] = [2, 1, 2, 1, 2, 1, 0, 2, 2];
/// Answers that make up 5, mild, and raise no alert.
pub(crate) const MILD: [i64; 9] = [1, 0, 1, 0, 0, 1, 2, 0, 0];
