//! A small HTTP service without a contract: routes and closures, with the same onion around them
//! as around generated ones. For the one-file tools that a contract would be too much for.

use std::{
    future::Future,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
};

use tenon_core::{
    Context, Error, Result, Violation,
    config::{AdminConfig, ConfigError, LogConfig, LogFormat, LogLevel, RestConfig},
};
use tenon_rest::{Bind, Method, Parts, Reply, Route, Routes};

use crate::{Process, Service, StartError};

/// A service in the making. It logs, recovers from panics, limits bodies and time, and answers
/// problem documents by default.
///
/// ```no_run
/// use tenon::{App, Context, Request, Result};
///
/// async fn greet(_cx: Context, req: Request) -> Result<tenon::Json> {
///     Ok(serde_json::json!({ "hello": req.param("name")? }))
/// }
///
/// fn main() -> std::process::ExitCode {
///     let app = App::new("hello");
///     app.group("/api/v1").get("/hello/:name", greet);
///     app.run("127.0.0.1:8081")
/// }
/// ```
pub struct App {
    name: String,
    admin: Option<String>,
    routes: Arc<Mutex<Vec<Routes>>>,
}

impl App {
    /// A service without routes.
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            admin: None,
            routes: Arc::default(),
        }
    }

    /// Opens the admin server too, with health, metrics and profiles; the usual address is
    /// 127.0.0.1:8889. Counts for [`run`](Self::run) only: beside other services theirs does.
    #[must_use]
    pub fn admin(mut self, listen: impl Into<String>) -> Self {
        self.admin = Some(listen.into());
        self
    }

    /// Routes below a common prefix.
    pub fn group(&self, prefix: &str) -> Group {
        Group {
            prefix: prefix.trim_end_matches('/').to_owned(),
            routes: self.routes.clone(),
        }
    }

    /// The service, to be run beside others.
    pub fn service(self, config: RestConfig) -> Service {
        let mut routes = self.routes.lock().unwrap_or_else(PoisonError::into_inner);
        let none = Routes::new(()).build();
        let all = routes.drain(..).fold(none, Routes::and);
        Service::new(self.name).rest(config, all)
    }

    /// Serves until a signal. An address that cannot be had is told on stderr.
    pub fn run(self, listen: &str) -> std::process::ExitCode {
        match self.serve(listen) {
            Ok(()) => std::process::ExitCode::SUCCESS,
            Err(problem) => {
                crate::process::report(&problem.to_string());
                std::process::ExitCode::FAILURE
            }
        }
    }

    fn serve(self, listen: &str) -> Result<(), StartError> {
        let listen = address("listen", listen)?;
        let admin = self
            .admin
            .as_deref()
            .map(|admin| address("admin", admin))
            .transpose()?;
        let log = LogConfig {
            level: LogLevel::Info,
            format: LogFormat::Pretty,
            ..LogConfig::default()
        };
        if let Err(taken) = tenon_telemetry::init_logs(&log) {
            tracing::debug!("{taken}");
        }
        let runtime = crate::Runtime::default();
        let service = self.service(RestConfig {
            listen,
            ..RestConfig::default()
        });
        let mut process = service.open(&runtime)?.serve(Process::new(runtime))?;
        if let Some(listen) = admin {
            process = process.admin(AdminConfig {
                listen,
                ..AdminConfig::default()
            });
        }
        crate::process::block_on(async { Ok(process) })
    }
}

fn address(key: &str, text: &str) -> std::result::Result<SocketAddr, ConfigError> {
    text.parse().map_err(|_| {
        let problem = format!("`{text}` is not an address; expected one like 127.0.0.1:8081");
        ConfigError::new(key, problem)
    })
}

/// Routes below a prefix.
pub struct Group {
    prefix: String,
    routes: Arc<Mutex<Vec<Routes>>>,
}

impl Group {
    /// Answers GET (and HEAD).
    pub fn get<F, Fut, R>(&self, path: &str, answer: F) -> &Self
    where
        F: Fn(Context, Request) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<R>> + Send + 'static,
        R: Reply + 'static,
    {
        self.on(Method::Get, path, answer)
    }

    /// Answers POST.
    pub fn post<F, Fut, R>(&self, path: &str, answer: F) -> &Self
    where
        F: Fn(Context, Request) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<R>> + Send + 'static,
        R: Reply + 'static,
    {
        self.on(Method::Post, path, answer)
    }

    /// Answers a method on a path below the prefix; `:name` is a parameter.
    pub fn on<F, Fut, R>(&self, method: Method, path: &str, answer: F) -> &Self
    where
        F: Fn(Context, Request) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<R>> + Send + 'static,
        R: Reply + 'static,
    {
        // A contract has its routes in statics; these live as long, because the process does.
        let path: &'static str = format!("{}{path}", self.prefix).leak();
        let route: &'static Route = Box::leak(Box::new(Route::new(method, path, path)));
        let routes = Routes::new(answer)
            .route(route, |answer: Arc<F>, cx, req: Request| async move {
                answer(cx, req).await
            })
            .build();
        self.routes
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(routes);
        self
    }
}

/// A request as a route without a contract sees it.
#[derive(Debug, Clone)]
pub struct Request {
    path: Vec<(String, String)>,
    query: String,
    headers: http::HeaderMap,
    body: Vec<u8>,
    json_depth: usize,
}

impl Request {
    /// A parameter of the path.
    ///
    /// # Errors
    /// `REQUEST_INVALID` when the route has no such parameter.
    pub fn param(&self, name: &str) -> Result<&str> {
        let found = self.path.iter().find(|(key, _)| key == name);
        found.map(|(_, value)| value.as_str()).ok_or_else(|| {
            Error::invalid(vec![Violation::at(
                "path",
                name,
                "required",
                "a parameter of the path",
            )])
        })
    }

    /// The query as it was sent, without the question mark.
    pub fn query(&self) -> &str {
        &self.query
    }

    /// The headers.
    pub fn headers(&self) -> &http::HeaderMap {
        &self.headers
    }

    /// The JSON body as `T`.
    ///
    /// # Errors
    /// `BODY_MALFORMED` when it does not fit, `REQUEST_INVALID` when a key stands twice in it.
    pub fn json<T: serde::de::DeserializeOwned>(&self) -> Result<T> {
        let body = serde_json::Value::bind(&Parts {
            json_depth: self.json_depth,
            ..Parts::new(&self.headers, &self.body)
        })?;
        T::deserialize(body).map_err(|_| {
            let error = tenon_core::catalogue::BODY_MALFORMED.error();
            error.param("expected", "the JSON that the route takes")
        })
    }
}

impl Bind for Request {
    fn bind(parts: &Parts<'_>) -> Result<Self> {
        let owned = |(name, value): &(&str, std::borrow::Cow<'_, str>)| {
            ((*name).to_owned(), value.clone().into_owned())
        };
        Ok(Self {
            path: parts.path.iter().map(owned).collect(),
            query: parts.query.to_owned(),
            headers: parts.headers.clone(),
            body: parts.body.to_vec(),
            json_depth: parts.json_depth,
        })
    }
}
