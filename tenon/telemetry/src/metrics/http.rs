//! The metrics of REST routes.

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{family::Family, gauge::Gauge, histogram::Histogram},
};

use super::InFlight;

/// The statuses that services answer with; the others are looked up when they occur.
const USUAL: [u16; 24] = [
    200, 201, 202, 204, 206, 301, 302, 304, 400, 401, 403, 404, 405, 406, 409, 412, 413, 415, 422,
    429, 499, 500, 503, 504,
];

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct RouteLabels {
    pub(super) service: String,
    pub(super) http_request_method: String,
    pub(super) http_route: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct HttpLabels {
    service: String,
    http_request_method: String,
    http_route: String,
    http_response_status_code: u16,
}

type Durations = Family<HttpLabels, Histogram, fn() -> Histogram>;

/// The handles of one route. Cheap to clone.
#[derive(Debug, Clone)]
pub struct HttpRoute {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    labels: RouteLabels,
    active: Gauge,
    durations: Durations,
    usual: [OnceLock<Histogram>; USUAL.len()],
}

impl HttpRoute {
    pub(super) fn new(
        durations: &Durations,
        active: &Family<RouteLabels, Gauge>,
        labels: RouteLabels,
    ) -> Self {
        let inner = Inner {
            active: active.get_or_create_owned(&labels),
            durations: durations.clone(),
            usual: [const { OnceLock::new() }; USUAL.len()],
            labels,
        };
        Self {
            inner: Arc::new(inner),
        }
    }

    /// Counts a request as in flight until the guard is dropped.
    pub fn start(&self) -> InFlight {
        InFlight::start(&self.inner.active)
    }

    /// Records a request that ended with `status`; 499 is a caller who left.
    pub fn record(&self, status: u16, elapsed: Duration) {
        let seconds = elapsed.as_secs_f64();
        match USUAL.binary_search(&status) {
            Ok(index) => self.inner.usual[index]
                .get_or_init(|| self.inner.of_status(status))
                .observe(seconds),
            Err(_) => self.inner.of_status(status).observe(seconds),
        }
    }
}

impl Inner {
    fn of_status(&self, status: u16) -> Histogram {
        self.durations.get_or_create_owned(&HttpLabels {
            service: self.labels.service.clone(),
            http_request_method: self.labels.http_request_method.clone(),
            http_route: self.labels.http_route.clone(),
            http_response_status_code: status,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::USUAL;

    #[test]
    fn the_usual_statuses_can_be_searched() {
        assert!(USUAL.is_sorted());
    }
}
