//! The messages of `google.rpc` that travel as the details of a status. Only these are needed, so
//! that no crate with all of them, and a gRPC library below it, is built for their sake.
//!
//! Source: `google/rpc/status.proto` and `google/rpc/error_details.proto`.

use std::collections::HashMap;

use prost_types::{Any, Duration};

/// `google.rpc.Status`
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Status {
    #[prost(int32, tag = "1")]
    pub(super) code: i32,
    #[prost(string, tag = "2")]
    pub(super) message: String,
    #[prost(message, repeated, tag = "3")]
    pub(super) details: Vec<Any>,
}

/// `google.rpc.ErrorInfo`
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct ErrorInfo {
    #[prost(string, tag = "1")]
    pub(super) reason: String,
    #[prost(string, tag = "2")]
    pub(super) domain: String,
    #[prost(map = "string, string", tag = "3")]
    pub(super) metadata: HashMap<String, String>,
}

/// `google.rpc.RetryInfo`
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct RetryInfo {
    #[prost(message, optional, tag = "1")]
    pub(super) retry_delay: Option<Duration>,
}

/// `google.rpc.BadRequest`
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct BadRequest {
    #[prost(message, repeated, tag = "1")]
    pub(super) field_violations: Vec<FieldViolation>,
}

/// `google.rpc.BadRequest.FieldViolation`
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct FieldViolation {
    #[prost(string, tag = "1")]
    pub(super) field: String,
    #[prost(string, tag = "2")]
    pub(super) description: String,
    #[prost(string, tag = "3")]
    pub(super) reason: String,
    #[prost(message, optional, tag = "4")]
    pub(super) localized_message: Option<LocalizedMessage>,
}

/// `google.rpc.LocalizedMessage`
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct LocalizedMessage {
    #[prost(string, tag = "1")]
    pub(super) locale: String,
    #[prost(string, tag = "2")]
    pub(super) message: String,
}

#[cfg(test)]
mod tests {
    use prost::Message;
    use tonic_types::pb;

    use super::*;

    /// Reads our bytes as the published message, and that message's bytes as ours again.
    fn travels<Ours, Theirs>(ours: &Ours) -> Theirs
    where
        Ours: Message + Default + PartialEq + std::fmt::Debug,
        Theirs: Message + Default,
    {
        let theirs = Theirs::decode(ours.encode_to_vec().as_slice()).unwrap();
        let back = Ours::decode(theirs.encode_to_vec().as_slice()).unwrap();
        assert_eq!(&back, ours, "a field is lost");
        theirs
    }

    #[test]
    fn they_are_the_published_messages_on_the_wire() {
        let text = LocalizedMessage {
            locale: "zh-CN".to_owned(),
            message: "患者不存在".to_owned(),
        };
        let theirs: pb::LocalizedMessage = travels(&text);
        assert_eq!((&*theirs.locale, &*theirs.message), ("zh-CN", "患者不存在"));
        let request = BadRequest {
            field_violations: vec![FieldViolation {
                field: "body.name".to_owned(),
                description: "string".to_owned(),
                reason: "required".to_owned(),
                localized_message: Some(text),
            }],
        };
        let theirs: pb::BadRequest = travels(&request);
        let violation = &theirs.field_violations[0];
        let texts = (
            &*violation.field,
            &*violation.description,
            &*violation.reason,
        );
        assert_eq!(texts, ("body.name", "string", "required"));
        let info = ErrorInfo {
            reason: "TRIAL_CLOSED".to_owned(),
            domain: "tenon".to_owned(),
            metadata: HashMap::from([("trialId".to_owned(), "T1".to_owned())]),
        };
        let theirs: pb::ErrorInfo = travels(&info);
        assert_eq!(
            (&*theirs.reason, &*theirs.domain),
            ("TRIAL_CLOSED", "tenon")
        );
        assert_eq!(theirs.metadata["trialId"], "T1");
        let retry = RetryInfo {
            retry_delay: Some(Duration {
                seconds: 1,
                nanos: 500,
            }),
        };
        let theirs: pb::RetryInfo = travels(&retry);
        assert_eq!(theirs.retry_delay, retry.retry_delay);
        let status = Status {
            code: 9,
            message: "closed".to_owned(),
            details: vec![Any::default()],
        };
        let theirs: pb::Status = travels(&status);
        assert_eq!((theirs.code, &*theirs.message), (9, "closed"));
        assert_eq!(theirs.details.len(), 1);
    }
}
