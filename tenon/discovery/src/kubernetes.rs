//! Kubernetes: the ready endpoints of a service, from its EndpointSlices
//! (`discovery.k8s.io/v1`).
//!
//! The slices are listed at a resource version and watched from there. When that version is too
//! old (410 Gone) or the connection broke, they are listed again. A watch that the server ended
//! in good order goes on from the last version that it told.

mod api;
mod slices;

use std::{convert::Infallible, time::Duration};

use tenon_core::config::KubernetesConfig;
use tokio::time::Instant;

use crate::{backoff::Backoff, roster::Roster};
use api::{Api, Event, Problem};
use slices::Slices;

/// The longest wait between attempts.
const LONGEST_WAIT: Duration = Duration::from_secs(5);

/// A watch that ends sooner than this was not worth its request: the next one waits.
const WORTH: Duration = Duration::from_secs(1);

/// One service in one cluster.
pub(crate) struct Kubernetes {
    api: Api,
    config: KubernetesConfig,
}

impl Kubernetes {
    pub(crate) fn new(config: &KubernetesConfig) -> Result<Self, String> {
        Ok(Self {
            api: Api::new(config)?,
            config: config.clone(),
        })
    }

    pub(crate) async fn follow(&self, roster: &Roster) -> Infallible {
        let mut backoff = Backoff::up_to(LONGEST_WAIT);
        loop {
            match self.session(roster, &mut backoff).await {
                Err(Problem::Gone) => {
                    tracing::info!(target: "discovery", "the watch is too old; listed again");
                }
                Err(Problem::Failed(problem)) => {
                    roster.failed(&problem);
                    backoff.wait().await;
                }
                Ok(never) => match never {},
            }
        }
    }

    /// One list, and the watches that go on from it.
    async fn session(&self, roster: &Roster, backoff: &mut Backoff) -> Result<Infallible, Problem> {
        let listed = self.api.list().await?;
        let mut version = listed.version;
        let mut slices = Slices::new(self.config.port.clone());
        for slice in listed.slices {
            slices.put(slice);
        }
        roster.resynced();
        roster.answered(slices.instances());
        loop {
            let begun = Instant::now();
            let mut watch = self.api.watch(&version).await?;
            while let Some(event) = watch.next().await? {
                backoff.reset();
                match event {
                    Event::Put(slice) => {
                        version = slice.metadata.resource_version.clone();
                        slices.put(slice);
                    }
                    Event::Deleted(slice) => {
                        version = slice.metadata.resource_version.clone();
                        slices.remove(&slice.metadata.name);
                    }
                    Event::Bookmark(at) => {
                        version = at;
                        continue;
                    }
                }
                roster.answered(slices.instances());
            }
            if begun.elapsed() < WORTH {
                backoff.wait().await;
            } else {
                backoff.reset();
            }
        }
    }
}
