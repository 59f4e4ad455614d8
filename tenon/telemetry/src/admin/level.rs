//! `/log-level`: the level of the log, shown and changed by operators until the next restart.

use std::{cmp::Ordering, sync::Arc};

use axum::{
    body::Body,
    extract::{Request, State},
    response::Response,
};
use http::StatusCode;
use serde::de::{IntoDeserializer, value::Error as ValueError};
use tenon_core::config::LogLevel;
use tenon_net::Peer;

use super::{Shown, TEXT, page};
use crate::logs;

/// The longest name of a level, and room for a line break.
const BYTES_MAX: usize = 16;

pub(super) async fn show(State(shown): State<Arc<Shown>>, req: Request) -> Response {
    shown.guarded(&req, || match logs::level() {
        Some(level) => page(StatusCode::OK, TEXT, format!("{}\n", name(level))),
        None => none(),
    })
}

/// The body is the name of the level: `curl -X PUT -d debug .../log-level`.
pub(super) async fn change(State(shown): State<Arc<Shown>>, req: Request) -> Response {
    if let Err(refused) = shown.guard.admit(&req) {
        return refused.answer();
    }
    let peer = req.extensions().get::<Peer>().map(|Peer(peer)| peer.ip());
    let Some(new) = read(req.into_body()).await else {
        let problem = "expected error, warn, info, debug or trace as the body\n";
        return page(StatusCode::BAD_REQUEST, TEXT, problem);
    };
    let Some(old) = logs::level() else {
        return none();
    };
    let tell = || {
        let peer = peer.map(tracing::field::display);
        let (old, new) = (name(old), name(new));
        tracing::warn!(target: "admin", key = "log.level", old, new, peer, "the log level was changed");
    };
    // The line is written under whichever of the two levels lets more pass.
    match new.cmp(&old) {
        Ordering::Less => {
            tell();
            logs::set_level(new);
        }
        Ordering::Equal | Ordering::Greater => {
            logs::set_level(new);
            tell();
        }
    }
    page(StatusCode::OK, TEXT, format!("{}\n", name(new)))
}

async fn read(body: Body) -> Option<LogLevel> {
    let bytes = axum::body::to_bytes(body, BYTES_MAX).await.ok()?;
    let text = str::from_utf8(&bytes).ok()?.trim();
    let text: serde::de::value::StrDeserializer<'_, ValueError> = text.into_deserializer();
    serde::Deserialize::deserialize(text).ok()
}

fn name(level: LogLevel) -> &'static str {
    match level {
        LogLevel::Error => "error",
        LogLevel::Warn => "warn",
        LogLevel::Info => "info",
        LogLevel::Debug => "debug",
        LogLevel::Trace => "trace",
    }
}

fn none() -> Response {
    let problem = "this process has no log of its own\n";
    page(StatusCode::NOT_FOUND, TEXT, problem)
}
