//! The contestants: each is served by a process of its own, on one worker thread, on free ports
//! that it prints.

use std::{
    io::Write,
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    sync::Arc,
};

use clap::ValueEnum;
use tenon::{
    Lifecycle, Process, Runtime, SystemClock,
    auth::Verifier,
    config::{AdminConfig, AuthConfig, KeyConfig, LogConfig, LogLevel, RestConfig, RpcConfig},
    net::{self, Options},
    rest::Door,
    telemetry::{Metrics, init_logs},
};

mod axum;
mod burden;
pub(crate) mod tonic;

/// What is served.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Kind {
    /// Bare axum, as its own documentation serves it.
    Axum,
    /// The same router behind Tenon's accept loop.
    Net,
    /// The generated routes with neither metrics nor access log.
    Door,
    /// The same with metrics.
    Counted,
    /// The generated service as it is shipped: everything, both doors.
    Ward,
    /// The generated routes with metrics, whose operations cost a millisecond of CPU each.
    Burdened,
    /// The same, with its admin server in the place of gRPC.
    Profiled,
    /// Bare tonic.
    Tonic,
}

impl Kind {
    /// As it is called.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Axum => "axum",
            Self::Net => "net",
            Self::Door => "door",
            Self::Counted => "counted",
            Self::Ward => "ward",
            Self::Burdened => "burdened",
            Self::Profiled => "profiled",
            Self::Tonic => "tonic",
        }
    }
}

/// Any free port of this machine.
const ANY: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

/// The door of profiles.
const ADMIN: &str = "admin";

/// More than the memory row opens.
const CONNECTIONS_MAX: usize = 50_000;

/// Serves a contestant until the process is killed. `keys` is the file with the public keys of
/// the tokens that it takes.
pub(crate) fn serve(kind: Kind, keys: PathBuf) -> anyhow::Result<()> {
    let level = match kind {
        Kind::Ward | Kind::Profiled => LogLevel::Info,
        _ => LogLevel::Warn,
    };
    init_logs(&LogConfig {
        level,
        ..LogConfig::default()
    })?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()?;
    runtime.block_on(async {
        match kind {
            Kind::Axum => axum::serve().await,
            Kind::Net => behind_net(axum::router()).await,
            Kind::Door => behind_net(door(&keys, None)?).await,
            Kind::Counted => behind_net(door(&keys, Some(Metrics::new()))?).await,
            Kind::Burdened => behind_net(burden::door(&keys)?).await,
            Kind::Ward => ward(&keys, "ward.rpc").await,
            Kind::Profiled => ward(&keys, ADMIN).await,
            Kind::Tonic => tonic::serve().await,
        }
    })
}

/// Tells the process that called this one where it listens.
fn announce(address: SocketAddr, rpc: SocketAddr) -> anyhow::Result<()> {
    let mut output = std::io::stdout();
    writeln!(output, "{address} {rpc}")?;
    output.flush()?;
    Ok(())
}

fn rest_config() -> RestConfig {
    RestConfig {
        listen: ANY,
        max_connections: CONNECTIONS_MAX,
        ..RestConfig::default()
    }
}

fn auth_config(keys: &Path) -> AuthConfig {
    let file = keys.to_owned();
    AuthConfig {
        keys: vec![KeyConfig { file }],
        ..AuthConfig::default()
    }
}

/// A router behind the accept loop, without a process around it.
async fn behind_net(router: ::axum::Router) -> anyhow::Result<()> {
    let listener = net::bind(ANY, "bench").await?;
    let address = listener.local_addr()?;
    announce(address, address)?;
    let options = Options::rest(&rest_config());
    net::serve(listener, router, options, Lifecycle::new()).await?;
    Ok(())
}

/// The generated routes behind their door, of which only the open ones are asked here.
fn door(keys: &Path, metrics: Option<Metrics>) -> anyhow::Result<::axum::Router> {
    let context = ward::ServiceContext::default();
    let routes = ward_contract::rest::routes(ward::doors::rest::RestDoor(context));
    let verifier = Verifier::new(&auth_config(keys), Arc::new(SystemClock))?;
    let mut door = Door::new("ward", rest_config(), routes)
        .verifier(verifier)
        .rules(ward::rules());
    if let Some(metrics) = metrics {
        door = door.metrics(metrics);
    }
    Ok(tenon::rest::with_fallbacks(door.router()?))
}

/// The generated service; the second address that it tells is that of this door.
async fn ward(keys: &Path, second: &str) -> anyhow::Result<()> {
    let config = ward::Config {
        name: "ward".to_owned(),
        rest: rest_config(),
        rpc: RpcConfig {
            listen: ANY,
            ..RpcConfig::default()
        },
        auth: auth_config(keys),
        admin: Default::default(),
        clients: Default::default(),
        registration: Default::default(),
        store: Default::default(),
        log: LogConfig::default(),
        traces: Default::default(),
    };
    let runtime = Runtime::default();
    let open = ward::build(config).await?.open(&runtime)?;
    let mut process = open.serve(Process::new(runtime))?;
    if second == ADMIN {
        process = process.admin(AdminConfig {
            listen: ANY,
            ..AdminConfig::default()
        });
    }
    let running = process.start().await?;
    let address = |door: &str| running.address(door).unwrap_or(ANY);
    announce(address("ward.rest"), address(second))?;
    running.wait().await?;
    Ok(())
}
