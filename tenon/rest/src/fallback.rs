//! What answers a path that no route has, and a method that a path does not take.

use axum::Router;
use http::request::Parts;
use tenon_core::{Entry, catalogue};

use crate::{Request, Response, journal::Journal, problem, trace};

/// Adds the problem documents for 404 and 405 to a finished router. Once, at the root: two
/// routers with fallbacks cannot be merged.
///
/// The 405 names the methods that the path takes, over all merged services.
pub fn with_fallbacks(router: Router) -> Router {
    router
        .fallback(async |request: Request| {
            refuse(&request.into_parts().0, &catalogue::ROUTE_NOT_FOUND)
        })
        .method_not_allowed_fallback(async |request: Request| {
            refuse(&request.into_parts().0, &catalogue::METHOD_NOT_ALLOWED)
        })
}

fn refuse(head: &Parts, entry: &'static Entry) -> Response {
    let trace = trace::incoming(&head.headers);
    // The path is the caller's invention, so it is not written down.
    let journal = Journal::open("", "", head.method.clone(), trace, None);
    let language = problem::language(&head.headers);
    let mut response = problem::response(entry.error(), language, &trace);
    problem::harden(response.headers_mut());
    trace::mark(response.headers_mut(), &trace);
    journal.close(&response);
    response
}
