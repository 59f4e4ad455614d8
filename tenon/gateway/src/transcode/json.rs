//! JSON into messages by the JSON mapping of protobuf, leniently: every value that does not fit
//! is noted with its place, and reading goes on.
//!
//! Source: "ProtoJSON Format" of the protobuf documentation. Field names are taken as
//! lowerCamelCase and as in the contract; integers and floats also as text; enums by name or
//! number; bytes in either alphabet of base64, padded or not.

use std::collections::HashMap;

use base64::{Engine, alphabet, engine};
use prost_reflect::{
    DynamicMessage, EnumDescriptor, FieldDescriptor, Kind, MapKey, MessageDescriptor,
    ReflectMessage, Value,
};

use super::{
    node::Node,
    report::{Report, Step},
    wellknown,
};

/// The deepest message that is written: what any protobuf reader takes.
const DEPTH_MAX: usize = 100;

const BASE64: engine::GeneralPurpose = lenient(&alphabet::STANDARD);
const BASE64_URL: engine::GeneralPurpose = lenient(&alphabet::URL_SAFE);

const fn lenient(alphabet: &alphabet::Alphabet) -> engine::GeneralPurpose {
    engine::GeneralPurpose::new(
        alphabet,
        engine::GeneralPurposeConfig::new()
            .with_decode_allow_trailing_bits(true)
            .with_decode_padding_mode(engine::DecodePaddingMode::Indifferent),
    )
}

/// Reads JSON into messages.
pub(crate) struct Reader<'a> {
    pub(crate) report: &'a mut Report,
    /// Whether fields that the contract does not know are passed over.
    pub(crate) ignore_unknown: bool,
    depth: usize,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(report: &'a mut Report, ignore_unknown: bool) -> Self {
        Self {
            report,
            ignore_unknown,
            depth: 0,
        }
    }

    /// A message. What does not fit is noted and left out.
    pub(crate) fn message(
        &mut self,
        kind: &MessageDescriptor,
        node: Node,
    ) -> Option<DynamicMessage> {
        if self.depth >= DEPTH_MAX {
            self.report
                .refuse("depth", format!("at most {DEPTH_MAX} levels of messages"));
            return None;
        }
        self.depth += 1;
        let message = match wellknown::read(self, kind, node) {
            Ok(outcome) => outcome,
            Err(node) => self.fields(kind, node),
        };
        self.depth -= 1;
        message
    }

    /// A message that is an object of its fields.
    fn fields(&mut self, kind: &MessageDescriptor, node: Node) -> Option<DynamicMessage> {
        let Node::Object(entries) = node else {
            self.report.refuse("type", "an object");
            return None;
        };
        let mut message = DynamicMessage::new(kind.clone());
        let mut seen: Vec<u32> = Vec::with_capacity(entries.len());
        for (name, node) in entries {
            let Some(field) = field_named(kind, &name) else {
                if !self.ignore_unknown {
                    // The name is the caller's, so that it is not repeated.
                    self.report
                        .refuse("unknown", format!("only fields of {}", kind.name()));
                }
                continue;
            };
            let twice = seen.contains(&field.number());
            seen.push(field.number());
            self.step(&Step::Field(field.json_name()), |reader| {
                if twice {
                    reader.report.refuse("duplicate", "the field once");
                } else {
                    reader.set(&mut message, &field, node);
                }
            });
        }
        for field in kind.fields().filter(FieldDescriptor::is_required) {
            if !seen.contains(&field.number()) {
                self.step(&Step::Field(field.json_name()), |reader| {
                    reader.report.refuse("required", "a value");
                });
            }
        }
        Some(message)
    }

    /// Sets a field of a message.
    pub(crate) fn set(
        &mut self,
        message: &mut DynamicMessage,
        field: &FieldDescriptor,
        node: Node,
    ) {
        if matches!(node, Node::Null) && !means_null(field) {
            return;
        }
        if let Some(oneof) = field.containing_oneof()
            && oneof
                .fields()
                .any(|other| other.number() != field.number() && message.has_field(&other))
        {
            self.report
                .refuse("oneof", format!("one field of {} at most", oneof.name()));
            return;
        }
        let value = if field.is_list() {
            self.list(&field.kind(), node).map(Value::List)
        } else if field.is_map() {
            self.map(field, node).map(Value::Map)
        } else {
            self.value(&field.kind(), node)
        };
        if let Some(value) = value {
            message.set_field(field, value);
        }
    }

    fn list(&mut self, kind: &Kind, node: Node) -> Option<Vec<Value>> {
        let Node::List(nodes) = node else {
            self.report.refuse("type", "a list");
            return None;
        };
        let mut list = Vec::with_capacity(nodes.len());
        for (at, node) in nodes.into_iter().enumerate() {
            let item = self.step(&Step::Item(at), |reader| reader.item(kind, node));
            list.extend(item);
        }
        Some(list)
    }

    fn map(&mut self, field: &FieldDescriptor, node: Node) -> Option<HashMap<MapKey, Value>> {
        let (Node::Object(entries), Kind::Message(entry)) = (node, field.kind()) else {
            self.report.refuse("type", "an object");
            return None;
        };
        let (keys, values) = (
            entry.map_entry_key_field().kind(),
            entry.map_entry_value_field().kind(),
        );
        let mut map = HashMap::with_capacity(entries.len());
        for (key, node) in entries {
            self.step(&Step::Key, |reader| {
                let Some(key) = map_key(&keys, key) else {
                    reader
                        .report
                        .refuse("type", format!("keys that are {}", expected(&keys)));
                    return;
                };
                let Some(value) = reader.item(&values, node) else {
                    return;
                };
                if map.insert(key, value).is_some() {
                    reader.report.refuse("duplicate", "each key once");
                }
            });
        }
        Some(map)
    }

    /// A value within a list or a map, where null stands for nothing.
    fn item(&mut self, kind: &Kind, node: Node) -> Option<Value> {
        if matches!(node, Node::Null) && !kind_takes_null(kind) {
            self.report.refuse("type", expected(kind));
            return None;
        }
        self.value(kind, node)
    }

    /// Reads what stands one step further in.
    pub(crate) fn step<T>(
        &mut self,
        step: &Step<'_>,
        work: impl FnOnce(&mut Reader<'_>) -> T,
    ) -> T {
        let (ignore_unknown, depth) = (self.ignore_unknown, self.depth);
        self.report.within(step, |report| {
            work(&mut Reader {
                report,
                ignore_unknown,
                depth,
            })
        })
    }

    /// Reads what is a message within the message that is read, and within one more.
    pub(crate) fn deeper<T>(&mut self, work: impl FnOnce(&mut Self) -> Option<T>) -> Option<T> {
        if self.depth + 2 > DEPTH_MAX {
            let expected = format!("at most {DEPTH_MAX} levels of messages");
            self.report.refuse("depth", expected);
            return None;
        }
        self.depth += 2;
        let outcome = work(self);
        self.depth -= 2;
        outcome
    }

    /// A value that is neither list nor map.
    pub(crate) fn value(&mut self, kind: &Kind, node: Node) -> Option<Value> {
        let value = match (kind, node) {
            (Kind::Message(kind), node) => {
                return self.message(kind, node).map(Value::Message);
            }
            (Kind::Enum(kind), node) => return self.choice(kind, &node),
            (Kind::Bool, Node::Bool(value)) => Some(Value::Bool(value)),
            (Kind::String, Node::Text(text)) => Some(Value::String(text)),
            (Kind::Bytes, Node::Text(text)) => {
                let url = text.contains(['-', '_']);
                let engine = if url { &BASE64_URL } else { &BASE64 };
                engine
                    .decode(text)
                    .ok()
                    .map(|bytes| Value::Bytes(bytes.into()))
            }
            (Kind::Double, node) => double(&node).map(Value::F64),
            (Kind::Float, node) => double(&node).and_then(single).map(Value::F32),
            (Kind::Int32 | Kind::Sint32 | Kind::Sfixed32, node) => integer(&node)
                .and_then(|n| i32::try_from(n).ok())
                .map(Value::I32),
            (Kind::Int64 | Kind::Sint64 | Kind::Sfixed64, node) => integer(&node)
                .and_then(|n| i64::try_from(n).ok())
                .map(Value::I64),
            (Kind::Uint32 | Kind::Fixed32, node) => integer(&node)
                .and_then(|n| u32::try_from(n).ok())
                .map(Value::U32),
            (Kind::Uint64 | Kind::Fixed64, node) => integer(&node)
                .and_then(|n| u64::try_from(n).ok())
                .map(Value::U64),
            _ => None,
        };
        if value.is_none() {
            self.report.refuse("type", expected(kind));
        }
        value
    }

    fn choice(&mut self, kind: &EnumDescriptor, node: &Node) -> Option<Value> {
        if kind.full_name() == "google.protobuf.NullValue" && *node == Node::Null {
            return Some(Value::EnumNumber(0));
        }
        let number = match node {
            Node::Text(name) => kind.get_value_by_name(name).map(|value| value.number()),
            Node::Number(_) => integer(node).and_then(|number| i32::try_from(number).ok()),
            _ => None,
        };
        if let Some(number) = number {
            return Some(Value::EnumNumber(number));
        }
        if self.ignore_unknown && matches!(node, Node::Text(_)) {
            return None;
        }
        let names: Vec<String> = kind
            .values()
            .take(20)
            .map(|value| value.name().to_owned())
            .collect();
        self.report
            .refuse("options", format!("one of {}", names.join(", ")));
        None
    }
}

/// The field of that name, as JSON or as the contract has it.
pub(crate) fn field_named(kind: &MessageDescriptor, name: &str) -> Option<FieldDescriptor> {
    kind.get_field_by_json_name(name)
        .or_else(|| kind.get_field_by_name(name))
}

/// What a value of a kind is called in a violation.
pub(crate) fn expected(kind: &Kind) -> String {
    let text = match kind {
        Kind::Bool => "true or false",
        Kind::String => "a string",
        Kind::Bytes => "bytes in base64",
        Kind::Double | Kind::Float => "a number",
        Kind::Int32 | Kind::Sint32 | Kind::Sfixed32 => "an integer of 32 bits",
        Kind::Int64 | Kind::Sint64 | Kind::Sfixed64 => "an integer of 64 bits",
        Kind::Uint32 | Kind::Fixed32 => "an integer of 32 bits, 0 or more",
        Kind::Uint64 | Kind::Fixed64 => "an integer of 64 bits, 0 or more",
        Kind::Enum(kind) => return format!("a value of {}", kind.name()),
        Kind::Message(kind) => return wellknown::expected(kind),
    };
    text.to_owned()
}

/// Whether null is a value of the field and not its absence.
fn means_null(field: &FieldDescriptor) -> bool {
    !field.is_list() && !field.is_map() && kind_takes_null(&field.kind())
}

fn kind_takes_null(kind: &Kind) -> bool {
    match kind {
        Kind::Message(kind) => kind.full_name() == "google.protobuf.Value",
        Kind::Enum(kind) => kind.full_name() == "google.protobuf.NullValue",
        _ => false,
    }
}

/// An integer, written as one, with an exponent or a fraction of zero, or as text.
fn integer(node: &Node) -> Option<i128> {
    match node {
        Node::Number(number) => {
            let whole = number
                .as_i64()
                .map(i128::from)
                .or_else(|| number.as_u64().map(i128::from));
            whole.or_else(|| number.as_f64().and_then(whole_of))
        }
        Node::Text(text) => {
            let plain = text.parse::<i128>().ok().filter(|_| !text.starts_with('+'));
            plain.or_else(|| text_number(text).and_then(whole_of))
        }
        _ => None,
    }
}

fn whole_of(number: f64) -> Option<i128> {
    // Beyond this a float has no room for the last digits, and no field for the number.
    (number.fract() == 0.0 && number.abs() < 2_f64.powi(64)).then_some(number as i128)
}

fn double(node: &Node) -> Option<f64> {
    match node {
        Node::Number(number) => number.as_f64(),
        Node::Text(text) => match text.as_str() {
            "NaN" => Some(f64::NAN),
            "Infinity" => Some(f64::INFINITY),
            "-Infinity" => Some(f64::NEG_INFINITY),
            text => text_number(text),
        },
        _ => None,
    }
}

/// A number as JSON writes it, in a text: Rust's parser would also take `inf` and `+1`.
fn text_number(text: &str) -> Option<f64> {
    let number: serde_json::Number = serde_json::from_str(text).ok()?;
    let plain = text.starts_with(|c: char| c == '-' || c.is_ascii_digit())
        && text.ends_with(|c: char| c.is_ascii_digit());
    number.as_f64().filter(|_| plain)
}

fn single(number: f64) -> Option<f32> {
    let fits = !number.is_finite() || number.abs() <= f64::from(f32::MAX);
    fits.then_some(number as f32)
}

fn map_key(kind: &Kind, key: String) -> Option<MapKey> {
    let node = Node::Text(key);
    match (kind, node) {
        (Kind::String, Node::Text(key)) => Some(MapKey::String(key)),
        (Kind::Bool, Node::Text(key)) => key.parse().ok().map(MapKey::Bool),
        (Kind::Int32 | Kind::Sint32 | Kind::Sfixed32, node) => integer(&node)
            .and_then(|n| i32::try_from(n).ok())
            .map(MapKey::I32),
        (Kind::Int64 | Kind::Sint64 | Kind::Sfixed64, node) => integer(&node)
            .and_then(|n| i64::try_from(n).ok())
            .map(MapKey::I64),
        (Kind::Uint32 | Kind::Fixed32, node) => integer(&node)
            .and_then(|n| u32::try_from(n).ok())
            .map(MapKey::U32),
        (Kind::Uint64 | Kind::Fixed64, node) => integer(&node)
            .and_then(|n| u64::try_from(n).ok())
            .map(MapKey::U64),
        _ => None,
    }
}

/// The bytes of a message of a type of the toolkit as a message of the contract's pool.
pub(crate) fn of_known<M: prost::Message>(
    kind: &MessageDescriptor,
    message: &M,
) -> Option<DynamicMessage> {
    let bytes = message.encode_to_vec();
    let decoded = DynamicMessage::decode(kind.clone(), bytes.as_slice()).ok()?;
    debug_assert_eq!(decoded.descriptor().full_name(), kind.full_name());
    Some(decoded)
}
