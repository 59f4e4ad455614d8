//! What a contract says of one route. Generated code keeps one `static` [`Route`] per operation.

use std::time::Duration;

use tenon_resilience::Criticality;

/// One route of a contract.
///
/// ```
/// use std::time::Duration;
/// use tenon_rest::{Auth, Method, Route};
///
/// static GET_PATIENT: Route = Route::new(Method::Get, "/api/v1/patient/:patientId", "getPatient")
///     .group("patient")
///     .permission("subject.read")
///     .timeout(Duration::from_secs(30));
/// assert!(GET_PATIENT.needs_token());
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Route {
    pub(crate) method: Method,
    pub(crate) path: &'static str,
    pub(crate) handler: &'static str,
    pub(crate) group: &'static str,
    pub(crate) auth: Auth,
    pub(crate) permission: Option<&'static str>,
    pub(crate) timeout: Option<Duration>,
    pub(crate) max_bytes: Option<u64>,
    pub(crate) strict: bool,
    pub(crate) middleware: &'static [&'static str],
    pub(crate) status: Option<u16>,
    pub(crate) criticality: Criticality,
    pub(crate) max_in_flight: Option<usize>,
    pub(crate) events: bool,
}

impl Route {
    /// A route as the contract writes it, `/api/v1/patient/:patientId`, and the name of its
    /// operation.
    pub const fn new(method: Method, path: &'static str, handler: &'static str) -> Self {
        Self {
            method,
            path,
            handler,
            group: "",
            auth: Auth::Open,
            permission: None,
            timeout: None,
            max_bytes: None,
            strict: false,
            middleware: &[],
            status: None,
            criticality: Criticality::Normal,
            max_in_flight: None,
            events: false,
        }
    }

    /// The group of the contract that the route stands in.
    pub const fn group(mut self, group: &'static str) -> Self {
        self.group = group;
        self
    }

    /// Whether the caller must show a token.
    pub const fn auth(mut self, auth: Auth) -> Self {
        self.auth = auth;
        self
    }

    /// What the caller must be allowed to do; it then needs a token as well. `public` says that
    /// the route is meant to be open.
    pub const fn permission(mut self, permission: &'static str) -> Self {
        self.permission = Some(permission);
        self
    }

    /// How long a request may take, instead of the configured time.
    pub const fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// The largest body after decompression, in bytes, instead of the configured size.
    pub const fn max_bytes(mut self, bytes: u64) -> Self {
        self.max_bytes = Some(bytes);
        self
    }

    /// JSON fields that the contract does not know are violations.
    pub const fn strict(mut self) -> Self {
        self.strict = true;
        self
    }

    /// The middleware of the route by name, outermost first.
    pub const fn middleware(mut self, names: &'static [&'static str]) -> Self {
        self.middleware = names;
        self
    }

    /// The status of a success, instead of 200, or 204 where the operation answers nothing.
    pub const fn status(mut self, status: u16) -> Self {
        self.status = Some(status);
        self
    }

    /// Whom overload hits first, [`Criticality::Normal`] unless said.
    pub const fn criticality(mut self, criticality: Criticality) -> Self {
        self.criticality = criticality;
        self
    }

    /// How many requests may be in flight, instead of the configured number.
    pub const fn max_in_flight(mut self, places: usize) -> Self {
        self.max_in_flight = Some(places);
        self
    }

    /// The operation answers with [`crate::Events`]: a stream, which lives within the layers of
    /// its route until its last event.
    pub const fn events(mut self) -> Self {
        self.events = true;
        self
    }

    /// Whether a request without a token is refused.
    pub fn needs_token(&self) -> bool {
        self.auth == Auth::Required || self.rule().is_some()
    }

    /// The permission to ask the rules for.
    pub(crate) fn rule(&self) -> Option<&'static str> {
        self.permission
            .filter(|permission| *permission != tenon_auth::access::PUBLIC)
    }
}

/// Whether a route asks for a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Auth {
    /// Anybody may call.
    Open,
    /// A valid token is needed.
    Required,
}

/// The method of a route.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Method {
    /// `GET`; such a route answers `HEAD` as well.
    Get,
    /// `HEAD`.
    Head,
    /// `POST`.
    Post,
    /// `PUT`.
    Put,
    /// `PATCH`.
    Patch,
    /// `DELETE`.
    Delete,
    /// `OPTIONS`; without such a route the method is not allowed.
    Options,
}

impl Method {
    /// As it stands in a request.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Head => "HEAD",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Patch => "PATCH",
            Self::Delete => "DELETE",
            Self::Options => "OPTIONS",
        }
    }
}
