//! Streams, health and reflection against independent implementations: Google's C core by way of
//! Python, its health and reflection packages, `buf curl` and `h2load`. Each is skipped with one
//! line where it cannot be had.

#![expect(
    clippy::expect_used,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "helpers of a test fail it as its assertions do, and tests print what they measure"
)]

#[path = "shape/feed.rs"]
pub mod feed;
#[path = "shape/python.rs"]
pub mod install;
#[path = "shape/stand.rs"]
pub mod stand;
#[path = "shape/testing.rs"]
pub mod testing;

use std::{
    io::{BufRead, BufReader, Write},
    process::{Child, Command, Output, Stdio},
    time::Duration,
};

use feed::{FeedClient, FeedService};
use futures_util::stream;
use install::{python, script};
use stand::{FEED_INVALID, Stand, channel, item, open};
use tenon_core::{Code, Context, Messages, catalogue, config::RpcConfig};
use tenon_rpc::Metrics;

const PACKAGES: [&str; 3] = ["grpcio", "grpcio-health-checking", "grpcio-reflection"];
const MODULES: &str = "grpc, grpc_health.v1.health_pb2, grpc_reflection.v1alpha.reflection_pb2";

async fn output(mut command: Command) -> (Output, String) {
    let output = tokio::task::spawn_blocking(move || command.output())
        .await
        .unwrap()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let faults = String::from_utf8_lossy(&output.stderr).into_owned();
    println!("{said}");
    (output, format!("{said}\n{faults}"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn the_interoperability_cases_of_grpc_pass() {
    let Some(python) = python("grpcio", &["grpcio"], "grpc") else {
        return;
    };
    let house = open([testing::service()], RpcConfig::default()).await;
    let mut command = Command::new(python);
    command
        .arg(script("cases.py"))
        .arg(house.address.to_string());
    let (output, said) = output(command).await;
    assert!(output.status.success(), "{said}");
    assert!(said.contains("ok    gzip in a stream"), "{said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn googles_health_and_reflection_packages_are_answered() {
    let Some(python) = python("grpcio-tools-of-services", &PACKAGES, MODULES) else {
        return;
    };
    let stand = Stand::remote().await;
    let house = stand.house.as_ref().unwrap();
    let mut child = Command::new(python)
        .arg(script("tools.py"))
        .arg(house.address.to_string())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let life = house.life.clone();
    let stdout = child.stdout.take().unwrap();
    let status = tokio::task::spawn_blocking(move || {
        for line in BufReader::new(stdout).lines() {
            let line = line.unwrap();
            println!("{line}");
            if line == "watching" {
                life.drain();
            }
        }
        child.wait().unwrap()
    });
    assert!(status.await.unwrap().success());
}

/// A server of streams, ended when this is dropped.
struct Served(Child);

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn googles_server_is_called_in_all_four_shapes() {
    let Some(python) = python("grpcio", &["grpcio"], "grpc") else {
        return;
    };
    let mut child = Command::new(python)
        .arg(script("streams.py"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut said = BufReader::new(child.stdout.take().unwrap()).lines();
    let _served = Served(child);
    let port: u16 = said.next().unwrap().unwrap().parse().unwrap();
    let address = (std::net::Ipv4Addr::LOCALHOST, port).into();
    let client = FeedClient::remote(channel(address, &Metrics::new())).unwrap();
    let cx = Context::background();

    let one = client.one(&cx, item(7, "试验")).await.unwrap();
    assert_eq!((one.number, one.text.as_str()), (7, "试验"));
    let list = client.list(&cx, item(3000, "x")).await.unwrap();
    let items = list.collect(5000).await.unwrap();
    assert!((0..3000).zip(&items).all(|(n, item)| item.number == n) && items.len() == 3000);
    let rows = Messages::list((0..3000).map(|n| item(n, "row")));
    assert_eq!(client.import(&cx, rows).await.unwrap().number, 3000);
    let rows = Messages::list((0..500).map(|n| item(n, "row")));
    let answers = client.sync(&cx, rows).await.unwrap();
    assert_eq!(answers.collect(1000).await.unwrap().len(), 500);

    let list = client.list(&cx, item(2, "fail")).await.unwrap();
    let error = list.collect(9).await.unwrap_err();
    assert_eq!(
        (error.status(), error.to_string()),
        (Code::OutOfRange, "no more 试验".into())
    );
    let hasty = cx.with_timeout(Duration::from_millis(200));
    let list = client.list(&hasty, item(1, "wait")).await.unwrap();
    let error = list.collect(9).await.unwrap_err();
    assert!(error.is(&catalogue::DEADLINE_EXCEEDED), "{error:?}");
    assert_eq!(said.next().unwrap().unwrap(), "over");
    let mut list = client.list(&cx, item(1, "wait")).await.unwrap();
    list.try_next().await.unwrap();
    drop(list);
    assert_eq!(said.next().unwrap().unwrap(), "over");

    let rows = [Ok(item(0, "row")), Err(FEED_INVALID.error())];
    let broken = client.import(&cx, Messages::results(stream::iter(rows)));
    assert!(broken.await.unwrap_err().is(&FEED_INVALID));
    // The server saw a reset, not the end of a short import; a call that was reset before the
    // server began with it says nothing.
    client.one(&cx, item(1, "after")).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn buf_curl_calls_by_reflection() {
    let Some(python) = python(
        "buf",
        &["buf-bin"],
        "sys, os; assert os.path.exists(os.path.join(os.path.dirname(sys.executable), 'buf'))",
    ) else {
        return;
    };
    let found = Command::new(&python)
        .args([
            "-c",
            "import sys, os; print(os.path.join(os.path.dirname(sys.executable), 'buf'))",
        ])
        .output()
        .unwrap();
    let buf = String::from_utf8(found.stdout).unwrap().trim().to_owned();
    let stand = Stand::remote().await;
    let address = stand.house.as_ref().unwrap().address;
    for (method, asked, expected) in [
        (
            "one",
            r#"{"number": 5, "text": "试验"}"#,
            vec!["\"5\"", "试验"],
        ),
        (
            "list",
            r#"{"number": 3, "text": "x"}"#,
            vec!["\"1\"", "\"2\""],
        ),
        (
            "import",
            r#"{"number": 1}{"number": 2}"#,
            vec!["\"2\"", "all"],
        ),
        (
            "sync",
            r#"{"number": 8}{"number": 9}"#,
            vec!["\"8\"", "\"9\""],
        ),
    ] {
        let mut command = Command::new(&buf);
        command
            .args([
                "curl",
                "--protocol",
                "grpc",
                "--http2-prior-knowledge",
                "-d",
                asked,
            ])
            .arg(format!("http://{address}/feed.FeedService/{method}"));
        let (output, said) = output(command).await;
        assert!(output.status.success(), "{method}: {said}");
        for part in expected {
            assert!(said.contains(part), "{method}: {part}: {said}");
        }
    }
    let mut command = Command::new(&buf);
    command
        .args([
            "curl",
            "--protocol",
            "grpc",
            "--http2-prior-knowledge",
            "--list-methods",
        ])
        .arg(format!("http://{address}"));
    let (_, said) = output(command).await;
    assert!(said.contains("feed.FeedService/sync"), "{said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn h2load_is_answered() {
    if Command::new("h2load").arg("--version").output().is_err() {
        println!("skipped: no h2load; install the Debian package nghttp2-client");
        return;
    }
    let stand = Stand::remote().await;
    let address = stand.house.as_ref().unwrap().address;
    let body = std::env::temp_dir().join(format!("tenon-h2load-{}", std::process::id()));
    // A list of 20 items with one letter.
    let framed = [0, 0, 0, 0, 5, 8, 20, 18, 1, b'x'];
    std::fs::File::create(&body)
        .unwrap()
        .write_all(&framed)
        .unwrap();
    let mut command = Command::new("h2load");
    command
        .args([
            "-n",
            "2000",
            "-c",
            "4",
            "-m",
            "32",
            "-H",
            "content-type: application/grpc",
        ])
        .args(["-H", "te: trailers", "-d"])
        .arg(&body)
        .arg(format!("http://{address}/feed.FeedService/list"));
    let (output, said) = output(command).await;
    let _ = std::fs::remove_file(&body);
    assert!(output.status.success(), "{said}");
    assert!(
        said.contains("2000 succeeded, 0 failed, 0 errored"),
        "{said}"
    );
    assert!(said.contains("status codes: 2000 2xx"), "{said}");
    let text = stand.house.as_ref().unwrap().metrics.encode();
    let counted = "rpc_server_call_duration_seconds_count{rpc_service=\"feed.FeedService\",rpc_method=\"list\",rpc_grpc_status_code=\"0\"} 2000";
    assert!(text.contains(counted), "{text}");
}
