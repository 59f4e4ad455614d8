//! How much a call matters: what the contract says of its method, and less where the request that
//! it is made for matters less. Never more.

#![expect(
    clippy::unwrap_used,
    reason = "helpers of a test fail it as its assertions do"
)]

#[path = "shape/feed.rs"]
pub mod feed;
#[path = "refusals/house.rs"]
pub mod house;

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};

use bytes::Bytes;
use futures_util::future::join_all;
use house::{CRITICAL, Classes, House, NORMAL, SHEDDABLE, config};
use http::{HeaderMap, HeaderValue, Request, Response};
use http_body_util::Full;
use prost::Message;
use tenon_core::{Context, Result, catalogue};
use tenon_rpc::{Channel, Criticality, Door, Method, Passed, ReplyBody, Server};
use tokio::{runtime::Runtime, sync::Semaphore, task::JoinError};
use tower::Service;

/// A call as a peer makes it that is none of ours, with these values of the header.
async fn raw(
    door: &Door,
    method: &'static Method,
    text: &str,
    stated: &[&'static str],
) -> Response<ReplyBody> {
    let message = text.to_owned().encode_to_vec();
    let mut framed = vec![0, 0, 0, 0, u8::try_from(message.len()).unwrap()];
    framed.extend(message);
    let mut request = Request::post(method.path())
        .header("content-type", "application/grpc")
        .body(Full::new(Bytes::from(framed)))
        .unwrap();
    for value in stated {
        let value = HeaderValue::from_static(value);
        request.headers_mut().append("tenon-criticality", value);
    }
    Service::call(&mut door.clone(), request).await.unwrap()
}

async fn answer(response: Response<ReplyBody>) -> String {
    use http_body_util::BodyExt;
    let body = response.into_body().collect().await.unwrap().to_bytes();
    String::decode(body.slice(5..)).unwrap()
}

fn door(text: &str) -> (Door, Arc<Semaphore>) {
    let (service, entered) = Classes::service();
    let door = Server::new("classes", config(text)).service(service);
    (door.into_service().unwrap(), entered)
}

#[tokio::test]
async fn a_caller_may_lower_the_class_of_its_call_and_never_raise_it() {
    let (door, _) = door("");
    for (method, stated, expected) in [
        (&CRITICAL, &[][..], "critical"),
        (&CRITICAL, &["critical"], "critical"),
        (&CRITICAL, &["normal"], "normal"),
        (&CRITICAL, &["sheddable"], "sheddable"),
        (&NORMAL, &[], "normal"),
        (&NORMAL, &["critical"], "normal"),
        (&NORMAL, &["sheddable"], "sheddable"),
        (&SHEDDABLE, &["critical"], "sheddable"),
        (&SHEDDABLE, &["normal", "critical"], "sheddable"),
        // Of several the lowest, and what is no class states nothing.
        (&CRITICAL, &["critical", "sheddable", "normal"], "sheddable"),
        (&CRITICAL, &["Critical", "highest", "", "0"], "critical"),
    ] {
        let given = answer(raw(&door, method, "", stated).await).await;
        assert_eq!(given, expected, "{} with {stated:?}", method.name());
    }
}

#[tokio::test]
async fn what_is_called_for_a_request_matters_no_more_than_it() {
    let (service, _) = Classes::service();
    let server = Server::new("classes", config("")).service(service);
    let house = House::serve(server, &config("")).await;
    let call = async |cx: &Context| -> Result<String> {
        house.channel.unary(cx, &CRITICAL, String::new()).await
    };
    let cx = Context::background();
    assert_eq!(call(&cx).await.unwrap(), "critical");
    for class in Criticality::ALL {
        let cx = cx.with_value(class);
        assert_eq!(call(&cx).await.unwrap(), class.as_str());
        // What came from outside and is passed on does not undo it.
        let mut headers = HeaderMap::new();
        let outside = HeaderValue::from_static("critical");
        headers.insert("tenon-criticality", outside);
        let cx = cx.with_value(Passed::new(headers));
        assert_eq!(call(&cx).await.unwrap(), class.as_str());
    }
}

/// 40 calls hang: a call for something sheddable is shed once the queue stood for an eighth of
/// the 8 s of a call, one of a normal method after a quarter, of a critical one after half.
#[tokio::test(start_paused = true)]
async fn of_one_method_the_calls_that_matter_less_are_shed_first() {
    let (door, entered) = door("timeout: 8s");
    let hold = |method: &'static Method, stated: &'static [&'static str]| {
        let door = door.clone();
        tokio::spawn(async move { raw(&door, method, "hold", stated).await })
    };
    let is_let_in = async |method, stated| {
        let before = entered.available_permits();
        let held = hold(method, stated);
        for _ in 0..10 {
            tokio::task::yield_now().await;
        }
        let is_in = entered.available_permits() > before;
        assert_eq!(held.is_finished(), !is_in, "neither refused nor let in");
        is_in
    };
    for method in [&NORMAL, &CRITICAL] {
        for _ in 0..40 {
            assert!(is_let_in(method, &[]).await);
        }
    }
    let after = async |time: u64| tokio::time::advance(Duration::from_millis(time)).await;
    // The queue is looked at every 100 ms.
    after(200).await;
    assert!(is_let_in(&NORMAL, &[]).await && is_let_in(&CRITICAL, &[]).await);
    after(1200).await;
    assert!(is_let_in(&NORMAL, &[]).await);
    assert!(!is_let_in(&NORMAL, &["sheddable"]).await);
    assert!(!is_let_in(&CRITICAL, &["sheddable"]).await);
    after(1200).await;
    assert!(!is_let_in(&NORMAL, &[]).await);
    assert!(
        !is_let_in(&NORMAL, &["critical"]).await,
        "a header raised it"
    );
    assert!(!is_let_in(&CRITICAL, &["normal"]).await);
    assert!(is_let_in(&CRITICAL, &[]).await);
    after(2000).await;
    assert!(!is_let_in(&CRITICAL, &[]).await);
    let refused = raw(&door, &CRITICAL, "", &["critical"]).await;
    let status = refused.headers()["grpc-status"].to_str().unwrap();
    assert_eq!(
        status,
        (catalogue::OVERLOADED.error().status() as i32).to_string()
    );
}

/// Asks until `enough`, and answers how many of its calls were served and how many refused.
async fn ask_on(method: &'static Method, channel: Channel, enough: Arc<AtomicBool>) -> [u32; 2] {
    let cx = Context::background().with_timeout(Duration::from_secs(60));
    let mut answers = [0; 2];
    while !enough.load(Relaxed) {
        let asked = channel.unary::<_, String>(&cx, method, "compute".to_owned());
        match asked.await {
            Ok(_) => answers[0] += 1,
            Err(error) => {
                assert!(error.is(&catalogue::OVERLOADED), "{error:?}");
                answers[1] += 1;
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        }
    }
    answers
}

/// A server on one worker thread of its own, that is not the callers'.
fn one_thread() -> (Runtime, House) {
    let threads = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap();
    let server = Server::new("classes", config("")).service(Classes::service().0);
    let opened = threads.spawn(async { House::serve(server, &config("")).await });
    let house = threads.block_on(opened).unwrap();
    (threads, house)
}

/// Forty callers ask again as soon as they are answered: were all let in, each call would wait for
/// the thread for 200 ms. The two of critical calls ask for less than it can do.
#[test]
fn of_calls_that_wait_for_a_thread_the_critical_are_refused_last() {
    let (_threads, house) = one_thread();
    let callers = Runtime::new().unwrap();
    callers.block_on(async {
        let enough = Arc::new(AtomicBool::new(false));
        let ask = |(callers, method)| {
            let asking = (0..callers).map(|_| {
                let (channel, enough) = (house::channel(house.address), enough.clone());
                tokio::spawn(ask_on(method, channel, enough))
            });
            join_all(asking.collect::<Vec<_>>())
        };
        let asking = [(2, &CRITICAL), (19, &NORMAL), (19, &SHEDDABLE)].map(ask);
        let asking = tokio::spawn(join_all(asking));
        let refused = || {
            let text = house.metrics.encode();
            let waits = text.lines().filter(|line| {
                line.starts_with("resilience_refused_requests_total") && line.contains("\"wait\"")
            });
            let counts = waits.filter_map(|line| line.rsplit_once(' ')?.1.parse::<u32>().ok());
            counts.sum::<u32>()
        };
        let shed = tokio::time::timeout(Duration::from_secs(60), async {
            while refused() < 500 {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        });
        shed.await.unwrap();
        enough.store(true, Relaxed);
        let told: Vec<[u32; 2]> = asking.await.unwrap().into_iter().map(sum).collect();
        println!("served and refused, critical, normal and sheddable: {told:?}");
        let refused = |class: usize| {
            let [served, refused] = told[class].map(f64::from);
            refused / (served + refused)
        };
        assert!(refused(1) > 2.0 * refused(0), "{told:?}");
        assert!(refused(2) > 2.0 * refused(0), "{told:?}");
    });
}

fn sum(answers: Vec<Result<[u32; 2], JoinError>>) -> [u32; 2] {
    answers
        .into_iter()
        .map(Result::unwrap)
        .fold([0; 2], |sum, each| [sum[0] + each[0], sum[1] + each[1]])
}
