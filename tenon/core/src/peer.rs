//! The service on the other side of a connection, as its certificate proves it.

use std::{fmt, sync::Arc};

use crate::Context;

/// The verified identity of the calling service: a URI (`spiffe://cohort/epro`) or a DNS name
/// that its certificate bears and a root of the configuration vouches for. Cheap to clone.
///
/// Doors put it into the [`Context`] of each call that came over a connection with a client
/// certificate; access rules ask for it there:
///
/// ```
/// use tenon_core::{Context, PeerIdentity};
///
/// let cx = Context::background().with_value(PeerIdentity::new("spiffe://cohort/epro"));
/// let caller = PeerIdentity::of(&cx);
/// assert!(caller.is_some_and(|caller| caller.as_str() == "spiffe://cohort/epro"));
/// ```
///
/// It is of the service that called, not of the person that it calls for: that is
/// [`Context::principal`].
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct PeerIdentity {
    name: Arc<str>,
}

impl PeerIdentity {
    /// An identity that was proven. For doors and tests.
    pub fn new(name: impl Into<Arc<str>>) -> Self {
        Self { name: name.into() }
    }

    /// The identity of the service that made the call, if it showed a certificate.
    pub fn of(cx: &Context) -> Option<Arc<Self>> {
        cx.value()
    }

    /// The URI or DNS name.
    pub fn as_str(&self) -> &str {
        &self.name
    }
}

impl fmt::Display for PeerIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}
