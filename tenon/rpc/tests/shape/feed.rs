//! What the generator writes from `feed.proto`, by hand, with the crates below the facade: a
//! method of each shape.

use std::{future::Future, sync::Arc};

use tenon_core::{Context, Result, config::ConfigError};
use tenon_rpc::{self as rpc, BoxFuture, Messages};

/// `message Item`
#[derive(Clone, PartialEq, ::prost::Message)]
pub struct Item {
    /// `number`
    #[prost(int64, tag = "1")]
    pub number: i64,
    /// `text`
    #[prost(string, tag = "2")]
    pub text: String,
}

/// The descriptors of the contract, as the generator packs those of a contract with this service.
pub static DESCRIPTOR: &str =
    include_str!("../../../gen/tests/cases/streams/expected/contract/src/gen/descriptor.txt");

/// Every method of the contract: what the settings of a client may name.
pub static METHODS: &[&rpc::Method] = &[
    &methods::ONE,
    &methods::LIST,
    &methods::IMPORT,
    &methods::SYNC,
];

/// The methods as they stand on the wire.
pub mod methods {
    use tenon_rpc::Method;

    /// `rpc one`
    pub static ONE: Method = Method::new("/feed.FeedService/one").idempotent();

    /// `rpc list`
    pub static LIST: Method = Method::new("/feed.FeedService/list");

    /// `rpc import`
    pub static IMPORT: Method = Method::new("/feed.FeedService/import");

    /// `rpc sync`
    pub static SYNC: Method = Method::new("/feed.FeedService/sync");
}

/// `service FeedService`
pub trait FeedService: Send + Sync + 'static {
    /// One item for each that the text asks for.
    fn one(&self, cx: &Context, req: Item) -> impl Future<Output = Result<Item>> + Send;

    /// As many items as the number says.
    fn list(&self, cx: &Context, req: Item) -> impl Future<Output = Result<Messages<Item>>> + Send;

    /// How many items came.
    fn import(
        &self,
        cx: &Context,
        req: Messages<Item>,
    ) -> impl Future<Output = Result<Item>> + Send;

    /// Each item as it came.
    fn sync(
        &self,
        cx: &Context,
        req: Messages<Item>,
    ) -> impl Future<Output = Result<Messages<Item>>> + Send;
}

/// Serves an implementation over the network.
pub fn serve<S: FeedService>(service: S) -> rpc::Service {
    rpc::Service::builder("feed.FeedService", service)
        .descriptor_text(DESCRIPTOR)
        .unary(&methods::ONE, |service, cx, req| async move {
            service.one(&cx, req).await
        })
        .server_stream(&methods::LIST, |service, cx, req| async move {
            service.list(&cx, req).await
        })
        .client_stream(&methods::IMPORT, |service, cx, req| async move {
            service.import(&cx, req).await
        })
        .bidi(&methods::SYNC, |service, cx, req| async move {
            service.sync(&cx, req).await
        })
        .build()
}

/// `FeedService` as other services hold it.
#[derive(Clone)]
pub struct FeedClient {
    inner: rpc::Client<dyn DynFeedService>,
}

impl FeedClient {
    /// Calls an implementation in this process; nothing is encoded.
    pub fn local(service: impl FeedService) -> Self {
        Self {
            inner: rpc::Client::local(Arc::new(service)),
        }
    }

    /// Calls the service across the network.
    ///
    /// # Errors
    /// The settings of the channel name a method that the contract does not have.
    pub fn remote(channel: rpc::Channel) -> Result<Self, ConfigError> {
        let inner = rpc::Client::remote(channel, METHODS)?;
        Ok(Self { inner })
    }

    /// Counts local calls in `metrics`; a channel counts its own.
    #[must_use]
    pub fn metrics(self, metrics: &rpc::Metrics) -> Self {
        Self {
            inner: self.inner.metrics(metrics),
        }
    }
}

impl FeedService for FeedClient {
    async fn one(&self, cx: &Context, req: Item) -> Result<Item> {
        self.inner
            .unary(cx, &methods::ONE, req, |service, cx, req| {
                service.one(cx, req)
            })
            .await
    }

    async fn list(&self, cx: &Context, req: Item) -> Result<Messages<Item>> {
        self.inner
            .server_stream(cx, &methods::LIST, req, |service, cx, req| {
                service.list(cx, req)
            })
            .await
    }

    async fn import(&self, cx: &Context, req: Messages<Item>) -> Result<Item> {
        self.inner
            .client_stream(cx, &methods::IMPORT, req, |service, cx, req| {
                service.import(cx, req)
            })
            .await
    }

    async fn sync(&self, cx: &Context, req: Messages<Item>) -> Result<Messages<Item>> {
        self.inner
            .bidi(cx, &methods::SYNC, req, |service, cx, req| {
                service.sync(cx, req)
            })
            .await
    }
}

/// [`FeedService`] behind a pointer.
trait DynFeedService: Send + Sync {
    fn one<'a>(&'a self, cx: &'a Context, req: Item) -> BoxFuture<'a, Result<Item>>;

    fn list<'a>(&'a self, cx: &'a Context, req: Item) -> BoxFuture<'a, Result<Messages<Item>>>;

    fn import<'a>(&'a self, cx: &'a Context, req: Messages<Item>) -> BoxFuture<'a, Result<Item>>;

    fn sync<'a>(
        &'a self,
        cx: &'a Context,
        req: Messages<Item>,
    ) -> BoxFuture<'a, Result<Messages<Item>>>;
}

impl<S: FeedService> DynFeedService for S {
    fn one<'a>(&'a self, cx: &'a Context, req: Item) -> BoxFuture<'a, Result<Item>> {
        Box::pin(FeedService::one(self, cx, req))
    }

    fn list<'a>(&'a self, cx: &'a Context, req: Item) -> BoxFuture<'a, Result<Messages<Item>>> {
        Box::pin(FeedService::list(self, cx, req))
    }

    fn import<'a>(&'a self, cx: &'a Context, req: Messages<Item>) -> BoxFuture<'a, Result<Item>> {
        Box::pin(FeedService::import(self, cx, req))
    }

    fn sync<'a>(
        &'a self,
        cx: &'a Context,
        req: Messages<Item>,
    ) -> BoxFuture<'a, Result<Messages<Item>>> {
        Box::pin(FeedService::sync(self, cx, req))
    }
}
