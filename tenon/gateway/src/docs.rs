//! The documentation page: one OpenAPI document, shown by a page that needs no network.
//!
//! Script and style are files of their own, so that the page lives under a policy without inline
//! code; everything that it shows of the document is set as text, never as markup.

use axum::{
    Router,
    body::Body,
    response::Response,
    routing::{MethodRouter, get},
};
use bytes::Bytes;
use http::{HeaderName, HeaderValue, header};
use serde_json::Value;

/// What the page may load: itself.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; \
     connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

const PAGE: &str = include_str!("docs/page.html");
const SCRIPT: &str = include_str!("docs/page.js");
const STYLE: &str = include_str!("docs/page.css");

/// The routes `/openapi.json`, `/docs` and what the page needs, `/docs/page.js` and
/// `/docs/page.css`. Anybody may read them: a contract is no secret.
pub fn router(document: &Value) -> Router {
    let document = Bytes::from(document.to_string());
    let own = |text: &'static str| Bytes::from_static(text.as_bytes());
    Router::new()
        .route("/openapi.json", file("application/json", document))
        .route("/docs", file("text/html; charset=utf-8", own(PAGE)))
        .route(
            "/docs/page.js",
            file("text/javascript; charset=utf-8", own(SCRIPT)),
        )
        .route(
            "/docs/page.css",
            file("text/css; charset=utf-8", own(STYLE)),
        )
}

fn file(media_type: &'static str, text: Bytes) -> MethodRouter {
    get(move || async move {
        let mut response = Response::new(Body::from(text));
        let headers = response.headers_mut();
        for (name, value) in [
            (header::CONTENT_TYPE, media_type),
            (header::CACHE_CONTROL, "no-cache"),
            (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
            (header::REFERRER_POLICY, "no-referrer"),
            (header::CONTENT_SECURITY_POLICY, POLICY),
            (
                HeaderName::from_static("cross-origin-resource-policy"),
                "same-origin",
            ),
        ] {
            headers.insert(name, HeaderValue::from_static(value));
        }
        response
    })
}
