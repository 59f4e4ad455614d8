//! One request through two services, seen by a collector: one trace, each span below the right
//! one, named by template and method, with the attributes of OpenTelemetry's conventions. The
//! collector is tonic's server with the published messages.

#![cfg(feature = "otlp")]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "../../rpc/tests/shape/patient.rs"]
pub mod patient;

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use opentelemetry_proto::tonic::{
    collector::trace::v1::{
        ExportTraceServiceRequest, ExportTraceServiceResponse,
        trace_service_server::{TraceService, TraceServiceServer},
    },
    common::v1::{KeyValue, any_value::Value},
    trace::v1::{Span, span::SpanKind, status::StatusCode},
};
use patient::{
    GetPatientsByTrialReq, GetPatientsByTrialResp, PatientClient, PatientInfo, PatientService,
};
use tenon::{
    App, Context, Process, Request, Result, Running, Runtime, Service, catalogue,
    config::{ClientConfig, RestConfig, RpcConfig, TracesConfig},
    rpc::Channel,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::mpsc,
};

const ANY: &str = "127.0.0.1:0";

/// A person's, who must be in no span.
const CANARY: &str = "canary-of-a-person";

/// What the collector was sent: spans with the service of each.
#[derive(Clone)]
struct Collector(mpsc::UnboundedSender<(String, Span)>);

#[tonic::async_trait]
impl TraceService for Collector {
    async fn export(
        &self,
        request: tonic::Request<ExportTraceServiceRequest>,
    ) -> std::result::Result<tonic::Response<ExportTraceServiceResponse>, tonic::Status> {
        for resource in request.into_inner().resource_spans {
            let attributes = &resource.resource.as_ref().unwrap().attributes;
            let service = text(attributes, "service.name").unwrap();
            for span in resource
                .scope_spans
                .into_iter()
                .flat_map(|scope| scope.spans)
            {
                self.0.send((service.clone(), span)).unwrap();
            }
        }
        Ok(tonic::Response::new(ExportTraceServiceResponse::default()))
    }
}

fn value<'a>(attributes: &'a [KeyValue], key: &str) -> Option<&'a Value> {
    let found = attributes.iter().find(|pair| pair.key == key)?;
    found.value.as_ref()?.value.as_ref()
}

fn text(attributes: &[KeyValue], key: &str) -> Option<String> {
    match value(attributes, key)? {
        Value::StringValue(text) => Some(text.clone()),
        other => panic!("{key} is {other:?}"),
    }
}

fn number(span: &Span, key: &str) -> Option<i64> {
    match value(&span.attributes, key)? {
        Value::IntValue(number) => Some(*number),
        other => panic!("{key} is {other:?}"),
    }
}

async fn collector() -> (SocketAddr, mpsc::UnboundedReceiver<(String, Span)>) {
    let listener = TcpListener::bind(ANY).await.unwrap();
    let address = listener.local_addr().unwrap();
    let (spans, received) = mpsc::unbounded_channel();
    let incoming = tonic::transport::server::TcpIncoming::from(listener);
    let server =
        tonic::transport::Server::builder().add_service(TraceServiceServer::new(Collector(spans)));
    tokio::spawn(server.serve_with_incoming(incoming));
    (address, received)
}

/// What the inner service was told of other tracers.
type Seen = Arc<Mutex<Vec<Option<String>>>>;

struct Ward(Seen);

impl PatientService for Ward {
    async fn get_patients_by_trial(
        &self,
        cx: &Context,
        req: GetPatientsByTrialReq,
    ) -> Result<GetPatientsByTrialResp> {
        let state = cx.trace_state().map(str::to_owned);
        self.0.lock().unwrap().push(state);
        if req.trial_id == "broken" {
            return Err(tenon::Error::internal("list", CANARY));
        }
        let person = PatientInfo {
            name: CANARY.to_owned(),
            ..PatientInfo::default()
        };
        Ok(GetPatientsByTrialResp {
            patients: vec![person],
        })
    }
}

/// The inner service by gRPC, the outer by REST, which calls the inner, in one process.
async fn start(collector: SocketAddr, seen: Seen) -> Running {
    let runtime = Runtime::default();
    let rpc = RpcConfig {
        listen: ANY.parse().unwrap(),
        ..RpcConfig::default()
    };
    let inner = Service::new("ward").rpc(rpc, patient::serve(Ward(seen)));
    let inner = inner.open(&runtime).unwrap();
    let inner = inner.serve(Process::new(runtime.clone())).unwrap();
    let inner = inner.start().await.unwrap();
    let address = inner.address("ward.rpc").unwrap();
    // It lives as long as the test.
    std::mem::forget(inner);

    let config: ClientConfig =
        tenon::config::parse(&format!("endpoints: [\"{address}\"]"), "x".as_ref()).unwrap();
    let channel = Channel::new("ward", &config, &runtime.metrics).unwrap();
    let client = PatientClient::remote(channel).unwrap();
    let app = App::new("outer");
    app.group("/api/v1")
        .get("/trial/:trialId/count", move |cx: Context, req: Request| {
            let client = client.clone();
            async move {
                let trial_id = req.param("trialId")?.to_owned();
                let found = client
                    .get_patients_by_trial(&cx, GetPatientsByTrialReq { trial_id })
                    .await
                    .map_err(|error| catalogue::UNAVAILABLE.error().cause(error))?;
                Ok(serde_json::json!({ "count": found.patients.len() }))
            }
        });
    let rest = RestConfig {
        listen: ANY.parse().unwrap(),
        ..RestConfig::default()
    };
    let open = app.service(rest).open(&runtime).unwrap();
    let traces = TracesConfig {
        endpoint: Some(format!("http://{collector}")),
        ..TracesConfig::default()
    };
    let process = open.serve(Process::new(runtime)).unwrap();
    process.traces("process", traces).start().await.unwrap()
}

async fn get(address: SocketAddr, path: &str, headers: &str) -> String {
    let mut socket = TcpStream::connect(address).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n{headers}\r\n");
    socket.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).await.unwrap();
    answer
}

/// One test for all: who exports spans is set once in a process.
#[tokio::test]
async fn a_request_over_two_services_is_one_trace() {
    let (at, mut received) = collector().await;
    let seen = Seen::default();
    let running = start(at, seen.clone()).await;
    let address = running.address("outer.rest").unwrap();
    const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
    let parent = |flag: u8| format!("traceparent: 00-{TRACE}-00f067aa0ba902b7-{flag:02}\r\n");
    let path = "/api/v1/trial/a-secret-trial/count";

    // What its beginner does not record is not recorded.
    let answer = get(address, path, &parent(0)).await;
    assert!(answer.contains("{\"count\":1}"), "{answer}");
    let sampled = format!("{}tracestate: a=1\r\ntracestate: b=2\r\n", parent(1));
    let answer = get(address, path, &sampled).await;
    assert!(answer.contains("{\"count\":1}"), "{answer}");
    assert_eq!(*seen.lock().unwrap(), [None, Some("a=1,b=2".to_owned())]);
    let broken = get(address, "/api/v1/trial/broken/count", "").await;
    assert!(broken.starts_with("HTTP/1.1 503"), "{broken}");

    // The end of the process waits for its spans.
    running.life().drain();
    running.wait().await.unwrap();
    let mut traces: HashMap<String, Vec<(String, Span)>> = HashMap::new();
    let mut shown = String::new();
    for _ in 0..6 {
        let limit = Duration::from_secs(60);
        let (service, span) = tokio::time::timeout(limit, received.recv())
            .await
            .unwrap()
            .unwrap();
        shown += &format!("{span:?}");
        let trace = span
            .trace_id
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        traces.entry(trace).or_default().push((service, span));
    }
    assert!(received.try_recv().is_err(), "seven spans");
    assert_eq!(traces.len(), 2, "{traces:?}");
    assert!(
        !shown.contains(CANARY) && !shown.contains("a-secret-trial"),
        "{shown}"
    );

    let sound = traces.remove(TRACE).unwrap();
    let [outer, client, inner] = in_order(&sound, Some("00f067aa0ba902b7"));
    assert_eq!((outer.0.as_str(), client.0.as_str()), ("outer", "process"));
    assert_eq!(inner.0, "ward");
    assert_eq!(outer.1.name, "GET /api/v1/trial/:trialId/count");
    assert_eq!(outer.1.kind(), SpanKind::Server);
    let route = text(&outer.1.attributes, "http.route");
    assert_eq!(route.as_deref(), Some("/api/v1/trial/:trialId/count"));
    assert_eq!(number(&outer.1, "http.response.status_code"), Some(200));
    for (span, kind) in [(&client.1, SpanKind::Client), (&inner.1, SpanKind::Server)] {
        assert_eq!(span.name, "patient.PatientService/getPatientsByTrial");
        assert_eq!(span.kind(), kind);
        let system = text(&span.attributes, "rpc.system");
        assert_eq!(system.as_deref(), Some("grpc"));
        assert_eq!(number(span, "rpc.grpc.status_code"), Some(0));
        assert_eq!(span.status, None);
    }
    assert!(outer.1.start_time_unix_nano <= inner.1.start_time_unix_nano);
    assert!(inner.1.end_time_unix_nano <= outer.1.end_time_unix_nano);

    let failed = traces.into_values().next().unwrap();
    for (_, span) in in_order(&failed, None) {
        let status = span.status.as_ref().unwrap();
        assert_eq!(status.code(), StatusCode::Error, "{span:?}");
        assert!(text(&span.attributes, "error.type").is_some(), "{span:?}");
    }
}

/// The spans from the outermost in, each of which is below the one before.
fn in_order<'a>(spans: &'a [(String, Span)], parent: Option<&str>) -> [&'a (String, Span); 3] {
    let hex = |id: &[u8]| {
        id.iter()
            .map(|byte| format!("{byte:02x}"))
            .collect::<String>()
    };
    let below = |parent: &str| {
        let mut found = spans
            .iter()
            .filter(|(_, span)| hex(&span.parent_span_id) == parent);
        let only = found
            .next()
            .unwrap_or_else(|| panic!("nothing below {parent}: {spans:?}"));
        assert!(found.next().is_none(), "two below {parent}: {spans:?}");
        only
    };
    let outer = below(parent.unwrap_or_default());
    let client = below(&hex(&outer.1.span_id));
    [outer, client, below(&hex(&client.1.span_id))]
}
