//! The section `clients`.

use std::{collections::BTreeMap, time::Duration};

use serde::Deserialize;

use super::{
    BalancerConfig, ClientTlsConfig, ConfigError, DnsConfig, EtcdConfig, FailureCode,
    KubernetesConfig, MethodTimeouts, Plaintext, RetryConfig, duration,
};

/// The section `clients`: where the services are that this one calls, by their name.
pub type ClientsConfig = BTreeMap<String, ClientConfig>;

/// Where a service is, and how it is called. Exactly one of `endpoints`, `dns`, `etcd` and
/// `kubernetes` says where: [`ClientConfig::source`].
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct ClientConfig {
    /// `host:port` of each instance, where they never change.
    pub endpoints: Vec<String>,
    /// Instances found by DNS; needs the feature `dns`.
    pub dns: Option<DnsConfig>,
    /// Instances that registered themselves in etcd; needs the feature `etcd`.
    pub etcd: Option<EtcdConfig>,
    /// The ready endpoints of a Kubernetes service; needs the feature `kubernetes`.
    pub kubernetes: Option<KubernetesConfig>,
    /// How long a call with one answer may take when its context has more time. Default `2s`. A
    /// call that is answered with a stream has the time of its context.
    #[serde(with = "duration::positive")]
    pub timeout: Duration,
    /// The same for single methods, by their name in the contract. Of a method that is answered
    /// with a stream this is the time of the whole stream, as the deadlines of gRPC are.
    pub timeouts: MethodTimeouts,
    /// Which instance takes a call. Default `p2c`.
    pub balancer: BalancerConfig,
    /// When a failed call is made again.
    pub retry: RetryConfig,
    /// Whether calls that would fail anyway are refused here, by method and instance. Default true.
    pub breaker: bool,
    /// Which errors of a service count as its failures to the breakers. Default: all but
    /// `UNIMPLEMENTED`.
    pub failures: Vec<FailureCode>,
    /// Whether the calls in flight at an instance are limited by how long they take. Default true.
    pub adaptive_limit: bool,
    /// Speaks TLS. Default: plaintext, with this machine only.
    pub tls: Option<ClientTlsConfig>,
    /// Where plaintext is good enough: `loopback`, or `allowed` anywhere. Default `loopback`.
    pub plaintext: Plaintext,
}

impl Default for ClientConfig {
    fn default() -> Self {
        Self {
            endpoints: Vec::new(),
            dns: None,
            etcd: None,
            kubernetes: None,
            timeout: Duration::from_secs(2),
            timeouts: MethodTimeouts::default(),
            balancer: BalancerConfig::P2c,
            retry: RetryConfig::default(),
            breaker: true,
            failures: FailureCode::DEFAULT.into(),
            adaptive_limit: true,
            tls: None,
            plaintext: Plaintext::Loopback,
        }
    }
}

/// Where the instances of a service are told.
#[derive(Debug, Clone, Copy)]
pub enum Source<'a> {
    /// `host:port` of each, fixed.
    Endpoints(&'a [String]),
    /// DNS.
    Dns(&'a DnsConfig),
    /// etcd.
    Etcd(&'a EtcdConfig),
    /// Kubernetes.
    Kubernetes(&'a KubernetesConfig),
}

impl ClientConfig {
    /// A service at fixed addresses, `host:port` each, with everything else at its default.
    pub fn to<A: Into<String>>(endpoints: impl IntoIterator<Item = A>) -> Self {
        Self {
            endpoints: endpoints.into_iter().map(Into::into).collect(),
            ..Self::default()
        }
    }

    /// Only where the service is and how it is connected to; how it is called is at its default.
    #[must_use]
    pub fn place(&self) -> Self {
        Self {
            endpoints: self.endpoints.clone(),
            dns: self.dns.clone(),
            etcd: self.etcd.clone(),
            kubernetes: self.kubernetes.clone(),
            tls: self.tls.clone(),
            plaintext: self.plaintext,
            ..Self::default()
        }
    }

    /// The one source that is given for the client `name`.
    ///
    /// # Errors
    /// None or several are given, or what is given for it is not sound.
    pub fn source(&self, name: &str) -> Result<Source<'_>, ConfigError> {
        let given = [
            (!self.endpoints.is_empty())
                .then_some(("endpoints", Source::Endpoints(&self.endpoints))),
            self.dns.as_ref().map(|dns| ("dns", Source::Dns(dns))),
            self.etcd.as_ref().map(|etcd| ("etcd", Source::Etcd(etcd))),
            self.kubernetes
                .as_ref()
                .map(|kubernetes| ("kubernetes", Source::Kubernetes(kubernetes))),
        ];
        let given: Vec<_> = given.into_iter().flatten().collect();
        let refused = |problem: String| ConfigError::new(format!("clients.{name}"), problem);
        match given.as_slice() {
            [(key, source)] => {
                let problem = source.check();
                problem.map_err(|problem| refused(format!("{key}: {problem}")))?;
                Ok(*source)
            }
            [] => Err(refused(
                "no endpoints; expected host:port of each instance, or one of dns, etcd, kubernetes"
                    .to_owned(),
            )),
            several => {
                let keys: Vec<_> = several.iter().map(|(key, _)| *key).collect();
                Err(refused(format!(
                    "{} are given together; expected exactly one of them",
                    keys.join(" and ")
                )))
            }
        }
    }
}

impl Source<'_> {
    fn check(&self) -> Result<(), String> {
        match self {
            // Each address is read by whoever connects to it.
            Self::Endpoints(_) => Ok(()),
            Self::Dns(dns) => dns.check(),
            Self::Etcd(etcd) => etcd.check(),
            Self::Kubernetes(kubernetes) => kubernetes.check(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::{super::RetryBudgetConfig, *};

    fn source_of(text: &str) -> Result<String, String> {
        let config: ClientConfig =
            super::super::parse(text, Path::new("c.yaml")).map_err(|error| error.to_string())?;
        let source = config.source("trial").map_err(|error| error.to_string())?;
        Ok(format!("{source:?}"))
    }

    #[test]
    fn exactly_one_source_is_taken() {
        for (text, expected) in [
            ("endpoints: ['127.0.0.1:1']", "Endpoints"),
            ("dns: {name: trial, port: 9102}", "Dns"),
            ("dns: {srv: _grpc._tcp.trial}", "Dns"),
            ("etcd: {hosts: ['127.0.0.1:2379'], key: a/b}", "Etcd"),
            ("kubernetes: {service: trial, port: grpc}", "Kubernetes"),
            ("kubernetes: {service: trial, port: 9102}", "Kubernetes"),
        ] {
            let source = source_of(text).unwrap();
            assert!(source.starts_with(expected), "{text}: {source}");
        }
        let none = source_of("timeout: 1s").unwrap_err();
        assert!(
            none.contains("clients.trial") && none.contains("kubernetes"),
            "{none}"
        );
        let two = source_of("endpoints: [a:1]\netcd: {hosts: [b:1], key: k}").unwrap_err();
        assert!(two.contains("endpoints and etcd"), "{two}");
    }

    #[test]
    fn a_budget_of_repeats_is_given_in_part_and_checked() {
        let budget = |text: &str| {
            let text = format!("retry: {{ budget: {text} }}");
            let config: Result<ClientConfig, _> = super::super::parse(&text, Path::new("c.yaml"));
            config
                .map(|config| config.retry.budget)
                .map_err(|error| error.to_string())
        };
        let RetryBudgetConfig {
            percent,
            per_second,
        } = budget("{ percent: 20 }").unwrap();
        assert_eq!((percent, per_second), (20, 1));
        let default = ClientConfig::default().retry.budget;
        assert_eq!((default.percent, default.per_second), (10, 1));
        assert_eq!(budget("{ percent: 0 }").unwrap().percent, 0);
        for (text, expected) in [
            ("{ percent: 101 }", "percent: expected 0 to 100"),
            ("{ percent: -1 }", "c.yaml"),
            ("{ perSecond: 1001 }", "perSecond: expected 0 to 1000"),
            ("{ percent: 0, perSecond: 0 }", "attempts: 1"),
            ("{ ratio: 1 }", "percent"),
        ] {
            let error = budget(text).unwrap_err();
            assert!(error.contains(expected), "{text}: {error}");
        }
    }

    #[test]
    fn a_source_that_could_never_answer_is_refused() {
        for (text, expected) in [
            ("dns: {name: trial}", "port"),
            ("dns: {port: 1}", "name"),
            ("dns: {name: trial, port: 0}", "port"),
            ("dns: {name: trial, port: 1, srv: _a._tcp.b}", "srv"),
            (
                "dns: {name: t, port: 1, refreshMin: 9s, refreshMax: 3s}",
                "refreshMax",
            ),
            ("dns: {name: t, port: 1, servers: [here]}", "servers"),
            ("etcd: {key: a}", "hosts"),
            ("etcd: {hosts: [nowhere], key: a}", "host:port"),
            ("etcd: {hosts: [a:1]}", "key"),
            ("etcd: {hosts: [a:1], key: /}", "key"),
            ("etcd: {hosts: [a:1], key: a//b}", "key"),
            ("etcd: {hosts: [a:1], key: a, username: u}", "password"),
            ("etcd: {hosts: [a:1], key: a, password: p}", "username"),
            (
                "etcd: {hosts: [a:1], key: a, username: u, password: p, passwordFile: f}",
                "passwordFile",
            ),
            (
                "etcd: {hosts: [a:1], key: a, tls: {caFile: a, certFile: c}}",
                "tls",
            ),
            ("etcd: {hosts: [a:1], key: a, tls: {}}", "caFile"),
            ("kubernetes: {port: 1}", "service"),
            ("kubernetes: {service: Trial}", "service"),
            ("kubernetes: {service: t, namespace: a/b}", "namespace"),
            ("kubernetes: {service: t, port: 70000}", "port"),
            ("kubernetes: {service: t, port: 0}", "port"),
            ("kubernetes: {service: t, server: ftp://x}", "server"),
        ] {
            let error = source_of(text).unwrap_err();
            assert!(error.contains(expected), "{text}: {error}");
        }
    }
}
