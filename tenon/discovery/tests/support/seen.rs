//! What is seen of a list, and waiting until it is.

use std::time::{Duration, Instant};

use tenon_discovery::{Instances, Status};

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

/// Waits until the status is as wanted.
pub(crate) async fn status(instances: &Instances, wanted: impl Fn(&Status) -> bool) -> Status {
    let mut watch = instances.watch_status();
    let waiting = async {
        loop {
            let status = watch.changed().await.unwrap();
            if wanted(&status) {
                return status;
            }
        }
    };
    match tokio::time::timeout(PATIENCE, waiting).await {
        Ok(status) => status,
        Err(_) => panic!("not as wanted: {:?}", instances.status()),
    }
}
