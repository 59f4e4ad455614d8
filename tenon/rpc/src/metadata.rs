//! Metadata of calls, for whoever passes calls on: what is sent besides the headers that every
//! call has, and what the service answered besides its message. Both are values of the context.

use std::sync::{Arc, Mutex, PoisonError};

use http::{HeaderMap, header};

/// Headers that a call sends besides its own: `cx.with_value(Passed::new(headers))`. An
/// `authorization` among them goes before the token of the context's principal, because who
/// passes a call on may not know its caller.
#[derive(Debug, Clone, Default)]
pub struct Passed(HeaderMap);

impl Passed {
    /// These headers. Those that every call sets itself are left out.
    pub fn new(mut headers: HeaderMap) -> Self {
        for own in [header::TE, header::CONTENT_TYPE, header::USER_AGENT] {
            headers.remove(own);
        }
        for own in [
            "grpc-timeout",
            "grpc-accept-encoding",
            "grpc-encoding",
            "traceparent",
            // From outside it would undo what the request's own route says.
            "tenon-criticality",
        ] {
            headers.remove(own);
        }
        Self(headers)
    }

    pub(crate) fn apply(&self, headers: &mut HeaderMap) {
        for name in self.0.keys() {
            headers.remove(name);
            for value in self.0.get_all(name) {
                headers.append(name, value.clone());
            }
        }
    }
}

/// Takes up the metadata with which a service begins its answer: `cx.with_value(received.clone())`
/// before the call. Cheap to clone: all clones are one.
#[derive(Debug, Clone, Default)]
pub struct Received(Arc<Mutex<HeaderMap>>);

impl Received {
    /// What came with the last answer; nothing is left.
    pub fn take(&self) -> HeaderMap {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) fn keep(&self, headers: &HeaderMap) {
        headers.clone_into(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }
}
