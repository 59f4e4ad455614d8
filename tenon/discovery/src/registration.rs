//! Announcing a process where others look for it, and taking it away before it ends.

use std::{future::Future, net::SocketAddr};

use tenon_core::config::{ConfigError, RegistrationConfig};
use tokio::{sync::watch, task::JoinHandle};
use tokio_util::sync::CancellationToken;

/// A door to be announced.
#[derive(Debug, Clone)]
pub struct Announced {
    /// What it speaks, the part of the key after that of the service: `rest` or `rpc`.
    pub door: &'static str,
    /// Where it listens.
    pub address: SocketAddr,
}

/// How a registration stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Standing {
    /// Not announced yet.
    Pending,
    /// Announced, as far as is known.
    Registered,
    /// Announced once, and the registry is away or has forgotten it; it is announced again as
    /// soon as that is possible.
    Lost,
    /// Taken away for good.
    Left,
}

impl Standing {
    /// Its name, as a label.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Registered => "registered",
            Self::Lost => "lost",
            Self::Left => "left",
        }
    }

    /// All of them.
    pub const ALL: [Self; 4] = [Self::Pending, Self::Registered, Self::Lost, Self::Left];
}

/// The announcement of a process. Dropped, its lease is no longer kept alive and runs out; see
/// [`Registration::leave`] for the polite way.
#[derive(Debug)]
pub struct Registration {
    standing: watch::Receiver<Standing>,
    stop: CancellationToken,
    task: Option<JoinHandle<()>>,
}

impl Registration {
    /// How it stands.
    pub fn standing(&self) -> Standing {
        *self.standing.borrow()
    }

    /// How it stands, and as that changes.
    pub fn watch(&self) -> watch::Receiver<Standing> {
        self.standing.clone()
    }

    /// Takes the process away from the registry: its lease is revoked, and with it the keys. Takes
    /// no longer than two seconds; a registry that is away lets the lease run out by itself.
    pub async fn leave(mut self) {
        self.stop.cancel();
        if let Some(task) = self.task.take() {
            // A task that panicked has nothing left to take away.
            let _ = task.await;
        }
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        if let Some(task) = &self.task {
            task.abort();
        }
    }
}

/// Announces `doors` in etcd as `config` says, and keeps them announced: a lease is kept alive, a
/// lost lease, key or connection is made again. A registry that is away is waited for. A task
/// on the current tokio runtime does it.
///
/// # Errors
/// The configuration is not sound, has no etcd, or etcd is not compiled in.
pub fn register(
    config: &RegistrationConfig,
    doors: Vec<Announced>,
) -> Result<Registration, ConfigError> {
    register_when(config, doors, std::future::ready(()))
}

/// The same, beginning when `ready` resolves: nobody should be sent to a process that is not.
///
/// # Errors
/// As [`register`], and at once.
pub fn register_when(
    config: &RegistrationConfig,
    doors: Vec<Announced>,
    ready: impl Future<Output = ()> + Send + 'static,
) -> Result<Registration, ConfigError> {
    config.check()?;
    let refused = |problem: &str| Err(ConfigError::new("registration", problem));
    let Some(etcd) = &config.etcd else {
        return refused("etcd is missing; say where to announce this process");
    };
    start(config, etcd, doors, ready)
}

#[cfg(feature = "etcd")]
fn start(
    config: &RegistrationConfig,
    etcd: &tenon_core::config::EtcdConfig,
    doors: Vec<Announced>,
    ready: impl Future<Output = ()> + Send + 'static,
) -> Result<Registration, ConfigError> {
    let runtime = tokio::runtime::Handle::try_current().map_err(|_| {
        ConfigError::new(
            "registration",
            "there is no tokio runtime to keep it alive on",
        )
    })?;
    let (tell, standing) = watch::channel(Standing::Pending);
    let stop = CancellationToken::new();
    let registrar = crate::etcd::register::Registrar::new(config, etcd, doors, tell);
    let task = runtime.spawn(registrar.run(ready, stop.clone()));
    Ok(Registration {
        standing,
        stop,
        task: Some(task),
    })
}

#[cfg(not(feature = "etcd"))]
fn start(
    _: &RegistrationConfig,
    _: &tenon_core::config::EtcdConfig,
    _: Vec<Announced>,
    _: impl Future<Output = ()> + Send + 'static,
) -> Result<Registration, ConfigError> {
    Err(ConfigError::new(
        "registration",
        crate::follow::not_compiled("etcd"),
    ))
}
