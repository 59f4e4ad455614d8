//! A running service, callers with signed tokens, and requests.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
};

use http::{Method, Request, StatusCode, header};
use http_body_util::BodyExt;
use patient_contract::rpc::{self, PatientClient, PatientService};
use serde_json::{Value, json};
use tenon::{
    Context, Result, Runtime, Timestamp,
    auth::Signer,
    catalogue,
    clock::ManualClock,
    config::{AuthConfig, KeyConfig, StoreConfig},
    rest::axum::{Router, body::Body},
    store::Db,
};
use tower::ServiceExt;
use trial::{Clients, Config};
use trial_contract::rpc::TrialClient;

/// The service, with its data in a folder that goes with it.
pub(crate) struct House {
    pub(crate) client: TrialClient,
    pub(crate) db: Db,
    pub(crate) patients: Patients,
    router: Router,
    signer: Signer,
    _folder: tempfile::TempDir,
}

/// A patient service that only counts.
#[derive(Clone, Default)]
pub(crate) struct Patients {
    /// Enrolled subjects by study.
    pub(crate) enrolled: Arc<Mutex<HashMap<String, i64>>>,
    /// Who asked, by account.
    pub(crate) callers: Arc<Mutex<Vec<Option<String>>>>,
    /// Whether it cannot be reached.
    pub(crate) is_down: Arc<Mutex<bool>>,
}

impl PatientService for Patients {
    async fn get_patients_by_trial(
        &self,
        _: &Context,
        _: rpc::GetPatientsByTrialReq,
    ) -> Result<rpc::GetPatientsByTrialResp> {
        Err(catalogue::METHOD_UNIMPLEMENTED.error())
    }

    async fn get_patient_info(
        &self,
        _: &Context,
        _: rpc::GetPatientReq,
    ) -> Result<rpc::GetPatientInfoResp> {
        Err(catalogue::METHOD_UNIMPLEMENTED.error())
    }

    async fn get_standing(
        &self,
        _: &Context,
        _: rpc::GetStandingReq,
    ) -> Result<rpc::GetStandingResp> {
        Err(catalogue::METHOD_UNIMPLEMENTED.error())
    }

    async fn count_enrolled(
        &self,
        cx: &Context,
        req: rpc::CountEnrolledReq,
    ) -> Result<rpc::CountEnrolledResp> {
        let caller = cx.principal().map(|caller| caller.subject().to_owned());
        self.callers.lock().unwrap().push(caller);
        if *self.is_down.lock().unwrap() {
            return Err(catalogue::UNAVAILABLE.error());
        }
        let enrolled = self.enrolled.lock().unwrap();
        Ok(rpc::CountEnrolledResp {
            enrolled: enrolled.get(&req.trial_id).copied().unwrap_or(0),
        })
    }
}

/// The configuration of a service whose data is in `folder` and that takes tokens of `signer`.
pub(crate) fn config(folder: &std::path::Path, signer: &Signer) -> Config {
    let keys = folder.join("jwks.json");
    signer.write_jwks(&keys).unwrap();
    let any = ([127, 0, 0, 1], 0).into();
    let mut config = Config {
        auth: AuthConfig {
            keys: vec![KeyConfig { file: keys }],
            ..AuthConfig::default()
        },
        store: StoreConfig {
            path: folder.join("trial.db"),
            ..StoreConfig::default()
        },
        ..Config::default()
    };
    config.rest.listen = any;
    config.rpc.listen = any;
    config
}

/// The moment at which the clock stands.
pub(crate) fn now() -> Timestamp {
    "2024-06-01T08:30:00Z".parse().unwrap()
}

/// A new service without studies.
pub(crate) async fn house() -> House {
    let folder = tempfile::tempdir().unwrap();
    let signer = Signer::generate().unwrap();
    let patients = Patients::default();
    let clients = Clients {
        patient: PatientClient::local(patients.clone()),
    };
    let clock = Arc::new(ManualClock::at(now()));
    let config = config(folder.path(), &signer);
    let built = trial::build(config, clients, clock).await.unwrap();
    let mut open = built.service.open(&Runtime::default()).unwrap();
    let door = open.take_rest().unwrap();
    House {
        router: tenon::rest::merge([&*door]).unwrap(),
        client: built.client,
        db: built.db,
        patients,
        signer,
        _folder: folder,
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

    /// Everything that an administrator may.
    pub(crate) fn admin() -> Self {
        Self::new("admin", None, None)
    }

    /// Adds a grant.
    pub(crate) fn and(mut self, role: &str, study: Option<&str>, site: Option<&str>) -> Self {
        let grants = self.0["grants"].as_array_mut().unwrap();
        grants.push(json!({"role": role, "study": study, "site": site}));
        self
    }
}

impl House {
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
            let token = self.signer.sign(&account.0).unwrap();
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

    /// A new study of the administrator; gives its id.
    pub(crate) async fn study(&self, body: Value) -> String {
        let (status, body) = self.post("/api/v1/trial", &Account::admin(), body).await;
        assert_eq!(status, 201, "{body}");
        body["id"].as_str().unwrap().to_owned()
    }

    /// A new site of a study; gives its id.
    pub(crate) async fn site(&self, study: &str, code: &str) -> String {
        let path = format!("/api/v1/trial/{study}/site");
        let body = json!({"code": code, "name": "a site", "timeZone": "Asia/Shanghai"});
        let (status, body) = self.post(&path, &Account::admin(), body).await;
        assert_eq!(status, 201, "{body}");
        body["id"].as_str().unwrap().to_owned()
    }
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
