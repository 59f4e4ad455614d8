//! The service `grpc.health.v1.Health`: `Check` by the stage of the process. `Watch` is not
//! served; its answer is 12, after which the protocol lets a client use `Check` or nothing.

use tenon_core::{Error, Lifecycle, lifecycle::Stage};

use crate::{Method, Service, catalogue};

static CHECK: Method = Method::new("/grpc.health.v1.Health/Check");

/// `message HealthCheckRequest`
#[derive(Clone, PartialEq, prost::Message)]
struct Request {
    /// A full name; empty for the process as a whole.
    #[prost(string, tag = "1")]
    service: String,
}

/// `message HealthCheckResponse`
#[derive(Clone, PartialEq, prost::Message)]
struct Reply {
    #[prost(enumeration = "Status", tag = "1")]
    status: i32,
}

/// `enum ServingStatus`
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, prost::Enumeration)]
#[repr(i32)]
enum Status {
    Unknown = 0,
    Serving = 1,
    NotServing = 2,
    ServiceUnknown = 3,
}

/// The health of the services of these names.
pub(crate) fn service(life: Option<Lifecycle>, names: Vec<&'static str>) -> Service {
    Service::builder("grpc.health.v1.Health", (life, names))
        .unary(&CHECK, |health, _, req: Request| {
            let (life, names) = &*health;
            let known = req.service.is_empty() || names.contains(&req.service.as_str());
            std::future::ready(if known {
                let stage = life.as_ref().map_or(Stage::Ready, Lifecycle::stage);
                let status = match stage {
                    Stage::Ready => Status::Serving,
                    Stage::Starting | Stage::Draining => Status::NotServing,
                } as i32;
                Ok(Reply { status })
            } else {
                Err(Error::new(&catalogue::SERVICE_UNKNOWN))
            })
        })
        .build()
}
