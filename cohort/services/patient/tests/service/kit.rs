//! A running service, callers with signed tokens, and requests.

use std::{
    collections::HashMap,
    path::Path,
    sync::{Arc, Mutex},
    time::Duration,
};

use http::{Method, Request, StatusCode, header};
use http_body_util::BodyExt;
use patient::{Clients, Config};
use patient_contract::rpc::PatientClient;
use serde_json::{Value, json};
use tenon::{
    Clock, Code, Context, Entry, Open, Principal, Process, Result, Running, Runtime, Timestamp,
    auth::Signer,
    catalogue,
    clock::ManualClock,
    config::{AuthConfig, ClientConfig, KeyConfig, StoreConfig},
    rest::axum::{Router, body::Body},
    rpc::Channel,
    store::Db,
};
use tower::ServiceExt;
use trial_contract::rpc::{self, TrialClient, TrialService};

/// The service, with its data in a folder that goes with it.
pub(crate) struct House {
    pub(crate) client: PatientClient,
    pub(crate) db: Db,
    pub(crate) trials: Trials,
    pub(crate) folder: tempfile::TempDir,
    pub(crate) runtime: Runtime,
    router: Router,
    signer: Signer,
    open: Mutex<Option<Open>>,
}

static TRIAL_NOT_FOUND: Entry =
    Entry::new("TRIAL_NOT_FOUND", Code::NotFound, "no such study", "无");
static SITE_NOT_FOUND: Entry = Entry::new("SITE_NOT_FOUND", Code::NotFound, "no such site", "无");

/// A trial service with the studies `T1` (sites `S1` in Shanghai and `S2` in UTC) and `T2` (`S3`).
#[derive(Clone)]
pub(crate) struct Trials {
    /// The states of studies and sites that differ from recruiting and active.
    pub(crate) states: Arc<Mutex<HashMap<String, String>>>,
    /// Whether it cannot be reached.
    pub(crate) is_down: Arc<Mutex<bool>>,
}

impl Trials {
    /// Puts a study or a site into a state.
    pub(crate) fn set(&self, id: &str, state: &str) {
        self.states
            .lock()
            .unwrap()
            .insert(id.to_owned(), state.to_owned());
    }

    fn state(&self, id: &str, otherwise: &str) -> String {
        let states = self.states.lock().unwrap();
        states
            .get(id)
            .cloned()
            .unwrap_or_else(|| otherwise.to_owned())
    }
}

impl TrialService for Trials {
    async fn get_progress(
        &self,
        _: &Context,
        _: rpc::GetProgressReq,
    ) -> Result<rpc::GetProgressResp> {
        Err(catalogue::METHOD_UNIMPLEMENTED.error())
    }

    async fn get_site(&self, _: &Context, req: rpc::GetSiteReq) -> Result<rpc::GetSiteResp> {
        if *self.is_down.lock().unwrap() {
            return Err(catalogue::UNAVAILABLE.error());
        }
        if !["T1", "T2"].contains(&req.trial_id.as_str()) {
            return Err(TRIAL_NOT_FOUND.error());
        }
        let zone = match (req.trial_id.as_str(), req.site_id.as_str()) {
            ("T1", "S1") => "Asia/Shanghai",
            ("T1", "S2") | ("T2", "S3") => "UTC",
            _ => return Err(SITE_NOT_FOUND.error()),
        };
        Ok(rpc::GetSiteResp {
            status: self.state(&req.site_id, "active"),
            trial_status: self.state(&req.trial_id, "recruiting"),
            code: req.site_id.clone(),
            id: req.site_id,
            trial_id: req.trial_id,
            time_zone: zone.to_owned(),
        })
    }

    async fn get_assignment(
        &self,
        _: &Context,
        _: rpc::GetAssignmentReq,
    ) -> Result<rpc::GetAssignmentResp> {
        Err(catalogue::METHOD_UNIMPLEMENTED.error())
    }
}

fn config(folder: &Path, signer: &Signer) -> Config {
    let keys = folder.join("jwks.json");
    signer.write_jwks(&keys).unwrap();
    let any = ([127, 0, 0, 1], 0).into();
    let mut config = Config {
        auth: AuthConfig {
            keys: vec![KeyConfig { file: keys }],
            ..AuthConfig::default()
        },
        store: StoreConfig {
            path: folder.join("patient.db"),
            ..StoreConfig::default()
        },
        keyring: folder.join("patient.keys"),
        ..Config::default()
    };
    config.rest.listen = any;
    config.rpc.listen = any;
    config
}

/// The moment at which the clock stands: the second of June in Shanghai, the first in UTC.
pub(crate) fn now() -> Timestamp {
    "2024-06-01T20:00:00Z".parse().unwrap()
}

/// A new service without subjects.
pub(crate) async fn house() -> House {
    house_in(tempfile::tempdir().unwrap()).await
}

/// A service with the data that lies in `folder`.
pub(crate) async fn house_in(folder: tempfile::TempDir) -> House {
    let signer = Signer::generate().unwrap();
    let trials = Trials {
        states: Arc::default(),
        is_down: Arc::default(),
    };
    let clients = Clients {
        trial: TrialClient::local(trials.clone()),
    };
    let clock: Arc<dyn Clock> = Arc::new(ManualClock::at(now()));
    let config = config(folder.path(), &signer);
    let built = patient::build(config, clients, clock).await.unwrap();
    let runtime = Runtime::default();
    let mut open = built.service.open(&runtime).unwrap();
    let door = open.take_rest().unwrap();
    House {
        router: tenon::rest::merge([&*door]).unwrap(),
        client: built.client,
        db: built.db,
        trials,
        signer,
        runtime,
        open: Mutex::new(Some(open)),
        folder,
    }
}

/// An account with its grants.
#[derive(Clone)]
pub(crate) struct Account(pub(crate) Value);

impl Account {
    /// A role everywhere, in a study, or at a site of it.
    pub(crate) fn new(role: &str, study: Option<&str>, site: Option<&str>) -> Self {
        Self(json!({
            "sub": format!("account-{role}"),
            "exp": 4_000_000_000_i64,
            "username": role,
            "sid": "session-1",
            "grants": [{"role": role, "study": study, "site": site}],
        }))
    }

    /// A coordinator of site `S1` in study `T1`.
    pub(crate) fn coordinator() -> Self {
        Self::new("coordinator", Some("T1"), Some("S1"))
    }

    /// The account of a subject in a study.
    pub(crate) fn patient(study: &str, subject: &str) -> Self {
        let mut account = Self::new("patient", Some(study), None);
        account.0["subjectId"] = json!(subject);
        account
    }

    /// Adds a grant.
    pub(crate) fn and(mut self, role: &str, study: Option<&str>, site: Option<&str>) -> Self {
        let grants = self.0["grants"].as_array_mut().unwrap();
        grants.push(json!({"role": role, "study": study, "site": site}));
        self
    }
}

impl House {
    /// A token of the account.
    pub(crate) fn token(&self, account: &Account) -> String {
        self.signer.sign(&account.0).unwrap()
    }

    /// The context of a call by the account, with its token.
    pub(crate) fn context(&self, account: &Account) -> Context {
        let Value::Object(claims) = account.0.clone() else {
            panic!("claims are an object")
        };
        let subject = account.0["sub"].as_str().unwrap().to_owned();
        let principal = Principal::new(subject, claims).with_token(self.token(account));
        Context::background().with_principal(Arc::new(principal))
    }

    /// The gRPC door over a socket, once.
    pub(crate) async fn remote(&self) -> (PatientClient, Running) {
        let open = self.open.lock().unwrap().take().unwrap();
        let process = open.serve(Process::new(self.runtime.clone())).unwrap();
        let running = process.start().await.unwrap();
        let to = ClientConfig {
            endpoints: vec![running.address("patient.rpc").unwrap().to_string()],
            timeout: Duration::from_secs(5),
            ..ClientConfig::default()
        };
        let channel = Channel::new("patient", &to, &self.runtime.metrics).unwrap();
        (PatientClient::remote(channel).unwrap(), running)
    }

    /// Sends a request and gives the status with the body.
    pub(crate) async fn send(
        &self,
        method: Method,
        path: &str,
        account: Option<&Account>,
        body: Option<Value>,
    ) -> (StatusCode, Value) {
        let mut request = Request::builder().method(method).uri(path);
        if let Some(account) = account {
            let token = self.token(account);
            request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
        }
        let body = match body {
            Some(body) => {
                request = request.header(header::CONTENT_TYPE, "application/json");
                Body::from(body.to_string())
            }
            None => Body::empty(),
        };
        let request = request.body(body).unwrap();
        let response = self.router.clone().oneshot(request).await.unwrap();
        let status = response.status();
        let bytes = response.into_body().collect().await.unwrap().to_bytes();
        (
            status,
            serde_json::from_slice(&bytes).unwrap_or(Value::Null),
        )
    }

    pub(crate) async fn get(&self, path: &str, account: &Account) -> (StatusCode, Value) {
        self.send(Method::GET, path, Some(account), None).await
    }

    pub(crate) async fn post(
        &self,
        path: &str,
        account: &Account,
        body: Value,
    ) -> (StatusCode, Value) {
        self.send(Method::POST, path, Some(account), Some(body))
            .await
    }

    /// Asks for a new subject.
    pub(crate) async fn create(&self, account: &Account, body: Value) -> (StatusCode, Value) {
        self.post("/api/v1/patient", account, body).await
    }

    /// A new subject of `T1` at `S1`, by its coordinator; gives its id.
    pub(crate) async fn subject(&self, subject_no: &str) -> String {
        let (status, body) = self
            .create(&Account::coordinator(), person(subject_no))
            .await;
        assert_eq!(status, 201, "{body}");
        body["patient"]["id"].as_str().unwrap().to_owned()
    }

    /// Asks for a move, by the coordinator of `T1` at `S1`.
    pub(crate) async fn shift(&self, id: &str, to: i64, date: &str) -> (StatusCode, Value) {
        let body = json!({"status": to, "reason": "as the protocol says", "date": date});
        let path = format!("/api/v1/patient/{id}/status");
        self.post(&path, &Account::coordinator(), body).await
    }
}

/// A request for a subject of `T1` at `S1`.
pub(crate) fn person(subject_no: &str) -> Value {
    json!({
        "trialId": "T1", "siteId": "S1", "subjectNo": subject_no,
        "sex": "F", "birthDate": "1949-12-31", "name": format!("受试者 {subject_no}"),
    })
}

/// `person` with other fields.
pub(crate) fn person_with(subject_no: &str, fields: Value) -> Value {
    let mut body = person(subject_no);
    let Value::Object(fields) = fields else {
        panic!("fields are an object")
    };
    body.as_object_mut().unwrap().extend(fields);
    body
}

/// The paths and rules of a problem's violations.
pub(crate) fn violations(problem: &Value) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let errors = problem["errors"].as_array().unwrap();
    errors
        .iter()
        .map(|error| (text(&error["path"]), text(&error["rule"])))
        .collect()
}
