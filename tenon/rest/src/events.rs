//! Streams of events, `text/event-stream`: what an operation under `sse: true` answers.
//!
//! Source: the HTML standard, section 9.2 "Server-sent events".

use std::{
    fmt::Write as _,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use axum::body::Body;
use bytes::Bytes;
use futures_util::Stream;
use http::{HeaderName, HeaderValue, StatusCode, header};
use serde::Serialize;
use tenon_core::{Context, Error, Messages, OrInternal, Result, messages::Producer};

use crate::{Reply, Response, reply::Head};

/// Asks proxies of nginx's kind not to hold events back.
const ACCEL_BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");

/// One event: its data as JSON, and what a client may use to go on after a break.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event<T> {
    data: T,
    id: Option<String>,
    name: Option<String>,
    retry: Option<Duration>,
}

impl<T> Event<T> {
    /// An event of this data.
    pub fn new(data: T) -> Self {
        Self {
            data,
            id: None,
            name: None,
            retry: None,
        }
    }

    /// Where the stream stands after this event. A client that comes back says the last one that
    /// it got: [`last_event_id`].
    #[must_use]
    pub fn id(mut self, id: impl ToString) -> Self {
        self.id = Some(id.to_string());
        self
    }

    /// The kind of the event; `message` without one.
    #[must_use]
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// How long a client waits before it comes back after a break.
    #[must_use]
    pub fn retry(mut self, wait: Duration) -> Self {
        self.retry = Some(wait);
        self
    }

    /// The data.
    pub fn into_data(self) -> T {
        self.data
    }
}

impl<T> From<T> for Event<T> {
    fn from(data: T) -> Self {
        Self::new(data)
    }
}

/// The events that an operation answers with. The stream has the deadline of its route, counts as
/// in flight while it lives, and is dropped when its client leaves. A failure ends it with an
/// event `problem`, whose data is the problem document.
///
/// ```
/// # use tenon_rest::{Event, Events};
/// let counted = Events::produce(async move |out| {
///     for number in 0..3 {
///         out.send(Event::new(number).id(number)).await?;
///     }
///     Ok(())
/// });
/// ```
#[derive(Debug)]
pub struct Events<T>(Messages<Event<T>>);

impl<T: Send + 'static> Events<T> {
    /// The events of a stream that cannot fail.
    pub fn of(events: impl Stream<Item = Event<T>> + Send + 'static) -> Self {
        Self(Messages::of(events))
    }

    /// The events that `work` sends; it is run while the client takes them: see
    /// [`Messages::produce`].
    pub fn produce<F, Fut>(work: F) -> Self
    where
        F: FnOnce(Producer<Event<T>>) -> Fut,
        Fut: Future<Output = Result<()>> + Send + 'static,
    {
        Self(Messages::produce(work))
    }

    /// The data alone, as the RPC door streams it.
    pub fn into_messages(self) -> Messages<T> {
        self.0.map(Event::into_data)
    }
}

impl<T: Send + 'static> From<Messages<T>> for Events<T> {
    fn from(messages: Messages<T>) -> Self {
        Self(messages.map(Event::new))
    }
}

impl<T> From<Messages<Event<T>>> for Events<T> {
    fn from(messages: Messages<Event<T>>) -> Self {
        Self(messages)
    }
}

impl<T: Serialize + Send + 'static> Reply for Events<T> {
    fn into_response(self, _: Option<StatusCode>) -> Result<Response> {
        let mut response = Response::new(Body::empty());
        let headers = response.headers_mut();
        let kind = const { HeaderValue::from_static("text/event-stream") };
        headers.insert(header::CONTENT_TYPE, kind);
        let cache = const { HeaderValue::from_static("no-cache, no-store") };
        headers.insert(header::CACHE_CONTROL, cache);
        headers.insert(ACCEL_BUFFERING, const { HeaderValue::from_static("no") });
        let written = self.0.try_map(|event| write(&event));
        let pending = Pending(Arc::new(Mutex::new(Some(written))));
        response.extensions_mut().insert(pending);
        Ok(response)
    }
}

/// The id of the last event that the client got before it came back, from `Last-Event-ID`. It is
/// the client's text: check it as any other input.
pub fn last_event_id(cx: &Context) -> Option<String> {
    cx.value::<Head>()?.last_event_id().map(str::to_owned)
}

/// The written events of a response that is not sent yet.
#[derive(Clone)]
struct Pending(Arc<Mutex<Option<Messages<Bytes>>>>);

/// Whether a response is a stream of events.
pub(crate) fn stands_in(response: &Response) -> bool {
    response.extensions().get::<Pending>().is_some()
}

/// Takes the events out of a response.
pub(crate) fn take(response: &mut Response) -> Option<Messages<Bytes>> {
    let Pending(events) = response.extensions_mut().remove()?;
    events.lock().unwrap_or_else(PoisonError::into_inner).take()
}

/// An event as it stands on the wire. JSON holds no raw line break, so its data is one line.
fn write<T: Serialize>(event: &Event<T>) -> Result<Bytes> {
    let mut text = String::with_capacity(128);
    for (field, value) in [("id", &event.id), ("event", &event.name)] {
        let Some(value) = value else { continue };
        if value.contains(['\r', '\n', '\0']) {
            let cause = format!("its {field} holds a line break or NUL");
            return Err(Error::internal("write an event", cause));
        }
        let _ = writeln!(text, "{field}: {value}");
    }
    if let Some(retry) = event.retry {
        let _ = writeln!(text, "retry: {}", retry.as_millis());
    }
    let data = serde_json::to_string(&event.data).or_internal("write an event as JSON")?;
    let _ = write!(text, "data: {data}\n\n");
    Ok(text.into())
}

/// The event that tells of a failure; `document` is one line of JSON.
pub(crate) fn problem(document: &[u8]) -> Bytes {
    [b"event: problem\ndata: ", document, b"\n\n"]
        .concat()
        .into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text<T: Serialize>(event: Event<T>) -> String {
        String::from_utf8(write(&event).unwrap().to_vec()).unwrap()
    }

    #[test]
    fn an_event_is_written_as_the_standard_says() {
        assert_eq!(text(Event::new("a\nb")), "data: \"a\\nb\"\n\n");
        let whole = Event::new(7)
            .id(42)
            .name("progress")
            .retry(Duration::from_secs(3));
        let expected = "id: 42\nevent: progress\nretry: 3000\ndata: 7\n\n";
        assert_eq!(text(whole), expected);
    }

    #[test]
    fn no_field_breaks_out_of_its_line() {
        for bad in ["a\nb", "a\rb", "a\0b"] {
            assert!(write(&Event::new(1).id(bad)).is_err());
            assert!(write(&Event::new(1).name(bad)).is_err());
        }
    }
}
