//! One suite of the behaviour of streams, run in the process and over real sockets.

#![expect(
    clippy::expect_used,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "helpers of a test fail it as its assertions do, and tests print what they measure"
)]

#[path = "shape/feed.rs"]
pub mod feed;
#[path = "shape/stand.rs"]
pub mod stand;

use std::{
    sync::atomic::Ordering,
    time::{Duration, Instant},
};

use feed::{FeedClient, FeedService};
use futures_util::stream;
use stand::{Event, FEED_INVALID, Stand, channel, item};
use tenon_core::{
    Code, Context, Messages, catalogue,
    config::{ClientConfig, MethodTimeouts, RpcConfig},
};
use tenon_rpc::Metrics;
use tokio::sync::mpsc;

macro_rules! on_both {
    ($($name:ident)*) => {
        mod local { $(#[tokio::test] async fn $name() { super::$name(super::Stand::local().await).await })* }
        mod remote { $(#[tokio::test] async fn $name() { super::$name(super::Stand::remote().await).await })* }
    };
}

on_both! {
    a_list_comes_whole_and_in_order
    an_import_is_counted_to_its_end
    a_sync_answers_each_item_as_it_comes
    an_error_before_the_stream_is_that_of_the_call
    an_error_within_the_stream_is_its_last_item
    a_panic_before_and_within_a_stream_is_internal
    a_passed_deadline_ends_a_stream_and_its_work
    a_passed_deadline_ends_an_import_and_its_work
    a_stream_that_is_dropped_stops_its_work
    an_import_whose_caller_leaves_stops_and_commits_nothing
    an_import_whose_input_breaks_commits_nothing_and_says_why
    a_panic_in_what_the_caller_sends_breaks_the_import
    a_sync_whose_input_breaks_says_why
    a_service_may_answer_before_it_has_read_everything
    nobody_works_ahead_of_who_takes_the_items
    calls_are_counted_while_they_live_and_by_their_end
    a_dead_context_begins_no_stream
    many_streams_at_once_each_get_their_items
}

async fn a_list_comes_whole_and_in_order(stand: Stand) {
    let cx = Context::background();
    let list = stand.client.list(&cx, item(500, "x")).await.unwrap();
    let items = list.collect(1000).await.unwrap();
    assert_eq!(items.len(), 500);
    assert!((0..500).zip(&items).all(|(n, item)| item.number == n));
    let none = stand.client.list(&cx, item(0, "x")).await.unwrap();
    assert!(none.collect(1).await.unwrap().is_empty());
}

async fn an_import_is_counted_to_its_end(mut stand: Stand) {
    let cx = Context::background();
    let items = (0..2000).map(|n| item(n, "row"));
    let count = stand.client.import(&cx, Messages::list(items)).await;
    assert_eq!(count.unwrap().number, 2000);
    assert!(matches!(stand.event().await, Event::Began));
    assert!(matches!(stand.event().await, Event::Committed(2000)));
    let none = stand.client.import(&cx, Messages::none()).await.unwrap();
    assert_eq!(none.number, 0);
}

async fn a_sync_answers_each_item_as_it_comes(stand: Stand) {
    let cx = Context::background();
    let (sender, items) = mpsc::channel(1);
    let mut answers = stand.client.sync(&cx, receiving(items)).await.unwrap();
    for number in 0..10 {
        sender.send(item(number, "ping")).await.unwrap();
        let answer = answers.try_next().await.unwrap().unwrap();
        assert_eq!(answer.number, number);
    }
    drop(sender);
    assert!(answers.try_next().await.unwrap().is_none());
}

fn receiving(items: mpsc::Receiver<feed::Item>) -> Messages<feed::Item> {
    Messages::of(stream::unfold(items, |mut items| async move {
        Some((items.recv().await?, items))
    }))
}

async fn an_error_before_the_stream_is_that_of_the_call(stand: Stand) {
    let cx = Context::background();
    let error = stand
        .client
        .list(&cx, item(3, "invalid"))
        .await
        .unwrap_err();
    assert!(error.is(&FEED_INVALID), "{error:?}");
    assert_eq!(error.to_string(), "the feed F1 cannot be listed");
    let error = stand
        .client
        .import(&cx, Messages::list([item(0, "refuse")]))
        .await
        .unwrap_err();
    assert!(error.is(&FEED_INVALID), "{error:?}");
}

async fn an_error_within_the_stream_is_its_last_item(stand: Stand) {
    let cx = Context::background();
    let mut list = stand.client.list(&cx, item(3, "fail")).await.unwrap();
    for _ in 0..3 {
        assert!(list.try_next().await.unwrap().is_some());
    }
    let error = list.try_next().await.unwrap_err();
    assert!(error.is(&FEED_INVALID), "{error:?}");
    assert!(list.next().await.is_none());
}

async fn a_panic_before_and_within_a_stream_is_internal(stand: Stand) {
    let cx = Context::background();
    let error = stand.client.list(&cx, item(3, "panic")).await.unwrap_err();
    assert_eq!(error.status(), Code::Internal);
    assert!(!error.to_string().contains("fire"), "{error}");
    let list = stand.client.list(&cx, item(3, "burn")).await.unwrap();
    let error = list.collect(9).await.unwrap_err();
    assert_eq!((error.code(), error.status()), ("INTERNAL", Code::Internal));
    assert!(!error.to_string().contains("burns"), "{error}");
    let error = stand
        .client
        .import(&cx, Messages::list([item(0, "panic")]))
        .await
        .unwrap_err();
    assert_eq!(error.status(), Code::Internal);
    stand.client.one(&cx, item(1, "still there")).await.unwrap();
    if let Some(house) = &stand.house {
        let counted = house.metrics.encode();
        for method in ["list", "import"] {
            let panicked = format!(
                "rpc_service=\"feed.FeedService\",rpc_method=\"{method}\",rpc_grpc_status_code=\"13\""
            );
            assert!(counted.contains(&panicked), "{counted}");
        }
    }
}

async fn a_passed_deadline_ends_a_stream_and_its_work(mut stand: Stand) {
    let cx = Context::background();
    stand.client.one(&cx, item(1, "connected")).await.unwrap();
    let started = Instant::now();
    let cx = cx.with_timeout(Duration::from_millis(100));
    let mut list = stand.client.list(&cx, item(2, "wait")).await.unwrap();
    assert_eq!(list.try_next().await.unwrap().unwrap().number, 0);
    assert_eq!(list.try_next().await.unwrap().unwrap().number, 1);
    let error = list.try_next().await.unwrap_err();
    assert!(error.is(&catalogue::DEADLINE_EXCEEDED), "{error:?}");
    let how = stand.over().await;
    assert!(
        how.is(&catalogue::DEADLINE_EXCEEDED) || how.is(&catalogue::CANCELLED),
        "{how:?}"
    );
    println!(
        "{}: stream with 100 ms: {:?}",
        stand.kind,
        started.elapsed()
    );
    let cx = Context::background().with_timeout(Duration::from_millis(50));
    let error = stand.client.list(&cx, item(2, "late")).await.unwrap_err();
    assert!(error.is(&catalogue::DEADLINE_EXCEEDED), "{error:?}");
}

async fn a_passed_deadline_ends_an_import_and_its_work(mut stand: Stand) {
    let cx = Context::background().with_timeout(Duration::from_millis(100));
    let (sender, items) = mpsc::channel(1);
    sender.send(item(0, "row")).await.unwrap();
    let error = stand
        .client
        .import(&cx, receiving(items))
        .await
        .unwrap_err();
    assert!(error.is(&catalogue::DEADLINE_EXCEEDED), "{error:?}");
    stand.over().await;
    // What the caller would still have sent is let go as well.
    tokio::time::timeout(Duration::from_secs(5), sender.closed())
        .await
        .unwrap();
}

async fn a_stream_that_is_dropped_stops_its_work(mut stand: Stand) {
    let cx = Context::background();
    let mut list = stand.client.list(&cx, item(2, "wait")).await.unwrap();
    list.try_next().await.unwrap();
    let left = Instant::now();
    drop(list);
    let how = stand.over().await;
    assert!(how.is(&catalogue::CANCELLED), "{how:?}");
    println!(
        "{}: caller left a stream: work and context over after {:?}",
        stand.kind,
        left.elapsed()
    );
    assert!(cx.check().is_ok(), "the caller's own context goes on");
}

async fn an_import_whose_caller_leaves_stops_and_commits_nothing(mut stand: Stand) {
    let (sender, items) = mpsc::channel(1);
    sender.send(item(0, "row")).await.unwrap();
    let (client, guarded) = (stand.client.clone(), Context::background().with_cancel());
    let call = tokio::spawn(async move {
        let (cx, _guard) = guarded;
        client.import(&cx, receiving(items)).await
    });
    assert!(matches!(stand.event().await, Event::Began));
    let left = Instant::now();
    call.abort();
    stand.over().await;
    println!(
        "{}: caller left an import: over after {:?}",
        stand.kind,
        left.elapsed()
    );
    tokio::time::timeout(Duration::from_secs(5), sender.closed())
        .await
        .unwrap();
}

async fn an_import_whose_input_breaks_commits_nothing_and_says_why(mut stand: Stand) {
    let cx = Context::background();
    let rows = [
        Ok(item(0, "row")),
        Err(FEED_INVALID.error().param("feed", "own")),
    ];
    let error = stand
        .client
        .import(&cx, Messages::results(stream::iter(rows)))
        .await
        .unwrap_err();
    assert!(error.is(&FEED_INVALID), "{error:?}");
    assert_eq!(error.to_string(), "the feed own cannot be listed");
    // An import that had begun is over, and `over` refuses a commit. One that was reset before
    // it began reports nothing.
    stand.client.one(&cx, item(1, "another")).await.unwrap();
    while let Ok(event) = stand.events.try_recv() {
        assert!(!matches!(event, Event::Committed(_)), "{event:?}");
    }
}

async fn a_panic_in_what_the_caller_sends_breaks_the_import(stand: Stand) {
    let cx = Context::background();
    let rows = Messages::list((0..3).map(|n| match n {
        2 => panic!("the caller is on fire"),
        n => item(n, "row"),
    }));
    let error = stand.client.import(&cx, rows).await.unwrap_err();
    assert_eq!(error.status(), Code::Internal, "{error:?}");
    stand.client.one(&cx, item(1, "still there")).await.unwrap();
}

async fn a_sync_whose_input_breaks_says_why(mut stand: Stand) {
    let cx = Context::background();
    let (sender, items) = mpsc::channel(1);
    let rows = stream::unfold(items, |mut items: mpsc::Receiver<_>| async move {
        Some((items.recv().await?, items))
    });
    let rows = Messages::results(rows);
    let mut answers = stand.client.sync(&cx, rows).await.unwrap();
    sender.send(Ok(item(7, "ping"))).await.unwrap();
    assert_eq!(answers.try_next().await.unwrap().unwrap().number, 7);
    sender.send(Err(FEED_INVALID.error())).await.unwrap();
    let error = answers.try_next().await.unwrap_err();
    assert!(error.is(&FEED_INVALID), "{error:?}");
    stand.over().await;
}

async fn a_service_may_answer_before_it_has_read_everything(stand: Stand) {
    let cx = Context::background();
    let (sender, items) = mpsc::channel(1);
    sender.send(item(0, "enough")).await.unwrap();
    let answer = stand.client.import(&cx, receiving(items)).await.unwrap();
    assert_eq!((answer.number, answer.text.as_str()), (1, "enough"));
    tokio::time::timeout(Duration::from_secs(5), sender.closed())
        .await
        .unwrap();
    let (sender, items) = mpsc::channel(1);
    sender.send(item(0, "stop")).await.unwrap();
    let mut answers = stand.client.sync(&cx, receiving(items)).await.unwrap();
    assert!(answers.try_next().await.unwrap().is_none());
    tokio::time::timeout(Duration::from_secs(5), sender.closed())
        .await
        .unwrap();
}

async fn nobody_works_ahead_of_who_takes_the_items(stand: Stand) {
    let cx = Context::background();
    let large = "x".repeat(16 << 10);
    let mut list = stand.client.list(&cx, item(10_000, &large)).await.unwrap();
    list.try_next().await.unwrap();
    // Whatever can be made without anybody reading is made by the time that many other calls
    // were answered on the same connection.
    for _ in 0..200 {
        stand.client.one(&cx, item(1, "beside")).await.unwrap();
    }
    let made = stand.made.load(Ordering::SeqCst);
    println!("{}: {made} items of 16 KiB made, one was taken", stand.kind);
    assert!(made < 200, "{made} items of 16 KiB were made ahead");
}

async fn calls_are_counted_while_they_live_and_by_their_end(stand: Stand) {
    let cx = Context::background();
    let side = |line: &str, text: &str| text.lines().any(|l| l.starts_with(line));
    let mut list = stand.client.list(&cx, item(2, "wait")).await.unwrap();
    list.try_next().await.unwrap();
    let active = |side: &str| {
        format!("rpc_{side}_active_calls{{rpc_service=\"feed.FeedService\",rpc_method=\"list\"}} 1")
    };
    assert!(side(&active("client"), &stand.calls.encode()));
    if let Some(house) = &stand.house {
        assert!(side(&active("server"), &house.metrics.encode()));
    }
    drop(list);
    let ok = stand.client.list(&cx, item(2, "x")).await.unwrap();
    ok.collect(9).await.unwrap();
    let failing = stand.client.list(&cx, item(2, "fail")).await.unwrap();
    failing.collect(9).await.unwrap_err();
    for (code, count) in [(0, 1), (1, 1), (9, 1)] {
        let line = format!(
            "rpc_client_call_duration_seconds_count{{rpc_service=\"feed.FeedService\",rpc_method=\"list\",rpc_grpc_status_code=\"{code}\"}} {count}"
        );
        let text = stand.calls.encode();
        assert!(side(&line, &text), "{line}\n{text}");
        if let Some(house) = &stand.house {
            let line = line.replace("_client_", "_server_");
            let text = house.metrics.encode();
            assert!(side(&line, &text), "{line}\n{text}");
        }
    }
}

async fn a_dead_context_begins_no_stream(mut stand: Stand) {
    let cx = Context::background().with_timeout(Duration::ZERO);
    let error = stand.client.list(&cx, item(1, "x")).await.unwrap_err();
    assert!(error.is(&catalogue::DEADLINE_EXCEEDED), "{error:?}");
    let (cx, guard) = Context::background().with_cancel();
    drop(guard);
    let error = stand.client.sync(&cx, Messages::none()).await.unwrap_err();
    assert!(error.is(&catalogue::CANCELLED), "{error:?}");
    assert!(stand.events.try_recv().is_err());
}

async fn many_streams_at_once_each_get_their_items(stand: Stand) {
    let streams = (0..300_i64).map(|n| {
        let client = stand.client.clone();
        tokio::spawn(async move {
            let cx = Context::background();
            let rows = (0..n).map(move |row| item(row, &n.to_string()));
            let answers = client.sync(&cx, Messages::list(rows)).await.unwrap();
            let items = answers.collect(1000).await.unwrap();
            assert_eq!(items.len(), usize::try_from(n).unwrap());
            assert!(items.iter().all(|item| item.text == n.to_string()));
        })
    });
    for stream in streams.collect::<Vec<_>>() {
        stream.await.unwrap();
    }
}

#[tokio::test]
async fn a_server_ends_a_stream_whose_caller_set_no_deadline() {
    let stand = Stand::with(RpcConfig {
        stream_timeout: Duration::from_millis(150),
        ..RpcConfig::default()
    })
    .await;
    let cx = Context::background();
    let mut list = stand.client.list(&cx, item(1, "wait")).await.unwrap();
    assert!(list.try_next().await.unwrap().is_some());
    let error = list.try_next().await.unwrap_err();
    assert!(error.is(&catalogue::DEADLINE_EXCEEDED), "{error:?}");
}

/// The time that is said of a method is that of the call, as the deadlines of gRPC are: a stream
/// ends with it. The time for all others is for those with one answer.
#[tokio::test]
async fn a_stream_has_the_time_of_its_method_and_not_that_for_all() {
    let short = Duration::from_millis(100);
    let config = ClientConfig {
        timeout: short,
        timeouts: MethodTimeouts([("list".to_owned(), short)].into()),
        ..ClientConfig::default()
    };
    let mut stand = Stand::called(RpcConfig::default(), config).await;
    let cx = Context::background();
    let (send, items) = mpsc::channel(1);
    let items = Messages::results(stream::unfold(items, async |mut items| {
        Some((items.recv().await?, items))
    }));
    let mut synced = stand.client.sync(&cx, items).await.unwrap();
    send.send(Ok(item(1, "x"))).await.unwrap();
    assert_eq!(synced.next().await.unwrap().unwrap().number, 1);
    let mut list = stand.client.list(&cx, item(3, "wait")).await.unwrap();
    for at in 0..3 {
        assert_eq!(list.next().await.unwrap().unwrap().number, at);
    }
    let end = tokio::time::timeout(Duration::from_secs(60), list.next()).await;
    let error = end.unwrap().unwrap().unwrap_err();
    assert!(error.is(&catalogue::DEADLINE_EXCEEDED), "{error:?}");
    assert!(list.next().await.is_none());
    let ended = stand.over().await;
    println!("the service: {ended}");
    // By now the time for all is over, too.
    send.send(Ok(item(2, "x"))).await.unwrap();
    assert_eq!(synced.next().await.unwrap().unwrap().number, 2);
}

/// A caller of a service that has no breaker of its own.
async fn unguarded() -> Stand {
    let config = RpcConfig {
        breaker: false,
        ..RpcConfig::default()
    };
    Stand::with(config).await
}

#[tokio::test]
async fn streams_that_begin_and_then_fail_open_the_breaker_of_their_caller() {
    for text in ["away", "broken"] {
        for messages in [0, 1] {
            let stand = unguarded().await;
            let (cx, mut begun) = (Context::background(), 0);
            let refused = loop {
                match stand.client.list(&cx, item(messages, text)).await {
                    Ok(list) => assert!(list.collect(10).await.is_err(), "{text}"),
                    Err(error) => break error,
                }
                begun += 1;
                assert!(begun < 500, "{text}: none of {begun} was refused");
            };
            assert!(refused.is(&catalogue::CIRCUIT_OPEN), "{refused:?}");
            println!("{text} after {messages} messages: {begun} began before one was refused");
        }
    }
}

#[tokio::test]
async fn streams_that_their_caller_ends_open_no_breaker() {
    let stand = unguarded().await;
    let cx = Context::background();
    for _ in 0..100 {
        // Dropped, cancelled, and not done in the time that its caller had.
        drop(stand.client.list(&cx, item(0, "wait")).await.unwrap());
        let (left, guard) = cx.with_cancel();
        let mut list = stand.client.list(&left, item(0, "wait")).await.unwrap();
        drop(guard);
        let error = list.next().await.unwrap().unwrap_err();
        assert_eq!(error.status(), Code::Cancelled);
        let hurried = cx.with_timeout(Duration::from_millis(20));
        if let Ok(mut list) = stand.client.list(&hurried, item(0, "wait")).await {
            let error = list.next().await.unwrap().unwrap_err();
            assert!(error.is(&catalogue::DEADLINE_EXCEEDED), "{error:?}");
        }
        let broken = Messages::results(stream::iter([Err(FEED_INVALID.error())]));
        if let Ok(mut synced) = stand.client.sync(&cx, broken).await {
            assert!(synced.next().await.unwrap().is_err());
        }
    }
    for text in ["x", "fail"] {
        let list = stand.client.list(&cx, item(1, text)).await;
        assert!(list.is_ok(), "{text}: {:?}", list.err());
    }
    let none = stand.client.sync(&cx, Messages::none()).await.unwrap();
    assert!(none.collect(1).await.unwrap().is_empty());
}

/// A caller that gives no window keeps its stream from being polled; its deadline holds.
#[tokio::test]
async fn the_work_of_a_stream_that_nobody_reads_ends_at_its_deadline() {
    let mut stand = Stand::with(RpcConfig {
        stream_timeout: Duration::from_millis(200),
        ..RpcConfig::default()
    })
    .await;
    let cx = Context::background();
    let large = "x".repeat(64 << 10);
    let mut list = stand.client.list(&cx, item(10_000, &large)).await.unwrap();
    list.try_next().await.unwrap();
    let how = stand.over().await;
    assert!(
        how.is(&catalogue::DEADLINE_EXCEEDED) || how.is(&catalogue::CANCELLED),
        "{how:?}"
    );
    let error = list.collect(100_000).await.unwrap_err();
    assert!(error.is(&catalogue::DEADLINE_EXCEEDED), "{error:?}");
}

#[tokio::test]
async fn streams_that_nobody_reads_hold_up_no_other_call() {
    let stand = Stand::remote().await;
    let cx = Context::background();
    let large = "x".repeat(64 << 10);
    let mut held = Vec::new();
    for _ in 0..20 {
        let mut list = stand.client.list(&cx, item(1000, &large)).await.unwrap();
        list.try_next().await.unwrap();
        held.push(list);
    }
    let beside = cx.with_timeout(Duration::from_secs(5));
    stand.client.one(&beside, item(1, &large)).await.unwrap();
    // Imports that the service does not read neither.
    let mut imports = Vec::new();
    for _ in 0..20 {
        let client = stand.client.clone();
        let large = large.clone();
        imports.push(tokio::spawn(async move {
            let cx = Context::background();
            let rows = (0..1000).map(move |n| item(n, if n == 0 { "stall" } else { &large }));
            client.import(&cx, Messages::list(rows)).await
        }));
        tokio::task::yield_now().await;
    }
    for _ in 0..50 {
        let beside = cx.with_timeout(Duration::from_secs(5));
        stand.client.one(&beside, item(1, &large)).await.unwrap();
    }
    imports.iter().for_each(tokio::task::JoinHandle::abort);
}

#[tokio::test]
async fn a_stream_breaks_with_its_connection() {
    let mut stand = Stand::remote().await;
    let cx = Context::background();
    let mut list = stand.client.list(&cx, item(1, "wait")).await.unwrap();
    list.try_next().await.unwrap();
    stand.house.take().unwrap().life.kill();
    let error = list.try_next().await.unwrap_err();
    assert!(error.is(&catalogue::UNAVAILABLE), "{error:?}");
    stand.over().await;
}

#[tokio::test]
async fn methods_known_only_at_run_time_are_called_with_bytes() {
    use prost::Message;
    let stand = Stand::remote().await;
    let address = stand.house.as_ref().unwrap().address;
    let channel = channel(address, &Metrics::new());
    let cx = Context::background();
    let method = |name: &str| {
        tenon_rpc::Method::dynamic(&format!("/feed.FeedService/{name}"), false).unwrap()
    };
    let asked = || bytes::Bytes::from(item(3, "raw").encode_to_vec());
    let read = |bytes: bytes::Bytes| feed::Item::decode(bytes).unwrap();
    let one = channel.unary_bytes(&cx, method("one"), asked()).await;
    assert_eq!(read(one.unwrap()).text, "raw");
    let list = channel.server_stream_bytes(&cx, method("list"), asked());
    let list = list.await.unwrap().collect(9).await.unwrap();
    assert_eq!(list.into_iter().map(read).map(|i| i.number).sum::<i64>(), 3);
    let rows = || Messages::list((0..4).map(|n| item(n, "row").encode_to_vec().into()));
    let count = channel.client_stream_bytes(&cx, method("import"), rows());
    assert_eq!(read(count.await.unwrap()).number, 4);
    let echo = channel.bidi_bytes(&cx, method("sync"), rows()).await;
    assert_eq!(echo.unwrap().collect(9).await.unwrap().len(), 4);
    let unknown = channel.unary_bytes(&cx, method("nothing"), asked()).await;
    assert_eq!(unknown.unwrap_err().status(), Code::Unimplemented);
}

#[tokio::test]
async fn what_a_message_of_a_stream_costs() {
    for stand in [Stand::local().await, Stand::remote().await] {
        let cx = Context::background();
        let rounds = 20_000;
        let started = Instant::now();
        let mut list = stand.client.list(&cx, item(rounds, "x")).await.unwrap();
        while list.try_next().await.unwrap().is_some() {}
        let took = started.elapsed() / u32::try_from(rounds).unwrap();
        println!("{}: {took:?} a message of a list (debug build)", stand.kind);
    }
    let _ = FeedClient::local(stand::feed().0);
}

/// `HealthCheckRequest` and `HealthCheckResponse`, as they stand on the wire.
async fn watch(stand: &Stand, service: &str) -> Messages<i64> {
    let method = tenon_rpc::Method::dynamic("/grpc.health.v1.Health/Watch", false).unwrap();
    let channel = channel(stand.house.as_ref().unwrap().address, &Metrics::new());
    let asked = prost::Message::encode_to_vec(&service.to_owned());
    let cx = Context::background();
    let replies = channel.server_stream_bytes(&cx, method, asked.into()).await;
    let status = |bytes: bytes::Bytes| prost::Message::decode(bytes).unwrap();
    replies.unwrap().map(status)
}

#[tokio::test]
async fn watchers_of_health_are_told_of_the_drain_and_let_go() {
    let stand = Stand::remote().await;
    let (serving, not_serving, unknown) = (1, 2, 3);
    let mut known = Vec::new();
    for name in ["", "feed.FeedService"] {
        let mut told = watch(&stand, name).await;
        assert_eq!(told.try_next().await.unwrap(), Some(serving));
        known.push(told);
    }
    let mut other = watch(&stand, "no.such.Service").await;
    assert_eq!(other.try_next().await.unwrap(), Some(unknown));
    stand.house.as_ref().unwrap().life.drain();
    for mut told in known {
        assert_eq!(told.try_next().await.unwrap(), Some(not_serving));
        assert_eq!(told.try_next().await.unwrap(), None);
    }
    assert_eq!(other.try_next().await.unwrap(), None);
}

/// Field 7 of a reflection request: the list of services.
const LIST_SERVICES: &[u8] = &[0x3a, 0];

#[tokio::test]
async fn reflection_is_for_peers_on_this_machine_unless_told_otherwise() {
    use tenon_core::config::Reflection;
    for (who, there) in [
        (Reflection::Loopback, true),
        (Reflection::All, true),
        (Reflection::Nobody, false),
    ] {
        let stand = Stand::with(RpcConfig {
            reflection: who,
            ..RpcConfig::default()
        })
        .await;
        let channel = channel(stand.house.as_ref().unwrap().address, &Metrics::new());
        for version in ["v1", "v1alpha"] {
            let path = format!("/grpc.reflection.{version}.ServerReflection/ServerReflectionInfo");
            let method = tenon_rpc::Method::dynamic(&path, false).unwrap();
            let asked = Messages::list([bytes::Bytes::from_static(LIST_SERVICES)]);
            let cx = Context::background();
            let answers = channel.bidi_bytes(&cx, method, asked).await;
            if !there {
                assert_eq!(answers.unwrap_err().status(), Code::Unimplemented);
                continue;
            }
            let answers = answers.unwrap().collect(1).await.unwrap();
            let told = String::from_utf8_lossy(&answers[0]);
            for name in [
                "feed.FeedService",
                "grpc.health.v1.Health",
                "v1alpha.ServerReflection",
            ] {
                assert!(told.contains(name), "{told}");
            }
        }
    }
}
