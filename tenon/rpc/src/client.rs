//! The policy of a generated client: the same call, in this process or across the network.

use std::{sync::Arc, time::Instant};

use prost::Message;
use tenon_core::{Context, Error, Messages, Result, config::ConfigError, span::Kind};
use tenon_telemetry::{Metrics, Side};

use crate::{
    BoxFuture, Channel, Method, local,
    observe::{Meter, Step},
};

/// What a generated client holds: an implementation of `D`, the erased twin of the service's
/// trait, or a channel to one. Cheap to clone.
pub struct Client<D: ?Sized> {
    way: Way<D>,
}

enum Way<D: ?Sized> {
    Local {
        service: Arc<D>,
        meter: Option<Arc<Meter>>,
    },
    Remote(Channel),
}

impl<D: ?Sized + Send + Sync> Client<D> {
    /// Calls the service in this process.
    pub fn local(service: Arc<D>) -> Self {
        let meter = None;
        Self {
            way: Way::Local { service, meter },
        }
    }

    /// Calls the service across the network; `methods` are all of its contract.
    ///
    /// # Errors
    /// As [`Channel::check`].
    pub fn remote(channel: Channel, methods: &[&'static Method]) -> Result<Self, ConfigError> {
        channel.check(methods)?;
        Ok(Self {
            way: Way::Remote(channel),
        })
    }

    /// Counts local calls in `metrics`. A channel counts its own.
    #[must_use]
    pub fn metrics(self, metrics: &Metrics) -> Self {
        match self.way {
            Way::Local { service, .. } => Self {
                way: Way::Local {
                    service,
                    meter: Some(Arc::new(Meter::new(metrics.clone(), Side::Client))),
                },
            },
            way @ Way::Remote(_) => Self { way },
        }
    }

    /// Calls a method with one message each way. `call` names it on the erased twin.
    ///
    /// # Errors
    /// What the service answers; `DEADLINE_EXCEEDED`, `CANCELLED` when the context ends first;
    /// `UNAVAILABLE` when the service cannot be reached.
    pub async fn unary<Req, Resp, F>(
        &self,
        cx: &Context,
        method: &'static Method,
        req: Req,
        call: F,
    ) -> Result<Resp>
    where
        Req: Message,
        Resp: Message + Default,
        F: for<'a> FnOnce(&'a D, &'a Context, Req) -> BoxFuture<'a, Result<Resp>>,
    {
        match &self.way {
            Way::Local { service, meter } => {
                let handle = meter.as_ref().map(|meter| meter.of(method));
                let handle = handle.as_ref();
                match Step::call(Kind::Internal, method, cx) {
                    None => local::call(cx, handle, || call(service, cx, req)).await,
                    Some((step, cx)) => {
                        let began = Instant::now();
                        let work = || call(service, &cx, req);
                        let result = local::call(&cx, handle, work).await;
                        step.end(result.as_ref().err().map(Error::status), began.elapsed());
                        result
                    }
                }
            }
            Way::Remote(channel) => channel.unary(cx, method, req).await,
        }
    }

    /// Calls a method that answers one message with a stream.
    ///
    /// # Errors
    /// As [`Channel::server_stream`].
    pub async fn server_stream<Req, Resp, F>(
        &self,
        cx: &Context,
        method: &'static Method,
        req: Req,
        call: F,
    ) -> Result<Messages<Resp>>
    where
        Req: Message,
        Resp: Message + Default + 'static,
        F: for<'a> FnOnce(&'a D, &'a Context, Req) -> BoxFuture<'a, Result<Messages<Resp>>>,
    {
        match &self.way {
            Way::Local { service, meter } => {
                let handle = meter.as_ref().map(|meter| meter.of(method));
                let work = |cx: Context| async move { call(service, &cx, req).await };
                local::stream(cx, handle.as_ref(), work).await
            }
            Way::Remote(channel) => channel.server_stream(cx, method, req).await,
        }
    }

    /// Calls a method that answers a stream with one message.
    ///
    /// # Errors
    /// As [`Channel::client_stream`].
    pub async fn client_stream<Req, Resp, F>(
        &self,
        cx: &Context,
        method: &'static Method,
        requests: Messages<Req>,
        call: F,
    ) -> Result<Resp>
    where
        Req: Message + 'static,
        Resp: Message + Default,
        F: for<'a> FnOnce(&'a D, &'a Context, Messages<Req>) -> BoxFuture<'a, Result<Resp>>,
    {
        match &self.way {
            Way::Local { service, meter } => {
                let handle = meter.as_ref().map(|meter| meter.of(method));
                let work = |requests| call(service, cx, requests);
                local::call_streaming(cx, handle.as_ref(), requests, work).await
            }
            Way::Remote(channel) => channel.client_stream(cx, method, requests).await,
        }
    }

    /// Calls a method with a stream each way.
    ///
    /// # Errors
    /// As [`Channel::bidi`].
    pub async fn bidi<Req, Resp, F>(
        &self,
        cx: &Context,
        method: &'static Method,
        requests: Messages<Req>,
        call: F,
    ) -> Result<Messages<Resp>>
    where
        Req: Message + 'static,
        Resp: Message + Default + 'static,
        F: for<'a> FnOnce(
            &'a D,
            &'a Context,
            Messages<Req>,
        ) -> BoxFuture<'a, Result<Messages<Resp>>>,
    {
        match &self.way {
            Way::Local { service, meter } => {
                let handle = meter.as_ref().map(|meter| meter.of(method));
                let work =
                    |cx: Context, requests| async move { call(service, &cx, requests).await };
                local::stream_streaming(cx, handle.as_ref(), requests, work).await
            }
            Way::Remote(channel) => channel.bidi(cx, method, requests).await,
        }
    }
}

impl<D: ?Sized> Clone for Client<D> {
    fn clone(&self) -> Self {
        let way = match &self.way {
            Way::Local { service, meter } => Way::Local {
                service: service.clone(),
                meter: meter.clone(),
            },
            Way::Remote(channel) => Way::Remote(channel.clone()),
        };
        Self { way }
    }
}
