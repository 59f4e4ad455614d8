//! What answers a path that no route has, and a method that a path does not take.

use std::sync::Arc;

use axum::Router;
use http::request::Parts;
use tenon_core::{Entry, catalogue};
use tenon_telemetry::Metrics;

use crate::{
    Request, Response, body::Reading, journal::ByMethod, journal::Journal, problem, trace,
};

/// Adds the problem documents for 404 and 405 to a finished router. Once, at the root: two
/// routers with fallbacks cannot be merged.
///
/// The 405 names the methods that the path takes, over all merged services. Both are logged;
/// [`with_counted_fallbacks`] counts them as well.
pub fn with_fallbacks(router: Router) -> Router {
    fallbacks(router, None)
}

/// As [`with_fallbacks`]; what no route takes is counted by its method, under an empty route: a
/// path that somebody invents makes no label.
pub fn with_counted_fallbacks(router: Router, metrics: &Metrics) -> Router {
    fallbacks(router, Some(ByMethod::new(metrics, "", "")))
}

fn fallbacks(router: Router, metrics: Option<ByMethod>) -> Router {
    let metrics = Arc::new(metrics);
    let refusing = |entry: &'static Entry| {
        let metrics = Arc::clone(&metrics);
        move |request: Request| {
            let reading = Reading::of(&request);
            let head = request.into_parts().0;
            let mut response = refuse(&head, entry, metrics.as_ref().as_ref());
            reading.tell(response.headers_mut());
            std::future::ready(response)
        }
    };
    router
        .fallback(refusing(&catalogue::ROUTE_NOT_FOUND))
        .method_not_allowed_fallback(refusing(&catalogue::METHOD_NOT_ALLOWED))
}

fn refuse(head: &Parts, entry: &'static Entry, metrics: Option<&ByMethod>) -> Response {
    let trace = trace::incoming(&head.headers);
    let metrics = metrics.map(|metrics| metrics.of(&head.method));
    // The path is the caller's invention, so it is not written down.
    let journal = Journal::open("", "", head.method.clone(), trace, metrics);
    let language = problem::language(&head.headers);
    let mut response = problem::response(entry.error(), language, &trace);
    problem::harden(response.headers_mut());
    trace::mark(response.headers_mut(), &trace);
    journal.close(&response);
    response
}
