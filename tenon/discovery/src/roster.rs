//! What is believed about a service: the last good list, and when another takes its place.
//!
//! A list that names an instance is believed at once. An error is no list: the last good one
//! stays for as long as the source is away. A healthy source that names no instance at all is
//! believed only when it still says so after [`EMPTY_BELIEVED_AFTER`]; see there.

#![cfg_attr(
    not(any(feature = "dns", feature = "etcd", feature = "kubernetes")),
    expect(dead_code, reason = "a fixed list has nothing to be believed about")
)]

use std::{sync::Arc, time::Duration};

use tokio::{sync::watch, time::Instant};

use crate::{Instance, Instances, status::Status};

/// How long a healthy source must say without a break that there is no instance before a list
/// that had some is emptied.
///
/// An empty list makes every call fail; a list of instances that are gone makes calls fail only
/// if they really are gone. So there is nothing to win by believing quickly, and a registry that
/// was restored from an old copy, whose leases all ran out while it had no leader, or whose
/// controller restarts, answers with nothing for as long as its instances need to come back: one
/// lease (10 s) and some waits between attempts. Three leases cover that. Believed at last it must be,
/// because an address may by then belong to somebody else.
pub const EMPTY_BELIEVED_AFTER: Duration = Duration::from_secs(30);

/// The list of one client and the state of its source; written by the one task that follows it.
pub(crate) struct Roster {
    name: Arc<str>,
    list: watch::Sender<Arc<[Instance]>>,
    status: watch::Sender<Status>,
    /// When an empty answer will be believed, while there is one that is not yet.
    emptied: watch::Sender<Option<Instant>>,
}

impl Roster {
    pub(crate) fn new(name: &str, source: &'static str) -> (Arc<Self>, Instances) {
        let list = watch::Sender::new(Arc::from([]));
        let status = watch::Sender::new(Status::new(source));
        let instances = Instances {
            list: list.subscribe(),
            status: status.subscribe(),
            _fixed: None,
        };
        let roster = Self {
            name: name.into(),
            list,
            status,
            emptied: watch::Sender::new(None),
        };
        (Arc::new(roster), instances)
    }

    /// The source answers, and this is all that it knows.
    pub(crate) fn answered(&self, list: impl IntoIterator<Item = Instance>) {
        let list = sorted(list);
        let shown = self.list.borrow().clone();
        if list.is_empty() && !shown.is_empty() {
            self.emptied.send_if_modified(|emptied| {
                let first = emptied.is_none();
                if first {
                    *emptied = Some(Instant::now() + EMPTY_BELIEVED_AFTER);
                    tracing::warn!(
                        target: "discovery",
                        client = &*self.name,
                        kept = shown.len(),
                        "the source names no instance any more; the last list is kept for now"
                    );
                }
                first
            });
            return self.connected(shown.len());
        }
        self.emptied.send_replace(None);
        self.show(list);
    }

    /// The source does not answer. The list stays, and so does the doubt about an empty one:
    /// what was said before the break counts no more.
    pub(crate) fn failed(&self, problem: &str) {
        self.emptied.send_replace(None);
        self.status.send_if_modified(|status| {
            // Once for each outage; the attempts during it are told at a lower level.
            if status.connected || status.problem.is_none() {
                tracing::warn!(
                    target: "discovery",
                    client = &*self.name,
                    source = status.source,
                    kept = status.instances,
                    problem,
                    "the source is away; the last list is kept"
                );
            } else {
                tracing::debug!(target: "discovery", client = &*self.name, problem, "still away");
            }
            let differs = status.connected || status.problem.as_deref() != Some(problem);
            status.connected = false;
            if differs {
                status.problem = Some(problem.into());
            }
            differs
        });
    }

    /// The whole list was read once more.
    #[cfg(any(feature = "etcd", feature = "kubernetes"))]
    pub(crate) fn resynced(&self) {
        self.status.send_modify(|status| {
            if status.answered {
                status.resyncs += 1;
            }
        });
    }

    /// Resolves when nobody holds the list any more.
    pub(crate) async fn closed(&self) {
        self.list.closed().await;
    }

    /// Believes empty answers that have lasted. Never ends.
    pub(crate) async fn believe(&self) {
        let mut emptied = self.emptied.subscribe();
        loop {
            let due = *emptied.borrow_and_update();
            let lasted = async {
                match due {
                    Some(due) => tokio::time::sleep_until(due).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                // The sender lives as long as `self`.
                _ = emptied.changed() => {}
                () = lasted => {
                    self.emptied.send_replace(None);
                    self.show(Arc::from([]));
                }
            }
        }
    }

    fn show(&self, list: Arc<[Instance]>) {
        let known = list.len();
        self.list.send_if_modified(|shown| {
            let differs = *shown != list;
            if differs {
                tracing::info!(
                    target: "discovery",
                    client = &*self.name,
                    before = shown.len(),
                    now = known,
                    "other instances"
                );
                *shown = list;
            }
            differs
        });
        self.connected(known);
    }

    fn connected(&self, instances: usize) {
        self.status.send_if_modified(|status| {
            if !status.connected && status.answered {
                tracing::info!(target: "discovery", client = &*self.name, "the source is back");
            }
            let next = Status {
                connected: true,
                answered: true,
                instances,
                problem: None,
                ..status.clone()
            };
            let differs = *status != next;
            *status = next;
            differs
        });
    }
}

/// The same instances are the same list, in whichever order and however often they were told. Of
/// two weights of one address the higher one holds.
fn sorted(list: impl IntoIterator<Item = Instance>) -> Arc<[Instance]> {
    let mut list: Vec<_> = list.into_iter().collect();
    list.sort_by(|a, b| (&a.address, b.weight).cmp(&(&b.address, a.weight)));
    list.dedup_by(|later, first| later.address == first.address);
    list.into()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn list(addresses: &[&str]) -> Vec<Instance> {
        addresses.iter().map(|at| Instance::new(*at)).collect()
    }

    fn addresses(instances: &Instances) -> Vec<String> {
        let now = instances.now();
        now.iter().map(|one| one.address.to_string()).collect()
    }

    async fn settle(roster: &Roster, time: Duration) {
        tokio::select! {
            () = roster.believe() => {}
            () = tokio::time::sleep(time) => {}
        }
    }

    #[tokio::test(start_paused = true)]
    async fn an_error_never_empties_the_list() {
        let (roster, instances) = Roster::new("trial", "etcd");
        roster.answered(list(&["b:1", "a:1", "b:1"]));
        for hour in 0..48 {
            roster.failed(&format!("attempt {hour}"));
            settle(&roster, Duration::from_secs(3600)).await;
        }
        assert_eq!(addresses(&instances), ["a:1", "b:1"]);
        let status = instances.status();
        assert!(!status.connected && status.answered);
        assert_eq!(
            (status.instances, status.problem.as_deref()),
            (2, Some("attempt 47"))
        );
    }

    #[tokio::test(start_paused = true)]
    async fn an_empty_answer_is_believed_when_it_has_lasted_without_a_break() {
        let (roster, instances) = Roster::new("trial", "etcd");
        let almost = EMPTY_BELIEVED_AFTER - Duration::from_millis(1);
        roster.answered(list(&["a:1"]));
        roster.answered([]);
        settle(&roster, almost).await;
        assert_eq!(addresses(&instances), ["a:1"], "too early to be believed");
        // An outage in between starts the time anew.
        roster.failed("gone");
        roster.answered([]);
        settle(&roster, almost).await;
        roster.answered([]);
        assert_eq!(addresses(&instances), ["a:1"], "the outage was not counted");
        settle(&roster, Duration::from_millis(2)).await;
        assert_eq!(addresses(&instances), Vec::<String>::new());
        assert_eq!(instances.status().instances, 0);
    }

    #[tokio::test(start_paused = true)]
    async fn instances_that_return_in_time_leave_no_gap() {
        let (roster, instances) = Roster::new("trial", "etcd");
        roster.answered(list(&["a:1"]));
        roster.answered([]);
        settle(&roster, EMPTY_BELIEVED_AFTER / 2).await;
        roster.answered(list(&["c:1"]));
        settle(&roster, EMPTY_BELIEVED_AFTER * 2).await;
        assert_eq!(addresses(&instances), ["c:1"]);
    }

    #[tokio::test(start_paused = true)]
    async fn the_first_answer_is_believed_even_when_it_is_empty() {
        let (roster, instances) = Roster::new("trial", "etcd");
        assert!(!instances.status().answered);
        roster.failed("away");
        assert!(!instances.status().answered);
        roster.answered([]);
        instances.answered().await;
        assert!(instances.status().connected);
    }

    proptest! {
        /// Whatever came before, a healthy source that names instances is believed at once, and
        /// the same instances in another order are the same list.
        #[test]
        fn the_list_is_that_of_the_last_answer_in_any_order(
            before in proptest::collection::vec(
                proptest::option::of(proptest::collection::vec(0_u8..6, 0..5)), 0..12),
            last in proptest::collection::vec((0_u8..6, 1_u32..300), 1..8),
            turn in 0_usize..8,
        ) {
            let (roster, instances) = Roster::new("trial", "etcd");
            let (other, expected) = Roster::new("trial", "etcd");
            for step in before {
                match step {
                    Some(known) => roster.answered(
                        known.into_iter().map(|at| Instance::new(format!("h{at}:1")))),
                    None => roster.failed("away"),
                }
            }
            let last: Vec<_> = last
                .into_iter()
                .map(|(at, weight)| Instance::new(format!("h{at}:1")).with_weight(weight))
                .collect();
            other.answered(last.clone());
            let mut turned = last;
            let turn = turn % turned.len();
            turned.rotate_left(turn);
            roster.answered(turned);
            prop_assert_eq!(instances.now(), expected.now());
            prop_assert!(instances.now().windows(2).all(|two| two[0].address < two[1].address));
        }
    }
}
