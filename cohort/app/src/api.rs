//! A client of the REST interface, for the commands that act on a running platform: `import`,
//! `health` and the demonstration data.
//!
//! It blocks, because these commands have nothing else to do meanwhile; several at once are
//! several threads. Only what certainly was not done is sent again: a connection that could not be
//! made, and the answers 429 and 503.

use std::{fmt, io::ErrorKind, sync::Arc, thread, time::Duration};

use anyhow::{Result, bail};
use serde_json::Value;
use ureq::{
    Agent, Body, Timeout,
    http::{Response, Uri},
    tls::{RootCerts, TlsConfig},
};

/// How often a request is sent at most.
const ATTEMPTS: u32 = 6;
/// The first pause before a request is sent again; each further one is twice as long.
const PAUSE: Duration = Duration::from_millis(200);
/// The longest pause, also when the service asks for a longer one.
const PAUSE_MAX: Duration = Duration::from_secs(10);
/// How long a request may take.
const TIMEOUT: Duration = Duration::from_secs(30);
/// How long connecting may take.
const CONNECT: Duration = Duration::from_secs(5);
/// The largest answer that is read: a page of 200 items is far below it.
const ANSWER_MAX: u64 = 16 << 20;
/// How many pages of a list are read: 20 million items.
const PAGES_MAX: usize = 100_000;

/// The REST interface at one address, as one account. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Api {
    agent: Agent,
    base: String,
    token: Option<Arc<str>>,
}

/// Why a request got no answer that is a success.
#[derive(Debug, Clone)]
pub(crate) enum Failure {
    /// The service could not be reached: nothing was done.
    Unreachable(String),
    /// The other side could not prove who it is: nothing was sent.
    Untrusted(String),
    /// The connection broke after the request was sent: nobody knows what was done.
    Broken(String),
    /// The service refused.
    Refused(Problem),
}

/// A problem document.
#[derive(Debug, Clone)]
pub(crate) struct Problem {
    /// The status.
    pub(crate) status: u16,
    /// The stable code.
    pub(crate) code: String,
    /// The text for people.
    pub(crate) detail: String,
    /// Where the request was wrong: path, rule and what was expected.
    pub(crate) errors: Vec<(String, String, String)>,
    retry_after: Option<Duration>,
}

impl Api {
    /// The interface at `base`, `http://` or `https://`, with at most so many requests at once.
    ///
    /// # Errors
    /// `base` is no such address.
    pub(crate) fn new(base: &str, connections: usize) -> Result<Self> {
        let uri: Uri = match base.parse() {
            Ok(uri) => uri,
            Err(_) => bail!("`{base}` is no address; expected one like http://127.0.0.1:8080"),
        };
        let (Some("http" | "https"), Some(host)) = (uri.scheme_str(), uri.host()) else {
            bail!("`{base}` is no address; expected one like http://127.0.0.1:8080");
        };
        let provider = rustls::crypto::aws_lc_rs::default_provider();
        let tls = TlsConfig::builder()
            // The machine's own certificates, so that a hospital's authority is trusted.
            .root_certs(RootCerts::PlatformVerifier)
            .unversioned_rustls_crypto_provider(Arc::new(provider))
            .build();
        let mut config = Agent::config_builder()
            .tls_config(tls)
            .http_status_as_error(false)
            .max_redirects(0)
            .timeout_global(Some(TIMEOUT))
            .timeout_connect(Some(CONNECT))
            .max_idle_connections(connections)
            .max_idle_connections_per_host(connections)
            .user_agent(concat!("cohort/", env!("CARGO_PKG_VERSION")));
        if is_here(host) {
            config = config.proxy(None);
        }
        Ok(Self {
            agent: config.build().new_agent(),
            base: base.trim_end_matches('/').to_owned(),
            token: None,
        })
    }

    /// The same interface as the account of this token.
    pub(crate) fn with_token(&self, token: &str) -> Self {
        Self {
            token: Some(format!("Bearer {token}").into()),
            ..self.clone()
        }
    }

    /// Reads one thing. `path` starts below `/api/v1`.
    ///
    /// # Errors
    /// No answer, or one that is no success.
    pub(crate) fn get(&self, path: &str) -> Result<Value, Failure> {
        self.persist(|| self.exchange("GET", path, None))
            .map(|(_, value)| value)
    }

    /// Sends one thing and says with which status it was answered.
    ///
    /// # Errors
    /// As [`Api::get`].
    pub(crate) fn post(&self, path: &str, body: &Value) -> Result<(u16, Value), Failure> {
        self.persist(|| self.exchange("POST", path, Some(body)))
    }

    /// All items of a list, page by page.
    ///
    /// # Errors
    /// As [`Api::get`].
    pub(crate) fn items(&self, path: &str) -> Result<Vec<Value>, Failure> {
        let sign = if path.contains('?') { '&' } else { '?' };
        let mut items = Vec::new();
        let mut next = format!("{path}{sign}limit=200");
        for _ in 0..PAGES_MAX {
            let mut page = self.get(&next)?;
            match page.get_mut("items").map(Value::take) {
                Some(Value::Array(found)) => items.extend(found),
                _ => return Err(Failure::Broken("the list has no items".to_owned())),
            }
            match page.get("nextCursor").and_then(Value::as_str) {
                Some(cursor) if !cursor.is_empty() => {
                    next = format!("{path}{sign}limit=200&cursor={}", escaped(cursor));
                }
                _ => return Ok(items),
            }
        }
        Err(Failure::Broken("the list does not end".to_owned()))
    }

    /// A page outside `/api/v1` as text, with its status. It is asked for once.
    ///
    /// # Errors
    /// No answer within `patience`.
    pub(crate) fn page(&self, path: &str, patience: Duration) -> Result<(u16, String), Failure> {
        let mut response = self
            .agent
            .get(format!("{}{path}", self.base))
            .config()
            .timeout_global(Some(patience))
            .build()
            .call()
            .map_err(failure)?;
        Ok((response.status().as_u16(), text(&mut response)?))
    }

    fn exchange(
        &self,
        method: &str,
        path: &str,
        body: Option<&Value>,
    ) -> Result<(u16, Value), Failure> {
        let mut request = ureq::http::Request::builder()
            .method(method)
            .uri(format!("{}/api/v1{path}", self.base));
        if let Some(token) = &self.token {
            request = request.header("authorization", token.as_ref());
        }
        let sent = match body {
            Some(body) => {
                let request = request.header("content-type", "application/json");
                let request = request.body(body.to_string());
                request.map(|request| self.agent.run(request))
            }
            None => request.body(()).map(|request| self.agent.run(request)),
        };
        let unsendable =
            |cause| Failure::Unreachable(format!("the request cannot be sent: {cause}"));
        let mut response = sent.map_err(unsendable)?.map_err(failure)?;
        let status = response.status().as_u16();
        let retry_after = response
            .headers()
            .get("retry-after")
            .and_then(|value| value.to_str().ok()?.parse().ok())
            .map(Duration::from_secs);
        let text = text(&mut response)?;
        if (200..300).contains(&status) {
            let value = if text.is_empty() {
                Ok(Value::Null)
            } else {
                serde_json::from_str(&text)
            };
            let value = value.map_err(|_| Failure::Broken("the answer is not JSON".to_owned()))?;
            return Ok((status, value));
        }
        Err(Failure::Refused(Problem::read(status, &text, retry_after)))
    }

    /// Sends again what was not done, after a pause.
    fn persist<T>(&self, send: impl Fn() -> Result<T, Failure>) -> Result<T, Failure> {
        let mut pause = PAUSE;
        for _ in 1..ATTEMPTS {
            match send() {
                Err(failure) if failure.is_passing() => {
                    thread::sleep(failure.retry_after().unwrap_or(pause).min(PAUSE_MAX));
                    pause *= 2;
                }
                outcome => return outcome,
            }
        }
        send()
    }
}

impl Failure {
    /// Whether the request was certainly not done, and may well be done next time.
    fn is_passing(&self) -> bool {
        match self {
            Self::Unreachable(_) => true,
            Self::Untrusted(_) | Self::Broken(_) => false,
            Self::Refused(problem) => matches!(problem.status, 429 | 503),
        }
    }

    /// Whether the service refused with this status.
    pub(crate) fn is_status(&self, status: u16) -> bool {
        matches!(self, Self::Refused(problem) if problem.status == status)
    }

    fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Refused(problem) => problem.retry_after,
            _ => None,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreachable(problem) => write!(f, "the platform cannot be reached: {problem}"),
            Self::Untrusted(problem) => write!(
                f,
                "the platform cannot be trusted: {problem}; its certificate must be one that this machine knows"
            ),
            Self::Broken(problem) => write!(f, "the answer got lost: {problem}"),
            Self::Refused(problem) => write!(f, "{problem}"),
        }
    }
}

impl std::error::Error for Failure {}

impl Problem {
    fn read(status: u16, text: &str, retry_after: Option<Duration>) -> Self {
        let document: Value = serde_json::from_str(text).unwrap_or_default();
        let member = |value: &Value, name: &str| {
            let text = value.get(name).and_then(Value::as_str);
            text.unwrap_or_default().to_owned()
        };
        let errors = document.get("errors").and_then(Value::as_array);
        let errors = errors.into_iter().flatten().map(|error| {
            (
                member(error, "path"),
                member(error, "rule"),
                member(error, "expected"),
            )
        });
        Self {
            status,
            code: member(&document, "code"),
            detail: member(&document, "detail"),
            errors: errors.collect(),
            retry_after,
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "answered {} {}", self.status, self.code)?;
        if !self.detail.is_empty() {
            write!(f, ": {}", self.detail)?;
        }
        for (path, rule, expected) in &self.errors {
            write!(f, "; {path}: {rule}, expected {expected}")?;
        }
        Ok(())
    }
}

fn failure(cause: ureq::Error) -> Failure {
    let of_tls = match &cause {
        ureq::Error::Io(cause) => cause
            .get_ref()
            .is_some_and(|cause| cause.is::<rustls::Error>()),
        ureq::Error::Tls(_) | ureq::Error::Rustls(_) => true,
        _ => false,
    };
    if of_tls {
        return Failure::Untrusted(cause.to_string());
    }
    let never_sent = match &cause {
        ureq::Error::Io(cause) => matches!(
            cause.kind(),
            ErrorKind::ConnectionRefused
                | ErrorKind::HostUnreachable
                | ErrorKind::NetworkUnreachable
                | ErrorKind::AddrNotAvailable
        ),
        ureq::Error::Timeout(at) => matches!(at, Timeout::Connect | Timeout::Resolve),
        ureq::Error::HostNotFound | ureq::Error::ConnectionFailed => true,
        _ => false,
    };
    if never_sent {
        Failure::Unreachable(cause.to_string())
    } else {
        Failure::Broken(cause.to_string())
    }
}

fn text(response: &mut Response<Body>) -> Result<String, Failure> {
    let body = response.body_mut().with_config().limit(ANSWER_MAX);
    body.read_to_string().map_err(failure)
}

/// Whether a host is this machine, to which no proxy stands in between.
fn is_here(host: &str) -> bool {
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let address = host.parse::<std::net::IpAddr>();
    host == "localhost" || address.is_ok_and(|address| address.is_loopback())
}

/// Whether what is sent to this address can be read on the way.
pub(crate) fn is_readable_by_others(base: &str) -> bool {
    let uri: Option<Uri> = base.parse().ok();
    uri.is_some_and(|uri| uri.scheme_str() == Some("http") && !uri.host().is_some_and(is_here))
}

/// A value within a query or a path: everything but letters, digits and `-._~` in per cent form.
pub(crate) fn escaped(value: &str) -> String {
    let mut out = String::with_capacity(value.len());
    for byte in value.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                out.push(char::from(byte));
            }
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_escaped_for_a_query() {
        assert_eq!(escaped("a b&c=ü~"), "a%20b%26c%3D%C3%BC~");
    }

    #[test]
    fn only_plain_http_to_another_machine_can_be_read() {
        for (address, readable) in [
            ("http://127.0.0.1:8080", false),
            ("http://[::1]:8080", false),
            ("http://localhost", false),
            ("https://cohort.example.org", false),
            ("http://10.0.0.7:8080", true),
        ] {
            assert_eq!(is_readable_by_others(address), readable, "{address}");
        }
    }

    #[test]
    fn what_may_have_been_done_is_not_sent_again() {
        let refused = |status| {
            let text = r#"{"code":"X","detail":"d","errors":[{"path":"sex","rule":"options","expected":"M"}]}"#;
            Failure::Refused(Problem::read(status, text, None))
        };
        assert!(refused(503).is_passing() && refused(429).is_passing());
        assert!(!refused(502).is_passing() && !refused(409).is_passing());
        assert!(!Failure::Broken(String::new()).is_passing());
        assert_eq!(
            refused(400).to_string(),
            "answered 400 X: d; sex: options, expected M"
        );
    }
}
