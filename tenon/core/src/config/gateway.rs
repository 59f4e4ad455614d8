//! The section `gateway`: what stands behind the edge, and which requests go there.

use std::{collections::BTreeMap, path::PathBuf, time::Duration};

use serde::Deserialize;

use super::{ClientConfig, duration};

/// The section `gateway`. It may change while the gateway runs: a new table of routes is built
/// whole, checked, and then takes the place of the old one.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct GatewayConfig {
    /// The services behind it, by their names.
    pub upstreams: BTreeMap<String, UpstreamConfig>,
}

/// A service behind the gateway: `http`, to which requests are forwarded, or `grpc`, whose
/// methods are called for them. One of the two.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct UpstreamConfig {
    /// Where the REST door of the service is, as in the section `clients`. Its `timeout` is how
    /// long a request may take until its answer begins; routes may say otherwise.
    pub http: Option<ClientConfig>,
    /// Where the gRPC door of the service is, as in the section `clients`.
    pub grpc: Option<ClientConfig>,
    /// Which requests are forwarded to an `http` service.
    pub routes: Vec<RouteConfig>,
    /// How requests become calls of a `grpc` service.
    pub transcode: TranscodeConfig,
    /// What is changed of the headers on all its routes.
    pub headers: HeadersConfig,
    /// How long an answer, or a connection that was upgraded, may pause. Default `60s`.
    #[serde(with = "duration::positive")]
    pub idle_timeout: Duration,
}

impl Default for UpstreamConfig {
    fn default() -> Self {
        Self {
            http: None,
            grpc: None,
            routes: Vec::new(),
            transcode: TranscodeConfig::default(),
            headers: HeadersConfig::default(),
            idle_timeout: Duration::from_secs(60),
        }
    }
}

/// Which requests are forwarded, and what is done to them.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RouteConfig {
    /// The start of the paths, `/api/v1/patient`: itself and everything below it, not
    /// `/api/v1/patients`. The longest prefix decides.
    pub prefix: String,
    /// What stands in place of the prefix when the request is sent on. Default: the prefix.
    pub rewrite: Option<String>,
    /// The methods that are forwarded. Default: all.
    #[serde(default)]
    pub methods: Vec<String>,
    /// How long a request may take until its answer begins, instead of the upstream's `timeout`.
    /// A caller's own deadline shortens it; nothing lengthens it.
    #[serde(default, deserialize_with = "optional_duration")]
    pub timeout: Option<Duration>,
    /// What is changed of the headers, after the upstream's own rules.
    #[serde(default)]
    pub headers: HeadersConfig,
    /// Whom overload hits first: `sheddable`, `normal` or `critical`. Default `normal`.
    #[serde(default)]
    pub criticality: Option<String>,
    /// How many requests may wait for the beginning of their answer, instead of the door's number.
    #[serde(default, deserialize_with = "optional_number")]
    pub max_in_flight: Option<usize>,
    /// Whether WebSockets pass. Default yes; other upgrades never do.
    #[serde(default = "yes")]
    pub websocket: bool,
}

impl RouteConfig {
    /// The route of everything below `prefix`, as the upstream has it.
    pub fn new(prefix: impl Into<String>) -> Self {
        Self {
            prefix: prefix.into(),
            rewrite: None,
            methods: Vec::new(),
            timeout: None,
            headers: HeadersConfig::default(),
            criticality: None,
            max_in_flight: None,
            websocket: true,
        }
    }
}

/// What is changed of the headers of a message.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct HeadersConfig {
    /// On its way to the service.
    pub request: HeaderRulesConfig,
    /// On its way back.
    pub response: HeaderRulesConfig,
}

/// Rules for headers: renamed first, then removed, then set.
#[derive(Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct HeaderRulesConfig {
    /// New names by old names; the values stay.
    pub rename: BTreeMap<String, String>,
    /// Names of headers that do not travel.
    pub remove: Vec<String>,
    /// Values by names, in place of those that came.
    pub set: BTreeMap<String, String>,
}

impl std::fmt::Debug for HeaderRulesConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // A value may be what the service is shown as a password.
        f.debug_struct("HeaderRulesConfig")
            .field("rename", &self.rename)
            .field("remove", &self.remove)
            .field("set", &self.set.keys())
            .finish()
    }
}

/// How JSON requests become calls of a gRPC service: by the `google.api.http` rules of its
/// contract, and by `mappings`.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct TranscodeConfig {
    /// Files of the contract, compiled: `google.protobuf.FileDescriptorSet` with its imports.
    pub descriptors: Vec<PathBuf>,
    /// Whether the service is asked for its contract: gRPC server reflection. Default no.
    pub reflection: bool,
    /// The services of the contract that are opened, by their full names. Default: all that
    /// have rules.
    pub services: Vec<String>,
    /// Further rules, for contracts that have none.
    pub mappings: Vec<MappingConfig>,
    /// Whether JSON fields and query parameters that the contract does not know are passed over
    /// instead of refused. Default no.
    pub ignore_unknown_fields: bool,
    /// Whether fields with their default value stand in answers. Default yes.
    pub print_defaults: bool,
    /// The largest body of a request, counted after decompression. Default 1 MiB.
    pub max_bytes: u64,
    /// Headers of requests that travel as metadata, besides those that always do:
    /// `authorization`, `traceparent`, `tracestate`, `x-request-id` and the deadline.
    pub request_metadata: Vec<String>,
    /// Metadata of answers that become headers: the header by the name of the metadata.
    pub response_headers: BTreeMap<String, String>,
}

impl Default for TranscodeConfig {
    fn default() -> Self {
        Self {
            descriptors: Vec::new(),
            reflection: false,
            services: Vec::new(),
            mappings: Vec::new(),
            ignore_unknown_fields: false,
            print_defaults: true,
            max_bytes: 1 << 20,
            request_metadata: Vec::new(),
            response_headers: BTreeMap::new(),
        }
    }
}

/// One rule as `google.api.http` has it, for one method of a contract.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct MappingConfig {
    /// The method that is called, `package.Service/Method`.
    pub rpc: String,
    /// The HTTP method, `get`; any other word is a method of its own.
    pub method: String,
    /// The template of the path, `/v1/{name=shelves/*}:open`.
    pub path: String,
    /// The field that is the body; `*` for the whole message; nothing for no body.
    #[serde(default)]
    pub body: String,
    /// The field of the answer that is sent; nothing for the whole message.
    #[serde(default)]
    pub response_body: String,
}

fn yes() -> bool {
    true
}

fn optional_number<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Option<usize>, D::Error> {
    super::at_least_one(from).map(Some)
}

fn optional_duration<'de, D: serde::Deserializer<'de>>(
    from: D,
) -> Result<Option<Duration>, D::Error> {
    duration::positive::deserialize(from).map(Some)
}
