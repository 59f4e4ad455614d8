//! Where the instances of a service are told: the sections `dns`, `etcd` and `kubernetes` of a
//! client.

use std::{fmt, net::SocketAddr, path::PathBuf, time::Duration};

use secrecy::SecretString;
use serde::{
    Deserialize, Deserializer,
    de::{Error, Unexpected, Visitor},
};

use super::{ClientTlsConfig, duration};

/// Instances found by DNS: the addresses of a name, or the targets of its SRV records.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct DnsConfig {
    /// The name whose A records (AAAA where there is no A) are the instances, with `port`.
    pub name: String,
    /// The port of every instance, with `name`.
    pub port: u16,
    /// The name of SRV records, `_grpc._tcp.trial.example`: they tell ports and weights too.
    pub srv: String,
    /// The least time between two questions, however short the records live. Default `5s`.
    #[serde(with = "duration::positive")]
    pub refresh_min: Duration,
    /// The longest time between two questions, however long the records live. Default `30s`.
    #[serde(with = "duration::positive")]
    pub refresh_max: Duration,
    /// `ip:port` of the name servers. Default those of `/etc/resolv.conf`.
    pub servers: Vec<String>,
}

impl Default for DnsConfig {
    fn default() -> Self {
        Self {
            name: String::new(),
            port: 0,
            srv: String::new(),
            refresh_min: Duration::from_secs(5),
            refresh_max: Duration::from_secs(30),
            servers: Vec::new(),
        }
    }
}

impl DnsConfig {
    pub(super) fn check(&self) -> Result<(), String> {
        match (self.name.is_empty(), self.srv.is_empty()) {
            (true, true) => return Err("neither name nor srv is given".to_owned()),
            (false, false) => return Err("name and srv are given together; drop one".to_owned()),
            (false, true) if self.port == 0 => {
                return Err("port is missing; expected that of the instances".to_owned());
            }
            (true, false) if self.port != 0 => {
                return Err("port is given beside srv, whose records tell it; drop it".to_owned());
            }
            _ => {}
        }
        if self.refresh_max < self.refresh_min {
            return Err("refreshMax is shorter than refreshMin".to_owned());
        }
        match self
            .servers
            .iter()
            .find(|at| at.parse::<SocketAddr>().is_err())
        {
            Some(bad) => Err(format!("servers: `{bad}` is not ip:port")),
            None => Ok(()),
        }
    }
}

/// A place in etcd, and how etcd is reached.
#[derive(Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct EtcdConfig {
    /// `host:port` of the members; another one is asked when one is away.
    pub hosts: Vec<String>,
    /// The instances are the keys right below this one, `<key>/<instance>`. Other keys that
    /// begin alike (`trial-2` beside `trial`) are never read.
    pub key: String,
    /// The user, where etcd asks for one.
    pub username: Option<String>,
    /// Its password.
    pub password: Option<SecretString>,
    /// A file that holds the password; read at each connection.
    pub password_file: Option<PathBuf>,
    /// Speaks TLS; the files are read again at each connection. Default: plain text.
    pub tls: Option<ClientTlsConfig>,
}

impl EtcdConfig {
    /// The key without slashes around it.
    pub fn prefix(&self) -> &str {
        self.key.trim_matches('/')
    }

    pub(super) fn check(&self) -> Result<(), String> {
        if self.hosts.is_empty() {
            return Err("hosts is empty; expected host:port of each member".to_owned());
        }
        if let Some(bad) = self.hosts.iter().find(|host| !is_host_and_port(host)) {
            return Err(format!("hosts: `{bad}` is not host:port"));
        }
        if self.prefix().is_empty() || self.prefix().split('/').any(str::is_empty) {
            return Err(
                "key is missing or has an empty part; expected one like cohort/trial".into(),
            );
        }
        let passwords =
            usize::from(self.password.is_some()) + usize::from(self.password_file.is_some());
        match (&self.username, passwords) {
            (None, 0) | (Some(_), 1) => {}
            (Some(_), 0) => return Err("username is given without password or passwordFile".into()),
            (None, _) => return Err("a password is given without username".into()),
            _ => return Err("password and passwordFile are given together; drop one".into()),
        }
        match &self.tls {
            Some(tls) if tls.ca_file.is_none() => {
                Err("tls: caFile is missing; name the roots of etcd's certificates".to_owned())
            }
            Some(tls) if tls.cert_file.is_some() != tls.key_file.is_some() => {
                Err("tls: certFile and keyFile are given only together".to_owned())
            }
            _ => Ok(()),
        }
    }
}

impl fmt::Debug for EtcdConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EtcdConfig")
            .field("hosts", &self.hosts)
            .field("key", &self.key)
            .field("username", &self.username.as_ref().map(|_| "given"))
            .field("tls", &self.tls)
            .finish_non_exhaustive()
    }
}

fn is_host_and_port(text: &str) -> bool {
    let Some((host, port)) = text.rsplit_once(':') else {
        return false;
    };
    !host.is_empty() && !host.contains('/') && port.parse::<u16>().is_ok_and(|port| port > 0)
}

/// The ready endpoints of a service in Kubernetes, read from its EndpointSlices.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct KubernetesConfig {
    /// The name of the service.
    pub service: String,
    /// Its namespace. Default that of this pod.
    pub namespace: Option<String>,
    /// The port of the pods, by its name or its number. Without it the service has one only.
    pub port: Option<PortName>,
    /// The URL of the API server. Default that of the cluster in which this pod runs; outside of
    /// one, `http://127.0.0.1:8001` and `kubectl proxy` beside it.
    pub server: Option<String>,
    /// The token of the service account; read at each request. Default that of the pod.
    pub token_file: Option<PathBuf>,
    /// The certificates of the authority of the API server. Default those of the pod.
    pub ca_file: Option<PathBuf>,
}

/// A port as a Kubernetes service knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PortName {
    /// `9102`.
    Number(u16),
    /// `grpc`.
    Name(String),
}

impl<'de> Deserialize<'de> for PortName {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Either;

        impl Visitor<'_> for Either {
            type Value = PortName;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a port of 1 to 65535, or the name of one")
            }

            fn visit_u64<E: Error>(self, number: u64) -> Result<PortName, E> {
                let port = u16::try_from(number).ok().filter(|port| *port > 0);
                port.map(PortName::Number)
                    .ok_or_else(|| E::invalid_value(Unexpected::Unsigned(number), &self))
            }

            fn visit_str<E: Error>(self, name: &str) -> Result<PortName, E> {
                if is_port_name(name) {
                    Ok(PortName::Name(name.to_owned()))
                } else {
                    Err(E::invalid_value(Unexpected::Str(name), &self))
                }
            }
        }

        from.deserialize_any(Either)
    }
}

impl KubernetesConfig {
    pub(super) fn check(&self) -> Result<(), String> {
        if !is_label(&self.service) {
            return Err(
                "service is missing or no name of a service; expected one like trial".into(),
            );
        }
        if let Some(namespace) = &self.namespace
            && !is_label(namespace)
        {
            return Err(format!(
                "namespace: `{namespace}` is no name of a namespace"
            ));
        }
        match &self.server {
            Some(url) if !url.starts_with("http://") && !url.starts_with("https://") => {
                Err(format!("server: `{url}` is not an http or https URL"))
            }
            _ => Ok(()),
        }
    }
}

/// A name of RFC 6335: it has a letter, so that no number is taken for one.
fn is_port_name(text: &str) -> bool {
    text.len() <= 15 && is_label(text) && text.contains(|c: char| c.is_ascii_lowercase())
}

/// A name of RFC 1123: what Kubernetes takes, and what needs no escaping in a path.
fn is_label(text: &str) -> bool {
    let ends = |c: Option<char>| c.is_some_and(|c| c.is_ascii_lowercase() || c.is_ascii_digit());
    text.len() <= 63
        && ends(text.chars().next())
        && ends(text.chars().last())
        && text
            .chars()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
}
