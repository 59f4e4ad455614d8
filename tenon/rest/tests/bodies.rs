//! Bodies are limited by what they claim, what arrives and what they unpack to.
#![allow(
    clippy::unwrap_used,
    reason = "a failure here is the failure of a test"
)]

#[path = "support/door.rs"]
mod door;

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use async_compression::tokio::write::{GzipEncoder, ZlibEncoder};
use axum::body::Body;
use bytes::Bytes;
use door::{length_router, post, send};
use futures_util::stream;
use tokio::io::AsyncWriteExt;

async fn gzip(text: &[u8]) -> Vec<u8> {
    let mut encoder = GzipEncoder::new(Vec::new());
    encoder.write_all(text).await.unwrap();
    encoder.shutdown().await.unwrap();
    encoder.into_inner()
}

async fn deflate(text: &[u8]) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::new());
    encoder.write_all(text).await.unwrap();
    encoder.shutdown().await.unwrap();
    encoder.into_inner()
}

/// A body without a length that counts how much of it was taken.
fn counted(bytes: Vec<u8>, chunk: usize) -> (Body, Arc<AtomicUsize>) {
    let taken = Arc::new(AtomicUsize::new(0));
    let counter = taken.clone();
    let bytes = Bytes::from(bytes);
    let pieces = (0..bytes.len()).step_by(chunk).map(move |start| {
        counter.fetch_add(chunk, Ordering::SeqCst);
        Ok::<_, std::io::Error>(bytes.slice(start..bytes.len().min(start + chunk)))
    });
    (Body::from_stream(stream::iter(pieces)), taken)
}

async fn status(request: http::request::Builder, body: impl Into<Body>) -> (u16, Vec<u8>) {
    let answer = send(&length_router(), request.body(body.into()).unwrap()).await;
    (answer.status.as_u16(), answer.body)
}

#[tokio::test]
async fn packed_bodies_are_read() {
    let text = br#"{"a":"bbbbbbbbbbbbbbbbbbbbbb"}"#;
    let expected = (200, text.len().to_string().into_bytes());
    for (coding, packed) in [
        ("gzip", gzip(text).await),
        ("x-gzip", gzip(text).await),
        ("GZIP", gzip(text).await),
        ("deflate", deflate(text).await),
        ("identity", text.to_vec()),
        ("identity, gzip", gzip(text).await),
    ] {
        let request = post("/length").header("content-encoding", coding);
        assert_eq!(status(request, packed).await, expected, "{coding}");
    }
    let members = [gzip(&text[..9]).await, gzip(&text[9..]).await].concat();
    let request = post("/length").header("content-encoding", "gzip");
    assert_eq!(status(request, members).await, expected);
}

#[tokio::test]
async fn packing_that_is_broken_or_double_is_refused() {
    let text = gzip(b"{\"a\":1}").await;
    let request = || post("/length").header("content-encoding", "gzip");
    assert_eq!(
        status(request(), text[..text.len() - 4].to_vec()).await.0,
        400
    );
    assert_eq!(status(request(), "{\"a\":1}").await.0, 400);
    let trailing = [text.clone(), b"garbage".to_vec()].concat();
    assert_eq!(status(request(), trailing).await.0, 400);
    let twice = gzip(&text).await;
    let request = request().header("content-encoding", "gzip");
    assert_eq!(status(request, twice).await.0, 415);
    let request = post("/length").header("content-encoding", "gzip, gzip");
    assert_eq!(status(request, gzip(&text).await).await.0, 415);
}

#[tokio::test]
async fn a_bomb_is_refused_after_its_first_pieces() {
    // 64 MiB of blanks: 65 KiB on the wire, no length announced.
    let mut encoder = GzipEncoder::new(Vec::new());
    let blanks = vec![b' '; 1 << 20];
    for _ in 0..64 {
        encoder.write_all(&blanks).await.unwrap();
    }
    encoder.shutdown().await.unwrap();
    let bomb = encoder.into_inner();
    assert!(bomb.len() > 50 << 10);
    let (body, taken) = counted(bomb, 64);
    let request = post("/length").header("content-encoding", "gzip");
    assert_eq!(status(request, body).await.0, 413);
    // The limit is 1,024 bytes; what was unpacked is at most one buffer of 16 KiB, which a few
    // dozen bytes on the wire make.
    let taken = taken.load(Ordering::SeqCst);
    assert!(taken <= 4096, "{taken} bytes of the bomb were taken");
}

#[tokio::test]
async fn a_bomb_that_unpacks_to_nothing_is_refused_by_its_own_length() {
    // Empty stored blocks: the decoder makes nothing of them, for ever.
    let mut endless = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];
    for _ in 0..100_000 {
        endless.extend_from_slice(&[0, 0, 0, 0xff, 0xff]);
    }
    let (body, taken) = counted(endless, 100);
    let request = post("/length").header("content-encoding", "gzip");
    let (status, text) = status(request, body).await;
    assert_eq!(status, 413, "{}", String::from_utf8_lossy(&text));
    assert!(taken.load(Ordering::SeqCst) <= 4096);
}

#[tokio::test]
async fn a_packed_body_may_come_byte_by_byte() {
    let text = br#"{"a":"bbbbbbbbbbbbbbbbbbbbbb"}"#;
    let mut encoder = GzipEncoder::new(Vec::new());
    for part in text.chunks(7) {
        encoder.write_all(part).await.unwrap();
        encoder.flush().await.unwrap();
    }
    encoder.shutdown().await.unwrap();
    let (body, _) = counted(encoder.into_inner(), 1);
    let request = post("/length").header("content-encoding", "gzip");
    assert_eq!(status(request, body).await.0, 200);
}

#[tokio::test]
async fn a_body_without_a_length_is_cut_at_the_limit() {
    let (body, taken) = counted(vec![b' '; 1 << 20], 100);
    assert_eq!(status(post("/length"), body).await.0, 413);
    assert!(taken.load(Ordering::SeqCst) <= 1300);
    // At the limit exactly, in pieces, it is read.
    let (body, _) = counted(format!("{:>1024}", "[1,2]").into_bytes(), 100);
    assert_eq!(status(post("/length"), body).await, (200, b"5".to_vec()));
}

#[tokio::test]
async fn a_length_that_is_too_large_is_refused_before_anything_is_read() {
    let (body, taken) = counted(vec![b' '; 4096], 64);
    let sized = http_body_util::StreamBody::new(http_body_util::BodyStream::new(body));
    // A body that knows its length, as one with a content-length does.
    let sized = Sized(sized);
    assert_eq!(status(post("/length"), Body::new(sized)).await.0, 413);
    assert_eq!(taken.load(Ordering::SeqCst), 0);
}

/// A body that announces 4,096 bytes.
struct Sized<B>(B);

impl<B: http_body::Body + Unpin> http_body::Body for Sized<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        mut self: std::pin::Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<http_body::Frame<B::Data>, B::Error>>> {
        std::pin::Pin::new(&mut self.0).poll_frame(cx)
    }

    fn size_hint(&self) -> http_body::SizeHint {
        http_body::SizeHint::with_exact(4096)
    }
}

#[tokio::test]
async fn json_must_be_declared() {
    let bare = || http::Request::post("/length");
    assert_eq!(status(bare(), "{}").await.0, 415);
    for good in [
        "application/json",
        "Application/JSON; charset=UTF-8",
        "application/fhir+json",
        "application/json; charset=\"utf-8\"; profile=x",
    ] {
        let request = bare().header("content-type", good);
        assert_eq!(status(request, "{}").await.0, 200, "{good}");
    }
    for bad in [
        "text/plain",
        "text/json",
        "application/jsonp",
        "application/json; charset=gbk",
        "image/svg+json",
    ] {
        let request = bare().header("content-type", bad);
        assert_eq!(status(request, "{}").await.0, 415, "{bad}");
    }
    // Without a body there is nothing to declare; that the body is required is the contract's say.
    assert_eq!(status(bare(), "").await.0, 400);
}

#[tokio::test]
async fn an_operation_that_takes_any_value_can_read_the_text_as_it_was_received() {
    use tenon_rest::{Method, Route, Routes};
    static ECHO: Route = Route::new(Method::Post, "/echo", "echo");
    let routes = Routes::new(()).route(&ECHO, |_, cx, body: serde_json::Value| async move {
        let text = tenon_rest::received(&cx).unwrap_or_default();
        Ok(vec![
            String::from_utf8_lossy(&text).into_owned(),
            body.to_string(),
        ])
    });
    let router = tenon_rest::with_fallbacks(door::door(routes.build()).router().unwrap());
    let sent = r#"{ "dose": 1.50 }"#;
    for (encoding, body) in [
        ("identity", sent.as_bytes().to_vec()),
        ("gzip", gzip(sent.as_bytes()).await),
    ] {
        let request = http::Request::post("/echo")
            .header("content-type", "application/fhir+json")
            .header("content-encoding", encoding)
            .body(Body::from(body))
            .unwrap();
        let answer = send(&router, request).await;
        assert_eq!(
            answer.json(),
            serde_json::json!([sent, r#"{"dose":1.5}"#]),
            "{encoding}"
        );
    }
}
