//! One open method: a request becomes a call, and its reply a response.

use std::{sync::Arc, time::Duration};

use axum::body::Body;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, header};
use http_body::Body as _;
use prost::Message as _;
use tenon_core::{
    Context, Messages, Result, TraceContext, catalogue, config::duration::LONGEST,
    context::CancelGuard,
};
use tenon_rest::{ByMethod, Request, Response, deadline};
use tenon_rpc::{Admitted, Method, Passed, Received};
use tokio::time::Instant;

use super::{
    Binding, Content, Mapping, Match, Verb,
    backend::Backend,
    binding,
    reply::{Form, Replies},
    upload::Upload,
};
use crate::forward::{HeaderRules, headers};

/// What travels with every call, besides the deadline and the trace, which the call makes anew.
const ALWAYS: [HeaderName; 3] = [
    header::AUTHORIZATION,
    HeaderName::from_static("tracestate"),
    HeaderName::from_static("x-request-id"),
];
const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// One rule of one method, ready.
pub(crate) struct Call {
    pub(crate) binding: Binding,
    pub(crate) method: &'static Method,
    pub(crate) way: Arc<Way>,
    pub(crate) metrics: Option<ByMethod>,
    /// How long it may take, where that is said of its method by name.
    pub(crate) named_time: Option<Duration>,
    /// The number of its guard in the table.
    pub(crate) place: usize,
}

/// What the methods of one upstream share.
pub(crate) struct Way {
    /// The name of the upstream.
    pub(crate) upstream: String,
    pub(crate) backend: Backend,
    pub(crate) mapping: Mapping,
    /// How long a call with one answer may take.
    pub(crate) timeout: Duration,
    /// How long a stream may pause.
    pub(crate) idle_timeout: Duration,
    pub(crate) max_bytes: u64,
    pub(crate) request_rules: HeaderRules,
    pub(crate) response_rules: HeaderRules,
    pub(crate) request_metadata: Vec<HeaderName>,
    /// Headers by the metadata that they come from.
    pub(crate) response_headers: Vec<(HeaderName, HeaderName)>,
}

/// What the guard of a route has said of a request.
pub(crate) struct Granted {
    /// How deep JSON may be nested.
    pub(crate) json_depth: usize,
    /// Whether it was judged by how long it waited for a thread.
    pub(crate) is_admitted: bool,
}

impl AsRef<Binding> for Call {
    fn as_ref(&self) -> &Binding {
        &self.binding
    }
}

impl Call {
    /// What logs and metrics call the route.
    pub(crate) fn template(&self) -> &str {
        &self.binding.rule().path
    }

    /// As rate limits name it: the method and the template, `GET /v1/{name=shelves/*}`.
    pub(crate) fn name(&self) -> String {
        format!("{} {}", self.verb(), self.template())
    }

    /// The HTTP method as the table of routes shows it.
    pub(crate) fn verb(&self) -> &str {
        match &self.binding.rule().verb {
            Verb::Method(name) => name,
            Verb::Any => "*",
        }
    }

    /// How long it may take. Only its caller ends a stream for which no time is said, and of a
    /// door in this process the door itself.
    pub(crate) fn time(&self) -> Option<Duration> {
        let general = || Some(self.way.timeout).filter(|time| !self.streams() && *time < LONGEST);
        self.named_time.or_else(general)
    }

    /// The longest that it may take when its caller asks for nothing shorter.
    pub(crate) fn own_time(&self) -> Duration {
        self.time().unwrap_or(LONGEST)
    }

    /// Whether messages stream either way.
    pub(crate) fn is_stream(&self) -> bool {
        self.streams() || self.takes_stream()
    }

    /// Whether the body is a stream.
    pub(crate) fn takes_stream(&self) -> bool {
        self.binding.method().is_client_streaming()
    }

    /// Whether the answer is a stream.
    pub(crate) fn streams(&self) -> bool {
        self.binding.method().is_server_streaming()
    }

    /// Calls the method and answers with its reply.
    ///
    /// # Errors
    /// What the request breaks of its contract; what the service answers; `DEADLINE_EXCEEDED`.
    pub(crate) async fn answer(
        &self,
        values: Vec<Option<String>>,
        mut request: Request,
        trace: TraceContext,
        granted: Granted,
    ) -> Result<Response> {
        let (streams, way) = (self.streams(), &self.way);
        let patience = deadline::patience(request.headers(), self.own_time());
        if patience.is_zero() {
            return Err(catalogue::DEADLINE_EXCEEDED.error());
        }
        let until = Instant::now() + patience;
        let (cx, guard) = Context::incoming(trace, Some(until));
        way.request_rules.apply(request.headers_mut());
        let form = Form::asked(request.headers(), self.binding.answers_raw());
        let unread = !self.binding.reads_body() && !request.body().is_end_stream();
        let passed = self.passed(request.headers());
        let received = Received::default();
        let cx = cx.with_value(passed).with_value(received.clone());
        let cx = match granted.is_admitted {
            true => cx.with_value(Admitted),
            false => cx,
        };
        let json_depth = granted.json_depth;
        if self.takes_stream() {
            let upload = Upload::new(self, values, request, json_depth)?;
            let mut response = self.upload(cx, guard, upload, form).await?;
            self.pass_back(&received, response.headers_mut());
            return Ok(response);
        }
        // Nothing is waited for there but the body.
        let message = tokio::time::timeout_at(until, self.message(values, request, json_depth));
        let message = message
            .await
            .map_err(|_elapsed| catalogue::BODY_TOO_SLOW.error())??;
        let mut response = if streams {
            self.stream(cx, guard, message, form).await?
        } else {
            self.unary(&cx, message).await?
        };
        if unread {
            headers::close(response.headers_mut());
        }
        self.pass_back(&received, response.headers_mut());
        Ok(response)
    }

    async fn message(
        &self,
        values: Vec<Option<String>>,
        request: Request,
        json_depth: usize,
    ) -> Result<Bytes> {
        let limit = self.way.max_bytes;
        let (head, body) = match (self.binding.reads_body(), self.binding.takes_raw()) {
            (false, _) => (request.into_parts().0, Bytes::new()),
            (true, false) => tenon_rest::body::json(request, limit).await?,
            (true, true) => tenon_rest::body::whole(request, limit).await?,
        };
        if !self.binding.takes_raw() && tenon_rest::bind::is_deeper(&body, json_depth) {
            return Err(binding::too_deep(json_depth, ""));
        }
        let media_type = head.headers.get(header::CONTENT_TYPE);
        let content = Content {
            bytes: &body,
            media_type: media_type
                .and_then(|it| it.to_str().ok())
                .unwrap_or_default(),
        };
        let query = head.uri.query().unwrap_or_default();
        let mapping = self.way.mapping;
        let values = values.into_iter();
        let message = self.binding.request(values, query, content, mapping)?;
        Ok(message.encode_to_vec().into())
    }

    async fn unary(&self, cx: &Context, message: Bytes) -> Result<Response> {
        self.written(&self.way.backend.unary(cx, self.method, message).await?)
    }

    /// The response that one reply is.
    fn written(&self, reply: &[u8]) -> Result<Response> {
        let (media_type, body) = if self.binding.answers_raw() {
            let raw = self.binding.raw_answer(reply)?;
            (raw.media_type, Body::from(raw.bytes))
        } else {
            let text = self.binding.answer(reply, self.way.mapping)?;
            (JSON, Body::from(text))
        };
        let mut response = Response::new(body);
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, media_type);
        Ok(response)
    }

    async fn stream(
        &self,
        cx: Context,
        guard: CancelGuard,
        message: Bytes,
        form: Form,
    ) -> Result<Response> {
        let replies = self.way.backend.stream(&cx, self.method, message).await?;
        self.begun(replies, &cx, guard, form).await
    }

    /// Sends a stream, and answers with a reply or with a stream of them.
    async fn upload(
        &self,
        cx: Context,
        guard: CancelGuard,
        upload: Upload,
        form: Form,
    ) -> Result<Response> {
        let (backend, progress) = (&self.way.backend, upload.progress());
        let messages = upload.messages();
        let answered = async {
            if self.streams() {
                let replies = backend.bidi(&cx, self.method, messages).await?;
                return self.begun(replies, &cx, guard, form).await;
            }
            self.written(&backend.client_stream(&cx, self.method, messages).await?)
        };
        let mut response = answered.await.map_err(|error| {
            let late = error.is(&catalogue::DEADLINE_EXCEEDED) && progress.is_awaited();
            if late {
                catalogue::BODY_TOO_SLOW.error()
            } else {
                error
            }
        })?;
        if !progress.is_ended() {
            headers::close(response.headers_mut());
        }
        Ok(response)
    }

    /// The response of a stream, once its first message is there.
    async fn begun(
        &self,
        replies: Messages<Bytes>,
        cx: &Context,
        guard: CancelGuard,
        form: Form,
    ) -> Result<Response> {
        let mut replies = Replies::new(
            replies,
            self.binding.clone(),
            self.way.mapping,
            form,
            self.way.idle_timeout,
            *cx.trace(),
            guard,
        );
        // A failure before the first message still has a status of its own.
        let media_type = replies.begin().await?;
        let mut response = Response::new(Body::new(replies));
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, media_type);
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        // Proxies that gather answers before they pass them on do not gather this one.
        headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
        Ok(response)
    }

    fn passed(&self, headers: &HeaderMap) -> Passed {
        let mut passed = HeaderMap::new();
        for name in ALWAYS.iter().chain(&self.way.request_metadata) {
            for value in headers.get_all(name) {
                let mut value = value.clone();
                // Kept out of the compression tables of the connection.
                value.set_sensitive(*name == header::AUTHORIZATION);
                passed.append(name, value);
            }
        }
        Passed::new(passed)
    }

    fn pass_back(&self, received: &Received, headers: &mut HeaderMap) {
        let metadata = received.take();
        for (from, to) in &self.way.response_headers {
            for value in metadata.get_all(from) {
                headers.append(to, value.clone());
            }
        }
        self.way.response_rules.apply(headers);
    }
}

/// The values of a match, owned, so that the request can be taken apart.
pub(crate) fn values(found: &Match<'_, Call>) -> Vec<Option<String>> {
    found.values().collect()
}
