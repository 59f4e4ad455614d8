//! DNS: the addresses of a name, or the targets of its SRV records (RFC 2782).
//!
//! The question is asked again when the records have lived, between the configured bounds. That
//! a name does not exist is an answer, an empty one; everything else that is no list is an error.

use std::{convert::Infallible, net::SocketAddr, sync::Arc, time::Duration};

use hickory_resolver::{
    TokioResolver,
    config::{ConnectionConfig, LookupIpStrategy, NameServerConfig, ResolverConfig},
    net::{NetError, runtime::TokioRuntimeProvider},
    proto::rr::RData,
};
use tenon_core::config::DnsConfig;

use crate::{Instance, backoff::Backoff, roster::Roster};

/// How long one server may take for one question.
const SERVER_TIMEOUT: Duration = Duration::from_secs(2);

/// More targets than this are not looked up: an answer over UDP cannot hold them.
const TARGETS_MAX: usize = 256;

/// One name, and who is asked about it. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Dns {
    config: DnsConfig,
    resolver: Arc<TokioResolver>,
}

/// What a question gave, and for how long it holds.
struct Answer {
    instances: Vec<Instance>,
    lives: Duration,
}

impl Dns {
    pub(crate) fn new(config: &DnsConfig) -> Result<Self, String> {
        let mut builder = if config.servers.is_empty() {
            TokioResolver::builder_tokio()
                .map_err(|error| format!("dns: /etc/resolv.conf cannot be used: {error}"))?
        } else {
            let servers = config
                .servers
                .iter()
                .filter_map(|at| at.parse().ok())
                .map(server);
            let servers = ResolverConfig::from_parts(None, Vec::new(), servers.collect());
            TokioResolver::builder_with_config(servers, TokioRuntimeProvider::default())
        };
        let options = builder.options_mut();
        options.timeout = SERVER_TIMEOUT;
        options.ip_strategy = LookupIpStrategy::Ipv4thenIpv6;
        // What is kept, and for how long, is decided here.
        options.cache_size = 0;
        let resolver = builder.build().map_err(|error| format!("dns: {error}"))?;
        Ok(Self {
            config: config.clone(),
            resolver: Arc::new(resolver),
        })
    }

    pub(crate) async fn follow(&self, roster: &Roster) -> Infallible {
        let mut backoff = Backoff::up_to(self.config.refresh_max);
        loop {
            match self.ask().await {
                Ok(answer) => {
                    backoff.reset();
                    roster.answered(answer.instances);
                    tokio::time::sleep(self.refresh(answer.lives)).await;
                }
                Err(problem) => {
                    roster.failed(&problem.to_string());
                    backoff.wait().await;
                }
            }
        }
    }

    /// When to ask again, for records that live this long.
    fn refresh(&self, lives: Duration) -> Duration {
        lives.clamp(self.config.refresh_min, self.config.refresh_max)
    }

    async fn ask(&self) -> Result<Answer, NetError> {
        let asked = if self.config.srv.is_empty() {
            self.addresses(&self.config.name, self.config.port, 100)
                .await
        } else {
            self.services().await
        };
        match asked {
            // Nobody lives longer than the next question.
            Err(error) if error.is_no_records_found() => Ok(Answer {
                instances: Vec::new(),
                lives: self.config.refresh_min,
            }),
            other => other,
        }
    }

    async fn addresses(&self, name: &str, port: u16, weight: u32) -> Result<Answer, NetError> {
        let found = self.resolver.lookup_ip(name).await?;
        let lives = found
            .as_lookup()
            .answers()
            .iter()
            .map(|record| record.ttl)
            .min();
        let instances = found
            .iter()
            .map(|ip| Instance::new(SocketAddr::new(ip, port).to_string()).with_weight(weight));
        Ok(Answer {
            instances: instances.collect(),
            lives: Duration::from_secs(u64::from(lives.unwrap_or(0))),
        })
    }

    /// The targets of the lowest priority. The others are for when these are down, which only a
    /// caller can know; they take over when these leave the zone.
    async fn services(&self) -> Result<Answer, NetError> {
        let found = self.resolver.srv_lookup(self.config.srv.as_str()).await?;
        let records = found
            .answers()
            .iter()
            .filter_map(|record| match &record.data {
                RData::SRV(service) => Some((service, record.ttl)),
                _ => None,
            });
        let records: Vec<_> = records.collect();
        let first = records.iter().map(|(service, _)| service.priority).min();
        let chosen = records
            .iter()
            .filter(|(service, _)| Some(service.priority) == first);
        let chosen: Vec<_> = chosen.take(TARGETS_MAX).collect();
        // "SHOULD use Weight 0 when there isn't any server selection to do": then all are alike.
        let weighted = chosen.iter().any(|(service, _)| service.weight > 0);
        let mut answer = Answer {
            instances: Vec::new(),
            lives: self.config.refresh_max,
        };
        for (service, ttl) in chosen {
            answer.lives = answer.lives.min(Duration::from_secs(u64::from(*ttl)));
            let weight = if weighted {
                u32::from(service.weight).max(1)
            } else {
                100
            };
            let name = service.target.to_utf8();
            match self.addresses(&name, service.port, weight).await {
                Ok(target) => {
                    answer.lives = answer.lives.min(target.lives);
                    answer.instances.extend(target.instances);
                }
                // A target that has no address yet is nobody; one that cannot be asked for
                // might be anybody.
                Err(error) if error.is_no_records_found() => {}
                Err(error) => return Err(error),
            }
        }
        Ok(answer)
    }
}

fn server(at: SocketAddr) -> NameServerConfig {
    let mut connections = [ConnectionConfig::udp(), ConnectionConfig::tcp()];
    for connection in &mut connections {
        connection.port = at.port();
    }
    NameServerConfig::new(at.ip(), true, connections.into())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_next_question_is_asked_when_the_records_have_lived_within_the_bounds(
            lives in 0_u64..100_000, least in 1_u64..60, more in 0_u64..600,
        ) {
            let config = DnsConfig {
                refresh_min: Duration::from_secs(least),
                refresh_max: Duration::from_secs(least + more),
                servers: vec!["127.0.0.1:53".to_owned()],
                ..DnsConfig::default()
            };
            let dns = Dns::new(&config).unwrap();
            let wait = dns.refresh(Duration::from_secs(lives)).as_secs();
            prop_assert_eq!(wait, lives.max(least).min(least + more));
        }
    }
}
