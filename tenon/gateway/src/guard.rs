//! The guard at the edge: a caller without a valid token reaches no service, except where the
//! contracts leave an operation open; neither does a body that is announced as too large. The
//! services check the same again: the guard spares them work, it does not replace them.

use std::sync::Arc;

use http::{Method, header};
use serde_json::Value;
use tenon_auth::Verifier;
use tenon_core::{Principal, catalogue};
use tenon_rest::Request;

/// What a [`crate::Gateway`] asks of requests before it forwards them.
#[derive(Clone)]
pub struct Guard {
    verifier: Arc<Verifier>,
    open: Arc<[Open]>,
    max_bytes: u64,
}

/// An operation that asks for no token.
struct Open {
    method: Method,
    path: Vec<Segment>,
}

/// A part of a path between slashes.
enum Segment {
    Text(String),
    Parameter,
}

impl Guard {
    /// A guard that demands a token of `verifier` for every path and method but those that the
    /// OpenAPI `document` has without a `security` requirement, and refuses bodies that are
    /// announced with more than `max_bytes`.
    pub fn new(verifier: Arc<Verifier>, document: &Value, max_bytes: u64) -> Self {
        let paths = document.get("paths").and_then(Value::as_object);
        let mut open = Vec::new();
        for (path, item) in paths.into_iter().flatten() {
            let operations = item.as_object().into_iter().flatten();
            for (method, operation) in operations {
                let Ok(method) = method.to_ascii_uppercase().parse::<Method>() else {
                    continue;
                };
                if operation.is_object() && is_open(operation) {
                    let path = segments(path);
                    open.push(Open { method, path });
                }
            }
        }
        Self {
            verifier,
            open: open.into(),
            max_bytes,
        }
    }

    /// A guard that demands a token of `verifier` for everything but `open`: a method and a path
    /// each, `POST /api/v1/login`, where `{name}` stands for any one segment.
    ///
    /// # Errors
    /// A text that is no method and path.
    pub fn except(
        verifier: Arc<Verifier>,
        open: &[String],
        max_bytes: u64,
    ) -> Result<Self, String> {
        let open = open.iter().map(|text| {
            let wrong = || format!("`{text}` is not a method and a path like POST /api/v1/login");
            let (method, path) = text.split_once(' ').ok_or_else(wrong)?;
            let upper = method.bytes().all(|byte| byte.is_ascii_uppercase());
            let method = method.parse::<Method>().ok().filter(|_| upper);
            if !path.starts_with('/') || path.contains([' ', '?', '*']) {
                return Err(wrong());
            }
            Ok(Open {
                method: method.ok_or_else(wrong)?,
                path: segments(path),
            })
        });
        Ok(Self {
            verifier,
            open: open.collect::<Result<_, String>>()?,
            max_bytes,
        })
    }

    /// Lets a request pass or says why not. Answers its verified caller, where it must have one.
    pub(crate) fn admit(&self, request: &Request) -> tenon_core::Result<Option<Arc<Principal>>> {
        let headers = request.headers();
        let length = headers.get(header::CONTENT_LENGTH);
        let length = length.and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
        if length.is_some_and(|length| length > self.max_bytes) {
            let error = catalogue::BODY_TOO_LARGE.error();
            return Err(error.param("limit", self.max_bytes));
        }
        if self.is_open(request.method(), request.uri().path()) {
            return Ok(None);
        }
        let authorization = tenon_rest::authorization(headers);
        self.verifier.verify(authorization).map(Some)
    }

    fn is_open(&self, method: &Method, path: &str) -> bool {
        // A route that answers GET answers HEAD as well.
        let method = match *method {
            Method::HEAD => &Method::GET,
            _ => method,
        };
        self.open
            .iter()
            .any(|open| open.method == *method && open.fits(path))
    }
}

impl Open {
    fn fits(&self, path: &str) -> bool {
        let mut found = path.split('/');
        let all = self.path.iter().all(|expected| match found.next() {
            Some(segment) => match expected {
                Segment::Text(text) => text == segment,
                Segment::Parameter => !segment.is_empty(),
            },
            None => false,
        });
        all && found.next().is_none()
    }
}

/// Whether an operation asks for nothing: no requirement, or an empty one beside the others.
fn is_open(operation: &Value) -> bool {
    match operation.get("security").and_then(Value::as_array) {
        None => true,
        Some(any_of) => {
            let empty = |one: &Value| one.as_object().is_some_and(serde_json::Map::is_empty);
            any_of.is_empty() || any_of.iter().any(empty)
        }
    }
}

fn segments(path: &str) -> Vec<Segment> {
    path.split('/')
        .map(|segment| match segment.starts_with('{') {
            true => Segment::Parameter,
            false => Segment::Text(segment.to_owned()),
        })
        .collect()
}
