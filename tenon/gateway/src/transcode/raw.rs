//! `google.api.HttpBody`: bodies that are not JSON, passed as they are with their media type.
//!
//! Source: `google/api/httpbody.proto`, whose comment is the specification. Of a stream the pieces
//! are put together, as Envoy does.

use bytes::Bytes;
use http::HeaderValue;
use prost_reflect::{DynamicMessage, FieldDescriptor, Kind, MessageDescriptor, Value};

const NAME: &str = "google.api.HttpBody";
/// What is said of bytes of which nothing is known.
const UNKNOWN: HeaderValue = HeaderValue::from_static("application/octet-stream");

/// A body, or a piece of one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Raw {
    /// The value of `content-type`.
    pub media_type: HeaderValue,
    /// The bytes.
    pub bytes: Bytes,
}

/// Whether messages of this type are bodies.
pub(crate) fn is_raw(kind: &MessageDescriptor) -> bool {
    kind.full_name() == NAME
}

/// Whether a field holds one body.
pub(crate) fn is_raw_field(field: &FieldDescriptor) -> bool {
    let single = !field.is_list() && !field.is_map();
    single && matches!(field.kind(), Kind::Message(kind) if is_raw(&kind))
}

/// The message of the body of a request.
pub(crate) fn read(kind: &MessageDescriptor, media_type: &str, body: &Bytes) -> DynamicMessage {
    let mut message = DynamicMessage::new(kind.clone());
    // The contract may have another file of that name: what it has no field for is left out.
    let _ = message.try_set_field_by_name("content_type", Value::String(media_type.to_owned()));
    let _ = message.try_set_field_by_name("data", Value::Bytes(body.clone()));
    message
}

/// The body that a message is.
pub(crate) fn write(message: &DynamicMessage) -> Raw {
    let media_type = message.get_field_by_name("content_type");
    let media_type = media_type
        .as_ref()
        .and_then(|value| value.as_str())
        .filter(|text| !text.is_empty())
        // A text that is no header says nothing either.
        .and_then(|text| HeaderValue::from_str(text).ok());
    let data = message.get_field_by_name("data");
    let data = data.as_ref().and_then(|value| value.as_bytes());
    Raw {
        media_type: media_type.unwrap_or(UNKNOWN),
        bytes: data.cloned().unwrap_or_default(),
    }
}
