//! etcd: the instances that registered themselves below a key, and our own registration.
//!
//! The whole list is read at revision R and then watched from R + 1. After a lost connection, a
//! compaction, or a member without a leader, the list is read again: a watch that resumed at an
//! old revision would wait for ever after etcd was restored from a backup, whose revisions are
//! lower.

mod client;
mod entry;
mod grpc;
mod messages;
pub(crate) mod register;

use std::{collections::BTreeMap, convert::Infallible, time::Duration};

use tenon_core::config::EtcdConfig;

use crate::{Instance, backoff::Backoff, roster::Roster};
use client::{Change, Client, Hosts};

/// The longest wait between attempts. An etcd that returns is seen within this.
const LONGEST_WAIT: Duration = Duration::from_secs(2);

/// Follows what is registered below the key of `config`.
pub(crate) async fn follow(config: &EtcdConfig, roster: &Roster) -> Infallible {
    let mut hosts = Hosts::new(config);
    let mut backoff = Backoff::up_to(LONGEST_WAIT);
    loop {
        let problem = session(config, hosts.next(), roster, &mut backoff).await;
        roster.failed(&problem);
        backoff.wait().await;
    }
}

/// One connection, for as long as it lasts; tells why it ended.
async fn session(
    config: &EtcdConfig,
    host: &str,
    roster: &Roster,
    backoff: &mut Backoff,
) -> String {
    let outcome: Result<Infallible, grpc::Problem> = async {
        let client = Client::connect(config, host).await?;
        let prefix = format!("{}/", config.prefix());
        loop {
            let listed = client.list(&prefix).await?;
            let mut known = Known::new(prefix.clone());
            for (key, value) in listed.entries {
                known.put(&key, &value);
            }
            roster.resynced();
            roster.answered(known.instances());
            backoff.reset();
            watch(&client, listed.revision, &mut known, roster).await?;
            tracing::info!(target: "discovery", key = prefix, "compacted; the list is read again");
        }
    }
    .await;
    match outcome {
        Err(problem) => problem.to_string(),
        Ok(never) => match never {},
    }
}

/// Applies what changes after `revision`. Returns when that revision was compacted away.
async fn watch(
    client: &Client,
    revision: i64,
    known: &mut Known,
    roster: &Roster,
) -> Result<(), grpc::Problem> {
    let mut watch = client.watch(&known.prefix, revision + 1, false).await?;
    loop {
        match watch.next().await? {
            Change::Compacted => return Ok(()),
            Change::Events(events) => {
                for event in events {
                    match event.value {
                        Some(value) => known.put(&event.key, &value),
                        None => known.remove(&event.key),
                    }
                }
                roster.answered(known.instances());
            }
        }
    }
}

/// What is registered right below a key.
struct Known {
    /// With the slash at its end.
    prefix: String,
    entries: BTreeMap<Vec<u8>, Instance>,
}

impl Known {
    fn new(prefix: String) -> Self {
        Self {
            prefix,
            entries: BTreeMap::new(),
        }
    }

    fn put(&mut self, key: &[u8], value: &[u8]) {
        if !self.is_child(key) {
            return;
        }
        match entry::read(value) {
            Some(instance) => {
                self.entries.insert(key.to_vec(), instance);
            }
            None => {
                // What cannot be called is no instance, whatever stood there before.
                self.entries.remove(key);
                let key = String::from_utf8_lossy(key);
                tracing::warn!(target: "discovery", %key, "holds no host:port; it is left out");
            }
        }
    }

    fn remove(&mut self, key: &[u8]) {
        self.entries.remove(key);
    }

    /// Right below the key: `a/b/x` is no instance of `a`.
    fn is_child(&self, key: &[u8]) -> bool {
        let child = key.strip_prefix(self.prefix.as_bytes());
        child.is_some_and(|child| !child.is_empty() && !child.contains(&b'/'))
    }

    fn instances(&self) -> impl Iterator<Item = Instance> + '_ {
        self.entries.values().cloned()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn only_keys_right_below_are_instances() {
        let mut known = Known::new("a/".to_owned());
        for key in ["ab/1", "a/", "a", "a/b/1", "/a/1", "b/1"] {
            known.put(key.as_bytes(), b"h:1");
        }
        assert_eq!(known.instances().count(), 0);
        known.put(b"a/1", b"h:1");
        assert_eq!(known.instances().count(), 1);
        known.put(b"a/1", b"nonsense");
        assert_eq!(known.instances().count(), 0);
    }

    proptest! {
        /// etcd orders the events of one key; those of different keys may be told in any order,
        /// cut into any batches, and a list may be read again in between.
        #[test]
        fn any_order_of_events_leads_to_the_list_of_the_final_state(
            history in proptest::collection::vec(
                proptest::collection::vec(proptest::option::of(1_u16..5), 0..6), 1..6),
            order in proptest::collection::vec(0_usize..64, 0..64),
        ) {
            let key = |at: usize| format!("a/{at}").into_bytes();
            let apply = |known: &mut Known, at: usize, event: Option<u16>| match event {
                Some(port) => known.put(&key(at), format!("h{at}:{port}").as_bytes()),
                None => known.remove(&key(at)),
            };
            let mut expected = Known::new("a/".to_owned());
            for (at, events) in history.iter().enumerate() {
                if let Some(Some(port)) = events.last() {
                    apply(&mut expected, at, Some(*port));
                }
            }
            let mut left: Vec<_> = history.iter().map(|events| events.iter()).collect();
            let mut known = Known::new("a/".to_owned());
            for choice in order.into_iter().chain(0..64) {
                let at = choice % left.len();
                if let Some(event) = left[at].next() {
                    apply(&mut known, at, *event);
                }
            }
            for (at, rest) in left.into_iter().enumerate() {
                for event in rest {
                    apply(&mut known, at, *event);
                }
            }
            prop_assert_eq!(
                known.instances().collect::<Vec<_>>(),
                expected.instances().collect::<Vec<_>>()
            );
        }
    }
}
