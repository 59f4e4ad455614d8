//! Where the instances of a service are: static lists, DNS, etcd, Kubernetes.
//!
//! A source is followed for the life of a client; the last good list survives its outage.

use std::sync::Arc;

use tokio::sync::watch;

/// One instance of a service.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Instance {
    /// `host:port`.
    pub address: Arc<str>,
    /// The share of calls that it gets beside the others; 100 is usual, 0 gets none.
    pub weight: u32,
}

impl Instance {
    /// An instance of the usual weight.
    pub fn new(address: impl Into<Arc<str>>) -> Self {
        Self {
            address: address.into(),
            weight: 100,
        }
    }
}

/// The instances of a service as they are known now, and as they change. Cheap to clone.
///
/// The list is empty until the source answered for the first time. An error of the source never
/// empties it.
#[derive(Debug, Clone)]
pub struct Instances {
    list: watch::Receiver<Arc<[Instance]>>,
    /// Kept so that a list that never changes stays open.
    _fixed: Option<Arc<watch::Sender<Arc<[Instance]>>>>,
}

impl Instances {
    /// A list that never changes.
    pub fn fixed(list: impl IntoIterator<Item = Instance>) -> Self {
        let sender = watch::Sender::new(list.into_iter().collect());
        Self {
            list: sender.subscribe(),
            _fixed: Some(Arc::new(sender)),
        }
    }

    /// A list that `list` tells of.
    pub fn followed(list: watch::Receiver<Arc<[Instance]>>) -> Self {
        Self { list, _fixed: None }
    }

    /// The list as it is known now.
    pub fn now(&self) -> Arc<[Instance]> {
        self.list.borrow().clone()
    }

    /// Waits for another list. Never resolves once the source is gone.
    pub async fn changed(&mut self) -> Arc<[Instance]> {
        if self.list.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
        self.list.borrow_and_update().clone()
    }
}
