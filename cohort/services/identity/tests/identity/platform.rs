//! The service in a folder of its own, on a clock that the test moves, with somebody to log in.

use std::{path::Path, sync::Arc};

use axum::{Router, body::Body};
use cohort_access::{Grant, Role};
use http::{HeaderMap, Request, StatusCode};
use http_body_util::BodyExt;
use identity::{
    Config, Draft, ServiceContext,
    setup::{ensure_account, ensure_administrator},
};
use identity_contract::rpc::IdentityClient;
use jiff::SignedDuration;
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};
use tempfile::TempDir;
use tenon::{
    Context, Principal, Runtime,
    auth::Verifier,
    clock::ManualClock,
    config,
    store::{Db, Rx, audit},
};
use tower::ServiceExt;

/// A password that every account of a test may have.
pub(crate) const PASSWORD: &str = "gentle tram over the hill";

/// Where the clock of a test begins.
const START: &str = "2026-03-02T08:00:00Z";

/// The service, open.
pub(crate) struct Platform {
    pub(crate) folder: Arc<TempDir>,
    pub(crate) clock: ManualClock,
    pub(crate) router: Router,
    pub(crate) client: IdentityClient,
    pub(crate) context: ServiceContext,
    pub(crate) db: Db,
    pub(crate) verifier: Arc<Verifier>,
    /// The password of the first administrator; empty when it was there before.
    pub(crate) admin_password: String,
}

/// The two tokens of a session.
#[derive(Debug, Clone)]
pub(crate) struct Tokens {
    pub(crate) access: String,
    pub(crate) refresh: String,
}

/// A response, read whole.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap()
    }

    pub(crate) fn code(&self) -> String {
        self.json()["code"].as_str().unwrap_or_default().to_owned()
    }

    /// The status and the code of a problem.
    pub(crate) fn problem(&self) -> (u16, String) {
        (self.status.as_u16(), self.code())
    }

    /// The problem without what is new in each answer.
    pub(crate) fn without_trace(&self) -> Value {
        let mut problem = self.json();
        problem.as_object_mut().unwrap().remove("traceId");
        problem
    }

    /// Place and rule of each violation, sorted.
    pub(crate) fn violations(&self) -> Vec<(String, String)> {
        let json = self.json();
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let mut found: Vec<_> = json["errors"]
            .as_array()
            .unwrap()
            .iter()
            .map(|one| (text(&one["path"]), text(&one["rule"])))
            .collect();
        found.sort();
        found
    }

    pub(crate) fn retry_after(&self) -> Option<u64> {
        let value = self.headers.get("retry-after")?;
        value.to_str().unwrap().parse().ok()
    }
}

impl Platform {
    pub(crate) async fn start() -> Self {
        let clock = ManualClock::at(START.parse().unwrap());
        Self::start_in(Arc::new(tempfile::tempdir().unwrap()), clock).await
    }

    /// Opens the service on a folder that may have been used before.
    pub(crate) async fn start_in(folder: Arc<TempDir>, clock: ManualClock) -> Self {
        let config = configuration(folder.path());
        let auth = config.auth_with_defaults();
        let built = identity::build(config, Arc::new(clock.clone()))
            .await
            .unwrap();
        let mut open = built.service.open(&Runtime::default()).unwrap();
        let door = open.take_rest().unwrap();
        let router = tenon::rest::merge([&*door]).unwrap();
        let cx = Context::background();
        let made = ensure_administrator(&cx, &built.context, None);
        let made = made.await.unwrap();
        Self {
            folder,
            router,
            client: built.client,
            context: built.context,
            db: built.db,
            verifier: Verifier::new(&auth, Arc::new(clock.clone()))
                .unwrap()
                .unwrap(),
            clock,
            admin_password: made
                .map(|made| made.password.expose_secret().to_owned())
                .unwrap_or_default(),
        }
    }

    pub(crate) async fn call(
        &self,
        method: &str,
        path: &str,
        token: Option<&str>,
        body: Option<Value>,
    ) -> Answer {
        let mut request = Request::builder()
            .method(method)
            .uri(format!("/api/v1/identity{path}"));
        if let Some(token) = token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        let body = match body {
            Some(body) => {
                request = request.header("content-type", "application/json");
                Body::from(body.to_string())
            }
            None => Body::empty(),
        };
        let response = self.router.clone().oneshot(request.body(body).unwrap());
        let (head, body) = response.await.unwrap().into_parts();
        let bytes = body.collect().await.unwrap().to_bytes();
        Answer {
            status: head.status,
            headers: head.headers,
            text: String::from_utf8(bytes.to_vec()).unwrap(),
        }
    }

    pub(crate) async fn post(&self, path: &str, token: &str, body: Value) -> Answer {
        self.call("POST", path, Some(token), Some(body)).await
    }

    pub(crate) async fn get(&self, path: &str, token: &str) -> Answer {
        self.call("GET", path, Some(token), None).await
    }

    pub(crate) async fn try_login(&self, username: &str, password: &str) -> Answer {
        let body = json!({"username": username, "password": password});
        self.call("POST", "/login", None, Some(body)).await
    }

    pub(crate) async fn login(&self, username: &str, password: &str) -> Tokens {
        let answer = self.try_login(username, password).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        Tokens::of(&answer)
    }

    pub(crate) async fn admin(&self) -> Tokens {
        self.login("admin", &self.admin_password).await
    }

    pub(crate) async fn try_refresh(&self, token: &str) -> Answer {
        let body = json!({ "refreshToken": token });
        self.call("POST", "/refresh", None, Some(body)).await
    }

    pub(crate) async fn refresh(&self, token: &str) -> Tokens {
        let answer = self.try_refresh(token).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        Tokens::of(&answer)
    }

    /// An active account with these grants. Answers its id.
    pub(crate) async fn staff(&self, username: &str, grants: &[Grant]) -> String {
        let mut draft = Draft::new(username, SecretString::from(PASSWORD));
        draft.grants = grants.to_vec();
        self.ensure(draft).await
    }

    /// The account of a subject in a study. Answers its id.
    pub(crate) async fn patient(&self, username: &str, study: &str, subject: &str) -> String {
        let mut draft = Draft::new(username, SecretString::from(PASSWORD));
        draft.grants = vec![grant(Role::Patient, Some(study), None)];
        draft.subject_id = Some(subject.to_owned());
        self.ensure(draft).await
    }

    async fn ensure(&self, draft: Draft) -> String {
        let cx = Context::background();
        let made = ensure_account(&cx, &self.context, draft);
        made.await.unwrap().id
    }

    pub(crate) fn wait(&self, by: SignedDuration) {
        self.clock.advance(by);
    }

    /// The caller whom the verifier sees in a token.
    pub(crate) fn principal(&self, access: &str) -> Arc<Principal> {
        self.verifier
            .verify(Some(&format!("Bearer {access}")))
            .unwrap()
    }

    /// A context with the caller of a token, as the RPC door has it.
    pub(crate) fn as_caller(&self, access: &str) -> Context {
        Context::background().with_principal(self.principal(access))
    }

    /// What the trail has in a stream, oldest first.
    pub(crate) async fn trail(&self, stream: &str) -> Vec<audit::Record> {
        let (stream, cx) = (stream.to_owned(), Context::background());
        let read = self.db.read(&cx, async move |rx: &mut Rx| {
            audit::list(rx, &stream, 0, 1000).await
        });
        read.await
            .unwrap()
            .into_iter()
            .map(|one| one.record)
            .collect()
    }

    /// The records of one action in the stream of the service.
    pub(crate) async fn told(&self, action: &str) -> Vec<audit::Record> {
        let all = self.trail(audit::SERVICE).await.into_iter();
        all.filter(|record| record.action == action).collect()
    }
}

impl Tokens {
    pub(crate) fn of(answer: &Answer) -> Self {
        let json = answer.json();
        let text = |name: &str| json[name].as_str().unwrap().to_owned();
        Self {
            access: text("accessToken"),
            refresh: text("refreshToken"),
        }
    }
}

pub(crate) fn configuration(folder: &Path) -> Config {
    let (keys, data) = (folder.join("keys"), folder.join("identity.db"));
    let (keys, data) = (keys.display(), data.display());
    let text = format!("name: identity\nkeys: {{dir: {keys}}}\nstore: {{path: {data}}}\n");
    config::parse(&text, Path::new("etc/identity.yaml")).unwrap()
}

pub(crate) fn grant(role: Role, study: Option<&str>, site: Option<&str>) -> Grant {
    Grant {
        role,
        study: study.map(str::to_owned),
        site: site.map(str::to_owned),
    }
}

pub(crate) fn seconds(count: i64) -> SignedDuration {
    SignedDuration::from_secs(count)
}

pub(crate) fn minutes(count: i64) -> SignedDuration {
    SignedDuration::from_mins(count)
}

pub(crate) fn days(count: i64) -> SignedDuration {
    SignedDuration::from_hours(count * 24)
}
