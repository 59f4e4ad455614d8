//! What is asked of etcd: the list below a prefix, its changes, and leases.

use std::{io::Read, net::SocketAddr, path::Path};

use secrecy::ExposeSecret;
use tenon_core::{config::EtcdConfig, secret_file};

use super::{
    grpc::{Link, Problem, Stream},
    messages::{
        AuthenticateRequest, AuthenticateResponse, Done, EventType, Filter, LeaseGrantRequest,
        LeaseRequest, LeaseResponse, PutRequest, RangeRequest, RangeResponse, WatchCreateRequest,
        WatchRequest, WatchResponse,
    },
};
use crate::{
    backoff::random,
    connect::{Tls, connect},
};

/// More instances of one service than this are a fault of somebody's; the first ones are taken.
const INSTANCES_MAX: i64 = 10_000;

/// The members in turn, beginning with any, so that not all clients ask the first one.
pub(super) struct Hosts<'a> {
    hosts: &'a [String],
    turn: usize,
}

impl<'a> Hosts<'a> {
    pub(super) fn new(config: &'a EtcdConfig) -> Self {
        let count = config.hosts.len().max(1);
        Self {
            hosts: &config.hosts,
            turn: usize::try_from(random() % count as u64).unwrap_or(0),
        }
    }

    pub(super) fn next(&mut self) -> &'a str {
        let host = self.hosts.get(self.turn).map_or("", String::as_str);
        self.turn = (self.turn + 1) % self.hosts.len().max(1);
        host
    }
}

/// A connection to one member, authenticated where a user is given.
pub(super) struct Client {
    link: Link,
    /// The address of this machine towards the member.
    pub(super) local: SocketAddr,
}

/// All entries below a prefix at one revision.
pub(super) struct Listed {
    pub(super) entries: Vec<(Vec<u8>, Vec<u8>)>,
    pub(super) revision: i64,
}

/// What a watch tells.
pub(super) enum Change {
    /// What happened, in order.
    Events(Vec<Event>),
    /// The revision to begin with is no longer kept: the list must be read again.
    Compacted,
}

/// One key that changed.
pub(super) struct Event {
    pub(super) key: Vec<u8>,
    /// Its new value; none when it was deleted.
    pub(super) value: Option<Vec<u8>>,
}

impl Client {
    pub(super) async fn connect(config: &EtcdConfig, host: &str) -> Result<Self, Problem> {
        let tls = config.tls.as_ref().map(|tls| Tls {
            // Its absence was refused with the configuration.
            ca: tls.ca_file.clone().unwrap_or_default(),
            identity: tls.cert_file.clone().zip(tls.key_file.clone()),
            server_name: tls
                .server_name
                .clone()
                .unwrap_or_else(|| name_of(host).to_owned()),
            protocol: "h2",
        });
        let connected = connect(host, tls.as_ref()).await?;
        let local = connected.local;
        let mut link = Link::open(connected, host, tls.is_some()).await?;
        if let Some(user) = &config.username {
            let req = AuthenticateRequest {
                name: user.clone(),
                password: password(config)?,
            };
            let resp: AuthenticateResponse =
                link.call("/etcdserverpb.Auth/Authenticate", &req).await?;
            link.authenticated(&resp.token)?;
        }
        Ok(Self { link, local })
    }

    pub(super) async fn list(&self, prefix: &str) -> Result<Listed, Problem> {
        let req = RangeRequest {
            key: prefix.as_bytes().to_vec(),
            range_end: after(prefix),
            limit: INSTANCES_MAX,
        };
        let resp: RangeResponse = self.link.call("/etcdserverpb.KV/Range", &req).await?;
        if resp.more {
            tracing::warn!(target: "discovery", key = prefix, max = INSTANCES_MAX, "too many entries");
        }
        Ok(Listed {
            entries: resp.kvs.into_iter().map(|kv| (kv.key, kv.value)).collect(),
            revision: resp.header.map_or(0, |header| header.revision),
        })
    }

    /// What happens below `prefix` from `revision` on; only what is deleted, where only that
    /// matters.
    pub(super) async fn watch(
        &self,
        prefix: &str,
        revision: i64,
        only_deleted: bool,
    ) -> Result<Watch, Problem> {
        let filters = if only_deleted {
            vec![Filter::NoPut as i32]
        } else {
            Vec::new()
        };
        let req = WatchRequest {
            create: Some(WatchCreateRequest {
                key: prefix.as_bytes().to_vec(),
                range_end: after(prefix),
                start_revision: revision,
                filters,
            }),
        };
        let stream = self.link.stream("/etcdserverpb.Watch/Watch", &req).await?;
        Ok(Watch { stream })
    }

    /// A new lease of `ttl` seconds.
    pub(super) async fn grant(&self, ttl: i64) -> Result<i64, Problem> {
        let req = LeaseGrantRequest { ttl };
        let resp: LeaseResponse = self
            .link
            .call("/etcdserverpb.Lease/LeaseGrant", &req)
            .await?;
        Ok(resp.id)
    }

    /// The seconds that a lease lives from now; zero or less when it is gone.
    pub(super) async fn keep_alive(&self, id: i64) -> Result<i64, Problem> {
        let req = LeaseRequest { id };
        let path = "/etcdserverpb.Lease/LeaseKeepAlive";
        let resp: LeaseResponse = self.link.call(path, &req).await?;
        Ok(resp.ttl)
    }

    /// Ends a lease, and with it the keys that live by it.
    pub(super) async fn revoke(&self, id: i64) -> Result<(), Problem> {
        let req = LeaseRequest { id };
        let _: Done = self
            .link
            .call("/etcdserverpb.Lease/LeaseRevoke", &req)
            .await?;
        Ok(())
    }

    /// Writes a key that lives as long as the lease. Gives the revision.
    pub(super) async fn put(&self, key: &str, value: &str, lease: i64) -> Result<i64, Problem> {
        let req = PutRequest {
            key: key.as_bytes().to_vec(),
            value: value.as_bytes().to_vec(),
            lease,
        };
        let resp: Done = self.link.call("/etcdserverpb.KV/Put", &req).await?;
        Ok(resp.header.map_or(0, |header| header.revision))
    }
}

/// A watch that was begun.
pub(super) struct Watch {
    stream: Stream,
}

impl Watch {
    pub(super) async fn next(&mut self) -> Result<Change, Problem> {
        loop {
            let resp: Option<WatchResponse> = self.stream.next().await?;
            let Some(resp) = resp else {
                return Err(Problem::Broken("the watch ended".to_owned()));
            };
            if resp.compact_revision > 0 {
                return Ok(Change::Compacted);
            }
            if resp.canceled {
                return Err(Problem::Broken(format!(
                    "the watch was ended: {}",
                    resp.cancel_reason
                )));
            }
            // Without events it says that the watch was begun.
            if !resp.events.is_empty() {
                let events = resp.events.into_iter().filter_map(read).collect();
                return Ok(Change::Events(events));
            }
        }
    }
}

fn read(event: super::messages::Event) -> Option<Event> {
    let deleted = event.kind == EventType::Delete as i32;
    let kv = event.kv?;
    Some(Event {
        key: kv.key,
        value: (!deleted).then_some(kv.value),
    })
}

/// The first key that does not begin with `prefix`, which ends with a slash.
fn after(prefix: &str) -> Vec<u8> {
    let mut end = prefix.as_bytes().to_vec();
    if let Some(last) = end.last_mut() {
        *last += 1;
    }
    end
}

fn name_of(host: &str) -> &str {
    let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
    name.trim_start_matches('[').trim_end_matches(']')
}

fn password(config: &EtcdConfig) -> Result<String, Problem> {
    match (&config.password, &config.password_file) {
        (Some(password), _) => Ok(password.expose_secret().to_owned()),
        (None, Some(file)) => read_secret(file).map_err(|problem| {
            Problem::Broken(format!("passwordFile {} {problem}", file.display()))
        }),
        (None, None) => Ok(String::new()),
    }
}

/// The file's text without the end of its line, if nobody else may read it.
fn read_secret(file: &Path) -> Result<String, String> {
    let unread = |cause: std::io::Error| format!("cannot be read: {cause}");
    let mut file = std::fs::File::open(file).map_err(unread)?;
    if !secret_file::is_kept(&file.metadata().map_err(unread)?) {
        return Err("may be read by others; chmod 600 it".to_owned());
    }
    let mut text = String::new();
    file.read_to_string(&mut text).map_err(unread)?;
    Ok(text.trim_end_matches(['\r', '\n']).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_ends_before_every_key_that_only_begins_alike() {
        let (from, to) = (b"a/".to_vec(), after("a/"));
        let within =
            |key: &str| key.as_bytes() >= from.as_slice() && key.as_bytes() < to.as_slice();
        assert!(within("a/1") && within("a/~") && within("a//"));
        for outside in ["a", "ab", "ab/1", "a.", "a0", "b/1", "A/1"] {
            assert!(!within(outside), "{outside}");
        }
    }

    #[test]
    fn the_name_of_a_host_is_what_stands_before_its_port() {
        assert_eq!(name_of("etcd.local:2379"), "etcd.local");
        assert_eq!(name_of("[::1]:2379"), "::1");
    }
}
