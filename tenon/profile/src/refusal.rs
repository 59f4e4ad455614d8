//! Why a profile cannot be taken, and how that is told over HTTP.

use std::{fmt, io};

use http::StatusCode;

/// Profiles taken at once, each with a table of stacks of its own: a scraper and a team that looks.
pub(crate) const SESSIONS_MAX: usize = 8;

/// Why no profile can be taken.
#[derive(Debug)]
#[expect(
    dead_code,
    reason = "one reason stands for systems without a sampler, the others for those with one"
)]
pub(crate) enum Refusal {
    /// As many profiles as may be.
    Full,
    /// Somebody else in this process uses the signal.
    Foreign,
    /// The kernel, or a sandbox around the process, refuses.
    System(io::Error),
    /// Another system or processor.
    Elsewhere,
}

impl Refusal {
    pub(crate) fn status(&self) -> StatusCode {
        match self {
            Self::Full => StatusCode::SERVICE_UNAVAILABLE,
            Self::Foreign => StatusCode::CONFLICT,
            Self::System(_) => StatusCode::INTERNAL_SERVER_ERROR,
            Self::Elsewhere => StatusCode::NOT_IMPLEMENTED,
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Full => write!(
                f,
                "{SESSIONS_MAX} profiles are being taken already; try again later"
            ),
            Self::Foreign => {
                f.write_str("another profiler in this process uses SIGPROF; stop it first")
            }
            Self::System(cause) => write!(f, "Could not enable CPU profiling: {cause}"),
            Self::Elsewhere => {
                f.write_str("profiles are taken on Linux only, on x86_64 and aarch64")
            }
        }
    }
}

impl From<io::Error> for Refusal {
    fn from(cause: io::Error) -> Self {
        Self::System(cause)
    }
}
