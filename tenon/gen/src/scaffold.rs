//! The files that are written once and then belong to a person.

mod logic;

pub(crate) use logic::logic;

use crate::{File, Kind, names::snake, plan::Plan};

const FIRST: &str = "// Scaffolded by tenon once; yours to edit.";

/// Everything but the logic.
pub(crate) fn project(plan: &Plan<'_>) -> Vec<File> {
    let config = &plan.project.config;
    let mut files = vec![
        scaffold("Cargo.toml", cargo(plan)),
        scaffold("README.md", readme(plan)),
        scaffold(&format!("etc/{}.yaml", config.name), yaml(&config.name)),
        scaffold("src/lib.rs", library(&config.name)),
        scaffold("src/config.rs", CONFIG.to_owned()),
        scaffold("src/service_context.rs", CONTEXT.to_owned()),
    ];
    if config.standalone {
        files.push(scaffold(".gitignore", "/target\n*.db\n*.db-*\n".to_owned()));
        files.push(scaffold(
            "src/main.rs",
            main(&config.name, &config.crate_ident()),
        ));
    }
    for name in plan.middleware() {
        let path = format!("src/middleware/{}.rs", crate::names::bare_snake(name));
        files.push(scaffold(&path, middleware(name)));
    }
    files
}

fn scaffold(path: &str, text: String) -> File {
    File {
        path: path.to_owned(),
        kind: Kind::Scaffold,
        text,
    }
}

fn cargo(plan: &Plan<'_>) -> String {
    let config = &plan.project.config;
    let (name, contract) = (&config.name, config.contract_crate());
    let package = format!(
        "# Scaffolded by tenon once; yours to edit.\n[package]\nname = \"{name}\"\n\
         version = \"0.1.0\"\nedition = \"2024\"\npublish = false\n"
    );
    let dependencies = format!(
        "\n[lints]\nworkspace = true\n\n[dependencies]\n\
         {contract} = {{ path = \"contract\" }}\ntenon.workspace = true\n"
    );
    if !config.standalone {
        return format!("{package}{dependencies}");
    }
    let path = toml::Value::String(plan.project.tenon.clone());
    format!(
        "{package}\n[workspace]\nmembers = [\"contract\"]\n\n[workspace.dependencies]\n\
         # Further rooms of Tenon are features: \"store\" (SQL), \"gateway\" (forwarding), \"dns\",\n\
         # \"etcd\" and \"kubernetes\" (finding services).\n\
         tenon = {{ path = {path}, default-features = false, features = [] }}\n\n\
         [workspace.lints.rust]\nmissing_docs = \"warn\"\nunsafe_code = \"forbid\"\nunreachable_pub = \"warn\"\n\n[workspace.lints.clippy]\n\
         expect_used = \"warn\"\nunwrap_used = \"warn\"\n{dependencies}\n[profile.release]\n\
         debug = \"limited\"\n"
    )
}

fn readme(plan: &Plan<'_>) -> String {
    let config = &plan.project.config;
    let name = &config.name;
    let title = plan
        .project
        .api
        .as_ref()
        .and_then(|api| api.info_value("title"))
        .unwrap_or(name);
    let run = if config.standalone {
        format!("Run: `cargo run -- --config etc/{name}.yaml`\n\n")
    } else {
        String::new()
    };
    format!(
        "# {title}\n\n{run}\
         The contracts are {}: read them first, and change the service there.\n\
         After a change run `tenon gen`; it rewrites `contract/`, `src/gen/` and the lists of\n\
         modules (`src/gen/MANIFEST` names them all), adds a file for each new operation and\n\
         touches nothing else. What you write is in `src/logic/`, one file for each operation,\n\
         and in `src/service_context.rs`, which holds what they share.\n\n\
         Every key of the configuration is explained in `etc/{name}.yaml`.\n",
        plan.sources()
    )
}

fn library(name: &str) -> String {
    format!(
        "{FIRST}\n//! The service `{name}`: its logic behind the doors of its contracts.\n{LIBRARY}"
    )
}

const LIBRARY: &str = r#"
pub mod config;
#[path = "gen/doors.rs"]
pub mod doors;
pub mod logic;
pub mod middleware;
pub mod service_context;

use std::sync::Arc;

use tenon::{
    Service, StartError, SystemClock,
    auth::{AccessRules, NoRules, Verifier},
};

pub use config::Config;
pub use service_context::ServiceContext;

/// Builds the service from its configuration.
///
/// # Errors
/// The configuration is not sound, or what the service needs cannot be had.
pub async fn build(config: Config) -> Result<Service, StartError> {
    let context = ServiceContext::new(&config).await?;
    let verifier = Verifier::new(&config.auth, Arc::new(SystemClock))?;
    // Who may do what: these rules refuse every permission that a contract names.
    let rules: Arc<dyn AccessRules> = Arc::new(NoRules);
    let service = Service::new(config.name)
        .admin(config.admin)
        .registration(config.registration)
        .auth(verifier);
    Ok(doors::open(
        service,
        config.rest,
        config.rpc,
        context,
        rules,
    ))
}
"#;

fn main(name: &str, ident: &str) -> String {
    format!(
        "{FIRST}\n//! Runs the service alone.\n\nuse {ident}::Config;\n\n\
         fn main() -> std::process::ExitCode {{\n    \
         tenon::main(\"etc/{name}.yaml\", |config: Config| async move {{\n        \
         let log = config.log.clone();\n        \
         {ident}::build(config).await?.process(&log)\n    }})\n}}\n"
    )
}

const CONFIG: &str = r#"// Scaffolded by tenon once; yours to edit.
//! The configuration of the service. `etc/` has a file with every key explained.

use tenon::{
    config::{
        AdminConfig, AuthConfig, ClientsConfig, LogConfig, RegistrationConfig, RestConfig,
        RpcConfig, StoreConfig, TracesConfig,
    },
    serde::Deserialize,
};

/// The sections that every service has; add your own beside them.
#[derive(Debug, Clone, Deserialize)]
#[serde(crate = "tenon::serde", rename_all = "camelCase", deny_unknown_fields)]
pub struct Config {
    /// The name of the service, in logs and metrics.
    pub name: String,
    /// The REST door.
    #[serde(default)]
    pub rest: RestConfig,
    /// The RPC door.
    #[serde(default)]
    pub rpc: RpcConfig,
    /// Health, metrics and the route table.
    #[serde(default)]
    pub admin: AdminConfig,
    /// How others learn of this instance.
    #[serde(default)]
    pub registration: Option<RegistrationConfig>,
    /// Which tokens are accepted.
    #[serde(default)]
    pub auth: AuthConfig,
    /// Where other services are.
    #[serde(default)]
    pub clients: ClientsConfig,
    /// The data of the service.
    #[serde(default)]
    pub store: StoreConfig,
    /// The log.
    #[serde(default)]
    pub log: LogConfig,
    /// The traces.
    #[serde(default)]
    pub traces: TracesConfig,
}
"#;

const CONTEXT: &str = r#"// Scaffolded by tenon once; yours to edit.
//! What every operation can reach: stores, clients of other services, the clock.

use std::sync::Arc;

use tenon::StartError;

use crate::Config;

/// Shared by all operations; cheap to clone.
#[derive(Debug, Clone)]
pub struct ServiceContext {
    /// The configuration that the service was built from.
    pub config: Arc<Config>,
}

impl ServiceContext {
    /// Opens what the operations need.
    ///
    /// # Errors
    /// Something that the service needs cannot be had.
    pub async fn new(config: &Config) -> Result<Self, StartError> {
        Ok(Self {
            config: Arc::new(config.clone()),
        })
    }
}
"#;

fn middleware(name: &str) -> String {
    let function = snake(name);
    format!(
        "{FIRST}\n//! The middleware `{name}`.\n\n\
         use tenon::{{\n    Context, Result,\n    rest::{{Next, Request, Response}},\n}};\n\n\
         /// Runs around every route that names `{name}`, after the token and the permission were\n\
         /// checked.\n///\n/// # Errors\n/// What the operation answers.\n\
         pub async fn {function}(cx: Context, req: Request, next: Next) -> Result<Response> {{\n    \
         next.run(cx, req).await\n}}\n"
    )
}

/// Every key, with its unit and default.
fn yaml(name: &str) -> String {
    YAML.replace("NAME", name)
}

const YAML: &str = r#"# Scaffolded by tenon once; yours to edit.
# Every key with its default; durations are written 500ms, 3s, 1m30s. Unknown keys are errors.

# The name of the service, in logs and metrics.
name: NAME

# The REST door.
rest:
  # Address and port; port 0 takes a free one.
  listen: 127.0.0.1:8080
  # How long a request may take, unless its route says otherwise.
  timeout: 3s
  # How long a stream of events may take, unless its route says otherwise.
  streamTimeout: 1h
  # The largest body in bytes, counted after decompression.
  maxBytes: 1048576
  # The largest head (request line and headers) and the longest path and query in it, in bytes.
  maxHeadBytes: 32768
  maxUriBytes: 8192
  # How many arrays and objects may stand within each other in a JSON body, 127 at most.
  maxJsonDepth: 127
  # How many connections are held at once; further ones wait.
  maxConnections: 10000
  # How long a client may take to send the headers of a request.
  headerTimeout: 10s
  # How long requests in flight may still run once the process was told to stop.
  grace: 25s
  # Whether a route whose requests fail is refused for a while.
  breaker: true
  # Which errors count as failures, by gRPC code; UNIMPLEMENTED may be added.
  failures: [UNKNOWN, DEADLINE_EXCEEDED, RESOURCE_EXHAUSTED, INTERNAL, UNAVAILABLE, DATA_LOSS]
  # Refusing early what could not be done in time.
  shedding:
    enabled: true
    # The CPU counts as short from here on, in permille of what the process may use.
    cpuThreshold: 900
  # How many requests of one route may be in flight, unless its contract says otherwise.
  maxInFlight: 10000
  # How often may be asked: by principal, address or route. Without this nobody is counted.
  # rateLimits:
  #   - name: login
  #     by: address
  #     # So many in `per`, and so many at once.
  #     requests: 30
  #     per: 1m
  #     burst: 10
  #     # As the contract writes them, or all below `POST /api/v1/*`; without this all routes.
  #     routes: ["POST /api/v1/login"]
  #     # Whether all instances count together.
  #     shared: false
  # Proxies whose x-forwarded-for is believed, as addresses or networks.
  trustedProxies: []
  # Where instances count together; needs the feature `redis`.
  # sharedLimits:
  #   redis: redis://127.0.0.1:6379/0
  #   prefix: tenon
  # Where plaintext is good enough: loopback, or allowed anywhere.
  plaintext: loopback
  # Speaks TLS instead; the files are read again when they change.
  # tls:
  #   # Certificate (PEM, the leaf first) and private key.
  #   certFile: certs/service.crt
  #   keyFile: certs/service.key
  #   # The roots that certificates of clients must lead to.
  #   clientCaFile: certs/ca.crt
  #   # Whether clients show a certificate: none, optional or required.
  #   clientAuth: required

# The RPC door; without a .proto contract it stays closed.
rpc:
  # Address and port; port 0 takes a free one.
  listen: 127.0.0.1:9080
  # How long a call may take when its caller sets no deadline, and at most.
  timeout: 3s
  # How long a call that streams messages may take, likewise.
  streamTimeout: 1h
  # Who may ask what is served (gRPC reflection): loopback, all or nobody.
  reflection: loopback
  # The largest message in bytes.
  maxBytes: 4194304
  # The largest head of a call, its metadata, in bytes.
  maxHeadBytes: 32768
  # How many connections are held at once; further ones wait.
  maxConnections: 10000
  # How long calls in flight may still run once the process was told to stop.
  grace: 25s
  # Whether a method whose calls fail is refused for a while.
  breaker: true
  # As `rest.failures`.
  failures: [UNKNOWN, DEADLINE_EXCEEDED, RESOURCE_EXHAUSTED, INTERNAL, UNAVAILABLE, DATA_LOSS]
  # As `rest.shedding`.
  shedding:
    enabled: true
    cpuThreshold: 900
  # How many calls of one method may be in flight.
  maxInFlight: 10000
  # As `rest.rateLimits`, with routes like `patient.v1.PatientService/GetPatient`.
  # rateLimits: []
  # As `rest.sharedLimits`.
  # sharedLimits:
  #   redis: redis://127.0.0.1:6379/0
  # Where plaintext is good enough: loopback, or allowed anywhere.
  plaintext: loopback
  # Speaks TLS instead; the files are read again when they change.
  # tls:
  #   # Certificate (PEM, the leaf first) and private key.
  #   certFile: certs/service.crt
  #   keyFile: certs/service.key
  #   # The roots that certificates of clients must lead to.
  #   clientCaFile: certs/ca.crt
  #   # Whether clients show a certificate: none, optional or required.
  #   clientAuth: required

# Health, metrics, routes, clients, profiles: /healthz /readyz /metrics /routes /clients /debug/pprof/.
admin:
  # Address and port; port 0 takes a free one.
  listen: 127.0.0.1:8889
  # What peers that are not on loopback must show for /routes and /debug/pprof/; without it they
  # are refused.
  # auth:
  #   basic: { username: operator, password: "" }
  # Speaks TLS instead of plaintext, as rest.tls does.
  # tls: { certFile: certs/service.crt, keyFile: certs/service.key }
  # Profiles below /debug/pprof/, for the same peers; nothing is sampled until somebody asks.
  profiling:
    enabled: true
    # How long a profile may be asked for at most.
    maxDuration: 5m
    # When the heap is sampled: off, onDemand or always; needs the feature heap-profiling.
    heap: onDemand

# How others learn of this instance, and of its end; without it nobody is told.
# registration:
#   # Where its doors are announced: <key>/rest/<host:port> and <key>/rpc/<host:port>.
#   etcd:
#     hosts: ["127.0.0.1:2379"]
#     key: service
#     # username: service
#     # passwordFile: secrets/etcd
#     # tls: { caFile: certs/ca.crt, certFile: certs/service.crt, keyFile: certs/service.key }
#   # The host under which others reach it. By default POD_IP, else the address that the door
#   # listens on, else that of this machine.
#   host: 127.0.0.1
#   # Its share of calls beside the others; 100 is usual.
#   weight: 100
#   # How long etcd keeps the entry after the last sign of life.
#   leaseTtl: 10s
#   # How long the doors still accept, at a stop, after it has left.
#   drainDelay: 2s

# Which tokens are accepted; needed as soon as a route asks for one.
# auth:
#   # The shared secret of HS256 tokens, at least 32 bytes.
#   accessSecret: ""
#   # The secret before the last change, still accepted.
#   previousSecret: ""
#   # JSON Web Key Sets with the public keys of EdDSA tokens.
#   keys:
#     - file: keys.json
#   # The issuer and the audience that a token must name; without them any.
#   issuer: ""
#   audience: ""
#   # The claim that names the caller.
#   subjectClaim: sub

# Where the services are that this one calls.
# clients:
#   trial:
#     # host:port of each instance; in its place one of those below, each a feature of tenon.
#     endpoints: ["127.0.0.1:9102"]
#     # etcd: { hosts: ["127.0.0.1:2379"], key: trial/rpc }
#     # kubernetes: { service: trial, port: grpc }
#     # dns: { name: trial.internal, port: 9102 }
#     # How long a call with one answer may take at most.
#     timeout: 2s
#     # The same for single methods, by their name in the contract; of a stream, for all of it.
#     timeouts: {}
#     # Which instance takes a call: p2c (of two the better) or consistentHash (by the call's key).
#     balancer: p2c
#     retry:
#       # How often a call is made at most, the first time included; 1 never repeats.
#       attempts: 3
#       # Only these methods are repeated, of those whose idempotency_level allows it; empty is all.
#       methods: []
#       # Repeats for each hundred calls of the last 10s, and so many a second besides.
#       budget: { percent: 10, perSecond: 1 }
#     # Refuses calls that would fail anyway, by method and instance.
#     breaker: true
#     # As `rest.failures`.
#     failures: [UNKNOWN, DEADLINE_EXCEEDED, RESOURCE_EXHAUSTED, INTERNAL, UNAVAILABLE, DATA_LOSS]
#     # Limits the calls in flight at an instance by how long they take.
#     adaptiveLimit: true
#     # Where plaintext is good enough: loopback, or allowed anywhere.
#     plaintext: loopback
#     # Speaks TLS; the files are read again when they change.
#     # tls: { caFile: certs/ca.crt, certFile: certs/service.crt, keyFile: certs/service.key }

# The data of the service; needs the feature `store` of tenon in Cargo.toml.
# store:
#   # The SQLite file; its folder must exist.
#   path: service.db
#   # How many writes one commit takes at most; 1 turns group commit off.
#   batchMax: 512

log:
  # error, warn, info, debug or trace. May change while the service runs.
  level: info
  # json for machines, pretty for people.
  format: json
  # How many lines one place in the code may write in a second; further ones are counted. 0 writes
  # all; the access and security logs are never thinned. May change while the service runs.
  repeatsMax: 100
  # Writes to a file instead of standard error.
  # file:
  #   # Its folder must exist; ended files stand beside it.
  #   path: NAME.log
  #   # The size in bytes at which it ends, and whether it ends with each day (UTC).
  #   maxBytes: 104857600
  #   daily: true
  #   # How many ended files are kept, and whether they are compressed.
  #   keep: 7
  #   gzip: true

# The traces of requests.
traces:
  # The OpenTelemetry collector (OTLP over gRPC); needs the feature `otlp` of tenon in Cargo.toml.
  # endpoint: http://127.0.0.1:4317
  # Which part of the traces that begin here is recorded, 0 to 1. May change while the service runs.
  sampleRatio: 1.0
  # How long one export may take.
  timeout: 10s
"#;
