//! From the configuration of one upstream to its routes.

use std::{sync::Arc, time::Duration};

use http::{HeaderName, Method as HttpMethod};
use prost_reflect::{DescriptorPool, MethodDescriptor};
use prost_types::method_options::IdempotencyLevel;
use tenon_core::config::{
    ClientConfig, ConfigError, HeaderRulesConfig, Plaintext, RouteConfig, Source, UpstreamConfig,
    duration::LONGEST,
};
use tenon_discovery::Instances;
use tenon_net::{
    ClientTls, Protocol,
    tls::{is_loopback, plaintext_refused},
};
use tenon_resilience::{Criticality, Place};
use tenon_rest::ByMethod;
use tenon_rpc::{Channel, Door, Method, Named, check_methods};

use super::{
    Parts, Table,
    standing::{Reach, Standing, Way},
};
use crate::{
    SERVICE,
    balance::Targets,
    forward::{Connector, Forward, HeaderRules, HttpClient},
    transcode::{self, Mapping, backend::Backend, call::Call, contract, rule},
};

/// Makes the routes of one upstream.
pub(super) struct Builder<'a> {
    pub(super) name: &'a str,
    pub(super) upstream: &'a UpstreamConfig,
    pub(super) parts: &'a Parts<'a>,
}

impl Builder<'_> {
    /// The routes of an `http` upstream.
    pub(super) fn forwards(
        &self,
        http: &ClientConfig,
        table: &mut Table,
    ) -> Result<(), ConfigError> {
        if self.upstream.routes.is_empty() {
            return Err(self.refused("it has no routes; give at least one prefix"));
        }
        if http.timeout.is_zero() {
            return Err(self.refused("a timeout of zero would refuse every request"));
        }
        if !http.timeouts.0.is_empty() || !http.retry.methods.is_empty() {
            let problem = "timeouts and retry.methods name methods of a grpc contract; of http write `timeout` at a route";
            return Err(self.refused(problem));
        }
        self.check(http)?;
        let (source, before) = self.before("http", http);
        let reach = self.reach(http, before)?;
        let connector = || reach.connector.clone();
        let targets = match before {
            Some((true, Way::Http(targets, _))) => targets.clone(),
            Some((false, Way::Http(before, _))) => {
                Arc::new(Targets::after(before, self.instances(http)?, connector()))
            }
            _ => Arc::new(Targets::new(self.instances(http)?, connector())),
        };
        for route in &self.upstream.routes {
            let mut forward = self.forward(http, route, &targets, &reach.client)?;
            forward.place = table.stand(Place {
                name: forward.name().into(),
                criticality: self.criticality(route)?,
                time: Some(forward.timeout),
                places: route.max_in_flight,
            });
            table.forwards.push(forward);
        }
        self.stand(Standing::new(source, Way::Http(targets, reach)), table);
        Ok(())
    }

    /// The methods of a `grpc` upstream.
    pub(super) fn calls(&self, grpc: &ClientConfig, table: &mut Table) -> Result<(), ConfigError> {
        self.check(grpc)?;
        let (source, before) = self.before("grpc", grpc);
        let (channel, instances) = match before {
            Some((true, Way::Grpc(channel, instances))) => (channel.clone(), instances.clone()),
            _ => {
                let metrics = self.parts.metrics.cloned().unwrap_or_default();
                let instances = self.instances(grpc)?;
                let channel = Channel::over(self.name, instances.clone(), grpc, &metrics)?;
                (channel, instances)
            }
        };
        let transcode = &self.upstream.transcode;
        let contract = match (transcode.descriptors.is_empty(), transcode.reflection) {
            (false, false) => {
                let mut pool = DescriptorPool::new();
                for path in &transcode.descriptors {
                    contract::load(&mut pool, path).map_err(|problem| self.refused(&problem))?;
                }
                Some(pool)
            }
            (true, true) => self.parts.contracts.get(self.name).cloned(),
            _ => {
                let problem = "expected one of transcode.descriptors and transcode.reflection: where its contract comes from";
                return Err(self.refused(problem));
            }
        };
        match contract {
            Some(contract) => {
                self.check_methods(grpc, &contract)?;
                let backend = Backend::Remote(channel.clone());
                self.open(backend, grpc, &contract, table)?;
            }
            None => table.waiting.push(self.name.to_owned()),
        }
        let methods = table
            .calls
            .rules()
            .filter(|call| call.way.upstream == self.name);
        let methods = methods.map(|call| call.method).collect();
        let standing = Standing::new(source, Way::Grpc(channel, instances));
        self.stand(standing.called(grpc.clone(), methods), table);
        Ok(())
    }

    /// Holds the methods that the settings name against the contract.
    fn check_methods(
        &self,
        grpc: &ClientConfig,
        contract: &DescriptorPool,
    ) -> Result<(), ConfigError> {
        let services = contract.services();
        let methods: Vec<_> = services
            .flat_map(|service| service.methods().collect::<Vec<_>>())
            .collect();
        let named = methods.iter().map(|method| Named {
            name: method.name(),
            is_idempotent: is_idempotent(method),
        });
        check_methods(grpc, &named.collect::<Vec<_>>())
            .map_err(|problem| self.refused(&format!("grpc.{problem}")))
    }

    /// The methods of a contract that this process serves itself. The door has the time.
    pub(super) fn local_calls(
        &self,
        door: Door,
        contract: &DescriptorPool,
        table: &mut Table,
    ) -> Result<(), ConfigError> {
        let config = ClientConfig {
            timeout: LONGEST,
            ..ClientConfig::default()
        };
        self.open(Backend::Local(door), &config, contract, table)
    }

    fn open(
        &self,
        backend: Backend,
        config: &ClientConfig,
        contract: &DescriptorPool,
        table: &mut Table,
    ) -> Result<(), ConfigError> {
        let refused = |problem: String| self.refused(&problem);
        if !self.upstream.routes.is_empty() {
            return Err(self.refused("routes are for http; the paths of grpc are in its contract"));
        }
        let way = Arc::new(self.way(backend, config.timeout).map_err(refused)?);
        let opened = contract::open(contract, &self.upstream.transcode).map_err(refused)?;
        if opened.is_empty() {
            let problem =
                "its contract has no google.api.http rule; add some, or transcode.mappings";
            return Err(self.refused(problem));
        }
        for (template, binding) in opened {
            let method = binding.method();
            let path = format!("/{}/{}", method.parent_service().full_name(), method.name());
            let method = Method::dynamic(&path, is_idempotent(method))
                .map_err(|_| self.refused("its contract has too many methods"))?;
            let metrics = self
                .parts
                .metrics
                .map(|metrics| ByMethod::new(metrics, SERVICE, &binding.rule().path));
            let mut call = Call {
                binding,
                method,
                way: way.clone(),
                metrics,
                named_time: config.timeouts.0.get(method.name()).copied(),
                place: 0,
            };
            call.place = table.stand(Place {
                name: call.name().into(),
                criticality: rule::criticality(call.binding.method()),
                // Who streams may stop whenever it likes: its end is no failure of the route.
                time: call.time().filter(|_| !call.is_stream()),
                places: None,
            });
            contract::insert(&mut table.calls, template, call).map_err(refused)?;
        }
        Ok(())
    }

    fn way(&self, backend: Backend, timeout: Duration) -> Result<transcode::call::Way, String> {
        let (config, headers) = (&self.upstream.transcode, &self.upstream.headers);
        if config.max_bytes == 0 {
            return Err("transcode.maxBytes of zero would refuse every body".to_owned());
        }
        let name = |text: &String| {
            text.parse::<HeaderName>()
                .map_err(|_| format!("`{text}` is not the name of a header"))
        };
        let response_headers = config.response_headers.iter();
        let response_headers = response_headers.map(|(from, to)| Ok((name(from)?, name(to)?)));
        Ok(transcode::call::Way {
            upstream: self.name.to_owned(),
            backend,
            mapping: Mapping {
                ignore_unknown: config.ignore_unknown_fields,
                print_defaults: config.print_defaults,
            },
            timeout,
            idle_timeout: self.upstream.idle_timeout,
            max_bytes: config.max_bytes,
            request_rules: HeaderRules::new(&headers.request)?,
            response_rules: HeaderRules::new(&headers.response)?,
            request_metadata: config
                .request_metadata
                .iter()
                .map(name)
                .collect::<Result<_, _>>()?,
            response_headers: response_headers.collect::<Result<_, String>>()?,
        })
    }

    fn stand(&self, standing: Standing, table: &mut Table) {
        let before = self.parts.before;
        let before = before.and_then(|table| table.standing.get(self.name));
        let name = self.name.to_owned();
        table.standing.insert(name, standing.after(before));
    }

    /// The text of a source, and what the table before has of this upstream: whether it is of the
    /// same source, and the way there.
    fn before(&self, kind: &str, config: &ClientConfig) -> (String, Option<(bool, &Way)>) {
        // Secrets are not in it: a changed password alone is used at the next start. How calls are
        // made is not either: it changes under a way that stays.
        let source = format!("{kind} {:?}", config.place());
        let before = self.parts.before;
        let standing = before.and_then(|table| table.standing.get(self.name));
        let before = standing.map(|standing| (standing.source == source, &standing.way));
        (source, before)
    }

    fn instances(&self, config: &ClientConfig) -> Result<Instances, ConfigError> {
        tenon_discovery::follow(&self.key(), config)
    }

    /// As its source is called in errors.
    fn key(&self) -> String {
        format!("gateway.upstreams.{}", self.name)
    }

    /// Finds at start what a request would find: an endpoint that is none, and plaintext that
    /// would leave this machine without being said. Addresses that a name or a registry leads to
    /// are looked at when they are connected to.
    fn check(&self, config: &ClientConfig) -> Result<(), ConfigError> {
        let needs_word = config.tls.is_none() && config.plaintext == Plaintext::Loopback;
        let unsaid = |address: &str| self.refused(&plaintext_refused("", address));
        match config.source(&self.key())? {
            Source::Endpoints(endpoints) => {
                for endpoint in endpoints {
                    let authority = endpoint.parse::<http::uri::Authority>();
                    let sound = |authority: &http::uri::Authority| authority.port().is_some();
                    let authority = authority.ok().filter(sound);
                    let Some(authority) = authority.filter(|_| !endpoint.contains('@')) else {
                        return Err(self.refused(&format!("`{endpoint}` is not host:port")));
                    };
                    if needs_word && !is_loopback(authority.host()) {
                        return Err(unsaid(endpoint));
                    }
                }
                Ok(())
            }
            Source::Kubernetes(_) if needs_word => Err(unsaid("a pod")),
            _ => Ok(()),
        }
    }

    /// The connections of the table before, unless they are to be made in another way now.
    fn reach(
        &self,
        http: &ClientConfig,
        before: Option<(bool, &Way)>,
    ) -> Result<Arc<Reach>, ConfigError> {
        let said = format!("{:?} {:?}", http.tls, http.plaintext);
        if let Some((_, Way::Http(_, reach))) = before
            && reach.is_said(&said)
        {
            return Ok(reach.clone());
        }
        let tls = match &http.tls {
            None => None,
            Some(tls) => {
                let key = format!("{}.http.tls", self.key());
                Some(ClientTls::load(&key, tls, Protocol::Http1)?)
            }
        };
        if tls.is_none() && http.plaintext == Plaintext::Allowed {
            tracing::warn!(
                upstream = self.name,
                "plaintext on any network, as configured"
            );
        }
        let connector = Connector::new(self.name, tls, http.plaintext);
        Ok(Arc::new(Reach::new(said, connector)))
    }

    fn forward(
        &self,
        http: &ClientConfig,
        route: &RouteConfig,
        targets: &Arc<Targets>,
        client: &HttpClient,
    ) -> Result<Forward, ConfigError> {
        let prefix = self.path("prefix", &route.prefix)?;
        let rewrite = match &route.rewrite {
            None => None,
            Some(path) => Some(self.path("rewrite", path)?),
        };
        let methods = route.methods.iter().map(|name| {
            let known = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_uppercase());
            let method = name.parse::<HttpMethod>().ok().filter(|_| known);
            method.ok_or_else(|| self.refused(&format!("`{name}` is not an HTTP method")))
        });
        let methods = methods.collect::<Result<Vec<_>, _>>()?;
        let rules = |own: &HeaderRulesConfig, further: &HeaderRulesConfig| {
            let both = [HeaderRules::new(own), HeaderRules::new(further)];
            let both: Result<Vec<_>, _> = both.into_iter().collect();
            let both = both.map_err(|problem| self.refused(&problem))?;
            Ok::<_, ConfigError>(both.into_iter().filter(|rules| !rules.is_empty()).collect())
        };
        let template = format!("{prefix}/*");
        let metrics = self
            .parts
            .metrics
            .map(|metrics| ByMethod::new(metrics, SERVICE, &template));
        Ok(Forward {
            upstream: self.name.to_owned(),
            prefix,
            rewrite,
            methods,
            template,
            timeout: route.timeout.unwrap_or(http.timeout),
            idle_timeout: self.upstream.idle_timeout,
            websocket: route.websocket,
            request_rules: rules(&self.upstream.headers.request, &route.headers.request)?,
            response_rules: rules(&self.upstream.headers.response, &route.headers.response)?,
            targets: targets.clone(),
            client: client.clone(),
            metrics,
            place: 0,
        })
    }

    fn criticality(&self, route: &RouteConfig) -> Result<Criticality, ConfigError> {
        let Some(text) = &route.criticality else {
            return Ok(Criticality::Normal);
        };
        Criticality::parse(text).ok_or_else(|| {
            let known = Criticality::ALL.map(Criticality::as_str).join(", ");
            self.refused(&format!(
                "`{text}` is no criticality; expected one of {known}"
            ))
        })
    }

    /// A path without the slash at its end.
    fn path(&self, key: &str, text: &str) -> Result<String, ConfigError> {
        let plain =
            !text.contains(['?', '#', '*', '{', '}']) && !text.contains(char::is_whitespace);
        if !text.starts_with('/') {
            return Err(self.refused(&format!(
                "a {key} starts with a slash, and `{text}` does not"
            )));
        }
        if !plain {
            return Err(self.refused(&format!("the {key} `{text}` is not a plain path")));
        }
        Ok(text.trim_end_matches('/').to_owned())
    }

    fn refused(&self, problem: &str) -> ConfigError {
        refused(self.name, problem)
    }
}

/// Whether the contract says that a call may be made again: `option idempotency_level`.
fn is_idempotent(method: &MethodDescriptor) -> bool {
    let options = method.method_descriptor_proto().options.as_ref();
    options.is_some_and(|options| {
        matches!(
            options.idempotency_level(),
            IdempotencyLevel::NoSideEffects | IdempotencyLevel::Idempotent
        )
    })
}

pub(crate) fn refused(upstream: &str, problem: &str) -> ConfigError {
    ConfigError::new("gateway", format!("upstream {upstream}: {problem}"))
}
