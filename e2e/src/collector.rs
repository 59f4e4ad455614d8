//! A collector of traces that keeps every byte it is sent, and understands none of them: texts
//! stand in the messages of OTLP as they are.

use std::{
    convert::Infallible,
    sync::{Arc, Mutex},
};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, Response, header};
use http_body_util::{BodyExt, Full};
use hyper::{body::Incoming, server::conn::http2, service::service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpListener;

/// An empty message of gRPC: not compressed, no byte long.
const EMPTY: &[u8] = &[0; 5];

/// Listens as long as the program runs.
pub(crate) struct Collector {
    address: String,
    received: Arc<Mutex<Vec<u8>>>,
}

impl Collector {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let received = Arc::new(Mutex::new(Vec::new()));
        tokio::spawn(accept(listener, received.clone()));
        Self { address, received }
    }

    /// The value of `traces.endpoint`.
    pub(crate) fn address(&self) -> String {
        self.address.clone()
    }

    /// All bytes so far: heads and messages.
    pub(crate) fn received(&self) -> Vec<u8> {
        self.received.lock().unwrap().clone()
    }
}

async fn accept(listener: TcpListener, received: Arc<Mutex<Vec<u8>>>) {
    while let Ok((socket, _)) = listener.accept().await {
        let received = received.clone();
        let answer = service_fn(move |request| keep(request, received.clone()));
        let connection = http2::Builder::new(TokioExecutor::new());
        // A connection that breaks is the end of it.
        tokio::spawn(connection.serve_connection(TokioIo::new(socket), answer));
    }
}

async fn keep(
    request: Request<Incoming>,
    received: Arc<Mutex<Vec<u8>>>,
) -> Result<Response<impl hyper::body::Body<Data = Bytes, Error = Infallible>>, Infallible> {
    let (head, body) = request.into_parts();
    let head = format!("{head:?}");
    if let Ok(body) = body.collect().await {
        let mut kept = received.lock().unwrap();
        kept.extend_from_slice(head.as_bytes());
        kept.extend_from_slice(&body.to_bytes());
    }
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", HeaderValue::from_static("0"));
    let body = Full::new(Bytes::from_static(EMPTY)).with_trailers(async { Some(Ok(trailers)) });
    let mut response = Response::new(body);
    let kind = HeaderValue::from_static("application/grpc");
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    Ok(response)
}
