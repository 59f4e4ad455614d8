//! How a connection can fail a call, and what that means.

use h2::Reason;
use tenon_core::{Error, catalogue};

use crate::BoxError;

/// A call that the transport failed.
#[derive(Debug)]
pub(super) enum Fault {
    /// The peer certainly did nothing with it.
    NotBegun(BoxError),
    /// The connection broke, or the peer gave the call up: what it did is not known.
    Broken(BoxError),
    /// The peer ended this one call as faulty.
    Refused(BoxError),
}

impl Fault {
    /// Reads an error of hyper. A stream that was refused, or that came after the last one a
    /// closing peer takes, was not begun (RFC 9113, 8.7).
    pub(super) fn of(cause: BoxError) -> Self {
        let Some(h2) = find(&*cause) else {
            return Self::Broken(cause);
        };
        match h2.reason() {
            Some(Reason::REFUSED_STREAM) if h2.is_remote() => Self::NotBegun(cause),
            Some(Reason::NO_ERROR) if h2.is_remote() && h2.is_go_away() => Self::NotBegun(cause),
            Some(Reason::CANCEL | Reason::ENHANCE_YOUR_CALM | Reason::NO_ERROR) => {
                Self::Broken(cause)
            }
            Some(_) if h2.is_reset() && h2.is_remote() => Self::Refused(cause),
            _ => Self::Broken(cause),
        }
    }

    /// What happened, for the log.
    pub(super) fn tell(&self) -> String {
        match self {
            Self::NotBegun(cause) | Self::Broken(cause) | Self::Refused(cause) => chain(&**cause),
        }
    }

    /// The error for the caller; where the call went is for the log.
    pub(super) fn error(self, service: &str, address: &str) -> Error {
        match self {
            Self::NotBegun(cause) | Self::Broken(cause) => catalogue::UNAVAILABLE
                .error()
                .cause(format!("{service} at {address}: {}", chain(&*cause))),
            Self::Refused(cause) => Error::internal("end the call", cause),
        }
    }
}

fn find<'a>(cause: &'a (dyn std::error::Error + 'static)) -> Option<&'a h2::Error> {
    let mut next = Some(cause);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref() {
            return Some(found);
        }
        next = error.source();
    }
    None
}

/// An error and its sources in one line.
pub(super) fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut line = error.to_string();
    let mut next = error.source();
    while let Some(source) = next {
        line.push_str(": ");
        line.push_str(&source.to_string());
        next = source.source();
    }
    line
}
