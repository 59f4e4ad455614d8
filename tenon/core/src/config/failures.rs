//! The key `failures`: which errors count against the one that was called.

use serde::Deserialize;

use crate::Code;

/// An error that can say something about the service that answered it, by its gRPC code; at a
/// REST door by the code that stands behind the status. The codes that are not here blame the
/// caller (4xx, and calls that it cancelled) and never count: whoever sends nonsense could else
/// close a route for everybody.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum FailureCode {
    /// Servers that know no better say it of a handler that failed.
    Unknown,
    /// 504: the time of the route was not enough.
    DeadlineExceeded,
    /// A service has no place for more: `OVERLOADED` to the client of it. At a door that counts
    /// as nothing, because what is full refuses by itself; a rate limit never counts.
    ResourceExhausted,
    /// 501, which is not among the [defaults](FailureCode::DEFAULT): a peer of another version is
    /// no broken one.
    Unimplemented,
    /// 500, and at a REST door every other 5xx.
    Internal,
    /// 503: the service, or one that it needs, is not there.
    Unavailable,
    /// Data is lost or corrupt.
    DataLoss,
}

impl FailureCode {
    /// What go-zero counts, without `UNIMPLEMENTED`, and with `UNKNOWN`.
    pub const DEFAULT: [Self; 6] = [
        Self::Unknown,
        Self::DeadlineExceeded,
        Self::ResourceExhausted,
        Self::Internal,
        Self::Unavailable,
        Self::DataLoss,
    ];

    /// The gRPC code.
    pub const fn code(self) -> Code {
        match self {
            Self::Unknown => Code::Unknown,
            Self::DeadlineExceeded => Code::DeadlineExceeded,
            Self::ResourceExhausted => Code::ResourceExhausted,
            Self::Unimplemented => Code::Unimplemented,
            Self::Internal => Code::Internal,
            Self::Unavailable => Code::Unavailable,
            Self::DataLoss => Code::DataLoss,
        }
    }

    /// Several of them in one line.
    pub fn list(codes: &[Self]) -> String {
        let names: Vec<_> = codes.iter().map(|code| code.as_str()).collect();
        names.join(", ")
    }

    /// As the configuration writes it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unknown => "UNKNOWN",
            Self::DeadlineExceeded => "DEADLINE_EXCEEDED",
            Self::ResourceExhausted => "RESOURCE_EXHAUSTED",
            Self::Unimplemented => "UNIMPLEMENTED",
            Self::Internal => "INTERNAL",
            Self::Unavailable => "UNAVAILABLE",
            Self::DataLoss => "DATA_LOSS",
        }
    }
}
