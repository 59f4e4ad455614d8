//! A service: an implementation and its methods, ready to be served.

use std::{future::Future, sync::Arc};

use bytes::Bytes;
use prost::Message;
use tenon_core::{Context, Error, Result};

use crate::{BoxFuture, Method, catalogue, frame};

/// The methods of one service, by their name on the wire. Generated code makes it.
pub struct Service {
    name: &'static str,
    methods: Vec<(&'static Method, Arc<dyn Handler>)>,
}

impl Service {
    /// Collects the methods of `implementation`; `name` is the full name, `patient.PatientService`.
    pub fn builder<S: Send + Sync + 'static>(name: &'static str, implementation: S) -> Builder<S> {
        Builder {
            implementation: Arc::new(implementation),
            service: Self {
                name,
                methods: Vec::new(),
            },
        }
    }

    /// The full name of the service.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// The methods.
    pub fn methods(&self) -> impl Iterator<Item = &'static Method> {
        self.methods.iter().map(|(method, _)| *method)
    }

    pub(crate) fn into_methods(self) -> Vec<(&'static Method, Arc<dyn Handler>)> {
        self.methods
    }
}

/// Collects the methods of a service.
pub struct Builder<S> {
    implementation: Arc<S>,
    service: Service,
}

impl<S: Send + Sync + 'static> Builder<S> {
    /// A method with one message each way.
    #[must_use]
    pub fn unary<Req, Resp, F, Fut>(mut self, method: &'static Method, call: F) -> Self
    where
        Req: Message + Default + 'static,
        Resp: Message + 'static,
        F: Fn(Arc<S>, Context, Req) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<Resp>> + Send + 'static,
    {
        let implementation = self.implementation.clone();
        let call = move |cx: Context, message: Bytes| -> BoxFuture<'static, Result<Bytes>> {
            let req = match Req::decode(message) {
                Ok(req) => req,
                Err(cause) => {
                    let error = catalogue::MESSAGE_MALFORMED
                        .error()
                        .param("problem", "its fields do not fit")
                        .cause(cause);
                    return Box::pin(std::future::ready(Err(error)));
                }
            };
            let reply = call(implementation.clone(), cx, req);
            Box::pin(async move { frame_reply(&reply.await?) })
        };
        self.service.methods.push((method, Arc::new(call)));
        self
    }

    /// The service.
    pub fn build(self) -> Service {
        self.service
    }
}

/// A method that takes the bytes of a message and gives a framed one.
pub(crate) trait Handler: Send + Sync {
    fn call(&self, cx: Context, message: Bytes) -> BoxFuture<'static, Result<Bytes>>;
}

impl<F> Handler for F
where
    F: Fn(Context, Bytes) -> BoxFuture<'static, Result<Bytes>> + Send + Sync,
{
    fn call(&self, cx: Context, message: Bytes) -> BoxFuture<'static, Result<Bytes>> {
        self(cx, message)
    }
}

fn frame_reply<M: Message>(reply: &M) -> Result<Bytes> {
    frame::encode(reply)
        .ok_or_else(|| Error::internal("frame the reply", "it is larger than 4 GiB"))
}
