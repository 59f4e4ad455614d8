//! Refusals at the gRPC door, as its callers see them: limits, places, shedding and the breaker,
//! for methods of each shape, and what nobody may switch off by a header.

#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "helpers of a test fail it as its assertions do, and tests print what they measure"
)]

#[path = "shape/feed.rs"]
pub mod feed;
#[path = "refusals/house.rs"]
pub mod house;
#[path = "shape/python.rs"]
pub mod install;

use std::{process::Command, time::Duration};

use bytes::Bytes;
use feed::methods;
use house::{House, Indoors, Shape, config, hostile, item, token};
use http::HeaderMap;
use prost::Message;
use tenon_core::{Code, Context, Messages, Result, catalogue};
use tenon_rpc::{Method, Metrics, Passed, Received, Server, Service};

/// How often the door refused a method for this reason.
fn refused(metrics: &Metrics, method: &str, reason: &str) -> Option<u32> {
    let labels = format!(
        "{{door=\"rpc\",service=\"feed.FeedService\",route=\"feed.FeedService/{method}\",criticality=\"normal\",reason=\"{reason}\"}}"
    );
    let name = format!("resilience_refused_requests_total{labels} ");
    let text = metrics.encode();
    let line = text.lines().find_map(|line| line.strip_prefix(&name));
    line.map(|count| count.parse().unwrap())
}

fn number(headers: &HeaderMap, name: &str) -> Option<u64> {
    headers.get(name)?.to_str().ok()?.parse().ok()
}

#[tokio::test]
async fn who_calls_too_often_is_told_when_to_come_again() {
    let limits = "rateLimits: [{name: each, by: route, requests: 1, per: 1h}]";
    let house = House::open(config(limits)).await;
    for shape in Shape::ALL {
        let cx = Context::background();
        shape.call(&house.client, &cx, "well").await.unwrap();
        let received = Received::default();
        let cx = cx.with_value(received.clone());
        let error = shape.call(&house.client, &cx, "well").await.unwrap_err();
        assert!(error.is(&catalogue::RATE_LIMITED), "{shape:?}: {error:?}");
        assert_eq!(error.status(), Code::ResourceExhausted);
        let wait = error.retry_delay().unwrap();
        let hour = Duration::from_secs(3600);
        assert!(
            hour - Duration::from_secs(60) < wait && wait <= hour,
            "{wait:?}"
        );
        // In the header that every client of gRPC heeds, too.
        let headers = received.take();
        assert_eq!(number(&headers, "grpc-status"), Some(8), "{headers:?}");
        let millis = number(&headers, "grpc-retry-pushback-ms").unwrap();
        assert_eq!(u128::from(millis), wait.as_millis(), "{headers:?}");
        assert_eq!(refused(&house.metrics, shape.name(), "rate-route"), Some(1));
    }
}

#[tokio::test]
async fn limits_by_address_and_by_caller_hold_whatever_a_header_says() {
    let limits = concat!(
        "rateLimits:\n",
        "  - {name: all, by: address, requests: 2, per: 1h, routes: [feed.FeedService/one]}\n",
        "  - {name: own, by: principal, requests: 1, per: 1h, routes: [feed.FeedService/list]}\n",
    );
    let house = House::open(config(limits)).await;
    let call = async |shape: Shape, headers: HeaderMap| {
        let cx = Context::background().with_value(Passed::new(headers));
        shape.call(&house.client, &cx, "well").await
    };
    call(Shape::One, hostile()).await.unwrap();
    call(Shape::One, HeaderMap::new()).await.unwrap();
    let error = call(Shape::One, hostile()).await.unwrap_err();
    assert!(error.is(&catalogue::RATE_LIMITED), "{error:?}");
    assert_eq!(refused(&house.metrics, "one", "rate-address"), Some(1));

    let of = |subject: &str| {
        let mut headers = hostile();
        let value = format!("Bearer {}", token(subject));
        headers.insert(http::header::AUTHORIZATION, value.parse().unwrap());
        headers
    };
    call(Shape::List, of("account-1")).await.unwrap();
    let error = call(Shape::List, of("account-1")).await.unwrap_err();
    assert!(error.is(&catalogue::RATE_LIMITED), "{error:?}");
    call(Shape::List, of("account-2")).await.unwrap();
    assert_eq!(refused(&house.metrics, "list", "rate-principal"), Some(1));
}

#[tokio::test]
async fn a_method_has_so_many_places_and_a_caller_who_leaves_gives_its_own_back() {
    let house = House::open(config("maxInFlight: 1")).await;
    for shape in Shape::ALL {
        let holding = {
            let client = house.client.clone();
            tokio::spawn(async move { shape.call(&client, &Context::background(), "hold").await })
        };
        house.entered.acquire().await.unwrap().forget();
        let received = Received::default();
        let cx = Context::background()
            .with_value(received.clone())
            .with_value(Passed::new(hostile()));
        let error = shape.call(&house.client, &cx, "well").await.unwrap_err();
        assert!(error.is(&catalogue::OVERLOADED), "{shape:?}: {error:?}");
        assert_eq!(error.status(), Code::ResourceExhausted);
        assert_eq!(error.retry_delay(), Some(Duration::from_secs(1)));
        let headers = received.take();
        assert_eq!(number(&headers, "grpc-retry-pushback-ms"), Some(1000));
        assert_eq!(refused(&house.metrics, shape.name(), "in-flight"), Some(1));
        holding.abort();
        assert!(holding.await.is_err_and(|ended| ended.is_cancelled()));
        let again = async {
            let cx = Context::background();
            while let Err(error) = shape.call(&house.client, &cx, "well").await {
                assert!(error.is(&catalogue::OVERLOADED), "{shape:?}: {error:?}");
            }
        };
        let again = tokio::time::timeout(Duration::from_secs(5), again).await;
        again.unwrap_or_else(|_| panic!("{shape:?}: the place is not given back"));
    }
}

#[tokio::test]
async fn a_failing_method_is_refused_by_its_breaker_and_the_others_are_not() {
    for shape in [Shape::One, Shape::List, Shape::Import, Shape::Sync] {
        // `break` fails after a stream has begun, before its first message.
        for fault in ["fail", "break"] {
            let house = House::open(config("")).await;
            let cx = Context::background().with_value(Passed::new(hostile()));
            let mut open = 0;
            for _ in 0..200 {
                let error = shape.call(&house.client, &cx, fault).await.unwrap_err();
                if error.is(&catalogue::CIRCUIT_OPEN) {
                    open += 1;
                    assert_eq!(error.status(), Code::Unavailable);
                    assert_eq!(error.retry_delay(), Some(Duration::from_secs(1)));
                } else {
                    assert!(error.is(&catalogue::UNAVAILABLE), "{error:?}");
                }
            }
            println!("{shape:?}, 200 calls that {fault}: {open} refused");
            assert!(open > 100, "{shape:?}, {fault}: {open}");
            assert_eq!(refused(&house.metrics, shape.name(), "breaker"), Some(open));
            let other = match shape {
                Shape::One => Shape::List,
                _ => Shape::One,
            };
            other.call(&house.client, &cx, "well").await.unwrap();
        }
    }
}

/// In the process, where time can be stopped: 17 calls and more hang for longer than a quarter of
/// their time.
#[tokio::test(start_paused = true)]
async fn calls_that_would_only_wait_are_shed() {
    let house = Indoors::new(config("timeout: 4s"));
    let door = &house.door;
    let call = async |text: &str| {
        let cx = Context::background().with_value(Passed::new(hostile()));
        let asked = item(text).encode_to_vec().into();
        door.unary_bytes(&cx, &methods::ONE, asked).await
    };
    call("well").await.unwrap();
    let holding: Vec<_> = (0..40)
        .map(|_| {
            let door = door.clone();
            tokio::spawn(async move {
                let asked = item("hold").encode_to_vec().into();
                door.unary_bytes(&Context::background(), &methods::ONE, asked)
                    .await
            })
        })
        .collect();
    house.entered.acquire_many(40).await.unwrap().forget();
    // It is looked at every 100 ms. A queue begins then, and counts once it has stood.
    tokio::time::advance(Duration::from_millis(200)).await;
    let first = call("well").await;
    assert!(first.is_ok(), "a burst is no queue: {first:?}");
    tokio::time::advance(Duration::from_millis(1500)).await;
    let error = call("well").await.unwrap_err();
    assert!(error.is(&catalogue::OVERLOADED), "{error:?}");
    assert_eq!(refused(&house.metrics, "one", "slow"), Some(1));
    // Those who hang are answered when their time is over, and then all may come again.
    for held in holding {
        let error = held.await.unwrap().unwrap_err();
        assert!(error.is(&catalogue::DEADLINE_EXCEEDED), "{error:?}");
    }
}

#[tokio::test]
async fn only_health_and_reflection_themselves_are_never_refused() {
    static HEALTH: Method = Method::new("/grpc.health.v1.Health/Check");
    static REFLECTION: [Method; 2] = [
        Method::new("/grpc.reflection.v1.ServerReflection/ServerReflectionInfo"),
        Method::new("/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo"),
    ];
    static ALIKE: [Method; 4] = [
        Method::new("/grpc.healthcare.v1.Health/Check"),
        Method::new("/grpc.health.v1.HealthRecords/Check"),
        Method::new("/grpc.reflection.v1.ServerReflections/Check"),
        Method::new("/grpc.Anything/Check"),
    ];
    let limits = "rateLimits: [{name: each, by: route, requests: 1, per: 1h}]";
    let services = ALIKE.iter().map(|method| {
        Service::builder(method.service(), ())
            .unary(method, |_, _, _: ()| async { Ok(()) })
            .build()
    });
    let server = services.fold(Server::new("alike", config(limits)), Server::service);
    let house = House::serve(server, &config(limits)).await;
    let cx = Context::background();
    for method in &ALIKE {
        let call = || house.channel.unary::<(), ()>(&cx, method, ());
        call().await.unwrap();
        let error = call().await.unwrap_err();
        assert!(
            error.is(&catalogue::RATE_LIMITED),
            "{}: {error:?}",
            method.path()
        );
    }
    for _ in 0..5 {
        let answer = house.channel.unary_bytes(&cx, &HEALTH, Bytes::new()).await;
        assert_eq!(answer.unwrap(), &b"\x08\x01"[..]);
        for method in &REFLECTION {
            let asked = Messages::list([Bytes::from_static(b"\x3a\x01*")]);
            let told = house.channel.bidi_bytes(&cx, method, asked).await.unwrap();
            let told: Result<Vec<_>> = told.collect(9).await;
            assert_eq!(told.unwrap().len(), 1, "{}", method.path());
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn googles_client_is_told_of_refusals() {
    let Some(python) = install::python("grpcio", &["grpcio"], "grpc") else {
        return;
    };
    let limits = concat!(
        "maxInFlight: 1\n",
        "rateLimits: [{name: one, by: route, requests: 1, per: 1h, routes: [feed.FeedService/one]}]",
    );
    let house = House::open(config(limits)).await;
    let mut command = Command::new(python);
    command
        .arg(install::script("refusals.py"))
        .arg(house.address.to_string());
    let output = tokio::task::spawn_blocking(move || command.output());
    let output = output.await.unwrap().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    println!("{said}");
    let faults = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success() && said.contains("ok    health"),
        "{said}\n{faults}"
    );
}
