//! Spans as OTLP over gRPC (<https://opentelemetry.io/docs/specs/otlp/>), straight from our records
//! to the published messages: the SDK's span, processor and exporter would be three more copies
//! and a thread.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use opentelemetry_proto::tonic::{
    collector::trace::v1::{ExportTraceServiceRequest, trace_service_client::TraceServiceClient},
    common::v1::{AnyValue, InstrumentationScope, KeyValue, any_value},
    resource::v1::Resource,
    trace::v1::{
        ResourceSpans, ScopeSpans, Span as Message, Status, span::SpanKind, status::StatusCode,
    },
};
use tenon_core::{
    config::ConfigError,
    span::{self, Attribute, Kind, Sink, Span},
};
use tokio::sync::{mpsc, oneshot};
use tonic::transport::{Channel, ClientTlsConfig, Endpoint};

use crate::{Figure, Metrics};

/// How many spans wait at most: half a second of a loaded service, about 2 MiB.
const QUEUE_MAX: usize = 4096;

/// How many spans one message holds at most: the SDKs' own number.
const BATCH_MAX: usize = 512;

/// How long a span waits for company.
const GATHER: Duration = Duration::from_secs(1);

/// How long the end of the process waits for its spans.
const FLUSH: Duration = Duration::from_secs(3);

const CONNECT: Duration = Duration::from_secs(3);

enum Item {
    Span(Box<Span>),
    Flush(oneshot::Sender<()>),
}

/// What became of the spans.
#[derive(Default)]
struct Counts {
    exported: AtomicU64,
    /// The queue was full.
    overflowed: AtomicU64,
    /// The collector could not be reached, or not in time, or refused them.
    failed: AtomicU64,
}

/// The way into the queue.
pub(super) struct Sender {
    queue: mpsc::Sender<Item>,
    counts: Arc<Counts>,
}

pub(super) fn start(
    service: &str,
    endpoint: &str,
    timeout: Duration,
    metrics: &Metrics,
) -> Result<Sender, ConfigError> {
    let refused = |problem: String| ConfigError::new("traces.endpoint", problem);
    let mut to = Endpoint::from_shared(endpoint.to_owned())
        .map_err(|_| refused(format!("`{endpoint}` is no URL like http://127.0.0.1:4317")))?
        .connect_timeout(CONNECT)
        .timeout(timeout);
    match to.uri().scheme_str() {
        Some("http") => {}
        Some("https") => {
            let tls = ClientTlsConfig::new().with_native_roots();
            to = to
                .tls_config(tls)
                .map_err(|cause| refused(cause.to_string()))?;
        }
        _ => {
            return Err(refused(format!(
                "`{endpoint}` begins with neither http nor https"
            )));
        }
    }
    let (queue, items) = mpsc::channel(QUEUE_MAX);
    let counts = Arc::new(Counts::default());
    let sink = Sender {
        queue: queue.clone(),
        counts: counts.clone(),
    };
    span::set_sink(Box::new(sink)).map_err(|taken| refused(taken.to_string()))?;
    show(metrics, &counts, &queue);
    let courier = Courier {
        service: service.to_owned(),
        collector: TraceServiceClient::new(to.connect_lazy()),
        counts: counts.clone(),
        is_away: false,
    };
    tokio::spawn(courier.run(items));
    Ok(Sender { queue, counts })
}

fn show(metrics: &Metrics, counts: &Arc<Counts>, queue: &mpsc::Sender<Item>) {
    const EXPORTED: (&str, &str) = ("trace_spans_exported", "Spans that the collector took");
    const DROPPED: (&str, &str) = (
        "trace_spans_dropped",
        "Spans that were lost: `queue` because too many waited, `export` because the collector was \
         away, slow, or refused them",
    );
    const WAITING: (&str, &str) = ("trace_span_queue_length", "Spans that wait to be sent");
    let read = |figure: fn(&Counts) -> &AtomicU64| {
        let counts = counts.clone();
        move || figure(&counts).load(Ordering::Relaxed) as f64
    };
    let counter = Figure::Counter;
    metrics.read(counter, EXPORTED, &[], read(|counts| &counts.exported));
    let overflowed = read(|counts| &counts.overflowed);
    metrics.read(counter, DROPPED, &[("reason", "queue")], overflowed);
    let failed = read(|counts| &counts.failed);
    metrics.read(counter, DROPPED, &[("reason", "export")], failed);
    let queue = queue.downgrade();
    metrics.read(Figure::Gauge, WAITING, &[], move || {
        let open = queue.upgrade();
        open.map_or(0.0, |queue| (QUEUE_MAX - queue.capacity()) as f64)
    });
}

impl Sink for Sender {
    fn take(&self, span: Span) {
        if self.queue.try_send(Item::Span(Box::new(span))).is_err() {
            self.counts.overflowed.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl Sender {
    pub(super) async fn flush(self) {
        let (done, sent) = oneshot::channel();
        let flush = async {
            if self.queue.send(Item::Flush(done)).await.is_ok() {
                // A courier that is gone has nothing left to send.
                let _ = sent.await;
            }
        };
        if tokio::time::timeout(FLUSH, flush).await.is_err() {
            tracing::warn!(target: "traces", "the last spans could not be sent in time");
        }
    }
}

/// The task that brings spans to the collector.
struct Courier {
    service: String,
    collector: TraceServiceClient<Channel>,
    counts: Arc<Counts>,
    /// The log knows that the collector cannot be reached.
    is_away: bool,
}

impl Courier {
    async fn run(mut self, mut items: mpsc::Receiver<Item>) {
        let mut spans = Vec::with_capacity(BATCH_MAX);
        while let Some(first) = items.recv().await {
            let mut flushed = self.keep(first, &mut spans);
            let gathered = tokio::time::sleep(GATHER);
            tokio::pin!(gathered);
            while flushed.is_none() && spans.len() < BATCH_MAX {
                tokio::select! {
                    item = items.recv() => match item {
                        Some(item) => flushed = self.keep(item, &mut spans),
                        None => break,
                    },
                    () = &mut gathered => break,
                }
            }
            self.send(std::mem::take(&mut spans)).await;
            if let Some(done) = flushed {
                let _ = done.send(());
            }
        }
    }

    #[expect(clippy::unused_self, reason = "reads as what the courier does")]
    fn keep(&self, item: Item, spans: &mut Vec<Span>) -> Option<oneshot::Sender<()>> {
        match item {
            Item::Span(span) => {
                spans.push(*span);
                None
            }
            Item::Flush(done) => Some(done),
        }
    }

    async fn send(&mut self, spans: Vec<Span>) {
        let count = u64::try_from(spans.len()).unwrap_or(u64::MAX);
        if count == 0 {
            return;
        }
        let message = request(&self.service, spans);
        match self.collector.export(message).await {
            Ok(answer) => {
                let partial = answer.into_inner().partial_success;
                let refused = partial.map_or(0, |partial| partial.rejected_spans);
                let refused = u64::try_from(refused).unwrap_or(0).min(count);
                self.counts.failed.fetch_add(refused, Ordering::Relaxed);
                self.counts
                    .exported
                    .fetch_add(count - refused, Ordering::Relaxed);
                if std::mem::take(&mut self.is_away) {
                    tracing::info!(target: "traces", "the collector takes spans again");
                }
            }
            Err(status) => {
                self.counts.failed.fetch_add(count, Ordering::Relaxed);
                if !std::mem::replace(&mut self.is_away, true) {
                    let code = status.code().description();
                    tracing::warn!(
                        target: "traces",
                        code,
                        "the collector does not take spans; they are dropped until it does"
                    );
                }
            }
        }
    }
}

/// One message, with the spans of each service together.
fn request(process: &str, spans: Vec<Span>) -> ExportTraceServiceRequest {
    let mut services: BTreeMap<String, Vec<Message>> = BTreeMap::new();
    for mut span in spans {
        let service = span.service.take().unwrap_or_else(|| process.to_owned());
        services.entry(service).or_default().push(message(span));
    }
    let resource_spans = services.into_iter().map(|(service, spans)| ResourceSpans {
        resource: Some(resource(service)),
        scope_spans: vec![ScopeSpans {
            scope: Some(InstrumentationScope {
                name: "tenon".to_owned(),
                version: env!("CARGO_PKG_VERSION").to_owned(),
                ..InstrumentationScope::default()
            }),
            spans,
            ..ScopeSpans::default()
        }],
        ..ResourceSpans::default()
    });
    ExportTraceServiceRequest {
        resource_spans: resource_spans.collect(),
    }
}

fn resource(service: String) -> Resource {
    Resource {
        attributes: vec![
            pair("service.name", any_value::Value::StringValue(service)),
            pair("telemetry.sdk.name", text("tenon")),
            pair("telemetry.sdk.language", text("rust")),
            pair("telemetry.sdk.version", text(env!("CARGO_PKG_VERSION"))),
        ],
        ..Resource::default()
    }
}

fn message(span: Span) -> Message {
    let (trace_id, span_id, parent_id) = span.trace.ids();
    let mut attributes: Vec<KeyValue> = span
        .attributes
        .into_iter()
        .map(|(key, value)| pair(key, value_of(value)))
        .collect();
    let status = span.failure.map(|code| {
        attributes.push(pair("error.type", any_value::Value::StringValue(code)));
        Status {
            code: StatusCode::Error.into(),
            ..Status::default()
        }
    });
    let kind = match span.kind {
        Kind::Server => SpanKind::Server,
        Kind::Client => SpanKind::Client,
        Kind::Internal => SpanKind::Internal,
    };
    Message {
        trace_id: trace_id.to_vec(),
        span_id: span_id.to_vec(),
        parent_span_id: parent_id.map(|id| id.to_vec()).unwrap_or_default(),
        flags: 1,
        name: span.name.into_owned(),
        kind: kind.into(),
        start_time_unix_nano: nanoseconds(span.ended - span.elapsed),
        end_time_unix_nano: nanoseconds(span.ended),
        attributes,
        status,
        ..Message::default()
    }
}

fn pair(key: &str, value: any_value::Value) -> KeyValue {
    KeyValue {
        key: key.to_owned(),
        value: Some(AnyValue { value: Some(value) }),
        ..KeyValue::default()
    }
}

fn text(text: &str) -> any_value::Value {
    any_value::Value::StringValue(text.to_owned())
}

fn value_of(attribute: Attribute) -> any_value::Value {
    match attribute {
        Attribute::Text(text) => any_value::Value::StringValue(text.into_owned()),
        Attribute::Number(number) => any_value::Value::IntValue(number),
    }
}

fn nanoseconds(time: SystemTime) -> u64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}
