//! A patient service whose behaviour is told by the trial that it is asked for, and ways to
//! call it: in the process, and over real sockets.

use std::{
    collections::HashSet,
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use hyper::body::Incoming;
use tenon_auth::Verifier;
use tenon_core::{
    Code, Context, Entry, Error, Lifecycle, Result, SystemClock, Violation,
    config::{AuthConfig, ClientConfig, RpcConfig},
};
use tenon_net::{Options, Peer};
use tenon_rpc::{Channel, Door, Metrics, Server};
use tokio::sync::mpsc;
use tower::{Service, service_fn};

use crate::patient::{
    GetPatientsByTrialReq, GetPatientsByTrialResp, PatientClient, PatientInfo, PatientService,
    serve,
};

/// The error of the trial `invalid`.
pub static TRIAL_INVALID: Entry = Entry::new(
    "TRIAL_INVALID",
    Code::FailedPrecondition,
    "trial {trialId} cannot be listed",
    "试验 {trialId} 无法列出",
);

/// The secret of the tokens.
pub const SECRET: &str = "0123456789abcdef0123456789abcdef";

/// What happened to the work of a call.
#[derive(Debug)]
pub enum Event {
    /// The handler began.
    Began,
    /// The handler's future was dropped before it ended.
    Dropped(Instant),
    /// The context of the call ended, and how.
    Ended(Instant, Error),
}

/// The service.
#[derive(Clone)]
pub struct Ward {
    events: mpsc::UnboundedSender<Event>,
    /// Where `relay` goes on to.
    next: Option<PatientClient>,
}

impl PatientService for Ward {
    async fn get_patients_by_trial(
        &self,
        cx: &Context,
        req: GetPatientsByTrialReq,
    ) -> Result<GetPatientsByTrialResp> {
        match req.trial_id.as_str() {
            "invalid" => Err(TRIAL_INVALID
                .error()
                .param("trialId", "T1")
                .violations(vec![
                    Violation::body("trialId", "options", "an open trial"),
                    Violation::at("query", "limit", "range", "1 to 200"),
                ])
                .cause("the inside of the ward")),
            "panic" => panic!("the ward is on fire"),
            "cancelled" => Err(tenon_core::catalogue::CANCELLED.error()),
            "symptom" => {
                cx.cancelled().await;
                Err(Error::internal("read the row", "interrupted"))
            }
            "sleep" => self.sleep(cx).await,
            "relay" => self.relay(cx, req).await,
            "many" => Ok(patients((0..300).map(|n| (format!("P{n}"), n)))),
            other => Ok(patients([(other.to_owned(), 1)])),
        }
    }
}

impl Ward {
    /// Works for ten seconds and never looks at its context.
    async fn sleep(&self, cx: &Context) -> Result<GetPatientsByTrialResp> {
        struct OnDrop(mpsc::UnboundedSender<Event>);
        impl Drop for OnDrop {
            fn drop(&mut self) {
                let _ = self.0.send(Event::Dropped(Instant::now()));
            }
        }
        let (watched, events) = (cx.clone(), self.events.clone());
        tokio::spawn(async move {
            let error = watched.cancelled().await;
            let _ = events.send(Event::Ended(Instant::now(), error));
        });
        let _ = self.events.send(Event::Began);
        let _guard = OnDrop(self.events.clone());
        tokio::time::sleep(Duration::from_secs(10)).await;
        Ok(patients([]))
    }

    /// Says what arrived here, and after it what arrived at the next ward.
    async fn relay(
        &self,
        cx: &Context,
        req: GetPatientsByTrialReq,
    ) -> Result<GetPatientsByTrialResp> {
        let remaining = cx.remaining().unwrap_or_default().as_micros();
        let caller = cx.principal().map_or("", |principal| principal.subject());
        let mut resp = patients([(
            format!(
                "{caller} {} {}",
                cx.trace().trace_id(),
                cx.trace().span_id()
            ),
            i32::try_from(remaining).unwrap_or(i32::MAX),
        )]);
        if let Some(next) = &self.next {
            let further = next.get_patients_by_trial(cx, req).await?;
            resp.patients.extend(further.patients);
        }
        Ok(resp)
    }
}

fn patients(rows: impl IntoIterator<Item = (String, i32)>) -> GetPatientsByTrialResp {
    let patients = rows
        .into_iter()
        .map(|(id, status)| PatientInfo {
            id,
            name: "受试者".to_owned(),
            status,
        })
        .collect();
    GetPatientsByTrialResp { patients }
}

/// Asks for a trial.
pub fn trial(trial_id: &str) -> GetPatientsByTrialReq {
    GetPatientsByTrialReq {
        trial_id: trial_id.to_owned(),
    }
}

/// What the work of the calls reports.
pub struct Events(mpsc::UnboundedReceiver<Event>);

impl Events {
    /// The next event; none within five seconds is a failure.
    pub async fn next(&mut self) -> Event {
        tokio::time::timeout(Duration::from_secs(5), self.0.recv())
            .await
            .expect("the work of the call reports nothing")
            .expect("the ward is gone")
    }

    /// The next event, which must be that the handler began.
    pub async fn began(&mut self) {
        let event = self.next().await;
        assert!(matches!(event, Event::Began), "{event:?}");
    }

    /// When the handler was dropped, and when and how its context ended, in any order.
    pub async fn stopped(&mut self) -> (Instant, Instant, Error) {
        match (self.next().await, self.next().await) {
            (Event::Dropped(dropped), Event::Ended(ended, error))
            | (Event::Ended(ended, error), Event::Dropped(dropped)) => (dropped, ended, error),
            other => panic!("{other:?}"),
        }
    }

    /// Whether nothing has happened since.
    pub fn is_quiet(&mut self) -> bool {
        self.0.try_recv().is_err()
    }
}

/// A ward and what its work will report.
pub fn ward(next: Option<PatientClient>) -> (Ward, Events) {
    let (events, received) = mpsc::unbounded_channel();
    (Ward { events, next }, Events(received))
}

/// A served ward; it ends when this is dropped.
pub struct House {
    /// Where it listens.
    pub address: SocketAddr,
    /// Its life.
    pub life: Lifecycle,
    /// The connections that requests came on.
    pub peers: Arc<Mutex<HashSet<SocketAddr>>>,
    /// What it counts.
    pub metrics: Metrics,
}

impl Drop for House {
    fn drop(&mut self) {
        self.life.kill();
    }
}

/// Accepts the tokens of [`token`].
pub fn verifier() -> Option<Arc<Verifier>> {
    let config = AuthConfig {
        access_secret: Some(SECRET.to_owned().into()),
        ..AuthConfig::default()
    };
    Verifier::new(&config, Arc::new(SystemClock)).unwrap()
}

/// A token of this subject.
pub fn token(subject: &str) -> String {
    let claims = serde_json::json!({"sub": subject, "exp": 4_102_444_800_u64});
    let key = jsonwebtoken::EncodingKey::from_secret(SECRET.as_bytes());
    let header = jsonwebtoken::Header::new(jsonwebtoken::Algorithm::HS256);
    jsonwebtoken::encode(&header, &claims, &key).unwrap()
}

/// Serves a ward.
pub async fn house(ward: Ward) -> House {
    house_at("127.0.0.1:0".parse().unwrap(), ward, RpcConfig::default()).await
}

/// A house of any other service.
pub async fn house_serving(service: tenon_rpc::Service) -> House {
    let address = "127.0.0.1:0".parse().unwrap();
    open(address, service, RpcConfig::default()).await
}

/// Serves a ward at an address, with a section `rpc`.
pub async fn house_at(address: SocketAddr, ward: Ward, config: RpcConfig) -> House {
    open(address, serve(ward), config).await
}

async fn open(address: SocketAddr, service: tenon_rpc::Service, config: RpcConfig) -> House {
    let (life, metrics) = (Lifecycle::new(), Metrics::new());
    let door = Server::new("ward", config.clone())
        .verifier(verifier())
        .metrics(&metrics)
        .lifecycle(&life)
        .service(service)
        .into_service()
        .unwrap();
    let listener = tenon_net::bind(address, "rpc.listen").await.unwrap();
    let address = listener.local_addr().unwrap();
    let peers = Arc::new(Mutex::new(HashSet::new()));
    let counted = counted(door, peers.clone());
    let serving = tenon_net::serve(listener, counted, Options::rpc(&config), life.clone());
    tokio::spawn(serving);
    life.ready();
    House {
        address,
        life,
        peers,
        metrics,
    }
}

/// Takes note of the connection that each request came on.
fn counted(
    door: Door,
    peers: Arc<Mutex<HashSet<SocketAddr>>>,
) -> impl Service<
    http::Request<Incoming>,
    Response = http::Response<tenon_rpc::ReplyBody>,
    Error = std::convert::Infallible,
    Future = <Door as Service<http::Request<Incoming>>>::Future,
> + Clone {
    service_fn(move |request: http::Request<Incoming>| {
        let Peer(peer) = *request.extensions().get::<Peer>().unwrap();
        peers.lock().unwrap().insert(peer);
        door.clone().call(request)
    })
}

/// A channel to these addresses.
pub fn channel(addresses: &[SocketAddr], timeout: Duration) -> Channel {
    let config = ClientConfig {
        endpoints: addresses.iter().map(ToString::to_string).collect(),
        timeout,
        ..ClientConfig::default()
    };
    Channel::new("patient", &config, &Metrics::new()).unwrap()
}

/// A client of a house.
pub fn remote(house: &House) -> PatientClient {
    PatientClient::remote(channel(&[house.address], Duration::from_secs(2))).unwrap()
}
