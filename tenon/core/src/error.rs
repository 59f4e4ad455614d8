//! The one error of the toolkit: what the caller may know, and the cause that stays inside.

use std::{borrow::Cow, fmt, sync::Arc, time::Duration};

use crate::catalogue::{self, Entry};

/// The result of everything that a [`crate::Context`] accompanies.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A failure, as it travels between logic, doors and services.
///
/// It has an outside (code, texts, violations: what a caller may see) and an inside (the cause:
/// what the log of this process may see). [`fmt::Display`] prints the outside only.
#[derive(Clone)]
pub struct Error {
    inner: Box<Inner>,
}

#[derive(Clone)]
struct Inner {
    code: Cow<'static, str>,
    status: Code,
    http: u16,
    en: Cow<'static, str>,
    zh: Cow<'static, str>,
    params: Vec<(Cow<'static, str>, String)>,
    violations: Vec<Violation>,
    retry_after: Option<Duration>,
    cause: Option<Arc<dyn std::error::Error + Send + Sync>>,
}

impl Error {
    /// An error of a catalogue entry.
    pub fn new(entry: &'static Entry) -> Self {
        Self {
            inner: Box::new(Inner {
                code: Cow::Borrowed(entry.code),
                status: entry.status,
                http: entry.http,
                en: Cow::Borrowed(entry.en),
                zh: Cow::Borrowed(entry.zh),
                params: Vec::new(),
                violations: Vec::new(),
                retry_after: None,
                cause: None,
            }),
        }
    }

    /// An error that another process raised, as it came over the wire.
    pub fn remote(code: String, status: Code, en: String, zh: String) -> Self {
        Self {
            inner: Box::new(Inner {
                code: Cow::Owned(code),
                status,
                http: status.http(),
                en: Cow::Owned(en),
                zh: Cow::Owned(zh),
                params: Vec::new(),
                violations: Vec::new(),
                retry_after: None,
                cause: None,
            }),
        }
    }

    /// [`catalogue::INTERNAL`], with the cause for the log. `what` names what was being done.
    pub fn internal(
        what: &'static str,
        cause: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        let cause = Internal {
            what,
            cause: cause.into(),
        };
        Self::new(&catalogue::INTERNAL).cause(cause)
    }

    /// The violations of a request, under [`catalogue::REQUEST_INVALID`].
    pub fn invalid(violations: Vec<Violation>) -> Self {
        Self::new(&catalogue::REQUEST_INVALID).violations(violations)
    }

    /// Fills `{name}` in the texts; the parameter also travels with the error.
    /// Never pass what identifies a person.
    pub fn param(mut self, name: &'static str, value: impl fmt::Display) -> Self {
        self.inner
            .params
            .push((Cow::Borrowed(name), value.to_string()));
        self
    }

    /// A parameter that came over the wire.
    pub fn remote_param(mut self, name: String, value: String) -> Self {
        self.inner.params.push((Cow::Owned(name), value));
        self
    }

    /// What in the request does not fit, all of it.
    pub fn violations(mut self, violations: Vec<Violation>) -> Self {
        self.inner.violations = violations;
        self
    }

    /// When the caller may try again.
    pub fn retry_after(mut self, after: Duration) -> Self {
        self.inner.retry_after = Some(after);
        self
    }

    /// Another HTTP status than the entry's.
    pub fn http(mut self, status: u16) -> Self {
        self.inner.http = status;
        self
    }

    /// The cause, for the log of this process only.
    pub fn cause(mut self, cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        self.inner.cause = Some(Arc::from(cause.into()));
        self
    }

    /// The stable catalogue code, `PATIENT_NOT_FOUND`.
    pub fn code(&self) -> &str {
        &self.inner.code
    }

    /// Whether this is an error of the entry.
    pub fn is(&self, entry: &Entry) -> bool {
        self.inner.code == entry.code
    }

    /// Whether the service refused to work, rather than failed at it: it is overloaded or what
    /// it does fails already. Such errors come by the thousand when they come, and are counted
    /// instead of logged one by one.
    pub fn is_refusal(&self) -> bool {
        self.is(&catalogue::OVERLOADED) || self.is(&catalogue::CIRCUIT_OPEN)
    }

    /// The gRPC code.
    pub fn status(&self) -> Code {
        self.inner.status
    }

    /// The HTTP status.
    pub fn http_status(&self) -> u16 {
        self.inner.http
    }

    /// The text for the caller, in English or Chinese, parameters filled in.
    pub fn message(&self, language: Language) -> String {
        let text = match language {
            Language::English => &self.inner.en,
            Language::Chinese => &self.inner.zh,
        };
        let mut text = text.to_string();
        for (name, value) in &self.inner.params {
            text = text.replace(&format!("{{{name}}}"), value);
        }
        text
    }

    /// The parameters of the texts.
    pub fn params(&self) -> impl Iterator<Item = (&str, &str)> {
        self.inner
            .params
            .iter()
            .map(|(name, value)| (name.as_ref(), value.as_str()))
    }

    /// What in the request does not fit.
    pub fn all_violations(&self) -> &[Violation] {
        &self.inner.violations
    }

    /// When the caller may try again.
    pub fn retry_delay(&self) -> Option<Duration> {
        self.inner.retry_after
    }

    /// The chain of causes as one line for the log, or nothing when there is no cause.
    pub fn cause_chain(&self) -> Option<String> {
        let mut next: Option<&(dyn std::error::Error + 'static)> =
            self.inner.cause.as_ref().map(|cause| cause.as_ref() as _);
        next?;
        let mut line = String::new();
        while let Some(cause) = next {
            if !line.is_empty() {
                line.push_str(": ");
            }
            line.push_str(&cause.to_string());
            next = cause.source();
        }
        Some(line)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message(Language::English))
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Error")
            .field("code", &self.inner.code)
            .field("status", &self.inner.status)
            .field("message", &self.message(Language::English))
            .field("violations", &self.inner.violations)
            .field("cause", &self.cause_chain())
            .finish()
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.inner.cause.as_ref().map(|cause| cause.as_ref() as _)
    }
}

/// A cause together with what was being done.
#[derive(Debug)]
struct Internal {
    what: &'static str,
    cause: Box<dyn std::error::Error + Send + Sync>,
}

impl fmt::Display for Internal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "could not {}", self.what)
    }
}

impl std::error::Error for Internal {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(self.cause.as_ref())
    }
}

/// Turns a foreign error into [`catalogue::INTERNAL`], keeping it as the cause.
pub trait OrInternal<T> {
    /// `what` completes the sentence "could not ...".
    fn or_internal(self, what: &'static str) -> Result<T>;
}

impl<T, E: Into<Box<dyn std::error::Error + Send + Sync>>> OrInternal<T> for Result<T, E> {
    fn or_internal(self, what: &'static str) -> Result<T> {
        self.map_err(|cause| Error::internal(what, cause))
    }
}

/// One place of a request that does not fit its contract.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Violation {
    /// Where it stands: `path`, `query`, `header` or `body`.
    #[serde(rename = "in")]
    pub location: Cow<'static, str>,
    /// The field, `items[3].value`; empty for the body as a whole.
    pub path: String,
    /// The rule that it breaks: `required`, `type`, `range`, `options`, ...
    pub rule: Cow<'static, str>,
    /// What was expected, never what was found.
    pub expected: String,
}

impl Violation {
    /// A violation in the body.
    pub fn body(
        path: impl Into<String>,
        rule: impl Into<Cow<'static, str>>,
        expected: impl Into<String>,
    ) -> Self {
        Self::at("body", path, rule, expected)
    }

    /// A violation in `path`, `query`, `header` or `body`.
    pub fn at(
        location: impl Into<Cow<'static, str>>,
        path: impl Into<String>,
        rule: impl Into<Cow<'static, str>>,
        expected: impl Into<String>,
    ) -> Self {
        Self {
            location: location.into(),
            path: path.into(),
            rule: rule.into(),
            expected: expected.into(),
        }
    }
}

/// The language of an error's text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Language {
    /// The default.
    #[default]
    English,
    /// Simplified Chinese.
    Chinese,
}

impl Language {
    /// The first of the two that an `Accept-Language` header names, by its weights.
    pub fn accepted(header: &str) -> Self {
        let mut best = (0.0_f32, Self::English);
        for part in header.split(',') {
            let mut pieces = part.split(';');
            let tag = pieces.next().unwrap_or_default().trim();
            let weight = pieces
                .find_map(|piece| piece.trim().strip_prefix("q="))
                .map_or(1.0, |text| text.parse::<f32>().unwrap_or(0.0));
            let primary = tag.split('-').next().unwrap_or_default();
            let language = match primary.to_ascii_lowercase().as_str() {
                "zh" => Self::Chinese,
                "en" | "*" => Self::English,
                _ => continue,
            };
            if weight > best.0 {
                best = (weight, language);
            }
        }
        best.1
    }
}

/// The canonical gRPC codes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Code {
    /// The call was cancelled by its caller.
    Cancelled = 1,
    /// An error of unknown kind.
    Unknown = 2,
    /// The request does not fit its contract.
    InvalidArgument = 3,
    /// The deadline passed.
    DeadlineExceeded = 4,
    /// The thing does not exist, or the caller may not know that it does.
    NotFound = 5,
    /// The thing exists already.
    AlreadyExists = 6,
    /// The caller may not do this.
    PermissionDenied = 7,
    /// A quota or queue is full.
    ResourceExhausted = 8,
    /// The state of the thing does not allow it.
    FailedPrecondition = 9,
    /// A concurrent change got in the way.
    Aborted = 10,
    /// Past the end.
    OutOfRange = 11,
    /// There is no such method.
    Unimplemented = 12,
    /// A fault of the service.
    Internal = 13,
    /// Not reachable now.
    Unavailable = 14,
    /// Data is lost or corrupt.
    DataLoss = 15,
    /// The caller is not known.
    Unauthenticated = 16,
}

impl Code {
    /// The HTTP status that fits, as in `google.rpc.Code`.
    pub const fn http(self) -> u16 {
        match self {
            Self::Cancelled => 499,
            Self::InvalidArgument | Self::OutOfRange => 400,
            Self::FailedPrecondition | Self::AlreadyExists | Self::Aborted => 409,
            Self::DeadlineExceeded => 504,
            Self::NotFound => 404,
            Self::PermissionDenied => 403,
            Self::ResourceExhausted => 429,
            Self::Unimplemented => 501,
            Self::Unavailable => 503,
            Self::Unauthenticated => 401,
            Self::Unknown | Self::Internal | Self::DataLoss => 500,
        }
    }

    /// The code of a number on the wire; unknown numbers are [`Code::Unknown`].
    pub const fn from_number(number: i32) -> Self {
        match number {
            1 => Self::Cancelled,
            3 => Self::InvalidArgument,
            4 => Self::DeadlineExceeded,
            5 => Self::NotFound,
            6 => Self::AlreadyExists,
            7 => Self::PermissionDenied,
            8 => Self::ResourceExhausted,
            9 => Self::FailedPrecondition,
            10 => Self::Aborted,
            11 => Self::OutOfRange,
            12 => Self::Unimplemented,
            13 => Self::Internal,
            14 => Self::Unavailable,
            15 => Self::DataLoss,
            16 => Self::Unauthenticated,
            _ => Self::Unknown,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    static CLOSED: Entry = Entry::new(
        "TRIAL_CLOSED",
        Code::FailedPrecondition,
        "trial {trialId} is closed to enrolment",
        "试验 {trialId} 已关闭入组",
    );

    #[test]
    fn texts_are_filled_in_both_languages() {
        let error = CLOSED.error().param("trialId", "T1");
        assert_eq!(
            error.message(Language::English),
            "trial T1 is closed to enrolment"
        );
        assert_eq!(error.message(Language::Chinese), "试验 T1 已关闭入组");
        assert_eq!(
            (error.http_status(), error.status()),
            (409, Code::FailedPrecondition)
        );
    }

    #[test]
    fn the_cause_is_in_the_chain_and_not_in_the_text() {
        let error = Error::internal("open the file", std::io::Error::other("secret path"));
        assert!(!error.to_string().contains("secret"));
        assert_eq!(
            error.cause_chain().as_deref(),
            Some("could not open the file: secret path")
        );
    }

    #[test]
    fn languages_are_chosen_by_weight() {
        assert_eq!(Language::accepted("en;q=0.5, zh-CN"), Language::Chinese);
        assert_eq!(
            Language::accepted("fr, zh;q=0.2, en;q=0.8"),
            Language::English
        );
        assert_eq!(Language::accepted(""), Language::English);
    }

    #[test]
    fn numbers_and_codes_agree() {
        for number in 1..=16 {
            let code = Code::from_number(number);
            if number != 2 {
                assert_eq!(code as i32, number);
            }
        }
        assert_eq!(Code::from_number(77), Code::Unknown);
    }
}
