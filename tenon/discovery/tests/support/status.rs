//! Waiting until a source does as wanted.

use tenon_discovery::{Instances, Status};

use crate::seen::PATIENCE;

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
