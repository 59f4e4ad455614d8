//! From the configuration of a client to the list that follows its source.

#[cfg(any(feature = "dns", feature = "etcd", feature = "kubernetes"))]
use std::{future::Future, sync::Arc};

use tenon_core::config::{ClientConfig, ConfigError, Source};

#[cfg(any(feature = "dns", feature = "etcd", feature = "kubernetes"))]
use crate::roster::Roster;
use crate::{Instance, Instances};

/// The instances of the service `name`, from the source that `config` gives. A source that
/// changes is followed by a task on the current tokio runtime, which ends when the last clone of
/// the list is dropped. A source that is away is waited for: the list is empty until it answers.
///
/// # Errors
/// Not exactly one source is given, it is not sound, its feature is not compiled in, or there is
/// no tokio runtime to follow it on.
pub fn follow(name: &str, config: &ClientConfig) -> Result<Instances, ConfigError> {
    let refused = |problem: String| ConfigError::new(format!("clients.{name}"), problem);
    match config.source(name)? {
        Source::Endpoints(endpoints) => Ok(Instances::fixed(
            endpoints.iter().map(|address| Instance::new(&**address)),
        )),
        Source::Dns(source) => dns(name, source).map_err(refused),
        Source::Etcd(source) => etcd(name, source).map_err(refused),
        Source::Kubernetes(source) => kubernetes(name, source).map_err(refused),
    }
}

#[cfg(feature = "dns")]
fn dns(name: &str, config: &tenon_core::config::DnsConfig) -> Result<Instances, String> {
    let source = crate::dns::Dns::new(config)?;
    spawn(name, "dns", move |roster| {
        let source = source.clone();
        async move { source.follow(&roster).await }
    })
}

#[cfg(feature = "etcd")]
fn etcd(name: &str, config: &tenon_core::config::EtcdConfig) -> Result<Instances, String> {
    let config = Arc::new(config.clone());
    spawn(name, "etcd", move |roster| {
        let config = config.clone();
        async move { crate::etcd::follow(&config, &roster).await }
    })
}

#[cfg(feature = "kubernetes")]
fn kubernetes(
    name: &str,
    config: &tenon_core::config::KubernetesConfig,
) -> Result<Instances, String> {
    let source = Arc::new(crate::kubernetes::Kubernetes::new(config)?);
    spawn(name, "kubernetes", move |roster| {
        let source = source.clone();
        async move { source.follow(&roster).await }
    })
}

#[cfg(not(feature = "dns"))]
fn dns(_: &str, _: &tenon_core::config::DnsConfig) -> Result<Instances, String> {
    Err(not_compiled("dns"))
}

#[cfg(not(feature = "etcd"))]
fn etcd(_: &str, _: &tenon_core::config::EtcdConfig) -> Result<Instances, String> {
    Err(not_compiled("etcd"))
}

#[cfg(not(feature = "kubernetes"))]
fn kubernetes(_: &str, _: &tenon_core::config::KubernetesConfig) -> Result<Instances, String> {
    Err(not_compiled("kubernetes"))
}

#[cfg(not(all(feature = "dns", feature = "etcd", feature = "kubernetes")))]
pub(crate) fn not_compiled(feature: &str) -> String {
    format!(
        "{feature}: this program was built without it; build it with the feature `{feature}` of tenon"
    )
}

/// Follows a source until nobody holds the list. A source that panics is begun anew.
#[cfg(any(feature = "dns", feature = "etcd", feature = "kubernetes"))]
fn spawn<F, S>(name: &str, kind: &'static str, source: F) -> Result<Instances, String>
where
    F: Fn(Arc<Roster>) -> S + Send + Sync + 'static,
    S: Future<Output = std::convert::Infallible> + Send,
{
    let runtime = tokio::runtime::Handle::try_current();
    let runtime =
        runtime.map_err(|_| format!("{kind}: there is no tokio runtime to follow it on"))?;
    let (roster, instances) = Roster::new(name, kind);
    runtime.spawn(async move {
        let following = async {
            let mut backoff = crate::backoff::Backoff::up_to(std::time::Duration::from_secs(30));
            loop {
                // A source never ends otherwise.
                let Err(panicked) = tenon_core::panics::contain(source(roster.clone())).await;
                roster.failed(&panicked.to_string());
                backoff.wait().await;
            }
        };
        tokio::select! {
            () = roster.closed() => {}
            () = roster.believe() => {}
            () = following => {}
        }
    });
    Ok(instances)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fixed_endpoints_need_no_runtime_and_are_answered_at_once() {
        let instances = follow("trial", &ClientConfig::to(["b:1", "a:1"])).unwrap();
        assert_eq!(instances.now().len(), 2);
        let status = instances.status();
        assert!(status.answered && status.connected);
        assert_eq!((status.source, status.instances), ("static", 2));
    }

    #[test]
    fn no_source_is_refused_with_the_name_of_the_client() {
        let error = follow("trial", &ClientConfig::default()).unwrap_err();
        assert!(error.to_string().contains("clients.trial"), "{error}");
    }
}
