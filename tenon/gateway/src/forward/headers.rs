//! What is changed of a message on its way: hop-by-hop headers go, and the service learns who
//! calls, under which trace and with how much time left.
//!
//! Source: RFC 9110, section 7.6.1 (headers of one connection), RFC 9111.

use std::{net::IpAddr, time::Duration};

use http::{HeaderMap, HeaderName, HeaderValue, header, request};
use tenon_core::TraceContext;
use tenon_rest::{deadline, trace};

/// What the service gets less than the gateway has, so that its own answer comes in time.
const MARGIN: Duration = Duration::from_millis(5);

/// Headers that mean one connection and not the message.
const HOPS: [HeaderName; 9] = [
    header::CONNECTION,
    header::PROXY_AUTHENTICATE,
    header::PROXY_AUTHORIZATION,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
];

/// Headers by which proxies tell where a request came from. From outside they are claims.
const ORIGINS: [HeaderName; 6] = [
    header::FORWARDED,
    HeaderName::from_static("x-forwarded-host"),
    HeaderName::from_static("x-forwarded-proto"),
    HeaderName::from_static("x-forwarded-port"),
    HeaderName::from_static("x-real-ip"),
    FORWARDED_FOR,
];

const WEBSOCKET: &str = "websocket";
const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");
const FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");

/// Makes the head of a request fit for the service. `client` is whom the service may believe that
/// it comes from, whatever the request claims.
pub(crate) fn prepare(
    head: &mut request::Parts,
    client: Option<IpAddr>,
    trace: &TraceContext,
    left: Duration,
) {
    let headers = &mut head.headers;
    without_hops(headers);
    for name in ORIGINS {
        headers.remove(name);
    }
    // Ours is exchanged with the client, and the length comes from the body that is really sent:
    // a request with two lengths is how requests are smuggled.
    headers.remove(header::EXPECT);
    headers.remove(header::CONTENT_LENGTH);
    headers.remove(deadline::GRPC_TIMEOUT);
    if let Some(host) = headers.remove(header::HOST) {
        headers.insert(FORWARDED_HOST, host);
    }
    if let Some(client) = client {
        headers.insert(FORWARDED_FOR, address(client));
    }
    let left = left.saturating_sub(MARGIN).max(Duration::from_millis(1));
    let millis = u64::try_from(left.as_millis()).unwrap_or(u64::MAX);
    headers.insert(deadline::REQUEST_TIMEOUT, HeaderValue::from(millis));
    // The state belongs to the caller's trace; where that could not be read, ours is another.
    if trace::caller(headers).is_none() {
        headers.remove(TRACESTATE);
    }
    if let Ok(parent) = HeaderValue::from_str(&trace.to_string()) {
        headers.insert(trace::TRACEPARENT, parent);
    }
}

/// Whether a message is the last one of its connection.
pub(crate) fn closes(headers: &HeaderMap) -> bool {
    connection_says(headers, "close")
}

/// Whether a message asks for, or agrees to, a WebSocket on its connection (RFC 6455, 4.1).
pub(crate) fn opens_websocket(headers: &HeaderMap) -> bool {
    let upgrade = headers.get(header::UPGRADE).map(HeaderValue::as_bytes);
    upgrade.is_some_and(|value| value.eq_ignore_ascii_case(WEBSOCKET.as_bytes()))
        && connection_says(headers, "upgrade")
}

/// Says again, on the next connection, that it becomes a WebSocket.
pub(crate) fn open_websocket(headers: &mut HeaderMap) {
    headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
    headers.insert(header::UPGRADE, HeaderValue::from_static(WEBSOCKET));
}

fn connection_says(headers: &HeaderMap, word: &str) -> bool {
    headers
        .get_all(header::CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|name| name.trim().eq_ignore_ascii_case(word))
}

/// Makes a response the last one of its connection. One that comes before the whole request was
/// read is: the server closes after it, and a client that is not told sends its next request into
/// that close.
pub(crate) fn close(headers: &mut HeaderMap) {
    headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
}

/// Removes what means the connection that the message came on.
pub(crate) fn without_hops(headers: &mut HeaderMap) {
    let named: Vec<HeaderName> = headers
        .get_all(header::CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|name| name.trim().parse().ok())
        .collect();
    for name in named.into_iter().chain(HOPS) {
        headers.remove(name);
    }
}

fn address(client: IpAddr) -> HeaderValue {
    // An address is ASCII, so that this cannot fail.
    HeaderValue::from_str(&client.to_canonical().to_string())
        .unwrap_or(HeaderValue::from_static("unknown"))
}
