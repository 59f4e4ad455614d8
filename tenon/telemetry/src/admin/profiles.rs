//! `/debug/pprof/`: profiles of this process, for the peers and operators that [`Guard`] admits.
//!
//! [`Guard`]: super::guard::Guard

use std::sync::Arc;

use axum::{
    body::Body,
    extract::{Request, State},
    response::{Redirect, Response},
};
use http::{HeaderName, HeaderValue, StatusCode};
use tenon_net::Peer;
use tenon_profile::{Ask, BODY_BYTES_MAX};

use super::{Shown, TEXT, page};

/// The path that everything here is below.
pub(super) const PREFIX: &str = "/debug/pprof/";
/// Without it `go tool pprof` does not show its user the text of an error.
const GO_PPROF: HeaderName = HeaderName::from_static("x-go-pprof");

/// Links of the index are relative to the slash.
pub(super) async fn to_index() -> Redirect {
    Redirect::permanent(PREFIX)
}

pub(super) async fn answer(State(shown): State<Arc<Shown>>, req: Request) -> Response {
    if let Err(refused) = shown.guard.admit(&req) {
        let mut resp = refused.answer();
        resp.headers_mut()
            .insert(GO_PPROF, HeaderValue::from_static("1"));
        return resp;
    }
    let peer = req.extensions().get::<Peer>();
    let who = peer.map_or_else(
        || "unknown".to_owned(),
        |Peer(address)| address.ip().to_string(),
    );
    let (parts, body) = req.into_parts();
    let Ok(body) = axum::body::to_bytes(body, BODY_BYTES_MAX).await else {
        return page(
            StatusCode::PAYLOAD_TOO_LARGE,
            TEXT,
            "the body is too large\n",
        );
    };
    let path = parts.uri.path();
    let ask = Ask {
        method: parts.method,
        path: path.strip_prefix(PREFIX).unwrap_or_default().to_owned(),
        query: parts.uri.query().unwrap_or_default().to_owned(),
        body: body.into(),
        who,
    };
    // A process that stops says what it has, within the grace of this server.
    let answer = shown.profiler.answer(ask, shown.life.draining()).await;
    answer.map(Body::from)
}
