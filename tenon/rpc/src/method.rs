//! The name of a method on the wire, and what its contract promises of it.

use std::{
    collections::HashMap,
    sync::{LazyLock, Mutex, PoisonError},
};

use tenon_core::{Error, Result};
use tenon_resilience::Criticality;

/// The most methods that are made while a process runs. They are never given back, so their
/// number must not follow what callers send; a gateway's contracts have some hundreds.
const DYNAMIC_MAX: usize = 10_000;

/// A method, `/patient.PatientService/getPatientsByTrial`. Generated code keeps one `static`
/// for each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Method {
    path: &'static str,
    split: usize,
    idempotent: bool,
    endless: bool,
    criticality: Criticality,
}

impl Method {
    /// A method by its path on the wire.
    ///
    /// # Panics
    /// The path is not `/package.Service/method`; in a `static` that is a compile error.
    pub const fn new(path: &'static str) -> Self {
        let bytes = path.as_bytes();
        assert!(
            !bytes.is_empty() && bytes[0] == b'/',
            "a method path starts with a slash"
        );
        let mut split = 0;
        let mut at = 1;
        while at < bytes.len() {
            let printable = bytes[at] > b' ' && bytes[at] < 0x7f && bytes[at] != b'?';
            assert!(printable, "a method path is plain ASCII");
            if bytes[at] == b'/' {
                assert!(split == 0, "a method path has two parts");
                split = at;
            }
            at += 1;
        }
        assert!(
            split > 1 && split + 1 < bytes.len(),
            "a method path is /package.Service/method"
        );
        Self {
            path,
            split,
            idempotent: false,
            endless: false,
            criticality: Criticality::Normal,
        }
    }

    /// The method may be called again when nobody knows whether it ran: the contract says
    /// `option idempotency_level = IDEMPOTENT` or `NO_SIDE_EFFECTS`.
    #[must_use]
    pub const fn idempotent(mut self) -> Self {
        self.idempotent = true;
        self
    }

    /// Whom overload hits first, [`Criticality::Normal`] unless said: the contract says `option
    /// (tenon.criticality)`.
    #[must_use]
    pub const fn criticality(mut self, criticality: Criticality) -> Self {
        self.criticality = criticality;
        self
    }

    /// The stream of the method has no time of its own to end: a watch.
    #[must_use]
    pub(crate) const fn endless(mut self) -> Self {
        self.endless = true;
        self
    }

    /// The method of a path that is known only while the process runs, as a gateway's are. The
    /// same path gives the same method; it stays for the life of the process.
    ///
    /// # Errors
    /// The path is not `/package.Service/method`, or there are too many methods: paths must come
    /// from contracts, never from callers.
    pub fn dynamic(path: &str, idempotent: bool) -> Result<&'static Self> {
        static KNOWN: LazyLock<Mutex<HashMap<(String, bool), &'static Method>>> =
            LazyLock::new(Mutex::default);
        let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (path.to_owned(), idempotent);
        if let Some(method) = known.get(&key) {
            return Ok(method);
        }
        let refused = |cause: &'static str| Error::internal("name a method", cause);
        if !is_path(path) {
            return Err(refused("its path is not /package.Service/method"));
        }
        if known.len() >= DYNAMIC_MAX {
            return Err(refused("there are too many methods in this process"));
        }
        let method = Self::new(String::leak(path.to_owned()));
        let method = if idempotent {
            method.idempotent()
        } else {
            method
        };
        let method: &'static Self = Box::leak(Box::new(method));
        known.insert(key, method);
        Ok(method)
    }

    /// Whether the method may be called again when nobody knows whether it ran.
    pub const fn is_idempotent(&self) -> bool {
        self.idempotent
    }

    /// Whom overload hits first.
    pub(crate) const fn class(&self) -> Criticality {
        self.criticality
    }

    pub(crate) const fn is_endless(&self) -> bool {
        self.endless
    }

    /// The path on the wire, `/patient.PatientService/getPatientsByTrial`.
    pub const fn path(&self) -> &'static str {
        self.path
    }

    /// The full name of the service, `patient.PatientService`.
    pub fn service(&self) -> &'static str {
        &self.path[1..self.split]
    }

    /// The name of the method, `getPatientsByTrial`.
    pub fn name(&self) -> &'static str {
        &self.path[self.split + 1..]
    }
}

/// Whether [`Method::new`] takes the path.
fn is_path(path: &str) -> bool {
    let plain = path
        .bytes()
        .all(|byte| byte > b' ' && byte < 0x7f && byte != b'?');
    let parts = path.strip_prefix('/').and_then(|rest| rest.split_once('/'));
    let whole = |(service, name): (&str, &str)| {
        !service.is_empty() && !name.is_empty() && !name.contains('/')
    };
    plain && parts.is_some_and(whole)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_taken_apart() {
        static METHOD: Method = Method::new("/patient.PatientService/getPatientsByTrial");
        assert_eq!(METHOD.service(), "patient.PatientService");
        assert_eq!(METHOD.name(), "getPatientsByTrial");
    }

    #[test]
    fn other_texts_are_refused() {
        for bad in ["", "/", "/a", "/a/", "//b", "a/b", "/a/b/c", "/a b/c"] {
            assert!(
                std::panic::catch_unwind(|| Method::new(bad)).is_err(),
                "{bad}"
            );
        }
    }

    #[test]
    fn a_dynamic_method_is_made_once_and_its_path_is_checked() {
        let first = Method::dynamic("/a.B/c", false).unwrap();
        let again = Method::dynamic("/a.B/c", false).unwrap();
        assert!(std::ptr::eq(first, again));
        assert_eq!((first.service(), first.name()), ("a.B", "c"));
        let safe = Method::dynamic("/a.B/c", true).unwrap();
        assert!(safe.is_idempotent() && !first.is_idempotent());
        for bad in [
            "", "/", "/a", "/a/", "//b", "a/b", "/a/b/c", "/a b/c", "/a/b?",
        ] {
            assert!(Method::dynamic(bad, false).is_err(), "{bad}");
        }
    }
}
