//! The error catalogue: stable codes with their status and their texts in English and Chinese.
//!
//! A service keeps its own entries as `static` items beside its logic; the entries that the
//! toolkit itself raises are here. A code is part of the contract: it is never renamed, and a
//! retired one is never given a new meaning.

use crate::error::{Code, Error};

/// One kind of failure: its stable code, its gRPC code, its HTTP status and its texts.
///
/// The texts may hold parameters, `{name}`, which [`Error::param`] fills in.
///
/// ```
/// use tenon_core::{Code, Entry};
///
/// static PATIENT_NOT_FOUND: Entry =
///     Entry::new("PATIENT_NOT_FOUND", Code::NotFound, "patient does not exist", "患者不存在");
/// assert_eq!(PATIENT_NOT_FOUND.error().code(), "PATIENT_NOT_FOUND");
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Entry {
    /// The stable code, `PATIENT_NOT_FOUND`.
    pub code: &'static str,
    /// The gRPC code.
    pub status: Code,
    /// The HTTP status; by default the one that fits the gRPC code.
    pub http: u16,
    /// The English text: lower case, no final stop.
    pub en: &'static str,
    /// The Chinese text.
    pub zh: &'static str,
}

impl Entry {
    /// An entry with the HTTP status that fits its gRPC code.
    pub const fn new(code: &'static str, status: Code, en: &'static str, zh: &'static str) -> Self {
        Self {
            code,
            status,
            http: status.http(),
            en,
            zh,
        }
    }

    /// The same entry with another HTTP status, for the few that gRPC cannot tell apart.
    pub const fn http(mut self, http: u16) -> Self {
        self.http = http;
        self
    }

    /// An error of this kind.
    pub fn error(&'static self) -> Error {
        Error::new(self)
    }
}

/// The caller went away or cancelled the call.
pub static CANCELLED: Entry = Entry::new(
    "CANCELLED",
    Code::Cancelled,
    "the caller cancelled the call",
    "调用方已取消请求",
);
/// The time that the caller gave ran out.
pub static DEADLINE_EXCEEDED: Entry = Entry::new(
    "DEADLINE_EXCEEDED",
    Code::DeadlineExceeded,
    "the call took longer than its deadline allows",
    "请求超时，请稍后重试",
);
/// Something failed that the caller cannot mend; the cause is in the log under the trace id.
pub static INTERNAL: Entry = Entry::new(
    "INTERNAL",
    Code::Internal,
    "the service failed; quote the trace id when reporting it",
    "服务内部错误，请提供 traceId",
);
/// The service, or one that it needs, cannot be reached now.
pub static UNAVAILABLE: Entry = Entry::new(
    "UNAVAILABLE",
    Code::Unavailable,
    "the service cannot be reached now; try again later",
    "服务暂不可用，请稍后重试",
);
/// A bounded queue is full; nothing was done.
pub static OVERLOADED: Entry = Entry::new(
    "OVERLOADED",
    Code::ResourceExhausted,
    "the service is busy and did nothing with the request; try again later",
    "服务繁忙，请求未处理，请稍后重试",
)
.http(503);
/// The caller asks more often than it may.
pub static RATE_LIMITED: Entry = Entry::new(
    "RATE_LIMITED",
    Code::ResourceExhausted,
    "too many requests; try again after the time that the answer gives",
    "请求过于频繁，请在响应给出的时间后重试",
);
/// Calls of this kind fail, and this one was refused instead of failing, too.
pub static CIRCUIT_OPEN: Entry = Entry::new(
    "CIRCUIT_OPEN",
    Code::Unavailable,
    "calls of this kind fail now, and this one was not made; try again later",
    "此类请求当前持续失败，本次请求未执行，请稍后重试",
);
/// The request does not fit its contract; the violations say where.
pub static REQUEST_INVALID: Entry = Entry::new(
    "REQUEST_INVALID",
    Code::InvalidArgument,
    "the request does not fit its contract; see errors",
    "请求不符合接口约定，详见 errors",
);
/// The body is not what its content type says.
pub static BODY_MALFORMED: Entry = Entry::new(
    "BODY_MALFORMED",
    Code::InvalidArgument,
    "the request body could not be read as {expected}",
    "请求体无法按 {expected} 解析",
);
/// The body is larger than the route allows, counted after decompression.
pub static BODY_TOO_LARGE: Entry = Entry::new(
    "BODY_TOO_LARGE",
    Code::InvalidArgument,
    "the request body is larger than {limit} bytes",
    "请求体超过 {limit} 字节",
)
.http(413);
/// The body came so slowly that it was not waited for any longer.
pub static BODY_TOO_SLOW: Entry = Entry::new(
    "BODY_TOO_SLOW",
    Code::DeadlineExceeded,
    "the request body did not come in time; send it whole, at 512 bytes a second at least",
    "请求体未及时到达，请完整发送，至少为每秒 512 字节",
)
.http(408);
/// The body's content type or encoding is none that the route takes.
pub static MEDIA_TYPE_UNSUPPORTED: Entry = Entry::new(
    "MEDIA_TYPE_UNSUPPORTED",
    Code::InvalidArgument,
    "the request body must be {expected}",
    "请求体类型必须为 {expected}",
)
.http(415);
/// No route has this path.
pub static ROUTE_NOT_FOUND: Entry = Entry::new(
    "ROUTE_NOT_FOUND",
    Code::NotFound,
    "no route has this path",
    "路径不存在",
);
/// The path exists, but not with this method.
pub static METHOD_NOT_ALLOWED: Entry = Entry::new(
    "METHOD_NOT_ALLOWED",
    Code::Unimplemented,
    "the path does not take this method; see the allow header",
    "该路径不支持此方法，见 Allow 头",
)
.http(405);
/// The method of an RPC service does not exist here.
pub static METHOD_UNIMPLEMENTED: Entry = Entry::new(
    "METHOD_UNIMPLEMENTED",
    Code::Unimplemented,
    "the service has no such method",
    "服务没有该方法",
);
/// The request carries no token.
pub static TOKEN_MISSING: Entry = Entry::new(
    "TOKEN_MISSING",
    Code::Unauthenticated,
    "the request carries no token",
    "请求未携带 token",
);
/// The authorization header is not `Bearer <token>`.
pub static TOKEN_MALFORMED: Entry = Entry::new(
    "TOKEN_MALFORMED",
    Code::Unauthenticated,
    "the token is malformed; expected `Bearer <token>`",
    "token 格式错误",
);
/// The token is forged, expired, or not for this service.
pub static TOKEN_INVALID: Entry = Entry::new(
    "TOKEN_INVALID",
    Code::Unauthenticated,
    "the token is not valid",
    "token 无效",
);
/// The caller is known, but may not do this.
pub static PERMISSION_DENIED: Entry = Entry::new(
    "PERMISSION_DENIED",
    Code::PermissionDenied,
    "the caller lacks the permission {permission}",
    "没有权限 {permission}",
);

/// Every entry that the toolkit itself raises, for the reference and for tests.
pub static ALL: &[&Entry] = &[
    &CANCELLED,
    &DEADLINE_EXCEEDED,
    &INTERNAL,
    &UNAVAILABLE,
    &OVERLOADED,
    &RATE_LIMITED,
    &CIRCUIT_OPEN,
    &REQUEST_INVALID,
    &BODY_MALFORMED,
    &BODY_TOO_LARGE,
    &BODY_TOO_SLOW,
    &MEDIA_TYPE_UNSUPPORTED,
    &ROUTE_NOT_FOUND,
    &METHOD_NOT_ALLOWED,
    &METHOD_UNIMPLEMENTED,
    &TOKEN_MISSING,
    &TOKEN_MALFORMED,
    &TOKEN_INVALID,
    &PERMISSION_DENIED,
];
