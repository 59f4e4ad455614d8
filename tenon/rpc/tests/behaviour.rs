//! One suite of a call's behaviour, run in the process and over real sockets.

#![expect(
    clippy::expect_used,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "helpers of a test fail it as its assertions do, and tests print what they measure"
)]

#[path = "shape/patient.rs"]
pub mod patient;
#[path = "shape/ward.rs"]
pub mod ward;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use patient::{PatientClient, PatientService};
use tenon_core::{Code, Context, Principal, catalogue, error::Language};
use tenon_rpc::Metrics;
use ward::{Event, Events, House, house, remote, token, trial, verifier, ward};

/// A ward, a client of it, and what its work reports.
struct Stand {
    client: PatientClient,
    events: Events,
    house: Option<House>,
    kind: &'static str,
}

impl Stand {
    async fn local() -> Self {
        let (ward, events) = ward(None);
        Self {
            client: PatientClient::local(ward).metrics(&Metrics::new()),
            events,
            house: None,
            kind: "local",
        }
    }

    async fn remote() -> Self {
        let (ward, events) = ward(None);
        let house = house(ward).await;
        Self {
            client: remote(&house),
            events,
            house: Some(house),
            kind: "remote",
        }
    }
}

macro_rules! on_both {
    ($($name:ident)*) => {
        mod local { $(#[tokio::test] async fn $name() { super::$name(super::Stand::local().await).await })* }
        mod remote { $(#[tokio::test] async fn $name() { super::$name(super::Stand::remote().await).await })* }
    };
}

on_both! {
    an_answer_comes_back
    a_large_answer_comes_back
    an_error_keeps_its_code_texts_and_violations
    a_passed_deadline_ends_the_call_and_the_work
    a_caller_that_leaves_stops_the_work
    a_cancelled_context_stops_the_work
    a_panic_is_internal_and_harms_no_other_call
    a_cancellation_nobody_asked_for_is_the_services_failure
    work_that_fails_because_time_ran_out_says_so
    a_dead_context_calls_nothing
    many_calls_at_once_each_get_their_answer
}

async fn an_answer_comes_back(stand: Stand) {
    let cx = Context::background();
    let resp = stand.client.get_patients_by_trial(&cx, trial("T1")).await;
    let patients = resp.unwrap().patients;
    assert_eq!(patients[0].id, "T1");
    assert_eq!(patients[0].name, "受试者");
}

async fn a_large_answer_comes_back(stand: Stand) {
    let cx = Context::background();
    let resp = stand.client.get_patients_by_trial(&cx, trial("many")).await;
    assert_eq!(resp.unwrap().patients.len(), 300);
}

async fn an_error_keeps_its_code_texts_and_violations(stand: Stand) {
    let cx = Context::background();
    let resp = stand
        .client
        .get_patients_by_trial(&cx, trial("invalid"))
        .await;
    let error = resp.unwrap_err();
    assert!(error.is(&ward::TRIAL_INVALID), "{error:?}");
    assert_eq!(error.status(), Code::FailedPrecondition);
    assert_eq!(error.http_status(), 409);
    assert_eq!(
        error.message(Language::English),
        "trial T1 cannot be listed"
    );
    assert_eq!(error.message(Language::Chinese), "试验 T1 无法列出");
    assert_eq!(error.params().collect::<Vec<_>>(), [("trialId", "T1")]);
    let violations = error.all_violations();
    assert_eq!(violations.len(), 2);
    assert_eq!(
        (
            &*violations[1].location,
            violations[1].path.as_str(),
            &*violations[1].rule
        ),
        ("query", "limit", "range")
    );
    assert_eq!(violations[1].expected, "1 to 200");
}

async fn a_passed_deadline_ends_the_call_and_the_work(mut stand: Stand) {
    // The connection is made before the clock starts.
    let cx = Context::background();
    stand
        .client
        .get_patients_by_trial(&cx, trial("T1"))
        .await
        .unwrap();
    let started = Instant::now();
    let cx = cx.with_timeout(Duration::from_millis(100));
    let error = stand
        .client
        .get_patients_by_trial(&cx, trial("sleep"))
        .await
        .unwrap_err();
    let took = started.elapsed();
    assert!(error.is(&catalogue::DEADLINE_EXCEEDED), "{error:?}");
    assert_eq!(error.http_status(), 504);
    assert!((90..400).contains(&took.as_millis()), "{took:?}");
    stand.events.began().await;
    let (dropped, ended, how) = stand.events.stopped().await;
    assert!(
        how.is(&catalogue::DEADLINE_EXCEEDED) || how.is(&catalogue::CANCELLED),
        "{how:?}"
    );
    let (dropped, ended) = (dropped - started, ended - started);
    println!(
        "{}: deadline of 100 ms: call {took:?}, work {dropped:?}, context {ended:?}",
        stand.kind
    );
    assert!(
        dropped.as_millis() < 400 && ended.as_millis() < 400,
        "{dropped:?} {ended:?}"
    );
}

async fn a_caller_that_leaves_stops_the_work(mut stand: Stand) {
    let cx = Context::background();
    let (client, guarded) = (stand.client.clone(), cx.with_cancel());
    let call = tokio::spawn(async move {
        // What a door does: the context ends with the request's future.
        let (cx, _guard) = guarded;
        client.get_patients_by_trial(&cx, trial("sleep")).await
    });
    stand.events.began().await;
    let left = Instant::now();
    call.abort();
    let (dropped, ended, how) = stand.events.stopped().await;
    assert!(how.is(&catalogue::CANCELLED), "{how:?}");
    let (dropped, ended) = (dropped - left, ended - left);
    println!(
        "{}: caller left: work stopped after {dropped:?}, context after {ended:?}",
        stand.kind
    );
    assert!(
        dropped.as_millis() < 300 && ended.as_millis() < 300,
        "{dropped:?} {ended:?}"
    );
}

async fn a_cancelled_context_stops_the_work(mut stand: Stand) {
    let (cx, guard) = Context::background().with_cancel();
    let client = stand.client.clone();
    let call = tokio::spawn(async move { client.get_patients_by_trial(&cx, trial("sleep")).await });
    stand.events.began().await;
    drop(guard);
    let error = call.await.unwrap().unwrap_err();
    assert!(error.is(&catalogue::CANCELLED), "{error:?}");
    let (_, _, how) = stand.events.stopped().await;
    assert!(how.is(&catalogue::CANCELLED), "{how:?}");
}

async fn a_panic_is_internal_and_harms_no_other_call(mut stand: Stand) {
    let cx = Context::background();
    let (client, other) = (stand.client.clone(), cx.with_cancel());
    let beside =
        tokio::spawn(async move { client.get_patients_by_trial(&other.0, trial("sleep")).await });
    stand.events.began().await;
    let error = stand
        .client
        .get_patients_by_trial(&cx, trial("panic"))
        .await
        .unwrap_err();
    assert_eq!((error.code(), error.status()), ("INTERNAL", Code::Internal));
    assert!(!error.to_string().contains("fire"), "{error}");
    stand
        .client
        .get_patients_by_trial(&cx, trial("T1"))
        .await
        .unwrap();
    assert!(stand.events.is_quiet() && !beside.is_finished());
    beside.abort();
    let event = stand.events.next().await;
    assert!(
        matches!(event, Event::Dropped(_) | Event::Ended(..)),
        "{event:?}"
    );
    if let Some(house) = &stand.house {
        assert_eq!(
            house.peers.lock().unwrap().len(),
            1,
            "one connection served it all"
        );
        let counted = house.metrics.encode();
        let panicked = "rpc_service=\"patient.PatientService\",rpc_method=\"getPatientsByTrial\",rpc_grpc_status_code=\"13\"";
        assert!(counted.contains(panicked), "{counted}");
    }
}

async fn a_cancellation_nobody_asked_for_is_the_services_failure(stand: Stand) {
    let cx = Context::background();
    let resp = stand
        .client
        .get_patients_by_trial(&cx, trial("cancelled"))
        .await;
    let error = resp.unwrap_err();
    assert!(error.is(&catalogue::UNAVAILABLE), "{error:?}");
}

async fn work_that_fails_because_time_ran_out_says_so(stand: Stand) {
    let cx = Context::background().with_timeout(Duration::from_millis(100));
    let resp = stand
        .client
        .get_patients_by_trial(&cx, trial("symptom"))
        .await;
    let error = resp.unwrap_err();
    assert!(error.is(&catalogue::DEADLINE_EXCEEDED), "{error:?}");
}

async fn a_dead_context_calls_nothing(mut stand: Stand) {
    let cx = Context::background().with_timeout(Duration::ZERO);
    let error = stand
        .client
        .get_patients_by_trial(&cx, trial("sleep"))
        .await
        .unwrap_err();
    assert!(error.is(&catalogue::DEADLINE_EXCEEDED), "{error:?}");
    let (cx, guard) = Context::background().with_cancel();
    drop(guard);
    let error = stand
        .client
        .get_patients_by_trial(&cx, trial("sleep"))
        .await
        .unwrap_err();
    assert!(error.is(&catalogue::CANCELLED), "{error:?}");
    let cx = Context::background();
    stand
        .client
        .get_patients_by_trial(&cx, trial("T1"))
        .await
        .unwrap();
    assert!(stand.events.is_quiet());
}

async fn many_calls_at_once_each_get_their_answer(stand: Stand) {
    let calls = (0..500).map(|n| {
        let client = stand.client.clone();
        tokio::spawn(async move {
            let cx = Context::background();
            let asked = format!("T{n}");
            let resp = client
                .get_patients_by_trial(&cx, trial(&asked))
                .await
                .unwrap();
            assert_eq!(resp.patients[0].id, asked);
        })
    });
    for call in calls.collect::<Vec<_>>() {
        call.await.unwrap();
    }
}

/// A, B and C: the caller, its trace and what is left of its time arrive at the last.
async fn two_hops(first: PatientClient) -> Vec<(Vec<String>, Duration)> {
    let bearer = format!("Bearer {}", token("account-7"));
    let principal = verifier().unwrap().verify(Some(&bearer)).unwrap();
    let cx = Context::background()
        .with_timeout(Duration::from_millis(800))
        .with_principal(principal);
    let resp = first
        .get_patients_by_trial(&cx, trial("relay"))
        .await
        .unwrap();
    let seen: Vec<_> = resp
        .patients
        .iter()
        .map(|stop| {
            let words = stop.id.split(' ').map(str::to_owned).collect::<Vec<_>>();
            (
                words,
                Duration::from_micros(u64::try_from(stop.status).unwrap()),
            )
        })
        .collect();
    assert_eq!(seen.len(), 3);
    for (words, remaining) in &seen {
        assert_eq!(words[0], "account-7");
        assert_eq!(words[1], cx.trace().trace_id());
        assert!(
            *remaining <= Duration::from_millis(800) && *remaining > Duration::from_millis(300)
        );
    }
    seen
}

#[tokio::test]
async fn token_trace_and_shrinking_deadline_arrive_two_hops_down() {
    let (c, _events) = ward(None);
    let c = house(c).await;
    let (b, _events) = ward(Some(remote(&c)));
    let b = house(b).await;
    let (a, _events) = ward(Some(remote(&b)));
    let a = house(a).await;
    let seen = two_hops(remote(&a)).await;
    println!(
        "remaining at A, B, C of 800 ms: {:?} {:?} {:?}",
        seen[0].1, seen[1].1, seen[2].1
    );
    assert!(seen[0].1 > seen[1].1 && seen[1].1 > seen[2].1);
    // The margin of each hop was taken off, not only the time that it took.
    assert!(seen[0].1 - seen[2].1 >= Duration::from_millis(14));
    assert_ne!(seen[0].0[2], seen[1].0[2], "each hop has its own span");
}

#[tokio::test]
async fn the_same_arrives_in_one_process() {
    let (c, _events) = ward(None);
    let (b, _events) = ward(Some(PatientClient::local(c)));
    let (a, _events) = ward(Some(PatientClient::local(b)));
    let seen = two_hops(PatientClient::local(a)).await;
    assert!(seen[0].1 >= seen[1].1 && seen[1].1 >= seen[2].1);
}

#[tokio::test]
async fn work_two_hops_down_stops_when_the_caller_leaves() {
    let (c, mut events) = ward(None);
    let c = house(c).await;
    let (b, _quiet) = ward(Some(remote(&c)));
    // B passes every call on to C.
    struct Through(PatientClient);
    impl PatientService for Through {
        async fn get_patients_by_trial(
            &self,
            cx: &Context,
            req: patient::GetPatientsByTrialReq,
        ) -> tenon_core::Result<patient::GetPatientsByTrialResp> {
            self.0.get_patients_by_trial(cx, req).await
        }
    }
    drop(b);
    let b = house_of(Through(remote(&c))).await;
    let client = remote(&b);
    let call = tokio::spawn(async move {
        client
            .get_patients_by_trial(&Context::background(), trial("sleep"))
            .await
    });
    events.began().await;
    let left = Instant::now();
    call.abort();
    let (dropped, ended, how) = events.stopped().await;
    assert!(how.is(&catalogue::CANCELLED), "{how:?}");
    println!(
        "two hops: caller left: work stopped after {:?}, context after {:?}",
        dropped - left,
        ended - left
    );
    assert!((dropped - left).as_millis() < 400 && (ended - left).as_millis() < 400);
}

async fn house_of(service: impl PatientService) -> House {
    ward::house_serving(patient::serve(service)).await
}

/// Fails before it gives a future.
struct Hasty;

impl PatientService for Hasty {
    fn get_patients_by_trial(
        &self,
        _: &Context,
        req: patient::GetPatientsByTrialReq,
    ) -> impl Future<Output = tenon_core::Result<patient::GetPatientsByTrialResp>> + Send {
        assert!(req.trial_id.is_empty(), "this ward takes no trials");
        std::future::ready(Ok(patient::GetPatientsByTrialResp::default()))
    }
}

#[tokio::test]
async fn a_panic_outside_the_future_is_internal_too() {
    let house = house_of(Hasty).await;
    for client in [PatientClient::local(Hasty), remote(&house)] {
        let cx = Context::background();
        let error = client
            .get_patients_by_trial(&cx, trial("T1"))
            .await
            .unwrap_err();
        assert_eq!(error.status(), Code::Internal);
        client.get_patients_by_trial(&cx, trial("")).await.unwrap();
    }
}

#[tokio::test]
async fn a_caller_without_a_token_has_no_name() {
    let (a, _events) = ward(None);
    let a = house(a).await;
    let cx = Context::background().with_principal(Arc::new(Principal::new(
        "no-token",
        serde_json::Map::default(),
    )));
    let resp = remote(&a)
        .get_patients_by_trial(&cx, trial("relay"))
        .await
        .unwrap();
    assert!(
        resp.patients[0].id.starts_with(' '),
        "{}",
        resp.patients[0].id
    );
}

#[tokio::test]
async fn a_local_call_costs_little() {
    let (ward, _events) = ward(None);
    let client = PatientClient::local(ward.clone()).metrics(&Metrics::new());
    let cx = Context::background().with_timeout(Duration::from_secs(60));
    let rounds = 20_000;
    let mut cost = [Duration::ZERO; 2];
    for _ in 0..rounds {
        let started = Instant::now();
        ward.get_patients_by_trial(&cx, trial("T")).await.unwrap();
        let between = Instant::now();
        client.get_patients_by_trial(&cx, trial("T")).await.unwrap();
        cost[0] += between - started;
        cost[1] += between.elapsed();
    }
    println!(
        "local call, this build: direct {:?}, through the client {:?}",
        cost[0] / rounds,
        cost[1] / rounds
    );
    // A call over the loopback costs more than a hundred microseconds.
    assert!(cost[1] / rounds < Duration::from_micros(100));
}
