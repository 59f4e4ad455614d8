//! What hostile clients send, over real sockets: each request gets a clear status or a closed
//! connection, nothing hangs, nothing is smuggled, and the next client is served.
#![allow(
    clippy::unwrap_used,
    reason = "a failure here is the failure of a test"
)]

#[path = "support/door.rs"]
mod door;

use std::{collections::BTreeMap, net::SocketAddr, time::Duration};

use door::{post, send};
use serde_json::Value;
use tenon_core::Lifecycle;
use tenon_net::Options;
use tenon_rest::{Auth, Method, Route, Routes, with_fallbacks};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    task::JoinSet,
};

static HELLO: Route = Route::new(Method::Get, "/hello/:name", "hello");
static SECRET: Route = Route::new(Method::Get, "/secret", "secret").auth(Auth::Required);
static TAKES: Route = Route::new(Method::Post, "/takes", "takes");

async fn start(issuer: &door::Issuer) -> SocketAddr {
    let routes = Routes::new(())
        .route(&HELLO, |_, _, _req: ()| async { Ok("hello") })
        .route(&SECRET, |_, _, _req: ()| async { Ok("secret") })
        .route(&TAKES, |_, _, body: Value| async move { Ok(body) });
    let door = door::door(routes.build()).verifier(issuer.verifier.clone());
    let listener = tenon_net::bind("127.0.0.1:0".parse().unwrap(), "rest.listen")
        .await
        .unwrap();
    let addr = listener.local_addr().unwrap();
    let options = Options {
        header_timeout: Duration::from_millis(300),
        idle_timeout: Duration::from_millis(300),
        ..Options::rest(&door::config())
    };
    let router = with_fallbacks(door.router().unwrap());
    let life = Lifecycle::new();
    tokio::spawn(tenon_net::serve(listener, router, options, life));
    addr
}

/// Sends the bytes and gives the statuses that come back until the server closes, as it must.
async fn provoke(addr: SocketAddr, bytes: Vec<u8>) -> Vec<u16> {
    let mut tcp = TcpStream::connect(addr).await.unwrap();
    // The server may close in the middle of what it does not want.
    let _ = tcp.write_all(&bytes).await;
    let mut answer = Vec::new();
    let reading = tcp.read_to_end(&mut answer);
    let ended = tokio::time::timeout(Duration::from_secs(20), reading).await;
    assert!(ended.is_ok(), "it hangs");
    let answer = String::from_utf8_lossy(&answer);
    let heads = answer.split("HTTP/1.").skip(1);
    heads.map(|head| head[2..5].parse().unwrap()).collect()
}

/// Provokes the server with all of them at once.
async fn provoke_all(cases: Vec<(&'static str, Vec<u8>, &'static [u16])>) {
    let addr = start(&door::Issuer::new()).await;
    let mut all = JoinSet::new();
    for (name, bytes, expected) in cases {
        all.spawn(async move { (name, provoke(addr, bytes).await, expected) });
    }
    let mut wrong = Vec::new();
    while let Some(answered) = all.join_next().await {
        let (name, statuses, expected) = answered.unwrap();
        if statuses != expected {
            wrong.push(format!("{name}: {statuses:?}, expected {expected:?}"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    let good = provoke(addr, get("/hello/after", "")).await;
    assert_eq!(good, [200], "the next client");
}

/// A request for `target` with more lines in its head.
fn get(target: &str, lines: &str) -> Vec<u8> {
    format!("GET {target} HTTP/1.1\r\nhost: x\r\n{lines}\r\n").into_bytes()
}

/// A request with the lines that say how long its body is, and everything that follows.
fn upload(lines: &str, rest: &str) -> Vec<u8> {
    let head = "POST /takes HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n";
    format!("{head}{lines}\r\n{rest}").into_bytes()
}

#[tokio::test]
async fn request_lines_that_are_none() {
    let line = |line: &str| format!("{line}\r\nhost: x\r\n\r\n").into_bytes();
    provoke_all(vec![
        (
            "tls",
            b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n".to_vec(),
            &[400],
        ),
        ("a word", b"hello\r\n\r\n".to_vec(), &[400]),
        ("HTTP/0.9", b"GET /hello/a\r\n\r\n".to_vec(), &[400]),
        ("HTTP/9.9", line("GET /hello/a HTTP/9.9"), &[400]),
        ("space in method", line("GE T /hello/a HTTP/1.1"), &[400]),
        ("no target", line("GET  HTTP/1.1"), &[400]),
        ("nul in target", line("GET /hello/a\0b HTTP/1.1"), &[400]),
        (
            "latin1 in target",
            b"GET /hello/\xff HTTP/1.1\r\nhost: x\r\n\r\n".to_vec(),
            &[400],
        ),
        ("target without slash", line("GET hello HTTP/1.1"), &[404]),
        ("invented method", line("BREW /hello/a HTTP/1.1"), &[405]),
        ("trace", line("TRACE /hello/a HTTP/1.1"), &[405]),
        ("connect", line("CONNECT evil:443 HTTP/1.1"), &[404]),
        ("asterisk", line("OPTIONS * HTTP/1.1"), &[404]),
        (
            "absolute without path",
            line("GET http://evil HTTP/1.1"),
            &[404],
        ),
        ("two slashes", get("//hello/a", ""), &[404]),
        ("upwards", get("/hello/../../etc/passwd", ""), &[404]),
        ("broken escape", get("/hello/%zz", ""), &[400]),
        ("half an escape", get("/hello/%a", ""), &[400]),
        ("overlong slash", get("/hello/%c0%af", ""), &[400]),
        (
            "9 KiB",
            get(&format!("/hello/{}", "a".repeat(9 << 10)), ""),
            &[414],
        ),
        (
            "9 KiB of query",
            get(&format!("/hello/a?{}", "a".repeat(9 << 10)), ""),
            &[414],
        ),
        (
            "40 KiB",
            get(&format!("/hello/{}", "a".repeat(40 << 10)), ""),
            &[431],
        ),
        ("line breaks for ever", b"\r\n".repeat(100_000), &[431]),
    ])
    .await;
}

#[tokio::test]
async fn headers_that_are_none() {
    let many: String = (0..200).map(|n| format!("x-{n}: 1\r\n")).collect();
    let bare = |lines: &str| format!("GET /hello/a HTTP/1.1\r\n{lines}\r\n").into_bytes();
    provoke_all(vec![
        ("no host", bare(""), &[400]),
        (
            "no host in HTTP/1.0",
            b"GET /hello/a HTTP/1.0\r\n\r\n".to_vec(),
            &[200],
        ),
        ("two hosts", get("/hello/a", "host: y\r\n"), &[400]),
        ("a host that is none", bare("host: a b/@\r\n"), &[400]),
        ("space before colon", get("/hello/a", "x : y\r\n"), &[400]),
        ("folded", get("/hello/a", "x: y\r\n z\r\n"), &[400]),
        ("nul", get("/hello/a", "x: a\0b\r\n"), &[400]),
        (
            "bare carriage return",
            get("/hello/a", "x: a\rb\r\n"),
            &[400],
        ),
        ("200 of them", get("/hello/a", &many), &[431]),
        (
            "one of 1 MiB",
            get("/hello/a", &format!("x: {}\r\n", "a".repeat(1 << 20))),
            &[431],
        ),
        (
            "half a head",
            b"GET /hello/a HTTP/1.1\r\nhost: x\r\nx".to_vec(),
            &[],
        ),
        (
            "an odd token",
            get("/secret", "authorization: \u{1}\r\n"),
            &[400],
        ),
        (
            "bytes for a token",
            b"GET /secret HTTP/1.1\r\nhost: x\r\nauthorization: \xff\r\n\r\n".to_vec(),
            &[401],
        ),
    ])
    .await;
}

#[tokio::test]
async fn lengths_that_disagree_smuggle_nothing() {
    let hidden = "2\r\n{}\r\n0\r\n\r\nGET /hello/smuggled HTTP/1.1\r\nhost: x\r\n\r\n";
    let chunked = "transfer-encoding: chunked\r\n";
    let length = |length: &str| upload(&format!("content-length: {length}\r\n"), "{}");
    provoke_all(vec![
        (
            "two lengths",
            upload("content-length: 2\r\ncontent-length: 3\r\n", "{} "),
            &[400],
        ),
        (
            "the same twice",
            upload("content-length: 2\r\ncontent-length: 2\r\n", "{}"),
            &[200],
        ),
        ("a list", length("2, 2"), &[400]),
        ("negative", length("-1"), &[400]),
        ("signed", length("+2"), &[400]),
        ("hexadecimal", length("0x2"), &[400]),
        ("beyond 64 bits", length("99999999999999999999999"), &[400]),
        // One answer, then the connection is closed (RFC 9112, section 6.1).
        (
            "chunks and a length",
            upload(&format!("{chunked}content-length: 5\r\n"), hidden),
            &[200],
        ),
        (
            "a length and chunks",
            upload(&format!("content-length: 5\r\n{chunked}"), hidden),
            &[200],
        ),
        (
            "not quite chunked",
            upload("transfer-encoding: xchunked\r\n", hidden),
            &[400],
        ),
        (
            "not chunked at all",
            upload("transfer-encoding: identity\r\n", ""),
            &[400],
        ),
        (
            "packed and chunked",
            upload("transfer-encoding: gzip, chunked\r\n", hidden),
            &[501],
        ),
        (
            "a chunk beyond 64 bits",
            upload(chunked, "fffffffffffffffff\r\n{}\r\n0\r\n\r\n"),
            &[400],
        ),
        (
            "a negative chunk",
            upload(chunked, "-1\r\n{}\r\n0\r\n\r\n"),
            &[400],
        ),
        (
            "a body before nothing",
            upload(chunked, "0\r\n\r\n"),
            &[400],
        ),
    ])
    .await;
}

#[tokio::test]
async fn other_protocols_and_manners() {
    let (a, b) = (get("/hello/a", ""), get("/nowhere", ""));
    let websocket = "connection: upgrade\r\nupgrade: websocket\r\n\
         sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    let h2c = "connection: upgrade, http2-settings\r\nupgrade: h2c\r\nhttp2-settings: AAMAAABk\r\n";
    let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
    provoke_all(vec![
        (
            "pipelined",
            [a.clone(), b.clone(), a.clone()].concat(),
            &[200, 404, 200],
        ),
        (
            // Its connection ends with the answer, which says so.
            "after a body nobody reads",
            [get("/hello/a", "content-length: 3\r\n"), b"abc".to_vec(), a].concat(),
            &[200],
        ),
        (
            "after a body nobody wants",
            [get("/nowhere", "content-length: 3\r\n"), b"abc".to_vec(), b].concat(),
            &[404],
        ),
        ("websocket", get("/hello/a", websocket), &[200]),
        ("h2c", get("/hello/a", h2c), &[200]),
        ("HTTP/2", preface.to_vec(), &[]),
        (
            "waiting to go on",
            upload("expect: 100-continue\r\ncontent-length: 2\r\n", "{}"),
            &[100, 200],
        ),
        (
            "waiting in vain",
            upload("expect: 100-continue\r\ncontent-length: 20000\r\n", ""),
            &[413],
        ),
    ])
    .await;
}

#[tokio::test]
async fn two_tokens_are_no_token() {
    let issuer = door::Issuer::new();
    let addr = start(&issuer).await;
    let token = issuer.bearer("nurse");
    let line = format!("authorization: {}\r\n", token.to_str().unwrap());
    assert_eq!(provoke(addr, get("/secret", &line)).await, [200]);
    let twice = get("/secret", &line.repeat(2));
    assert_eq!(provoke(addr, twice).await, [401]);
}

/// Texts that are no JSON, or more than anybody should read, wherever they stand.
fn no_json() -> Vec<Vec<u8>> {
    let deep =
        |open: &str, close: &str| format!("{}{}", open.repeat(100_000), close.repeat(100_000));
    let mut all: Vec<Vec<u8>> = [
        "NaN",
        "Infinity",
        "-Infinity",
        "+1",
        "01",
        "-01",
        "1.",
        ".5",
        "1e",
        "0x1",
        "--1",
        "1,2",
        "'a'",
        "\"a",
        "\"\\x\"",
        "\"\\u12\"",
        "\"\\ud800\"",
        "\"\\udc00\"",
        "\"\\ud800\\u0041\"",
        "\"\u{0}\"",
        "\"a\nb\"",
        "\"a\tb\"",
        "[1,]",
        "[,1]",
        "[1 2]",
        "[",
        "]",
        "[}",
        "{",
        "{]",
        "{1:2}",
        "{\"a\"}",
        "{\"a\":}",
        "{\"a\":1,}",
        "{\"a\":1 \"b\":2}",
        "{a:1}",
        "tru",
        "nul",
        "True",
        "undefined",
        "/*a*/1",
        "1//a",
        "{} {}",
        "{}x",
        "[]]",
        "\u{feff}{}",
        "1e999",
        "\u{a0}1",
    ]
    .map(|text| text.as_bytes().to_vec())
    .into();
    all.extend([
        b"\"\xff\"".to_vec(),
        b"\"\xc0\xaf\"".to_vec(),
        b"\"\xed\xa0\x80\"".to_vec(),
        b"\xff\xfe{\0}\0".to_vec(),
        deep("[", "]").into_bytes(),
        deep("{\"a\":", "}").into_bytes(),
        "[".repeat(100_000).into_bytes(),
    ]);
    all
}

#[tokio::test]
async fn bodies_that_are_no_json_are_refused_as_a_whole_and_in_ignored_fields() {
    static ANY: Route = Route::new(Method::Post, "/any", "any").max_bytes(1 << 20);
    static MAP: Route = Route::new(Method::Post, "/map", "map").max_bytes(1 << 20);
    static TYPED: Route = Route::new(Method::Post, "/typed", "typed").max_bytes(1 << 20);
    let routes = Routes::new(())
        .route(&ANY, |_, _, body: Value| async move { Ok(body) })
        .route(&MAP, |_, _, body: BTreeMap<String, bool>| async move {
            Ok(body)
        })
        .route(&TYPED, |_, _, body: Typed| async move { Ok(body.known) });
    let router = with_fallbacks(door::door(routes.build()).router().unwrap());
    for text in no_json() {
        let field = [b"{\"known\":true,\"other\":", &text[..], b"}"].concat();
        let name = String::from_utf8_lossy(&text)
            .chars()
            .take(40)
            .collect::<String>();
        for (path, body) in [
            ("/any", &text),
            ("/any", &field),
            ("/map", &field),
            ("/typed", &field),
        ] {
            let answer = send(&router, post(path).body(body.clone().into()).unwrap()).await;
            assert_eq!(answer.status, 400, "{path} {name}");
            assert_eq!(answer.code(), "BODY_MALFORMED", "{path} {name}");
        }
    }
    // What the standard allows passes, however odd.
    for text in [
        "0",
        "-0",
        "1e5",
        "1.0E-2",
        "\"\\u0000\"",
        "\"\\ud83d\\ude00\"",
        "\"\u{7f}\"",
        "[[[]]]",
        " {} ",
        "null",
        "\"\u{2028}\"",
        "123456789012345678901234567890",
    ] {
        let field = format!("{{\"known\":true,\"other\":{text}}}");
        let answer = send(&router, post("/typed").body(field.into()).unwrap()).await;
        assert_eq!(answer.status, 200, "{text}");
        let answer = send(&router, post("/any").body(text.into()).unwrap()).await;
        assert_eq!(answer.status, 200, "{text}");
    }
}

/// A type of a contract with one field; others are ignored.
struct Typed {
    known: bool,
}

impl tenon_rest::Bind for Typed {
    fn bind(parts: &tenon_rest::Parts<'_>) -> tenon_core::Result<Self> {
        tenon_rest::bind::read(parts, |input| input.body())
    }
}

impl tenon_rest::bind::Object for Typed {
    const KEYS: &'static [&'static str] = &["known"];

    fn read<'de, A: tenon_rest::bind::MapAccess<'de>>(
        mut json: tenon_rest::bind::Fields<'_, 'de, A>,
    ) -> Result<Option<Self>, A::Error> {
        let mut known = tenon_rest::bind::Slot::Absent;
        while json.next_key()?.is_some() {
            known = json.value()?;
        }
        let known = json.field(0, known).required();
        json.build(|| Some(Self { known: known? }))
    }
}
