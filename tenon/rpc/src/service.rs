//! A service: an implementation and its methods, ready to be served.

use std::{future::Future, sync::Arc};

use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::Bytes;
use prost::Message;
use tenon_core::{Context, Error, Messages, Result};

use crate::{BoxFuture, Method, catalogue, frame};

/// The methods of one service, by their name on the wire. Generated code makes it.
pub struct Service {
    name: &'static str,
    methods: Vec<Operation>,
    descriptor: Bytes,
}

impl Service {
    /// Collects the methods of `implementation`; `name` is the full name, `patient.PatientService`.
    pub fn builder<S: Send + Sync + 'static>(name: &'static str, implementation: S) -> Builder<S> {
        Builder {
            implementation: Arc::new(implementation),
            service: Self {
                name,
                methods: Vec::new(),
                descriptor: Bytes::new(),
            },
        }
    }

    /// The full name of the service.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// The methods.
    pub fn methods(&self) -> impl Iterator<Item = &'static Method> {
        self.methods.iter().map(|operation| operation.method)
    }

    /// The `google.protobuf.FileDescriptorSet` of the contract, encoded; empty when it was not
    /// given.
    pub fn descriptor(&self) -> Bytes {
        self.descriptor.clone()
    }

    pub(crate) fn into_methods(self) -> Vec<Operation> {
        self.methods
    }
}

/// Collects the methods of a service. `call` names a method on the implementation; it gets the
/// context and the request, and its answer is sent.
pub struct Builder<S> {
    implementation: Arc<S>,
    service: Service,
}

impl<S: Send + Sync + 'static> Builder<S> {
    /// What reflection tells of the service, and what it is transcoded by: a
    /// `google.protobuf.FileDescriptorSet`, encoded.
    #[must_use]
    pub fn descriptor(mut self, set: &'static [u8]) -> Self {
        self.service.descriptor = Bytes::from_static(set);
        self
    }

    /// The same in base64, as generated contracts carry it. Lines that begin with `#` are none
    /// of it; a text that is no base64 counts as none.
    #[must_use]
    pub fn descriptor_text(mut self, text: &str) -> Self {
        let packed: String = text
            .lines()
            .filter(|line| !line.starts_with('#'))
            .map(str::trim)
            .collect();
        self.service.descriptor = match STANDARD.decode(packed) {
            Ok(set) => set.into(),
            Err(_) => Bytes::new(),
        };
        self
    }

    /// A method with one message each way.
    #[must_use]
    pub fn unary<Req, Resp, F, Fut>(self, method: &'static Method, call: F) -> Self
    where
        Req: Message + Default + 'static,
        Resp: Message + 'static,
        F: Fn(Arc<S>, Context, Req) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<Resp>> + Send + 'static,
    {
        self.one(method, false, call, frame_reply, Answer::One)
    }

    /// A method that answers one message with a stream.
    #[must_use]
    pub fn server_stream<Req, Resp, F, Fut>(self, method: &'static Method, call: F) -> Self
    where
        Req: Message + Default + 'static,
        Resp: Message + 'static,
        F: Fn(Arc<S>, Context, Req) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<Messages<Resp>>> + Send + 'static,
    {
        self.one(method, true, call, frame_replies, Answer::Many)
    }

    /// A method that answers a stream with one message.
    #[must_use]
    pub fn client_stream<Req, Resp, F, Fut>(self, method: &'static Method, call: F) -> Self
    where
        Req: Message + Default + 'static,
        Resp: Message + 'static,
        F: Fn(Arc<S>, Context, Messages<Req>) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<Resp>> + Send + 'static,
    {
        self.many(method, call, frame_reply, Answer::One)
    }

    /// A method with a stream each way.
    #[must_use]
    pub fn bidi<Req, Resp, F, Fut>(self, method: &'static Method, call: F) -> Self
    where
        Req: Message + Default + 'static,
        Resp: Message + 'static,
        F: Fn(Arc<S>, Context, Messages<Req>) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<Messages<Resp>>> + Send + 'static,
    {
        self.many(method, call, frame_replies, Answer::Many)
    }

    fn one<Req, Out, Framed, F, Fut>(
        mut self,
        method: &'static Method,
        streams: bool,
        call: F,
        framed: fn(Out) -> Result<Framed>,
        answer: fn(Framed) -> Answer,
    ) -> Self
    where
        Req: Message + Default + 'static,
        Out: Send + 'static,
        Framed: 'static,
        F: Fn(Arc<S>, Context, Req) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<Out>> + Send + 'static,
    {
        let implementation = self.implementation.clone();
        let handler = move |cx: Context, message: Bytes| -> Answering {
            let req = match decode::<Req>(message) {
                Ok(req) => req,
                Err(error) => return Box::pin(std::future::ready(Err(error))),
            };
            let reply = call(implementation.clone(), cx, req);
            Box::pin(async move { Ok(answer(framed(reply.await?)?)) })
        };
        self.service.methods.push(Operation {
            method,
            handler: Handler::One(Box::new(handler)),
            streams,
        });
        self
    }

    fn many<Req, Out, Framed, F, Fut>(
        mut self,
        method: &'static Method,
        call: F,
        framed: fn(Out) -> Result<Framed>,
        answer: fn(Framed) -> Answer,
    ) -> Self
    where
        Req: Message + Default + 'static,
        Out: Send + 'static,
        Framed: 'static,
        F: Fn(Arc<S>, Context, Messages<Req>) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<Out>> + Send + 'static,
    {
        let implementation = self.implementation.clone();
        let handler = move |cx: Context, messages: Messages<Bytes>| -> Answering {
            let requests = messages.try_map(decode::<Req>);
            let reply = call(implementation.clone(), cx, requests);
            Box::pin(async move { Ok(answer(framed(reply.await?)?)) })
        };
        self.service.methods.push(Operation {
            method,
            handler: Handler::Many(Box::new(handler)),
            streams: true,
        });
        self
    }

    /// The service.
    pub fn build(self) -> Service {
        self.service
    }
}

/// A method and what answers it.
pub(crate) struct Operation {
    pub(crate) method: &'static Method,
    pub(crate) handler: Handler,
    /// Messages stream one way at least.
    pub(crate) streams: bool,
}

type Answering = BoxFuture<'static, Result<Answer>>;
type Call<Req> = Box<dyn Fn(Context, Req) -> Answering + Send + Sync>;

/// A method once its types are gone: bytes of messages in, framed messages out.
pub(crate) enum Handler {
    /// It takes one message.
    One(Call<Bytes>),
    /// It takes a stream.
    Many(Call<Messages<Bytes>>),
}

/// What a method answers, framed.
pub(crate) enum Answer {
    One(Bytes),
    Many(Messages<Bytes>),
}

fn decode<Req: Message + Default>(message: Bytes) -> Result<Req> {
    Req::decode(message).map_err(|cause| {
        catalogue::MESSAGE_MALFORMED
            .error()
            .param("problem", "its fields do not fit")
            .cause(cause)
    })
}

fn frame_reply<M: Message>(reply: M) -> Result<Bytes> {
    frame::encode(&reply)
        .ok_or_else(|| Error::internal("frame the reply", "it is larger than 4 GiB"))
}

#[expect(
    clippy::unnecessary_wraps,
    reason = "the same shape as that of one message"
)]
fn frame_replies<M: Message + 'static>(replies: Messages<M>) -> Result<Messages<Bytes>> {
    Ok(replies.try_map(frame_reply))
}
