//! The well-known types of protobuf, which have JSON of their own.

use prost::Message as _;
use prost_reflect::{DynamicMessage, Kind, MessageDescriptor, Value};
use prost_types::{ListValue, Struct, value};
use serde::de::value::{Error as PlainError, StrDeserializer};

use super::{
    json::{Reader, of_known},
    node::Node,
    report::Step,
};

/// Reads a well-known type; hands the node back when the type is none.
pub(crate) fn read(
    reader: &mut Reader<'_>,
    kind: &MessageDescriptor,
    node: Node,
) -> Result<Option<DynamicMessage>, Node> {
    let Some(name) = kind.full_name().strip_prefix("google.protobuf.") else {
        return Err(node);
    };
    Ok(match name {
        "Timestamp" | "Duration" | "FieldMask" => text(reader, kind, &node),
        "DoubleValue" | "FloatValue" | "Int64Value" | "UInt64Value" | "Int32Value"
        | "UInt32Value" | "BoolValue" | "StringValue" | "BytesValue" => wrapper(reader, kind, node),
        "Struct" => object(reader, node).and_then(|object| of_known(kind, &object)),
        "Value" => any_value(reader, node).and_then(|value| of_known(kind, &value)),
        "ListValue" => list(reader, node).and_then(|list| of_known(kind, &list)),
        "Any" => any(reader, kind, node),
        _ => return Err(node),
    })
}

/// What a value of a message type is called in a violation.
pub(crate) fn expected(kind: &MessageDescriptor) -> String {
    let text = match kind.full_name() {
        "google.protobuf.Timestamp" => "a time like 2026-01-31T10:00:00Z",
        "google.protobuf.Duration" => "a duration in seconds like 1.5s",
        "google.protobuf.FieldMask" => "fields in lowerCamelCase, divided by commas",
        "google.protobuf.ListValue" => "a list",
        _ => "an object",
    };
    text.to_owned()
}

/// What JSON writes as one text.
fn text(reader: &mut Reader<'_>, kind: &MessageDescriptor, node: &Node) -> Option<DynamicMessage> {
    let message = match node {
        Node::Text(text) => {
            let text: StrDeserializer<'_, PlainError> = StrDeserializer::new(text);
            DynamicMessage::deserialize(kind.clone(), text).ok()
        }
        _ => None,
    };
    if message.is_none() {
        reader.report.refuse("format", expected(kind));
    }
    message
}

/// What JSON writes as the value that is wrapped.
fn wrapper(
    reader: &mut Reader<'_>,
    kind: &MessageDescriptor,
    node: Node,
) -> Option<DynamicMessage> {
    let field = kind.get_field_by_name("value")?;
    let value = reader.value(&field.kind(), node)?;
    let mut message = DynamicMessage::new(kind.clone());
    message.set_field(&field, value);
    Some(message)
}

fn object(reader: &mut Reader<'_>, node: Node) -> Option<Struct> {
    let Node::Object(entries) = node else {
        reader.report.refuse("type", "an object");
        return None;
    };
    let mut object = Struct::default();
    for (key, node) in entries {
        let value = reader
            .step(&Step::Key, |reader| any_value(reader, node))
            .unwrap_or_default();
        if object.fields.insert(key, value).is_some() {
            reader.report.refuse("duplicate", "each key once");
        }
    }
    Some(object)
}

fn list(reader: &mut Reader<'_>, node: Node) -> Option<ListValue> {
    let Node::List(nodes) = node else {
        reader.report.refuse("type", "a list");
        return None;
    };
    let mut values = Vec::with_capacity(nodes.len());
    for (at, node) in nodes.into_iter().enumerate() {
        values.extend(reader.step(&Step::Item(at), |reader| any_value(reader, node)));
    }
    Some(ListValue { values })
}

/// `google.protobuf.Value` counts as two levels of messages for each of JSON: what the reader of
/// the service would refuse is refused here.
fn any_value(reader: &mut Reader<'_>, node: Node) -> Option<prost_types::Value> {
    let kind = match node {
        Node::Null => value::Kind::NullValue(0),
        Node::Bool(flag) => value::Kind::BoolValue(flag),
        Node::Number(number) => value::Kind::NumberValue(number.as_f64()?),
        Node::Text(text) => value::Kind::StringValue(text),
        Node::List(_) => value::Kind::ListValue(reader.deeper(|reader| list(reader, node))?),
        Node::Object(_) => value::Kind::StructValue(reader.deeper(|reader| object(reader, node))?),
    };
    Some(prost_types::Value { kind: Some(kind) })
}

/// `{"@type": "type.googleapis.com/package.Message", ...}` with the fields of that message, or
/// its own JSON under `value` where it is a well-known type.
fn any(reader: &mut Reader<'_>, kind: &MessageDescriptor, node: Node) -> Option<DynamicMessage> {
    let Node::Object(mut entries) = node else {
        reader.report.refuse("type", "an object with @type");
        return None;
    };
    let at = entries.iter().position(|(key, _)| key == "@type");
    let url = at.map(|at| entries.remove(at).1);
    let Some(Node::Text(type_url)) = url else {
        if entries.is_empty() {
            return Some(DynamicMessage::new(kind.clone()));
        }
        reader
            .report
            .refuse("required", "@type with the URL of a message type");
        return None;
    };
    let name = type_url.rsplit('/').next().unwrap_or_default();
    let Some(packed) = kind.parent_pool().get_message_by_name(name) else {
        reader
            .report
            .refuse("options", "a message type that the contract knows");
        return None;
    };
    let own_json = packed.full_name().starts_with("google.protobuf.")
        && packed.full_name() != "google.protobuf.Empty";
    let node = if own_json {
        match (entries.len(), entries.pop()) {
            (1, Some((key, node))) if key == "value" => node,
            _ => {
                reader
                    .report
                    .refuse("required", "value, and nothing else beside @type");
                return None;
            }
        }
    } else {
        Node::Object(entries)
    };
    let packed = reader.message(&packed, node)?;
    let mut message = DynamicMessage::new(kind.clone());
    let value = Value::Bytes(packed.encode_to_vec().into());
    message.set_field(
        &kind.get_field_by_name("type_url")?,
        Value::String(type_url),
    );
    message.set_field(&kind.get_field_by_name("value")?, value);
    Some(message)
}

/// Whether a message type can stand in a query or a path: JSON writes it as one text.
pub(crate) fn is_text(kind: &Kind) -> bool {
    let Kind::Message(kind) = kind else {
        return true;
    };
    kind.full_name()
        .strip_prefix("google.protobuf.")
        .is_some_and(|name| {
            matches!(name, "Timestamp" | "Duration" | "FieldMask")
                || name.ends_with("Value") && !matches!(name, "Value" | "ListValue")
        })
}
