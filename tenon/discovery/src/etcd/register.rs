//! Our own entries in etcd: a lease, the keys that live by it, and whatever takes either away.

use std::{
    future::Future,
    net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket},
    time::Duration,
};

use tenon_core::config::{EtcdConfig, RegistrationConfig};
use tokio::{
    sync::watch,
    time::{Instant, MissedTickBehavior, interval_at, timeout},
};
use tokio_util::sync::CancellationToken;

use super::{
    LONGEST_WAIT,
    client::{Change, Client, Event, Hosts},
    entry,
    grpc::Problem,
};
use crate::{Announced, Instance, Standing, backoff::Backoff};

/// How long leaving may take. A process that ends cannot wait for a registry that is away; its
/// lease runs out soon enough.
const LEAVE_MAX: Duration = Duration::from_secs(2);

/// A lease is renewed three times in its life, so that two signs of life may be lost.
const RENEWALS: u32 = 3;

/// etcd's code for a lease that it does not know (gRPC's NOT_FOUND).
const NOT_FOUND: i32 = 5;

/// The variable by which a pod is told its own address.
const POD_IP: &str = "POD_IP";

/// Keeps the entries of one process.
pub(crate) struct Registrar {
    etcd: EtcdConfig,
    host: Option<String>,
    weight: u32,
    lease_ttl: Duration,
    doors: Vec<Announced>,
    tell: watch::Sender<Standing>,
    /// The lease that the keys live by, once there is one.
    lease: Option<i64>,
}

/// A key and its value.
struct Entry {
    key: String,
    value: String,
}

impl Registrar {
    pub(crate) fn new(
        config: &RegistrationConfig,
        etcd: &EtcdConfig,
        doors: Vec<Announced>,
        tell: watch::Sender<Standing>,
    ) -> Self {
        Self {
            etcd: etcd.clone(),
            host: config.host.clone().or_else(|| std::env::var(POD_IP).ok()),
            weight: config.weight,
            lease_ttl: config.lease_ttl,
            doors,
            tell,
            lease: None,
        }
    }

    /// Runs from when it is `ready` until it is told to stop, and leaves.
    pub(crate) async fn run(mut self, ready: impl Future<Output = ()>, stop: CancellationToken) {
        let keeping = async {
            ready.await;
            self.keep().await;
        };
        tokio::select! {
            biased;
            () = stop.cancelled() => {}
            () = keeping => {}
        }
        if let Some(lease) = self.lease
            && timeout(LEAVE_MAX, self.revoke(lease)).await.is_err()
        {
            tracing::warn!(
                target: "discovery",
                lease_ttl = ?self.lease_ttl,
                "etcd is away; the registration ends with its lease"
            );
        }
        self.tell.send_replace(Standing::Left);
    }

    async fn keep(&mut self) {
        let etcd = self.etcd.clone();
        let mut hosts = Hosts::new(&etcd);
        let mut backoff = Backoff::up_to(LONGEST_WAIT);
        loop {
            let held = self.lease.is_some();
            let outcome = self.session(hosts.next(), &mut backoff).await;
            let registered = self.tell.send_if_modified(|standing| {
                let registered = *standing == Standing::Registered;
                if registered {
                    *standing = Standing::Lost;
                }
                registered
            });
            match outcome {
                // Without a lease there is nothing to wait for: a new one is asked for at once.
                Err(problem) if held && self.lease.is_none() => {
                    tracing::warn!(target: "discovery", %problem, "the lease is lost");
                }
                Err(problem) => {
                    if registered {
                        tracing::warn!(target: "discovery", %problem, "the registration is lost");
                    } else {
                        tracing::debug!(target: "discovery", %problem, "not registered");
                    }
                    backoff.wait().await;
                }
                Ok(never) => match never {},
            }
        }
    }

    /// One connection, for as long as it lasts.
    async fn session(
        &mut self,
        host: &str,
        backoff: &mut Backoff,
    ) -> Result<std::convert::Infallible, Problem> {
        let client = Client::connect(&self.etcd, host).await?;
        let lease = self.lease(&client).await?;
        let entries = self.entries(client.local);
        let every = self.lease_ttl / RENEWALS;
        let mut renewal = interval_at(Instant::now() + every, every);
        renewal.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let revision = self.put_all(&client, &entries, lease).await?;
            backoff.reset();
            self.registered(&entries);
            let prefix = format!("{}/", self.etcd.prefix());
            let mut watch = client.watch(&prefix, revision + 1, true).await?;
            // Ends when a key must be written again.
            loop {
                tokio::select! {
                    change = watch.next() => match change? {
                        Change::Events(events) if !concerns(&events, &entries) => {}
                        Change::Events(_) | Change::Compacted => break,
                    },
                    _ = renewal.tick() => self.renew(&client, lease).await?,
                }
            }
        }
    }

    /// The lease of before, if etcd still knows it; else a new one.
    async fn lease(&mut self, client: &Client) -> Result<i64, Problem> {
        if let Some(lease) = self.lease {
            if client.keep_alive(lease).await? > 0 {
                return Ok(lease);
            }
            self.lease = None;
        }
        let ttl = i64::try_from(self.lease_ttl.as_secs()).unwrap_or(i64::MAX);
        let lease = client.grant(ttl).await?;
        self.lease = Some(lease);
        Ok(lease)
    }

    async fn renew(&mut self, client: &Client, lease: i64) -> Result<(), Problem> {
        if client.keep_alive(lease).await? > 0 {
            return Ok(());
        }
        self.lease = None;
        Err(Problem::Broken(
            "the lease ran out or was revoked".to_owned(),
        ))
    }

    /// Writes all keys; gives the revision of the first, from which on a deletion matters.
    async fn put_all(
        &mut self,
        client: &Client,
        entries: &[Entry],
        lease: i64,
    ) -> Result<i64, Problem> {
        let mut first = i64::MAX;
        for entry in entries {
            match client.put(&entry.key, &entry.value, lease).await {
                Ok(revision) => first = first.min(revision),
                Err(problem) => {
                    if matches!(
                        problem,
                        Problem::Refused {
                            code: NOT_FOUND,
                            ..
                        }
                    ) {
                        self.lease = None;
                    }
                    return Err(problem);
                }
            }
        }
        Ok(first)
    }

    fn registered(&self, entries: &[Entry]) {
        let before = self.tell.send_replace(Standing::Registered);
        if before != Standing::Registered {
            for entry in entries {
                tracing::info!(target: "discovery", key = entry.key, "registered");
            }
        }
    }

    /// The keys and values of the doors, as others reach them. A key ends with the address, so
    /// that an instance that starts again takes the place of its own old entry.
    fn entries(&self, local: SocketAddr) -> Vec<Entry> {
        let entries = self.doors.iter().map(|door| {
            let host = self.host.clone().unwrap_or_else(|| {
                let ip = door.address.ip();
                let reached = if ip.is_unspecified() {
                    outside(local.ip())
                } else {
                    ip
                };
                if reached.is_loopback() && !local.ip().is_loopback() {
                    tracing::warn!(
                        target: "discovery",
                        door = door.door,
                        "announced with a loopback address, which other machines cannot reach; \
                         set registration.host"
                    );
                }
                reached.to_string()
            });
            let port = door.address.port();
            let address = if host.contains(':') && !host.starts_with('[') {
                format!("[{host}]:{port}")
            } else {
                format!("{host}:{port}")
            };
            let key = format!("{}/{}/{address}", self.etcd.prefix(), door.door);
            let instance = Instance::new(address).with_weight(self.weight);
            Entry {
                key,
                value: entry::write(&instance),
            }
        });
        entries.collect()
    }

    /// Ends the lease by whichever member answers. A connection of its own, because the one that
    /// was used may be the reason for leaving, and a token may have grown old on it.
    async fn revoke(&self, lease: i64) {
        let mut hosts = Hosts::new(&self.etcd);
        let mut backoff = Backoff::up_to(LONGEST_WAIT);
        loop {
            let revoking = async {
                Client::connect(&self.etcd, hosts.next())
                    .await?
                    .revoke(lease)
                    .await
            };
            match revoking.await {
                Ok(())
                | Err(Problem::Refused {
                    code: NOT_FOUND, ..
                }) => {
                    return tracing::info!(target: "discovery", "the registration was taken away");
                }
                Err(problem) => {
                    tracing::debug!(target: "discovery", %problem, "not taken away yet")
                }
            }
            backoff.wait().await;
        }
    }
}

fn concerns(events: &[Event], entries: &[Entry]) -> bool {
    let own = |key: &[u8]| entries.iter().any(|entry| entry.key.as_bytes() == key);
    events
        .iter()
        .any(|event| event.value.is_none() && own(&event.key))
}

/// The address of this machine that others reach: the one towards etcd, unless etcd runs on this
/// very machine; then the one of the way out, if there is one.
fn outside(towards_etcd: IpAddr) -> IpAddr {
    if !towards_etcd.is_loopback() {
        return towards_etcd;
    }
    // Nothing is sent: connecting a datagram socket only looks up the way. The address is one of
    // those that RFC 5737 reserves for documents.
    let way_out = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).and_then(|socket| {
        socket.connect((Ipv4Addr::new(192, 0, 2, 1), 9))?;
        socket.local_addr()
    });
    match way_out {
        Ok(address) if !address.ip().is_loopback() && !address.ip().is_unspecified() => {
            address.ip()
        }
        _ => towards_etcd,
    }
}
