//! The table of routes: built whole from the configuration, checked, and then used until the next
//! one takes its place.

use std::{collections::BTreeMap, sync::Arc};

use http::Method;
use serde_json::{Value, json};
use tenon_core::config::{
    ClientConfig, ConfigError, GatewayConfig, HeaderRulesConfig, RouteConfig, Source,
    UpstreamConfig,
};
use tenon_discovery::{Instance, Instances};
use tenon_rest::ByMethod;
use tenon_telemetry::Metrics;

use crate::{
    SERVICE,
    balance::Targets,
    forward::{Forward, HeaderRules, HttpClient},
};

/// Where requests go.
#[derive(Default)]
pub(crate) struct Table {
    /// Longest prefix first.
    forwards: Vec<Forward>,
    /// What is known of the instances of each upstream, for the table after this one.
    standing: BTreeMap<String, Standing>,
}

/// The instances of one upstream, and the text of the configuration that they came from.
struct Standing {
    source: String,
    targets: Arc<Targets>,
}

/// What a request is for.
pub(crate) enum Place<'a> {
    /// It is forwarded.
    Forward(&'a Forward),
    /// The path takes other methods.
    NotAllowed(Vec<Method>),
    /// Nothing has the path.
    Nowhere,
}

impl Table {
    /// Reads the configuration; nothing is connected yet. Upstreams that `before` has as well
    /// keep their instances and what is known of them.
    ///
    /// # Errors
    /// The configuration is not sound.
    pub(crate) fn new(
        config: &GatewayConfig,
        client: &HttpClient,
        metrics: Option<&Metrics>,
        before: Option<&Self>,
    ) -> Result<Self, ConfigError> {
        let mut table = Self::default();
        for (name, upstream) in &config.upstreams {
            let refused = |problem: String| refused(name, &problem);
            match (&upstream.http, &upstream.grpc) {
                (Some(http), None) => {
                    let builder = Builder {
                        name,
                        upstream,
                        client,
                        metrics,
                    };
                    let before = before.and_then(|table| table.standing.get(name));
                    let standing = builder.standing(http, before)?;
                    table
                        .forwards
                        .extend(builder.forwards(http, &standing.targets)?);
                    table.standing.insert(name.clone(), standing);
                }
                _ => {
                    let problem = "expected one of http and grpc, with the endpoints".to_owned();
                    return Err(refused(problem));
                }
            }
        }
        table.order()?;
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

    /// Where a request goes.
    pub(crate) fn place(&self, method: &Method, path: &str) -> Place<'_> {
        let mut allowed = Vec::new();
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
        self.forwards.iter().map(row).collect()
    }
}

/// Makes the routes of one upstream.
struct Builder<'a> {
    name: &'a str,
    upstream: &'a UpstreamConfig,
    client: &'a HttpClient,
    metrics: Option<&'a Metrics>,
}

impl Builder<'_> {
    /// The instances, those of the table before where they come from the same source.
    fn standing(
        &self,
        http: &ClientConfig,
        before: Option<&Standing>,
    ) -> Result<Standing, ConfigError> {
        // Secrets are not in it: a changed password alone is used at the next start.
        let source = format!("{http:?}");
        if let Some(before) = before
            && before.source == source
        {
            let targets = before.targets.clone();
            return Ok(Standing { source, targets });
        }
        let instances = self.instances(http)?;
        let targets = Arc::new(match before {
            Some(before) => Targets::after(&before.targets, instances),
            None => Targets::new(instances),
        });
        Ok(Standing { source, targets })
    }

    fn instances(&self, config: &ClientConfig) -> Result<Instances, ConfigError> {
        let name = format!("gateway.upstreams.{}", self.name);
        let Source::Endpoints(endpoints) = config.source(&name)? else {
            return tenon_discovery::follow(&name, config);
        };
        for endpoint in endpoints {
            let authority = endpoint.parse::<http::uri::Authority>();
            let sound = authority.is_ok_and(|authority| authority.port().is_some());
            if !sound || endpoint.contains('@') {
                return Err(self.refused(&format!("`{endpoint}` is not host:port")));
            }
        }
        Ok(Instances::fixed(
            endpoints
                .iter()
                .map(|endpoint| Instance::new(endpoint.as_str())),
        ))
    }

    fn forwards(
        &self,
        http: &ClientConfig,
        targets: &Arc<Targets>,
    ) -> Result<Vec<Forward>, ConfigError> {
        if self.upstream.routes.is_empty() {
            return Err(self.refused("it has no routes; give at least one prefix"));
        }
        if http.timeout.is_zero() {
            return Err(self.refused("a timeout of zero would refuse every request"));
        }
        let routes = self.upstream.routes.iter();
        routes
            .map(|route| self.forward(http, route, targets))
            .collect()
    }

    fn forward(
        &self,
        http: &ClientConfig,
        route: &RouteConfig,
        targets: &Arc<Targets>,
    ) -> Result<Forward, ConfigError> {
        let prefix = self.path("prefix", &route.prefix)?;
        let rewrite = match &route.rewrite {
            None => None,
            Some(path) => Some(self.path("rewrite", path)?),
        };
        let methods = route.methods.iter().map(|name| {
            let known = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_uppercase());
            let method = name.parse::<Method>().ok().filter(|_| known);
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
            client: self.client.clone(),
            metrics,
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

fn row(forward: &Forward) -> Value {
    let (instances, ejected) = forward.targets.count();
    let shown = |rules: &[HeaderRules]| rules.iter().map(HeaderRules::shown).collect::<Vec<_>>();
    let milliseconds =
        |time: std::time::Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
    json!({
        "service": SERVICE,
        "upstream": forward.upstream,
        "method": if forward.methods.is_empty() {
            "*".to_owned()
        } else {
            forward.methods.iter().map(Method::as_str).collect::<Vec<_>>().join(", ")
        },
        "path": forward.template,
        "timeoutMs": milliseconds(forward.timeout),
        "layers": [
            {"name": "trace"},
            {"name": "access-log"},
            {"name": "metrics"},
            {"name": "recover"},
            {"name": "guard"},
            {"name": "deadline", "timeoutMs": milliseconds(forward.timeout)},
            {
                "name": "headers",
                "request": shown(&forward.request_rules),
                "response": shown(&forward.response_rules),
            },
            {
                "name": "balance",
                "policy": "the less busy of two",
                "instances": instances,
                "ejected": ejected,
                "retry": "another instance when nothing was sent",
            },
            {
                "name": "forward",
                "rewrite": forward.rewrite,
                "websocket": forward.websocket,
                "idleTimeoutMs": milliseconds(forward.idle_timeout),
            },
        ],
    })
}

pub(crate) fn refused(upstream: &str, problem: &str) -> ConfigError {
    ConfigError::new("gateway", format!("upstream {upstream}: {problem}"))
}
