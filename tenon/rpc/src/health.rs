//! The service `grpc.health.v1.Health`: `Check` and `Watch`, by the stage of the process.
//!
//! A watcher is told that the process stops in the same moment in which readiness flips, before
//! the doors close; its stream then ends, so that it does not keep the process from stopping.

use tenon_core::{Context, Error, Lifecycle, Messages, Result, lifecycle::Stage};
use tokio::sync::watch;

use crate::{Method, Service, catalogue};

pub(crate) static CHECK: Method = Method::new("/grpc.health.v1.Health/Check").idempotent();
static WATCH: Method = Method::new("/grpc.health.v1.Health/Watch").endless();

/// The name of the service.
pub(crate) const NAME: &str = "grpc.health.v1.Health";

/// The health of the services of these names.
pub(crate) fn service(life: Option<Lifecycle>, names: Vec<&'static str>) -> Service {
    Service::builder(NAME, Health { life, names })
        .unary(&CHECK, |health, _, req: Request| {
            std::future::ready(health.check(&req))
        })
        .server_stream(&WATCH, |health, cx, req: Request| {
            std::future::ready(Ok(health.watch(&cx, &req)))
        })
        .build()
}

struct Health {
    life: Option<Lifecycle>,
    names: Vec<&'static str>,
}

impl Health {
    fn check(&self, req: &Request) -> Result<Reply> {
        if !self.knows(req) {
            return Err(Error::new(&catalogue::SERVICE_UNKNOWN));
        }
        let stage = self.life.as_ref().map_or(Stage::Ready, Lifecycle::stage);
        Ok(reply(status(stage)))
    }

    /// The status now, and each further one. Services come and go with their process, so that one
    /// which is unknown now stays so.
    fn watch(&self, cx: &Context, req: &Request) -> Messages<Reply> {
        let stages = self.life.as_ref().map(Lifecycle::stages);
        let (known, cx) = (self.knows(req), cx.clone());
        Messages::produce(async move |out| {
            let Some(mut stages) = stages else {
                let now = if known {
                    Status::Serving
                } else {
                    Status::ServiceUnknown
                };
                out.send(reply(now)).await?;
                return Err(cx.cancelled().await);
            };
            let mut told = None;
            loop {
                let stage = *stages.borrow_and_update();
                let now = if known {
                    status(stage)
                } else {
                    Status::ServiceUnknown
                };
                // A client is told of changes: starting and draining are the same to it.
                if told.replace(now) != Some(now) {
                    out.send(reply(now)).await?;
                }
                if stage == Stage::Draining || gone(&mut stages).await {
                    return Ok(());
                }
            }
        })
    }

    fn knows(&self, req: &Request) -> bool {
        req.service.is_empty() || self.names.contains(&req.service.as_str())
    }
}

/// Waits for the next stage; true when there will be none.
async fn gone(stages: &mut watch::Receiver<Stage>) -> bool {
    stages.changed().await.is_err()
}

fn status(stage: Stage) -> Status {
    match stage {
        Stage::Ready => Status::Serving,
        Stage::Starting | Stage::Draining => Status::NotServing,
    }
}

fn reply(status: Status) -> Reply {
    Reply {
        status: status as i32,
    }
}

/// `message HealthCheckRequest`
#[derive(Clone, PartialEq, prost::Message)]
struct Request {
    /// A full name; empty for the process as a whole.
    #[prost(string, tag = "1")]
    service: String,
}

/// `message HealthCheckResponse`
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Reply {
    #[prost(enumeration = "Status", tag = "1")]
    pub(crate) status: i32,
}

/// `enum ServingStatus`
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, prost::Enumeration)]
#[repr(i32)]
pub(crate) enum Status {
    Unknown = 0,
    Serving = 1,
    NotServing = 2,
    ServiceUnknown = 3,
}
