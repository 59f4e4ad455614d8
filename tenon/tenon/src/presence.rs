//! How a process is announced to others, and how it leaves them before it closes its doors.
//!
//! When it is told to stop, readiness flips first. Then the registration is taken away, and for a
//! while the doors still accept: callers need that time to learn that they should go elsewhere.
//! Only then do the doors close. Without it, each call that was on its way to a door that just
//! closed is a failed one.

use std::{future::Future, net::SocketAddr, pin::Pin, time::Duration};

use tenon_core::{
    Lifecycle,
    config::{ConfigError, RegistrationConfig},
    lifecycle::Hold,
};
use tenon_discovery::{Announced, Registration, Standing, register_when};
use tenon_telemetry::{Metrics, RegistrationMetric};
use tokio::{task::JoinHandle, time::timeout};

/// How long a process that is told to end at once may take to leave the registry.
const HURRIED: Duration = Duration::from_millis(500);

/// What waits until readiness is told for the first time.
pub(crate) type Ready = Pin<Box<dyn Future<Output = ()> + Send>>;

/// One service of a process, as others know it.
pub(crate) struct Presence {
    life: Lifecycle,
    hold: Hold,
    registration: Option<(Registration, RegistrationMetric)>,
    drain_delay: Duration,
}

impl Presence {
    /// Announces the doors of the service `name` as soon as `ready` resolves, and keeps the doors
    /// of the process open for the configured time after it was told to stop.
    ///
    /// # Errors
    /// The section is not sound, or names a registry that is not compiled in.
    pub(crate) fn begin(
        name: &str,
        config: &RegistrationConfig,
        doors: Vec<(&'static str, SocketAddr)>,
        ready: Ready,
        life: &Lifecycle,
        metrics: &Metrics,
    ) -> Result<Self, ConfigError> {
        config.check()?;
        let doors = doors
            .into_iter()
            .map(|(door, address)| Announced { door, address });
        let registration = match &config.etcd {
            Some(_) => {
                let registration = register_when(config, doors.collect(), ready)?;
                Some((registration, metrics.registration(name)))
            }
            None => None,
        };
        Ok(Self {
            life: life.clone(),
            hold: life.hold(),
            registration,
            drain_delay: config.drain_delay,
        })
    }

    /// Lives as long as the process.
    pub(crate) fn spawn(self) -> JoinHandle<()> {
        tokio::spawn(self.live())
    }

    async fn live(self) {
        let Self {
            life,
            hold,
            registration,
            drain_delay,
        } = self;
        if let Some((registration, metric)) = registration {
            tokio::select! {
                () = life.draining() => {}
                () = tell(&registration, &metric) => {}
            }
            leave(registration, &life).await;
            metric.set(Standing::Left.name());
        } else {
            life.draining().await;
        }
        tracing::info!(
            ?drain_delay,
            "left; the doors go on for callers that do not know it yet"
        );
        tokio::select! {
            () = tokio::time::sleep(drain_delay) => {}
            () = life.killed() => {}
        }
        drop(hold);
    }
}

/// Shows how the registration stands, as that changes. Ends only with it.
async fn tell(registration: &Registration, metric: &RegistrationMetric) {
    let mut standing = registration.watch();
    loop {
        metric.set(standing.borrow_and_update().name());
        if standing.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

async fn leave(registration: Registration, life: &Lifecycle) {
    let leaving = registration.leave();
    let hurried = async {
        life.killed().await;
        tokio::time::sleep(HURRIED).await;
    };
    tokio::select! {
        () = leaving => {}
        () = hurried => {}
    }
}

/// How often a service that is not ready yet is asked again.
const ASK_AGAIN: Duration = Duration::from_millis(100);

/// How long one question may take.
const ASK_TIMEOUT: Duration = Duration::from_secs(2);

/// Resolves when `check` says so.
pub(crate) async fn until<F: Future<Output = bool>>(check: impl Fn() -> F) {
    while timeout(ASK_TIMEOUT, check()).await != Ok(true) {
        tokio::time::sleep(ASK_AGAIN).await;
    }
}
