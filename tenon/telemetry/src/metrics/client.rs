//! The metrics of a client of a service: its instances, and what was done about their failures.
//!
//! Labels are the name of the client and the method. Instances have no label of their own: a list
//! that a registry changes would grow the set of series without end. Which instance it was stands
//! in the log.

use std::sync::Arc;

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::Registry,
};

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ClientLabels {
    client: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct EndpointLabels {
    client: String,
    state: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct MethodLabels {
    client: String,
    rpc_service: String,
    rpc_method: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RefusalLabels {
    client: String,
    rpc_service: String,
    rpc_method: String,
    reason: &'static str,
}

/// The families of this module.
#[derive(Clone, Default)]
pub(super) struct Clients {
    picks: Family<ClientLabels, Counter>,
    ejections: Family<ClientLabels, Counter>,
    endpoints: Family<EndpointLabels, Gauge>,
    retries: Family<MethodLabels, Counter>,
    refused: Family<RefusalLabels, Counter>,
}

impl Clients {
    pub(super) fn register(&self, registry: &mut Registry) {
        registry.register(
            "rpc_client_picks",
            "Instances that were chosen for a call or another attempt at one, by client",
            self.picks.clone(),
        );
        registry.register(
            "rpc_client_ejections",
            "How often an instance was left out because it failed, by client",
            self.ejections.clone(),
        );
        registry.register(
            "rpc_client_endpoints",
            "Instances that are known (listed), and of them left out (ejected), by client",
            self.endpoints.clone(),
        );
        registry.register(
            "rpc_client_retries",
            "Calls that were made again after they had failed, by client and method",
            self.retries.clone(),
        );
        registry.register(
            "rpc_client_refused_calls",
            "Calls that were not made because they would have failed or waited, by client, \
             method and reason",
            self.refused.clone(),
        );
    }

    pub(super) fn client(&self, name: &str) -> RpcClient {
        let labels = ClientLabels {
            client: name.to_owned(),
        };
        let endpoints = |state| {
            let client = name.to_owned();
            self.endpoints
                .get_or_create_owned(&EndpointLabels { client, state })
        };
        RpcClient {
            name: Arc::from(name),
            picks: self.picks.get_or_create_owned(&labels),
            ejections: self.ejections.get_or_create_owned(&labels),
            listed: endpoints("listed"),
            ejected: endpoints("ejected"),
            families: self.clone(),
        }
    }
}

/// The handles of one client. Cheap to clone.
#[derive(Clone)]
pub struct RpcClient {
    name: Arc<str>,
    picks: Counter,
    ejections: Counter,
    listed: Gauge,
    ejected: Gauge,
    families: Clients,
}

impl RpcClient {
    /// An instance was chosen.
    pub fn picked(&self) {
        self.picks.inc();
    }

    /// An instance was left out because it failed.
    pub fn ejection(&self) {
        self.ejections.inc();
    }

    /// So many instances are known, and so many of them left out.
    pub fn endpoints(&self, listed: usize, ejected: usize) {
        self.listed.set(i64::try_from(listed).unwrap_or(i64::MAX));
        self.ejected.set(i64::try_from(ejected).unwrap_or(i64::MAX));
    }

    /// The counters of one method. Looked up, because they count what is rare.
    pub fn method(&self, service: &str, method: &str) -> RpcClientMethod {
        RpcClientMethod {
            client: self.name.to_string(),
            rpc_service: service.to_owned(),
            rpc_method: method.to_owned(),
            families: self.families.clone(),
        }
    }
}

/// The counters of one method of a client.
pub struct RpcClientMethod {
    client: String,
    rpc_service: String,
    rpc_method: String,
    families: Clients,
}

impl RpcClientMethod {
    /// A call was made again.
    pub fn retried(self) {
        let labels = MethodLabels {
            client: self.client,
            rpc_service: self.rpc_service,
            rpc_method: self.rpc_method,
        };
        self.families.retries.get_or_create_owned(&labels).inc();
    }

    /// A call was refused: by the breakers (`breaker`) or the adaptive limits (`limit`) of the
    /// instances that could have taken it.
    pub fn refused(self, reason: &'static str) {
        let labels = RefusalLabels {
            client: self.client,
            rpc_service: self.rpc_service,
            rpc_method: self.rpc_method,
            reason,
        };
        self.families.refused.get_or_create_owned(&labels).inc();
    }
}
