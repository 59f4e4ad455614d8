//! The table of routes: built whole from the configuration, checked, and then used until the next
//! one takes its place.

use std::collections::BTreeMap;

use http::Method;
use prost_reflect::DescriptorPool;
use serde_json::Value;
use tenon_core::config::{ConfigError, GatewayConfig, Guards};
use tenon_resilience::{DoorGuards, Place as GuardPlace};
use tenon_rest::guard::Guard;
use tenon_rpc::Door;
use tenon_telemetry::Metrics;

use crate::{
    SERVICE,
    forward::Forward,
    transcode::{Match, Matcher, call::Call},
};

mod build;
mod rows;
mod standing;

use build::Builder;
pub(crate) use build::refused;
use standing::Standing;

/// The contracts that services told of themselves, by the names of their upstreams.
pub(crate) type Contracts = BTreeMap<String, DescriptorPool>;

/// What a table is built with.
pub(crate) struct Parts<'a> {
    pub(crate) metrics: Option<&'a Metrics>,
    pub(crate) contracts: &'a Contracts,
    /// What guards the routes.
    pub(crate) guards: &'a Guards,
    /// The table in use: upstreams that it has as well keep their instances and connections.
    pub(crate) before: Option<&'a Table>,
}

/// Where requests go, and what guards each way.
#[derive(Default)]
pub(crate) struct Table {
    /// Methods that are called by the rules of their contracts.
    calls: Matcher<Call>,
    /// Longest prefix first.
    forwards: Vec<Forward>,
    /// What is known of each upstream, for the table after this one.
    standing: BTreeMap<String, Standing>,
    /// Upstreams that have not told their contract yet.
    waiting: Vec<String>,
    /// The routes as their guards know them, in the order in which they were made.
    places: Vec<GuardPlace>,
    /// Made of all places, once they are known.
    door: Option<DoorGuards>,
    guards: Vec<Guard>,
}

/// What a request is for.
pub(crate) enum Place<'a> {
    /// A method is called.
    Call(Match<'a, Call>),
    /// It is forwarded.
    Forward(&'a Forward),
    /// The path takes other methods.
    NotAllowed(Vec<Method>),
    /// Nothing has the path.
    Nowhere,
}

impl Table {
    /// Reads the configuration; nothing is connected yet.
    ///
    /// # Errors
    /// The configuration is not sound.
    pub(crate) fn new(config: &GatewayConfig, parts: &Parts<'_>) -> Result<Self, ConfigError> {
        let mut table = Self::default();
        for (name, upstream) in &config.upstreams {
            let builder = Builder {
                name,
                upstream,
                parts,
            };
            match (&upstream.http, &upstream.grpc) {
                (Some(http), None) => builder.forwards(http, &mut table)?,
                (None, Some(grpc)) => builder.calls(grpc, &mut table)?,
                _ => {
                    let problem = "expected one of http and grpc, with the endpoints";
                    return Err(refused(name, problem));
                }
            }
        }
        table.order()?;
        table.guarded(parts)
    }

    /// The rules of one contract, answered at a gRPC door of this process.
    ///
    /// # Errors
    /// The contract or the settings are not sound.
    pub(crate) fn local(
        name: &str,
        door: Door,
        contract: &DescriptorPool,
        upstream: &tenon_core::config::UpstreamConfig,
        parts: &Parts<'_>,
    ) -> Result<Self, ConfigError> {
        let mut table = Self::default();
        let builder = Builder {
            name,
            upstream,
            parts,
        };
        builder.local_calls(door, contract, &mut table)?;
        table.guarded(parts)
    }

    /// Notes the place of a route; its number.
    fn stand(&mut self, place: GuardPlace) -> usize {
        self.places.push(place);
        self.places.len() - 1
    }

    /// Puts a guard before each route. Those of the table before keep what they have learned.
    fn guarded(mut self, parts: &Parts<'_>) -> Result<Self, ConfigError> {
        let places = self.places.clone();
        let before = parts.before.and_then(|table| table.door.as_ref());
        let door = match before {
            Some(before) => before.with_places(parts.guards, places)?,
            None => DoorGuards::new("gateway rest", parts.guards, places)?,
        };
        let guard = |(at, place): (usize, &GuardPlace)| {
            Guard::new(door.clone(), at, (SERVICE, &place.name), parts.metrics)
        };
        self.guards = self.places.iter().enumerate().filter_map(guard).collect();
        self.door = Some(door);
        Ok(self)
    }

    /// Takes effect: what all routes share is as this table has it, and the metrics show its
    /// routes and sources and no longer those that only the table `before` had.
    pub(crate) fn begin(&self, before: Option<&Self>, metrics: Option<&Metrics>) {
        if let Some(door) = &self.door {
            door.put_in_force();
        }
        self.standing.values().for_each(Standing::begin);
        let Some(metrics) = metrics else { return };
        metrics.keep_breakers(SERVICE, |route| {
            self.places.iter().any(|place| &*place.name == route)
        });
        for guard in &self.guards {
            guard.watch(metrics);
        }
        for (name, standing) in before.into_iter().flat_map(|table| &table.standing) {
            let kind = standing.status().source;
            let stays = self.standing.get(name);
            if stays.is_none_or(|now| now.status().source != kind) {
                metrics.forget_source(name, kind);
            }
        }
        for (name, standing) in &self.standing {
            standing.show(name, metrics);
        }
    }

    /// Sorts the prefixes, and finds two routes for one request.
    fn order(&mut self) -> Result<(), ConfigError> {
        self.forwards.sort_by(|one, other| {
            let longest_first = other.prefix.len().cmp(&one.prefix.len());
            longest_first.then_with(|| one.prefix.cmp(&other.prefix))
        });
        for (at, one) in self.forwards.iter().enumerate() {
            let same = self.forwards[at + 1..]
                .iter()
                .take_while(|other| other.prefix == one.prefix);
            let clash = |other: &&Forward| {
                one.methods.is_empty()
                    || other.methods.is_empty()
                    || one
                        .methods
                        .iter()
                        .any(|method| other.methods.contains(method))
            };
            if let Some(other) = same.into_iter().find(clash) {
                let problem = format!(
                    "the prefix {}/ stands twice, here and in {}; remove one of them or give them different methods",
                    one.prefix, other.upstream
                );
                return Err(refused(&one.upstream, &problem));
            }
        }
        Ok(())
    }

    /// Where a request goes: rules of contracts before prefixes, because they say more.
    pub(crate) fn place<'a>(&'a self, method: &Method, path: &'a str) -> Place<'a> {
        if let Some(found) = self.calls.find(method, path) {
            return Place::Call(found);
        }
        let mut allowed = self.calls.methods(path);
        for forward in self.forwards.iter().filter(|forward| forward.covers(path)) {
            if forward.takes(method) {
                return Place::Forward(forward);
            }
            allowed.extend(forward.methods.iter().cloned());
        }
        if allowed.is_empty() {
            return Place::Nowhere;
        }
        Place::NotAllowed(allowed)
    }

    /// The guard of a route, by the number of its place.
    pub(crate) fn guard(&self, place: usize) -> Option<&Guard> {
        self.guards.get(place)
    }

    /// The guards of all routes.
    pub(crate) fn door(&self) -> Option<&DoorGuards> {
        self.door.as_ref()
    }

    /// The routes, for people.
    pub(crate) fn rows(&self) -> Vec<Value> {
        let Some(door) = &self.door else {
            return Vec::new();
        };
        let config = door.config();
        let with = |place: usize, row: &dyn Fn(&rows::Guarded<'_>) -> Value| {
            let (gate, limits) = (door.gate(place)?, door.limits(place).unwrap_or_default());
            Some(row(&rows::Guarded {
                config: &config,
                gate: &gate,
                limits: &limits,
            }))
        };
        let calls = self.calls.rules();
        let calls = calls.filter_map(|call| with(call.place, &|it| rows::call(call, it)));
        let forwards = self.forwards.iter();
        let forwards = forwards.filter_map(|one| with(one.place, &|it| rows::forward(one, it)));
        calls.chain(forwards).collect()
    }

    /// The `grpc` upstreams as clients: their layers and instances.
    pub(crate) fn clients(&self) -> Vec<Value> {
        let channels = self.standing.values().filter_map(Standing::channel);
        let rows = channels.map(|channel| serde_json::to_value(channel.row()));
        rows.filter_map(Result::ok).collect()
    }

    /// Upstreams whose instances were never told yet, with what stands in the way.
    pub(crate) fn unknown(&self) -> Vec<String> {
        let unknown = self.standing.iter().filter_map(|(name, standing)| {
            let status = standing.status();
            let problem = status.problem.as_deref().unwrap_or("no answer yet");
            (!status.answered).then(|| format!("{} of {name}: {problem}", status.source))
        });
        unknown.collect()
    }

    /// Upstreams that have not told their contract yet.
    pub(crate) fn waiting(&self) -> &[String] {
        &self.waiting
    }

    /// The channel to an upstream.
    pub(crate) fn channel(&self, upstream: &str) -> Option<&tenon_rpc::Channel> {
        self.standing.get(upstream)?.channel()
    }
}
