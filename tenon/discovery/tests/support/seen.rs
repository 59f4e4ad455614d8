//! What is seen of a list, and waiting until it is.

use std::time::{Duration, Instant};

use tenon_discovery::Instances;

/// Far above anything that is waited for, also on a machine that does other work.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// The addresses of the list.
pub(crate) fn addresses(instances: &Instances) -> Vec<String> {
    let now = instances.now();
    now.iter().map(|one| one.address.to_string()).collect()
}

/// Waits until the list is this one, and tells how long that took.
pub(crate) async fn until(instances: &mut Instances, expected: &[&str]) -> Duration {
    let begun = Instant::now();
    let waiting = async {
        while addresses(instances) != expected {
            instances.changed().await;
        }
    };
    if tokio::time::timeout(PATIENCE, waiting).await.is_err() {
        let (list, status) = (addresses(instances), instances.status());
        panic!("expected {expected:?}, still {list:?}; {status:?}");
    }
    begun.elapsed()
}
