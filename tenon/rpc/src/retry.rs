//! Calls that are made again, and the marks that keep it to one layer.
//!
//! The client nearest to the failure retries. It says so in both directions (gRPC proposal A6):
//! `grpc-previous-rpc-attempts` with a repeated call, so that nobody below repeats what its own
//! caller repeats already; `grpc-retry-pushback-ms` with an error: `-1` where repeating did not
//! mend it, so that nobody above begins anew, and else when to come again, where that is known.

use std::{fmt, time::Duration};

use http::{HeaderMap, HeaderName, HeaderValue};
use tenon_core::{
    Context, Error, Live,
    config::{ClientConfig, RetryConfig},
};
use tenon_resilience::{Allowance, Budget, Random, Retry};

use crate::Method;

/// How often the call was made before.
pub(crate) const PREVIOUS_ATTEMPTS: HeaderName =
    HeaderName::from_static("grpc-previous-rpc-attempts");
/// When the call may be made again; below zero it may not.
const PUSHBACK: HeaderName = HeaderName::from_static("grpc-retry-pushback-ms");
/// The longest wait that a peer may ask for: no caller has more patience.
const PUSHBACK_MAX: Duration = Duration::from_secs(3600);

/// When the calls of one client are made again.
pub(crate) struct Retries {
    config: Live<ClientConfig>,
    budget: Budget,
    random: Random,
}

impl Retries {
    pub(crate) fn new(config: Live<ClientConfig>) -> Self {
        let retries = Self {
            config,
            budget: Budget::new(),
            random: Random::new(),
        };
        retries.budget_changed();
        retries
    }

    /// The configuration has another budget.
    pub(crate) fn budget_changed(&self) {
        let budget = self.config.with(|config| config.retry.budget);
        self.budget.allow(Allowance {
            percent: budget.percent,
            per_second: budget.per_second,
        });
    }

    /// Whether a call may be made again at all. Counts it, as what the budget grows by.
    pub(crate) fn begin(&self, cx: &Context, method: &Method) -> bool {
        let wanted = self.config.with(|config| {
            let retry = &config.retry;
            (retry.attempts > 1).then(|| is_wanted(retry, method))
        });
        let Some(wanted) = wanted else {
            return false;
        };
        self.budget.deposit();
        wanted && method.is_idempotent() && cx.value::<Repeated>().is_none()
    }

    /// How long to wait before the next attempt, after `failed` of them; `None` is never.
    pub(crate) fn wait(&self, failed: u32, error: &Error, cx: &Context) -> Option<Duration> {
        if is_settled(error) {
            return None;
        }
        let retry = Retry {
            attempts_max: self.config.with(|config| config.retry.attempts),
            ..Retry::DEFAULT
        };
        let remaining = cx.remaining();
        retry.wait(failed, true, error, remaining, &self.budget, &self.random)
    }
}

/// Whether the configuration wants calls of the method to be made again.
pub(crate) fn is_wanted(retry: &RetryConfig, method: &Method) -> bool {
    retry.methods.is_empty() || retry.methods.iter().any(|name| name == method.name())
}

/// In the context of a call that its caller makes again: the value that keeps calls below it from
/// being repeated as well.
pub(crate) struct Repeated;

/// Marks the context of a call by its headers.
pub(crate) fn incoming(cx: Context, headers: &HeaderMap) -> Context {
    let attempts = headers.get(PREVIOUS_ATTEMPTS);
    match attempts.is_some_and(|count| count.as_bytes() != b"0") {
        true => cx.with_value(Repeated),
        false => cx,
    }
}

/// What a peer says of its error, beside its status.
pub(crate) fn heed(headers: &HeaderMap, error: Error) -> Error {
    let Some(pushback) = headers.get(PUSHBACK) else {
        return error;
    };
    // What cannot be read means no, too (A6).
    let millis = pushback.to_str().ok().and_then(|text| text.parse().ok());
    match millis.map(Duration::from_millis) {
        Some(wait) => error.retry_after(wait.min(PUSHBACK_MAX)),
        None => error.cause(Settled(
            "the service asked not to be called again".to_owned(),
        )),
    }
}

/// What a service says of its error, beside its status. The same wait stands in `RetryInfo`,
/// which programs read; this is what the clients of gRPC heed by themselves.
pub(crate) fn push_back(headers: &mut HeaderMap, error: &Error) {
    if is_settled(error) {
        headers.insert(PUSHBACK, HeaderValue::from_static("-1"));
    } else if let Some(wait) = error.retry_delay() {
        // Rounded up: who comes a little too early is refused once more.
        let millis = wait.min(PUSHBACK_MAX).as_nanos().div_ceil(1_000_000);
        headers.insert(PUSHBACK, u64::try_from(millis).unwrap_or(u64::MAX).into());
    }
}

/// The error of a call that was made `attempts` times.
pub(crate) fn used_up(error: Error, attempts: u32) -> Error {
    if attempts < 2 || is_settled(&error) {
        return error;
    }
    let cause = error
        .cause_chain()
        .unwrap_or_else(|| error.code().to_owned());
    error.cause(Settled(format!("{attempts} attempts: {cause}")))
}

/// The cause of an error that is not to be mended by calling again.
#[derive(Debug)]
struct Settled(String);

impl fmt::Display for Settled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Settled {}

fn is_settled(error: &Error) -> bool {
    let mut next = std::error::Error::source(error);
    while let Some(cause) = next {
        if cause.is::<Settled>() {
            return true;
        }
        next = cause.source();
    }
    false
}

#[cfg(test)]
mod tests {
    use tenon_core::catalogue;

    use super::*;

    fn retries(retry: RetryConfig) -> Retries {
        Retries::new(Live::new(ClientConfig {
            retry,
            ..ClientConfig::default()
        }))
    }

    fn unavailable() -> Error {
        catalogue::UNAVAILABLE.error().cause("refused")
    }

    #[test]
    fn what_repeating_did_not_mend_is_told_and_heeded() {
        let mut headers = HeaderMap::new();
        push_back(&mut headers, &unavailable());
        assert!(headers.is_empty());
        let error = used_up(unavailable(), 3);
        assert_eq!(error.cause_chain().unwrap(), "3 attempts: refused");
        // Also when the service that had it makes an error of its own of it.
        let wrapped = catalogue::UNAVAILABLE.error().cause(error);
        push_back(&mut headers, &wrapped);
        assert_eq!(headers[PUSHBACK], "-1");
        let heeded = heed(&headers, unavailable());
        let retries = retries(RetryConfig::default());
        let cx = Context::background();
        assert_eq!(retries.wait(1, &heeded, &cx), None);
        assert!(retries.wait(1, &unavailable(), &cx).is_some());
    }

    #[test]
    fn a_wait_that_is_asked_for_is_kept() {
        let mut headers = HeaderMap::new();
        headers.insert(PUSHBACK, HeaderValue::from_static("250"));
        let error = heed(&headers, unavailable());
        let retries = retries(RetryConfig::default());
        let cx = Context::background();
        assert!(retries.wait(1, &error, &cx).unwrap() >= Duration::from_millis(250));
        let short = cx.with_timeout(Duration::from_millis(200));
        assert_eq!(
            retries.wait(1, &error, &short),
            None,
            "later than the deadline"
        );
        // It is also what a refusal of ours says, rounded up.
        let mut told = HeaderMap::new();
        push_back(
            &mut told,
            &unavailable().retry_after(Duration::from_micros(1_200_001)),
        );
        assert_eq!(told[PUSHBACK], "1201");
        for unreadable in ["", "soon", "-1", "99999999999999999999"] {
            headers.insert(PUSHBACK, HeaderValue::from_str(unreadable).unwrap());
            assert!(is_settled(&heed(&headers, unavailable())), "{unreadable}");
        }
    }

    #[test]
    fn only_the_harmless_and_only_one_layer() {
        static PLAIN: Method = Method::new("/a.B/plain");
        static MARKED: Method = Method::new("/a.B/marked").idempotent();
        let config = |attempts, methods: &[&str]| RetryConfig {
            attempts,
            methods: methods.iter().map(ToString::to_string).collect(),
            ..RetryConfig::default()
        };
        let of = |attempts, methods| retries(config(attempts, methods));
        let retries = of(3, &[]);
        let cx = Context::background();
        assert!(!retries.begin(&cx, &PLAIN) && retries.begin(&cx, &MARKED));
        // A configuration takes from what the contract allows, and adds nothing to it.
        let listed = of(3, &["plain", "other"]);
        assert!(!listed.begin(&cx, &PLAIN) && !listed.begin(&cx, &MARKED));
        assert!(of(3, &["marked"]).begin(&cx, &MARKED));
        assert!(!of(1, &[]).begin(&cx, &MARKED));
        let mut headers = HeaderMap::new();
        headers.insert(PREVIOUS_ATTEMPTS, HeaderValue::from_static("0"));
        assert!(retries.begin(&incoming(cx.clone(), &headers), &MARKED));
        headers.insert(PREVIOUS_ATTEMPTS, HeaderValue::from_static("1"));
        assert!(!retries.begin(&incoming(cx, &headers), &MARKED));
    }
}
