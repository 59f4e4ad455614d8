//! The errors that only the gRPC doors and clients raise.

use tenon_core::{Code, Entry};

/// A message is larger than the receiver takes, counted after decompression.
pub static MESSAGE_TOO_LARGE: Entry = Entry::new(
    "MESSAGE_TOO_LARGE",
    Code::ResourceExhausted,
    "the message is larger than {limit} bytes",
    "消息超过 {limit} 字节",
)
.http(413);
/// The bytes of a request are not one gRPC message of the method's type.
pub static MESSAGE_MALFORMED: Entry = Entry::new(
    "MESSAGE_MALFORMED",
    Code::InvalidArgument,
    "the request is not one message of the method's type: {problem}",
    "请求不是该方法的消息：{problem}",
);
/// The request is compressed in a way that the server does not read.
pub static ENCODING_UNSUPPORTED: Entry = Entry::new(
    "ENCODING_UNSUPPORTED",
    Code::Unimplemented,
    "the message encoding is not supported; expected identity or gzip",
    "不支持该消息压缩方式，应为 identity 或 gzip",
);
/// The header `grpc-timeout` cannot be read.
pub static TIMEOUT_MALFORMED: Entry = Entry::new(
    "TIMEOUT_MALFORMED",
    Code::InvalidArgument,
    "the header grpc-timeout is malformed; expected 1 to 8 digits and one of H, M, S, m, u, n",
    "grpc-timeout 头格式错误，应为 1 至 8 位数字加 H、M、S、m、u、n 之一",
);
/// The health service does not know the service that was asked for.
pub static SERVICE_UNKNOWN: Entry = Entry::new(
    "SERVICE_UNKNOWN",
    Code::NotFound,
    "the process serves no such service",
    "该进程未提供此服务",
);

/// Every entry of this module, for the reference and for tests.
pub static ALL: &[&Entry] = &[
    &MESSAGE_TOO_LARGE,
    &MESSAGE_MALFORMED,
    &ENCODING_UNSUPPORTED,
    &TIMEOUT_MALFORMED,
    &SERVICE_UNKNOWN,
];
