//! Where the instances of a service are: static lists, DNS, etcd, Kubernetes.
//!
//! [`follow`] reads where a client's service is told and follows it for as long as somebody holds
//! the [`Instances`]; the last good list survives every outage of its source. [`register`] is the
//! other side: it announces a process in etcd and takes it away again.

mod backoff;
#[cfg(any(feature = "etcd", feature = "kubernetes"))]
mod connect;
#[cfg(feature = "dns")]
mod dns;
#[cfg(feature = "etcd")]
mod etcd;
mod follow;
#[cfg(feature = "kubernetes")]
mod kubernetes;
mod registration;
mod roster;
mod status;

use std::sync::Arc;

use tokio::sync::watch;

pub use follow::follow;
pub use registration::{Announced, Registration, Standing, register, register_when};
pub use roster::EMPTY_BELIEVED_AFTER;
pub use status::{Status, StatusWatch};

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

    /// The same instance with another weight.
    #[must_use]
    pub fn with_weight(self, weight: u32) -> Self {
        Self { weight, ..self }
    }
}

/// The instances of a service as they are known now, and as they change. Cheap to clone.
///
/// The list is empty until the source answered for the first time. An error of the source never
/// empties it. A list is sorted by address and names each address once.
#[derive(Debug, Clone)]
pub struct Instances {
    list: watch::Receiver<Arc<[Instance]>>,
    status: watch::Receiver<Status>,
    /// Kept so that what never changes stays open.
    _fixed: Option<Arc<Fixed>>,
}

#[derive(Debug)]
struct Fixed {
    _list: Option<watch::Sender<Arc<[Instance]>>>,
    _status: watch::Sender<Status>,
}

impl Instances {
    /// A list that never changes.
    pub fn fixed(list: impl IntoIterator<Item = Instance>) -> Self {
        let sender = watch::Sender::new(list.into_iter().collect::<Arc<[_]>>());
        let known = sender.borrow().len();
        Self::told(sender.subscribe(), Some(sender), Status::fixed(known))
    }

    /// A list that `list` tells of.
    pub fn followed(list: watch::Receiver<Arc<[Instance]>>) -> Self {
        let known = list.borrow().len();
        Self::told(list, None, Status::fixed(known))
    }

    fn told(
        list: watch::Receiver<Arc<[Instance]>>,
        kept: Option<watch::Sender<Arc<[Instance]>>>,
        status: Status,
    ) -> Self {
        let status = watch::Sender::new(status);
        Self {
            list,
            status: status.subscribe(),
            _fixed: Some(Arc::new(Fixed {
                _list: kept,
                _status: status,
            })),
        }
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

    /// How the source does.
    pub fn status(&self) -> Status {
        self.status.borrow().clone()
    }

    /// How the source does, and as that changes. Watching the status alone does not keep the
    /// source followed.
    pub fn watch_status(&self) -> StatusWatch {
        StatusWatch::new(self.status.clone())
    }

    /// Resolves as soon as the source has answered once; from then on there is a list, be it
    /// empty. A process is not ready before.
    pub async fn answered(&self) {
        let mut status = self.status.clone();
        if status.wait_for(|status| status.answered).await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}
