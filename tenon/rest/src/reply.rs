//! Replies: what an operation returns, and what it may set beyond the body.

use std::{
    any::TypeId,
    sync::{Arc, Mutex, PoisonError},
};

use axum::body::{Body, Bytes};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use serde::Serialize;
use tenon_core::{Context, Error, OrInternal, Result};

use crate::Response;

/// What an operation may return: every type that serialises, as JSON, and `()` as 204 without a
/// body. [`Raw`] is anything else.
pub trait Reply: Send {
    /// The response; `status` is what the contract says, if it does.
    ///
    /// # Errors
    /// `INTERNAL` when the value does not serialise.
    fn into_response(self, status: Option<StatusCode>) -> Result<Response>;
}

impl<T: Serialize + Send + 'static> Reply for T {
    fn into_response(self, status: Option<StatusCode>) -> Result<Response> {
        let empty = TypeId::of::<T>() == TypeId::of::<()>();
        if empty || status == Some(StatusCode::NO_CONTENT) {
            return Ok(with_status(
                Response::new(Body::empty()),
                Some(status.unwrap_or(StatusCode::NO_CONTENT)),
            ));
        }
        let mut text = Vec::with_capacity(256);
        serde_json::to_writer(&mut text, &self).or_internal("write the reply as JSON")?;
        let mut response = Response::new(Body::from(text));
        response.headers_mut().insert(
            header::CONTENT_TYPE,
            const { HeaderValue::from_static("application/json") },
        );
        Ok(with_status(response, status))
    }
}

/// A response that is not JSON, made by the operation itself. The status of the contract is not
/// applied.
pub struct Raw(pub Response);

impl Reply for Raw {
    fn into_response(self, _: Option<StatusCode>) -> Result<Response> {
        Ok(self.0)
    }
}

fn with_status(mut response: Response, status: Option<StatusCode>) -> Response {
    if let Some(status) = status {
        *response.status_mut() = status;
    }
    response
}

/// The head of the reply to the REST call that `cx` belongs to. Outside a REST call, setting it
/// has no effect, so that logic serves every door.
///
/// ```
/// # use tenon_core::Context;
/// # let cx = Context::background();
/// tenon_rest::reply(&cx)
///     .status(201)
///     .header("location", "/api/v1/patient/P001");
/// ```
pub fn reply(cx: &Context) -> ReplyHead {
    ReplyHead {
        head: cx.value::<Head>(),
    }
}

/// What logic may set of a reply beyond its body; see [`reply`]. It counts for successes only: an
/// error has its own head.
pub struct ReplyHead {
    head: Option<Arc<Head>>,
}

impl ReplyHead {
    /// The status, instead of the contract's. A number that is no HTTP status makes the reply an
    /// `INTERNAL` error.
    pub fn status(self, status: u16) -> Self {
        self.change(|set| match StatusCode::from_u16(status) {
            Ok(status) => set.status = Some(status),
            Err(_) => set.fault = Some("logic set a status that is none"),
        })
    }

    /// Adds a header. A name or value that HTTP does not allow makes the reply an `INTERNAL`
    /// error.
    pub fn header<N, V>(self, name: N, value: V) -> Self
    where
        N: TryInto<HeaderName>,
        V: TryInto<HeaderValue>,
    {
        self.change(|set| match (name.try_into(), value.try_into()) {
            (Ok(name), Ok(value)) => {
                set.headers.append(name, value);
            }
            _ => set.fault = Some("logic set a header that HTTP does not allow"),
        })
    }

    fn change(self, change: impl FnOnce(&mut Set)) -> Self {
        if let Some(head) = &self.head {
            let mut set = head.set.lock().unwrap_or_else(PoisonError::into_inner);
            change(set.get_or_insert_default());
        }
        self
    }
}

/// The text of the body of the REST call that `cx` belongs to, as it was received (decompressed).
///
/// It is kept for operations that take any JSON value: parsing loses how numbers were written
/// (`1.50`), and records of what somebody sent must not. `None` for other operations and outside
/// a REST call.
pub fn received(cx: &Context) -> Option<Bytes> {
    cx.value::<Head>()?.received.clone()
}

/// Where [`ReplyHead`] writes, and what [`received`] reads: a value of the context.
#[derive(Default)]
pub(crate) struct Head {
    set: Mutex<Option<Box<Set>>>,
    received: Option<Bytes>,
    last_event_id: Option<Box<str>>,
}

impl Head {
    /// A head of a call whose body is kept.
    pub(crate) fn keeping(received: Option<Bytes>) -> Self {
        Self {
            received,
            ..Self::default()
        }
    }

    /// The head of a call whose client may have been here before.
    pub(crate) fn coming_back(mut self, headers: &HeaderMap) -> Self {
        let id = headers.get("last-event-id");
        self.last_event_id = id.and_then(|id| id.to_str().ok()).map(Into::into);
        self
    }

    pub(crate) fn last_event_id(&self) -> Option<&str> {
        self.last_event_id.as_deref()
    }
}

#[derive(Default)]
struct Set {
    status: Option<StatusCode>,
    headers: HeaderMap,
    fault: Option<&'static str>,
}

/// Puts what logic set on the response.
pub(crate) fn apply(cx: &Context, mut response: Response) -> Result<Response> {
    let head = cx.value::<Head>();
    let set = head.and_then(|head| {
        head.set
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take()
    });
    let Some(set) = set else {
        return Ok(response);
    };
    if let Some(fault) = set.fault {
        return Err(Error::internal("send the reply", fault));
    }
    if let Some(status) = set.status {
        *response.status_mut() = status;
    }
    let mut last = None;
    for (name, value) in set.headers {
        // A name comes with its first value only.
        last = name.or(last);
        if let Some(name) = &last {
            response.headers_mut().append(name, value);
        }
    }
    Ok(response)
}
