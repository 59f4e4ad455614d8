//! The operations of a service behind its routes. Generated code fills a [`Routes`]; the
//! [`crate::Door`] serves it.

use std::{future::Future, marker::PhantomData, sync::Arc};

use http::{StatusCode, request};
use tenon_core::{Context, Result};

use crate::{
    Bind, Parts, Reply, Request, Response, Route,
    bind::{self, depth},
    body,
    endpoint::{Answer, Endpoint},
    reply::{self, Head},
};

/// The routes of a contract with what answers them.
///
/// ```
/// # use tenon_core::{Context, Result};
/// # use tenon_rest::{Method, Route, Routes};
/// struct Greeter;
/// impl Greeter {
///     async fn hello(&self, _: &Context) -> Result<&'static str> {
///         Ok("hello")
///     }
/// }
/// static HELLO: Route = Route::new(Method::Get, "/hello", "hello");
/// let routes: Routes = Routes::new(Greeter)
///     .route(&HELLO, |api, cx, _req: ()| async move { api.hello(&cx).await })
///     .build();
/// ```
pub struct Routes<A = ()> {
    api: Arc<A>,
    pub(crate) operations: Vec<Operation>,
}

/// A route and what answers it.
#[derive(Clone)]
pub(crate) struct Operation {
    pub(crate) route: &'static Route,
    pub(crate) endpoint: Arc<dyn Endpoint>,
}

impl<A: Send + Sync + 'static> Routes<A> {
    /// No routes yet, over the implementation that will answer them.
    pub fn new(api: A) -> Self {
        Self {
            api: Arc::new(api),
            operations: Vec::new(),
        }
    }

    /// Adds a route: its request is bound into `Req`, given to `answer`, and the result sent.
    #[must_use]
    pub fn route<Req, Resp, F, Fut>(mut self, route: &'static Route, answer: F) -> Self
    where
        F: Fn(Arc<A>, Context, Req) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<Resp>> + Send + 'static,
        Req: Bind + 'static,
        Resp: Reply + 'static,
    {
        let call = Arc::new(Call {
            route,
            api: self.api.clone(),
            answer,
            types: PhantomData,
        });
        let endpoint = Arc::new(Bound(call));
        self.operations.push(Operation { route, endpoint });
        self
    }

    /// The routes without the type of what answers them.
    pub fn build(self) -> Routes {
        Routes {
            api: Arc::new(()),
            operations: self.operations,
        }
    }
}

impl Routes {
    /// These routes and the others, as one.
    #[must_use]
    pub fn and(mut self, other: Self) -> Self {
        self.operations.extend(other.operations);
        self
    }
}

/// One operation: how its request is read, what answers it, how the answer is written.
struct Call<A, F, Req, Fut> {
    route: &'static Route,
    api: Arc<A>,
    answer: F,
    types: PhantomData<fn(Req) -> Fut>,
}

struct Bound<A, F, Req, Fut>(Arc<Call<A, F, Req, Fut>>);

impl<A, F, Req, Resp, Fut> Endpoint for Bound<A, F, Req, Fut>
where
    A: Send + Sync + 'static,
    F: Fn(Arc<A>, Context, Req) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<Resp>> + Send + 'static,
    Req: Bind + 'static,
    Resp: Reply + 'static,
{
    fn call(&self, cx: Context, request: Request) -> Answer {
        let call = self.0.clone();
        Box::pin(async move {
            let (head, body) = request.into_parts();
            let body = if Req::BODY {
                body::read_json(body, &head.headers).await?
            } else {
                bytes::Bytes::new()
            };
            let kept = Req::KEEPS_TEXT.then(|| body.clone());
            let mut kept = Head::keeping(kept);
            if call.route.events {
                kept = kept.coming_back(&head.headers);
            }
            let cx = cx.with_value(kept);
            let req = bind_request::<Req>(call.route, &head, &body)?;
            drop((head, body));
            let status = call.route.status.and_then(|s| StatusCode::from_u16(s).ok());
            let resp = (call.answer)(call.api.clone(), cx.clone(), req).await?;
            let response: Response = resp.into_response(status)?;
            reply::apply(&cx, response)
        })
    }
}

fn bind_request<Req: Bind>(route: &Route, head: &request::Parts, body: &[u8]) -> Result<Req> {
    let path = bind::path_parameters(route.path, head.uri.path())?;
    Req::bind(&Parts {
        path: &path,
        query: head.uri.query().unwrap_or_default(),
        headers: &head.headers,
        body,
        strict: route.strict,
        json_depth: depth::allowed(&head.extensions),
    })
}
