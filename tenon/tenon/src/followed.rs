//! What of a configuration file takes effect while the process runs: the guards of the doors, how
//! other services are called, and the table of a gateway. Log and traces are followed by the process itself.

use tenon_core::{
    Reload,
    config::{ClientConfig, Guards, RateLimitConfig, RestConfig, RpcConfig},
};
use tenon_net::{HeadLimits, Options};
use tenon_resilience::DoorGuards;
use tenon_rpc::Channel;

/// The keys of `rest` and `rpc` that guard a door. `sharedLimits` is a connection to a store, and
/// takes a restart.
const GUARDS: [&str; 6] = [
    "breaker",
    "failures",
    "shedding",
    "maxInFlight",
    "rateLimits",
    "trustedProxies",
];

/// The keys of `rest` besides: how large requests may be.
const SIZES: [&str; 4] = ["maxBytes", "maxHeadBytes", "maxUriBytes", "maxJsonDepth"];

fn rest_keys() -> Vec<&'static str> {
    GUARDS.into_iter().chain(SIZES).collect()
}

/// Lets the section `rest` change the guards of a REST door, which keeps the `standing` limits.
pub(crate) fn rest(reload: &Reload, guards: DoorGuards, standing: Vec<RateLimitConfig>) {
    reload.register("rest", &rest_keys(), move |mut config: RestConfig| {
        config.add_rate_limits(&standing);
        prepare(&guards, &config.guards())
    });
}

/// Lets the section `rpc` change the guards of a gRPC door.
pub(crate) fn rpc(reload: &Reload, guards: DoorGuards) {
    let keys: Vec<_> = GUARDS.into_iter().chain(["maxHeadBytes"]).collect();
    reload.register("rpc", &keys, move |config: RpcConfig| {
        prepare(&guards, &config.guards())
    });
}

/// The listener of a REST door, whose limits of heads the section `rest` changes.
pub(crate) fn rest_listener(reload: &Reload, config: &RestConfig) -> Options {
    let options = Options::rest(config);
    let heads = options.heads.clone();
    let keys = ["maxHeadBytes", "maxUriBytes"];
    reload.register("rest", &keys, move |config: RestConfig| {
        take_heads(&heads, config.guards())
    });
    options
}

/// The listener of a gRPC door, likewise.
pub(crate) fn rpc_listener(reload: &Reload, config: &RpcConfig) -> Options {
    let options = Options::rpc(config);
    let heads = options.heads.clone();
    reload.register("rpc", &["maxHeadBytes"], move |config: RpcConfig| {
        take_heads(&heads, config.guards())
    });
    options
}

fn take_heads(heads: &HeadLimits, new: Guards) -> Result<tenon_core::reload::Apply, String> {
    new.sizes.check()?;
    let heads = heads.clone();
    Ok(Box::new(move || {
        heads.set(new.sizes.head_bytes, new.sizes.uri_bytes);
    }))
}

/// Lets the section of a client change how its calls are made.
pub(crate) fn client(reload: &Reload, name: &str, channel: Channel) {
    let section = format!("clients.{name}");
    reload.register(
        &section,
        &Channel::CHANGEABLE,
        move |config: ClientConfig| {
            let prepared = channel.prepare(&config)?;
            Ok(Box::new(move || prepared.put_in_force()))
        },
    );
}

/// Lets the section `rest` change the guards of routes that are transcoded; `of` says which part of
/// it is theirs.
#[cfg(feature = "gateway")]
pub(crate) fn transcoded(
    reload: &Reload,
    gateway: &tenon_gateway::Gateway,
    of: impl Fn(RestConfig) -> Guards + Send + Sync + 'static,
) {
    let Some(guards) = gateway.guards() else {
        return;
    };
    reload.register("rest", &rest_keys(), move |config: RestConfig| {
        prepare(&guards, &of(config))
    });
}

fn prepare(guards: &DoorGuards, new: &Guards) -> Result<tenon_core::reload::Apply, String> {
    let prepared = guards.prepare(new).map_err(|problem| problem.to_string())?;
    Ok(Box::new(move || drop(prepared.put_in_force())))
}

/// Lets the section `gateway` replace the table of routes, and `rest` what guards them: connections
/// stay, and requests in flight end on the table before. Both are taken together, because a rate
/// limit may name a route that comes with it.
#[cfg(feature = "gateway")]
pub(crate) fn gateway(reload: &Reload, gateway: tenon_gateway::Gateway) {
    use tenon_core::config::GatewayConfig;

    #[derive(serde::Deserialize)]
    struct Followed {
        #[serde(default)]
        rest: RestConfig,
        #[serde(default)]
        gateway: GatewayConfig,
    }
    let guards = rest_keys().into_iter();
    let guards: Vec<_> = guards.map(|key| format!("rest.{key}")).collect();
    let keys: Vec<&str> = guards
        .iter()
        .map(String::as_str)
        .chain(["gateway"])
        .collect();
    reload.register("", &keys, move |config: Followed| {
        let prepared = gateway.prepare(&config.gateway, &config.rest.guards());
        let prepared = prepared.map_err(|problem| problem.to_string())?;
        Ok(Box::new(move || prepared.apply()))
    });
}
