//! Errors on the wire: `grpc-status`, `grpc-message` and `grpc-status-details-bin`.
//!
//! The details are a `google.rpc.Status` with `ErrorInfo` (the catalogue code and parameters),
//! `BadRequest` (the violations), `LocalizedMessage` (the Chinese text) and `RetryInfo`. The cause
//! of an error is never among them.

use std::{borrow::Cow, collections::HashMap, time::Duration};

use base64::{Engine, alphabet, engine};
use http::{HeaderMap, HeaderName, HeaderValue};
use prost::Message;
use prost_types::Any;
use tenon_core::{Code, Error, Violation, catalogue, error::Language};

use crate::retry;

mod details;
mod percent;

use details::{BadRequest, ErrorInfo, FieldViolation, LocalizedMessage, RetryInfo, Status};

/// The outcome of a call.
pub(crate) const GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");

const GRPC_MESSAGE: HeaderName = HeaderName::from_static("grpc-message");
const GRPC_STATUS_DETAILS: HeaderName = HeaderName::from_static("grpc-status-details-bin");
const ERROR_INFO: &str = "type.googleapis.com/google.rpc.ErrorInfo";
const BAD_REQUEST: &str = "type.googleapis.com/google.rpc.BadRequest";
const LOCALIZED_MESSAGE: &str = "type.googleapis.com/google.rpc.LocalizedMessage";
const RETRY_INFO: &str = "type.googleapis.com/google.rpc.RetryInfo";

/// Binary headers are sent without padding and read with or without it.
const BASE64: engine::GeneralPurpose = engine::GeneralPurpose::new(
    &alphabet::STANDARD,
    engine::GeneralPurposeConfig::new()
        .with_encode_padding(false)
        .with_decode_padding_mode(engine::DecodePaddingMode::Indifferent),
);

/// Marks the details as ours.
const DOMAIN: &str = "tenon";
/// The parameter under which an HTTP status travels that does not follow from the gRPC code.
const HTTP_STATUS: &str = "http.status";
/// Clients commonly take 8 KiB of headers; base64 makes these bytes a third longer.
const DETAILS_LIMIT: usize = 4 << 10;
/// The most of a text that is sent.
const TEXT_LIMIT: usize = 1 << 10;

/// The headers, or trailers, that tell a caller of the error.
pub(crate) fn write(error: &Error) -> HeaderMap {
    let message = cut(error.message(Language::English));
    let details = BASE64.encode(details_of(error, &message));
    let mut headers = HeaderMap::with_capacity(4);
    headers.insert(GRPC_STATUS, (error.status() as i32).into());
    // Both encodings give plain ASCII only, which every header can carry.
    if let Ok(message) = HeaderValue::try_from(percent::encode(&message)) {
        headers.insert(GRPC_MESSAGE, message);
    }
    if let Ok(details) = HeaderValue::try_from(details) {
        headers.insert(GRPC_STATUS_DETAILS, details);
    }
    retry::push_back(&mut headers, error);
    headers
}

/// What headers or trailers say of the outcome: nothing, success, or an error. Whatever a peer
/// sends, this only reads it: a text or details that are damaged count as absent.
pub(crate) fn read(headers: &HeaderMap) -> Option<Result<(), Error>> {
    let number = headers.get(GRPC_STATUS)?;
    if number.as_bytes() == b"0" {
        return Some(Ok(()));
    }
    let number = number.to_str().ok().and_then(|text| text.parse().ok());
    let code = number.map_or(Code::Unknown, Code::from_number);
    let message = headers.get(GRPC_MESSAGE).map(percent::decode);
    let message = message.unwrap_or_default();
    let details = headers
        .get(GRPC_STATUS_DETAILS)
        .and_then(|value| BASE64.decode(value.as_bytes()).ok())
        .and_then(|bytes| Status::decode(bytes.as_slice()).ok())
        .unwrap_or_default()
        .details;
    let ours = find::<ErrorInfo>(&details, ERROR_INFO).filter(|info| info.domain == DOMAIN);
    let error = match ours {
        Some(info) => of_tenon(code, &message, info, &details),
        None => of_others(code, &message),
    };
    Some(Err(retry::heed(headers, error)))
}

/// An error of the transport's HTTP status, for answers that are not gRPC.
pub(crate) fn of_http(status: http::StatusCode) -> Error {
    let code = match status.as_u16() {
        400 => Code::Internal,
        401 => Code::Unauthenticated,
        403 => Code::PermissionDenied,
        404 => Code::Unimplemented,
        429 | 502..=504 => Code::Unavailable,
        _ => Code::Unknown,
    };
    of_others(code, "").cause(format!("the peer answered with HTTP status {status}"))
}

fn details_of(error: &Error, message: &str) -> Vec<u8> {
    let mut metadata: HashMap<String, String> = error
        .params()
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    if error.http_status() != error.status().http() {
        metadata.insert(HTTP_STATUS.to_owned(), error.http_status().to_string());
    }
    let mut details = vec![
        pack(
            ERROR_INFO,
            &ErrorInfo {
                reason: error.code().to_owned(),
                domain: DOMAIN.to_owned(),
                metadata,
            },
        ),
        pack(
            LOCALIZED_MESSAGE,
            &LocalizedMessage {
                locale: "zh-CN".to_owned(),
                message: cut(error.message(Language::Chinese)),
            },
        ),
    ];
    if let Some(delay) = error.retry_delay() {
        details.push(pack(
            RETRY_INFO,
            &RetryInfo {
                retry_delay: prost_types::Duration::try_from(delay).ok(),
            },
        ));
    }
    let mut status = Status {
        code: error.status() as i32,
        message: message.to_owned(),
        details,
    };
    let room = DETAILS_LIMIT.saturating_sub(status.encoded_len());
    if let Some(violations) = fitting(error.all_violations(), room) {
        status.details.push(pack(BAD_REQUEST, &violations));
    }
    status.encode_to_vec()
}

/// As many violations as there is room for. The field is `body.items[3].value`.
fn fitting(violations: &[Violation], room: usize) -> Option<BadRequest> {
    let mut used = 64;
    let field_violations: Vec<FieldViolation> = violations
        .iter()
        .map(|violation| FieldViolation {
            field: match violation.path.as_str() {
                "" => violation.location.to_string(),
                path => format!("{}.{path}", violation.location),
            },
            description: violation.expected.clone(),
            reason: violation.rule.to_string(),
            localized_message: None,
        })
        .take_while(|violation| {
            used += violation.encoded_len() + 4;
            used <= room
        })
        .collect();
    (!field_violations.is_empty()).then_some(BadRequest { field_violations })
}

fn of_tenon(code: Code, message: &str, info: ErrorInfo, details: &[Any]) -> Error {
    let chinese = find::<LocalizedMessage>(details, LOCALIZED_MESSAGE)
        .filter(|text| text.locale.starts_with("zh"))
        .map_or_else(|| message.to_owned(), |text| text.message);
    let mut error = Error::remote(info.reason, code, message.to_owned(), chinese);
    for (name, value) in info.metadata {
        if name != HTTP_STATUS {
            error = error.remote_param(name, value);
        } else if let Some(status) = value.parse().ok().filter(|s| (400..600).contains(s)) {
            error = error.http(status);
        }
    }
    if let Some(request) = find::<BadRequest>(details, BAD_REQUEST) {
        error = error.violations(
            request
                .field_violations
                .into_iter()
                .map(violation)
                .collect(),
        );
    }
    let delay = find::<RetryInfo>(details, RETRY_INFO).and_then(|info| info.retry_delay);
    match delay.and_then(|delay| Duration::try_from(delay).ok()) {
        Some(delay) => error.retry_after(delay),
        None => error,
    }
}

/// A peer that is not ours may put its inside into its text, so a fault's text goes to the log.
fn of_others(code: Code, message: &str) -> Error {
    let told = format!("the peer said: {message}");
    match code {
        Code::Cancelled => catalogue::CANCELLED.error().cause(told),
        Code::DeadlineExceeded => catalogue::DEADLINE_EXCEEDED.error().cause(told),
        Code::Unavailable => catalogue::UNAVAILABLE.error().cause(told),
        Code::Unimplemented => catalogue::METHOD_UNIMPLEMENTED.error().cause(told),
        Code::Unknown | Code::Internal | Code::DataLoss => {
            let own = catalogue::INTERNAL;
            Error::remote(
                own.code.to_owned(),
                code,
                own.en.to_owned(),
                own.zh.to_owned(),
            )
            .cause(told)
        }
        _ => {
            let text = message.to_owned();
            Error::remote(name(code).to_owned(), code, text.clone(), text)
        }
    }
}

fn violation(field: FieldViolation) -> Violation {
    let (location, path) = field.field.split_once('.').unwrap_or((&field.field, ""));
    Violation {
        location: Cow::Owned(location.to_owned()),
        path: path.to_owned(),
        rule: Cow::Owned(field.reason),
        expected: field.description,
    }
}

/// The canonical name, for peers whose errors carry no code of a catalogue.
const fn name(code: Code) -> &'static str {
    match code {
        Code::Cancelled => "CANCELLED",
        Code::Unknown => "UNKNOWN",
        Code::InvalidArgument => "INVALID_ARGUMENT",
        Code::DeadlineExceeded => "DEADLINE_EXCEEDED",
        Code::NotFound => "NOT_FOUND",
        Code::AlreadyExists => "ALREADY_EXISTS",
        Code::PermissionDenied => "PERMISSION_DENIED",
        Code::ResourceExhausted => "RESOURCE_EXHAUSTED",
        Code::FailedPrecondition => "FAILED_PRECONDITION",
        Code::Aborted => "ABORTED",
        Code::OutOfRange => "OUT_OF_RANGE",
        Code::Unimplemented => "UNIMPLEMENTED",
        Code::Internal => "INTERNAL",
        Code::Unavailable => "UNAVAILABLE",
        Code::DataLoss => "DATA_LOSS",
        Code::Unauthenticated => "UNAUTHENTICATED",
    }
}

fn cut(mut text: String) -> String {
    if text.len() > TEXT_LIMIT {
        text.truncate(text.floor_char_boundary(TEXT_LIMIT));
    }
    text
}

fn pack<M: Message>(type_url: &str, message: &M) -> Any {
    Any {
        type_url: type_url.to_owned(),
        value: message.encode_to_vec(),
    }
}

fn find<M: Message + Default>(details: &[Any], type_url: &str) -> Option<M> {
    let found = details.iter().find(|any| any.type_url == type_url)?;
    M::decode(found.value.as_slice()).ok()
}

#[cfg(test)]
mod tests {
    use tenon_core::Entry;

    use super::*;

    static CLOSED: Entry = Entry::new(
        "TRIAL_CLOSED",
        Code::FailedPrecondition,
        "trial {trialId} is 100% closed",
        "试验 {trialId} 已关闭入组",
    )
    .http(423);

    fn travel(error: &Error) -> Error {
        read(&write(error)).unwrap().unwrap_err()
    }

    #[test]
    fn an_error_survives_the_hop_and_its_cause_does_not() {
        let sent = CLOSED
            .error()
            .param("trialId", "T1")
            .retry_after(Duration::from_millis(1500))
            .violations(vec![
                Violation::body("items[3].value", "range", "0 to 10"),
                Violation::at("query", "", "required", "a trial"),
            ])
            .cause("secret of this process");
        let headers = write(&sent);
        let raw = format!("{headers:?}");
        assert!(!raw.contains("secret"), "{raw}");
        let got = travel(&sent);
        assert_eq!(
            (got.code(), got.status()),
            ("TRIAL_CLOSED", Code::FailedPrecondition)
        );
        assert_eq!(got.http_status(), 423);
        assert_eq!(got.message(Language::English), "trial T1 is 100% closed");
        assert_eq!(got.message(Language::Chinese), "试验 T1 已关闭入组");
        assert_eq!(got.params().collect::<Vec<_>>(), [("trialId", "T1")]);
        assert_eq!(got.all_violations(), sent.all_violations());
        assert_eq!(got.retry_delay(), Some(Duration::from_millis(1500)));
        assert!(got.cause_chain().is_none());
        let again = travel(&got);
        let same = (again.code(), again.http_status(), again.all_violations())
            == (got.code(), got.http_status(), got.all_violations());
        assert!(same, "a second hop loses something: {again:?}");
    }

    #[test]
    fn many_violations_stay_within_what_clients_take() {
        let violations = (0..500)
            .map(|n| Violation::body(format!("items[{n}].value"), "range", "0 to 10"))
            .collect();
        let sent = Error::invalid(violations);
        let size: usize = write(&sent)
            .iter()
            .map(|(n, v)| n.as_str().len() + v.len())
            .sum();
        assert!(size < 8 << 10, "{size} bytes");
        let got = travel(&sent);
        assert!(
            got.all_violations().len() > 40,
            "{}",
            got.all_violations().len()
        );
        assert_eq!(got.all_violations()[0], sent.all_violations()[0]);
    }

    #[test]
    fn damaged_headers_are_read_as_far_as_they_go() {
        let mut headers = HeaderMap::new();
        assert!(read(&headers).is_none());
        headers.insert(GRPC_STATUS, HeaderValue::from_static("5"));
        headers.insert(
            GRPC_MESSAGE,
            HeaderValue::from_static("no%20such%zz%E6%82%A3%"),
        );
        headers.insert(
            GRPC_STATUS_DETAILS,
            HeaderValue::from_static("!!not base64!!"),
        );
        let error = read(&headers).unwrap().unwrap_err();
        assert_eq!(
            (error.code(), error.status()),
            ("NOT_FOUND", Code::NotFound)
        );
        assert_eq!(error.to_string(), "no such%zz患%");
        for odd in ["", "x", "99", "-1", "99999999999"] {
            headers.insert(GRPC_STATUS, HeaderValue::from_static(odd));
            assert_eq!(read(&headers).unwrap().unwrap_err().status(), Code::Unknown);
        }
    }

    #[test]
    fn a_foreign_fault_keeps_its_text_inside() {
        let mut headers = HeaderMap::new();
        headers.insert(GRPC_STATUS, HeaderValue::from_static("13"));
        headers.insert(GRPC_MESSAGE, HeaderValue::from_static("panic at db.go:17"));
        let error = read(&headers).unwrap().unwrap_err();
        assert_eq!(error.status(), Code::Internal);
        assert!(!error.to_string().contains("db.go"), "{error}");
        assert!(error.cause_chain().unwrap().contains("db.go"));
    }
}
