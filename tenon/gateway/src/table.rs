//! The table of routes: built whole from the configuration, checked, and then used until the next
//! one takes its place.

use std::collections::BTreeMap;

use http::Method;
use prost_reflect::DescriptorPool;
use serde_json::Value;
use tenon_core::config::{ConfigError, GatewayConfig};
use tenon_rpc::Door;
use tenon_telemetry::Metrics;

use crate::{
    forward::Forward,
    transcode::{Match, Matcher, call::Call},
};

mod build;
mod rows;

pub(crate) use build::refused;
use build::{Builder, Standing};

/// The contracts that services told of themselves, by the names of their upstreams.
pub(crate) type Contracts = BTreeMap<String, DescriptorPool>;

/// What a table is built with.
pub(crate) struct Parts<'a> {
    pub(crate) metrics: Option<&'a Metrics>,
    pub(crate) contracts: &'a Contracts,
    /// The table in use: upstreams that it has as well keep their instances and connections.
    pub(crate) before: Option<&'a Table>,
}

/// Where requests go.
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
        Ok(table)
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
        Ok(table)
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

    /// The routes, for people.
    pub(crate) fn rows(&self) -> Vec<Value> {
        let calls = self.calls.rules().map(rows::call);
        let forwards = self.forwards.iter().map(rows::forward);
        calls.chain(forwards).collect()
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
