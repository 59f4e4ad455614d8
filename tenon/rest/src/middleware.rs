//! Middleware: a service's own layers between the door and its operations.

use std::{
    convert::Infallible,
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::Poll,
};

use axum::response::IntoResponse;
use tenon_core::{Context, Error, Result};
use tower::{BoxError, Layer, Service, ServiceExt};

use crate::{
    Request, Response,
    endpoint::{Answer, Endpoint},
    problem,
};

/// A layer around operations: an `async fn`, or any tower layer.
///
/// It runs after the token and the permission were checked and within the deadline; the body it
/// sees is decompressed and limited.
#[derive(Clone)]
pub struct Middleware {
    pub(crate) name: &'static str,
    wrap: Arc<Wrap>,
}

type Wrap = dyn Fn(Arc<dyn Endpoint>) -> Arc<dyn Endpoint> + Send + Sync;

impl Middleware {
    /// Middleware of a function.
    ///
    /// ```
    /// use tenon_core::{Context, Result};
    /// use tenon_rest::{Middleware, Next, Request, Response};
    ///
    /// async fn audit(cx: Context, req: Request, next: Next) -> Result<Response> {
    ///     let resp = next.run(cx, req).await?;
    ///     Ok(resp)
    /// }
    /// let middleware = Middleware::from_fn(audit);
    /// ```
    pub fn from_fn<F, Fut>(function: F) -> Self
    where
        F: Fn(Context, Request, Next) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<Response>> + Send + 'static,
    {
        let function = Arc::new(function);
        Self {
            name: std::any::type_name::<F>(),
            wrap: Arc::new(move |next| {
                let function = function.clone();
                Arc::new(FunctionLayer { function, next })
            }),
        }
    }

    /// Middleware of a tower layer. The layer is applied once per route, so that limits that it
    /// keeps count per route. The [`Context`] stands in the request's extensions; the errors of
    /// operations reach the layer as responses.
    pub fn tower<L>(layer: L) -> Self
    where
        L: Layer<NextService> + Send + Sync + 'static,
        L::Service: Service<Request> + Clone + Send + 'static,
        <L::Service as Service<Request>>::Response: IntoResponse,
        <L::Service as Service<Request>>::Error: Into<BoxError>,
        <L::Service as Service<Request>>::Future: Send,
    {
        Self {
            name: std::any::type_name::<L>(),
            wrap: Arc::new(move |next| {
                let service = layer.layer(NextService(Next(next)));
                Arc::new(TowerLayer(Mutex::new(service)))
            }),
        }
    }

    pub(crate) fn around(&self, next: Arc<dyn Endpoint>) -> Arc<dyn Endpoint> {
        (self.wrap)(next)
    }
}

/// The rest of the way to the operation.
#[derive(Clone)]
pub struct Next(Arc<dyn Endpoint>);

impl Next {
    /// Goes on, with this context or one derived from it.
    ///
    /// # Errors
    /// What the operation or the middleware before it answers.
    pub async fn run(self, cx: Context, request: Request) -> Result<Response> {
        self.0.call(cx, request).await
    }
}

struct FunctionLayer<F> {
    function: Arc<F>,
    next: Arc<dyn Endpoint>,
}

impl<F, Fut> Endpoint for FunctionLayer<F>
where
    F: Fn(Context, Request, Next) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<Response>> + Send + 'static,
{
    fn call(&self, cx: Context, request: Request) -> Answer {
        Box::pin((self.function)(cx, request, Next(self.next.clone())))
    }
}

/// A tower service is `Clone` but often not `Sync`; the lock is held for the clone only.
struct TowerLayer<S>(Mutex<S>);

impl<S> Endpoint for TowerLayer<S>
where
    S: Service<Request, Response: IntoResponse, Error: Into<BoxError>, Future: Send>
        + Clone
        + Send
        + 'static,
{
    fn call(&self, cx: Context, mut request: Request) -> Answer {
        let service = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let service = service.clone();
        request.extensions_mut().insert(cx);
        Box::pin(async move {
            let outcome = service.oneshot(request).await;
            outcome.map(IntoResponse::into_response).map_err(of_layer)
        })
    }
}

/// An error that a layer made, or passed on.
fn of_layer(error: impl Into<BoxError>) -> Error {
    match error.into().downcast::<Error>() {
        Ok(error) => *error,
        Err(cause) => Error::internal("pass a layer", cause),
    }
}

/// The rest of the way as a tower service, for [`Middleware::tower`].
#[derive(Clone)]
pub struct NextService(Next);

impl Service<Request> for NextService {
    type Response = Response;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut std::task::Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request) -> Self::Future {
        let next = self.0.clone();
        Box::pin(async move {
            let language = problem::language(request.headers());
            let Some(cx) = request.extensions().get::<Context>().cloned() else {
                let cause = "the layer dropped the extensions of the request";
                let error = Error::internal("pass a layer", cause);
                let cx = Context::background();
                return Ok(problem::response(error, language, cx.trace()));
            };
            let trace = *cx.trace();
            let outcome = next.run(cx, request).await;
            Ok(outcome.unwrap_or_else(|error| problem::response(error, language, &trace)))
        })
    }
}
