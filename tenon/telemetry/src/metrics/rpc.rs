//! The metrics of RPC methods, on the side that answers and on the side that calls.

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{family::Family, gauge::Gauge, histogram::Histogram},
};
use tenon_core::Code;

use super::InFlight;

/// How many gRPC codes there are, OK included.
const CODES: usize = 17;

/// The side of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// This process answers.
    Server,
    /// This process calls.
    Client,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct MethodLabels {
    pub(super) rpc_service: String,
    pub(super) rpc_method: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct CallLabels {
    rpc_service: String,
    rpc_method: String,
    rpc_grpc_status_code: u8,
}

type Durations = Family<CallLabels, Histogram, fn() -> Histogram>;

/// The handles of one method on one side. Cheap to clone.
#[derive(Debug, Clone)]
pub struct RpcMethod {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    labels: MethodLabels,
    active: Gauge,
    durations: Durations,
    codes: [OnceLock<Histogram>; CODES],
}

impl RpcMethod {
    pub(super) fn new(
        durations: &Durations,
        active: &Family<MethodLabels, Gauge>,
        labels: MethodLabels,
    ) -> Self {
        let inner = Inner {
            active: active.get_or_create_owned(&labels),
            durations: durations.clone(),
            codes: [const { OnceLock::new() }; CODES],
            labels,
        };
        Self {
            inner: Arc::new(inner),
        }
    }

    /// Counts a call as in flight until the guard is dropped.
    pub fn start(&self) -> InFlight {
        InFlight::start(&self.inner.active)
    }

    /// Records a call that ended with `code`; `None` is OK.
    pub fn record(&self, code: Option<Code>, elapsed: Duration) {
        let number = code.map_or(0, |code| code as u8);
        self.inner.codes[usize::from(number)]
            .get_or_init(|| self.inner.of_code(number))
            .observe(elapsed.as_secs_f64());
    }
}

impl Inner {
    fn of_code(&self, number: u8) -> Histogram {
        self.durations.get_or_create_owned(&CallLabels {
            rpc_service: self.labels.rpc_service.clone(),
            rpc_method: self.labels.rpc_method.clone(),
            rpc_grpc_status_code: number,
        })
    }
}
