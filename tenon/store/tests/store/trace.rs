//! What the trace of a request shows of the store: each wait, and nothing of what was asked.

use std::{
    sync::{Mutex, Once},
    time::Duration,
};

use tenon_core::{
    Context, TraceContext,
    span::{self, Kind, Sink, Span},
};
use tenon_store::args;

use crate::fixture::{ENDLESS, Fixture, insert};

/// A person's, who must be in no span.
const CANARY: &str = "canary-of-a-person";

/// The spans of all tests of this process; each looks for its trace.
static SPANS: Mutex<Vec<Span>> = Mutex::new(Vec::new());

struct Kept;

impl Sink for Kept {
    fn take(&self, span: Span) {
        SPANS.lock().unwrap().push(span);
    }
}

fn of(trace: &TraceContext) -> Vec<Span> {
    let mut spans = SPANS.lock().unwrap().clone();
    spans.retain(|span| span.trace.trace_id() == trace.trace_id());
    spans
}

fn traced(traceparent: &str) -> (Context, TraceContext) {
    static SET: Once = Once::new();
    SET.call_once(|| span::set_sink(Box::new(Kept)).unwrap());
    let trace = TraceContext::parse(traceparent).unwrap();
    (Context::background().with_trace(trace), trace)
}

#[tokio::test]
async fn each_wait_on_the_store_is_a_step_of_the_trace() {
    let fixture = Fixture::new().await;
    let (cx, trace) = traced("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
    insert(&fixture.db, &cx, 1, CANARY).await.unwrap();
    let taken = insert(&fixture.db, &cx, 1, CANARY).await;
    assert!(taken.is_err(), "the id is taken");
    let body = "SELECT body FROM item WHERE body = $1";
    let one: String = fixture.db.one(&cx, body, args![CANARY]).await.unwrap();
    assert_eq!(one, CANARY);
    let none = fixture
        .db
        .one::<i64>(&cx, "SELECT id FROM item WHERE id = 9", args![]);
    assert!(none.await.is_err(), "nothing is there");
    let short = cx.with_timeout(Duration::from_millis(50));
    let late = fixture.db.all::<i64>(&short, ENDLESS, args![]).await;
    assert!(late.is_err(), "it does not end by itself");
    let left = fixture.db.all::<i64>(&cx, ENDLESS, args![]);
    let _ = tokio::time::timeout(Duration::from_millis(50), left).await;

    let spans = of(&trace);
    let seen: Vec<_> = spans
        .iter()
        .map(|it| (&*it.name, it.failure.as_deref()))
        .collect();
    let expected = [
        ("write item", None),
        ("write item", None),
        ("read item", None),
        ("read item", None),
        ("read item", Some("DEADLINE_EXCEEDED")),
        ("read item", Some("CANCELLED")),
    ];
    assert_eq!(seen, expected);
    for it in &spans {
        assert_eq!(it.kind, Kind::Client);
        let (_, _, parent) = it.trace.ids();
        assert_eq!(parent, Some(0xb7ad_6b71_6920_3331_u64.to_be_bytes()));
        let system = ("db.system.name", "sqlite".into());
        assert!(it.attributes.contains(&system), "{it:?}");
    }
    let shown = format!("{spans:?}");
    assert!(
        !shown.contains(CANARY) && !shown.contains("SELECT"),
        "{shown}"
    );
}

#[tokio::test]
async fn a_trace_that_is_not_recorded_has_no_steps() {
    let fixture = Fixture::new().await;
    let (cx, trace) = traced("00-1af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00");
    insert(&fixture.db, &cx, 1, CANARY).await.unwrap();
    assert_eq!(of(&trace).len(), 0);
}
