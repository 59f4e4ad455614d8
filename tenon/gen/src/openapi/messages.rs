//! Messages as schemas, by the JSON mapping of protobuf ("ProtoJSON Format").

use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet},
};

use prost_types::{
    DescriptorProto, EnumDescriptorProto, FieldDescriptorProto, FileDescriptorProto,
    field_descriptor_proto::{Label, Type},
};
use serde_json::{Map, Value, json};
use tenon_idl::proto::{Proto, docs};

use super::{PERSONAL, description};

// Numbers of fields of descriptors, for the places of comments.
const MESSAGE: i32 = 4;
const ENUM: i32 = 5;
const FIELD: i32 = 2;
const NESTED: i32 = 3;
const ENUM_WITHIN: i32 = 4;
const ENUM_VALUE: i32 = 2;

/// The types of a contract, and which of them a document needs.
pub(super) struct Types<'a> {
    messages: BTreeMap<String, Message<'a>>,
    enums: BTreeMap<String, (Place<'a>, &'a EnumDescriptorProto)>,
    needed: RefCell<Vec<String>>,
    /// The full names of the fields that no message shows.
    redacted: &'a BTreeSet<String>,
}

/// A message and where it stands.
#[derive(Clone)]
pub(super) struct Message<'a> {
    place: Place<'a>,
    proto: &'a DescriptorProto,
    full_name: String,
}

/// A field of a message and where it stands.
#[derive(Clone)]
pub(super) struct Field<'a> {
    file: &'a FileDescriptorProto,
    path: Vec<i32>,
    proto: &'a FieldDescriptorProto,
    /// The message that has it.
    holder: String,
    /// The fields of which only one may be given, by their names in JSON.
    oneof: Vec<&'a str>,
}

#[derive(Clone)]
struct Place<'a> {
    file: &'a FileDescriptorProto,
    path: Vec<i32>,
}

impl<'a> Types<'a> {
    pub(super) fn new(proto: &'a Proto) -> Self {
        let mut types = Self {
            messages: BTreeMap::new(),
            enums: BTreeMap::new(),
            needed: RefCell::new(Vec::new()),
            redacted: &proto.redacted,
        };
        for file in &proto.descriptor_set.file {
            let prefix = match file.package() {
                "" => String::new(),
                package => format!("{package}."),
            };
            for (number, message) in (0..).zip(&file.message_type) {
                types.add(file, &prefix, message, vec![MESSAGE, number]);
            }
            for (number, item) in (0..).zip(&file.enum_type) {
                types.add_enum(file, &prefix, item, vec![ENUM, number]);
            }
        }
        types
    }

    fn add(
        &mut self,
        file: &'a FileDescriptorProto,
        prefix: &str,
        proto: &'a DescriptorProto,
        path: Vec<i32>,
    ) {
        let full_name = format!("{prefix}{}", proto.name());
        let within = format!("{full_name}.");
        for (number, message) in (0..).zip(&proto.nested_type) {
            types_path(&path, NESTED, number, |path| {
                self.add(file, &within, message, path);
            });
        }
        for (number, item) in (0..).zip(&proto.enum_type) {
            types_path(&path, ENUM_WITHIN, number, |path| {
                self.add_enum(file, &within, item, path);
            });
        }
        let message = Message {
            place: Place { file, path },
            proto,
            full_name: full_name.clone(),
        };
        self.messages.insert(full_name, message);
    }

    fn add_enum(
        &mut self,
        file: &'a FileDescriptorProto,
        prefix: &str,
        item: &'a EnumDescriptorProto,
        path: Vec<i32>,
    ) {
        let full_name = format!("{prefix}{}", item.name());
        self.enums.insert(full_name, (Place { file, path }, item));
    }

    /// A message by its full name.
    pub(super) fn message(&self, full_name: &str) -> Option<&Message<'a>> {
        self.messages.get(full_name.trim_start_matches('.'))
    }

    /// The message that a field holds, where it is one and neither a list nor a map.
    pub(super) fn within(&self, field: &Field<'a>) -> Option<&Message<'a>> {
        let is_one = field.proto.r#type() == Type::Message && !field.is_repeated();
        is_one
            .then(|| self.message(field.proto.type_name()))
            .flatten()
    }

    /// The schema of a message wherever it stands.
    pub(super) fn reference(&self, full_name: &str) -> Value {
        let full_name = full_name.trim_start_matches('.');
        known(full_name).unwrap_or_else(|| self.component(full_name))
    }

    fn component(&self, full_name: &str) -> Value {
        let mut needed = self.needed.borrow_mut();
        if !needed.iter().any(|name| name == full_name) {
            needed.push(full_name.to_owned());
        }
        json!({ "$ref": format!("#/components/schemas/{full_name}") })
    }

    /// The schemas of all that was referred to, and of what those refer to.
    pub(super) fn components(&self) -> BTreeMap<String, Value> {
        let mut schemas = BTreeMap::new();
        let mut next = 0;
        loop {
            let Some(name) = self.needed.borrow().get(next).cloned() else {
                return schemas;
            };
            next += 1;
            let schema = match (self.messages.get(&name), self.enums.get(&name)) {
                (Some(message), _) => self.object(message, &[]),
                (None, Some((place, item))) => choice(place, item),
                (None, None) => json!({}),
            };
            schemas.insert(name, schema);
        }
    }

    /// A message written out, without the fields of these names.
    pub(super) fn object(&self, message: &Message<'a>, without: &[&str]) -> Value {
        let mut object = Map::new();
        object.insert("type".to_owned(), json!("object"));
        let comment = docs(message.place.file, &message.place.path);
        if let Some(text) = description(&comment) {
            object.insert("description".to_owned(), text);
        }
        let mut properties = Map::new();
        let mut required = Vec::new();
        for field in message.fields() {
            if without.contains(&field.proto.name()) {
                continue;
            }
            properties.insert(field.json_name(), self.property(&field));
            if field.proto.label() == Label::Required {
                required.push(field.json_name());
            }
        }
        object.insert("properties".to_owned(), Value::Object(properties));
        if !required.is_empty() {
            object.insert("required".to_owned(), json!(required));
        }
        Value::Object(object)
    }

    /// The schema of a field with its comment.
    pub(super) fn property(&self, field: &Field<'a>) -> Value {
        let mut schema = self.schema(field);
        let mut lines = docs(field.file, &field.path);
        if !field.oneof.is_empty() {
            lines.push(format!("At most one of {}.", field.oneof.join(", ")));
        }
        if let (Some(text), Value::Object(map)) = (description(&lines), &mut schema) {
            map.insert("description".to_owned(), text);
        }
        schema
    }

    /// The schema of a field.
    pub(super) fn schema(&self, field: &Field<'a>) -> Value {
        let mut schema = self.bare_schema(field);
        let full_name = format!("{}.{}", field.holder, field.name());
        if self.redacted.contains(&full_name) {
            schema[PERSONAL] = json!(true);
        }
        schema
    }

    fn bare_schema(&self, field: &Field<'a>) -> Value {
        if !field.is_repeated() {
            return self.value(field.proto);
        }
        let entry = self.message(field.proto.type_name());
        let entry = entry.filter(|entry| {
            let options = entry.proto.options.as_ref();
            options.is_some_and(prost_types::MessageOptions::map_entry)
        });
        match entry.and_then(|entry| entry.proto.field.get(1)) {
            Some(value) => json!({
                "type": "object", "additionalProperties": self.value(value)
            }),
            None => json!({ "type": "array", "items": self.value(field.proto) }),
        }
    }

    fn value(&self, field: &FieldDescriptorProto) -> Value {
        match field.r#type() {
            Type::Double => json!({ "type": "number", "format": "double" }),
            Type::Float => json!({ "type": "number", "format": "float" }),
            Type::Int64 | Type::Sint64 | Type::Sfixed64 => integer_text(true),
            Type::Uint64 | Type::Fixed64 => integer_text(false),
            Type::Int32 | Type::Sint32 | Type::Sfixed32 => {
                json!({ "type": "integer", "format": "int32" })
            }
            Type::Uint32 | Type::Fixed32 => {
                json!({ "type": "integer", "format": "uint32", "minimum": 0 })
            }
            Type::Bool => json!({ "type": "boolean" }),
            Type::String => json!({ "type": "string" }),
            Type::Bytes => json!({ "type": "string", "contentEncoding": "base64" }),
            Type::Enum if field.type_name() == ".google.protobuf.NullValue" => {
                json!({ "type": "null" })
            }
            Type::Enum => self.component(field.type_name().trim_start_matches('.')),
            Type::Message | Type::Group => self.reference(field.type_name()),
        }
    }
}

impl<'a> Message<'a> {
    /// Its full name.
    pub(super) fn full_name(&self) -> &str {
        &self.full_name
    }

    /// The fields in the order of the text.
    pub(super) fn fields(&self) -> impl Iterator<Item = Field<'a>> {
        let (place, proto, holder) = (self.place.clone(), self.proto, self.full_name.clone());
        (0..).zip(&proto.field).map(move |(number, field)| Field {
            file: place.file,
            path: [place.path.as_slice(), &[FIELD, number]].concat(),
            proto: field,
            holder: holder.clone(),
            oneof: oneof(proto, field),
        })
    }

    /// A field by its name in the contract.
    pub(super) fn field(&self, name: &str) -> Option<Field<'a>> {
        self.fields().find(|field| field.proto.name() == name)
    }
}

impl Field<'_> {
    /// Its name in the contract.
    pub(super) fn name(&self) -> &str {
        self.proto.name()
    }

    /// Its name in JSON.
    pub(super) fn json_name(&self) -> String {
        self.proto.json_name().to_owned()
    }

    /// Its comment.
    pub(super) fn docs(&self) -> Vec<String> {
        docs(self.file, &self.path)
    }

    /// Whether it is a list or a map.
    pub(super) fn is_repeated(&self) -> bool {
        self.proto.label() == Label::Repeated
    }

    /// Whether its value, or each of its values, is written as one text, so that it has a place in
    /// a query.
    pub(super) fn is_plain(&self) -> bool {
        match self.proto.r#type() {
            Type::Message | Type::Group => is_text(self.proto.type_name()),
            _ => true,
        }
    }

    /// Whether it is `google.api.HttpBody`.
    pub(super) fn is_raw(&self) -> bool {
        self.proto.r#type() == Type::Message
            && !self.is_repeated()
            && is_raw(self.proto.type_name())
    }
}

/// Whether a message is a body of any media type.
pub(super) fn is_raw(full_name: &str) -> bool {
    full_name.trim_start_matches('.') == "google.api.HttpBody"
}

fn types_path(path: &[i32], kind: i32, number: i32, add: impl FnOnce(Vec<i32>)) {
    add([path, &[kind, number]].concat());
}

/// The names of the fields that share a `oneof` with this one; none where it has none, or only the
/// one of `optional`.
fn oneof<'a>(message: &'a DescriptorProto, field: &FieldDescriptorProto) -> Vec<&'a str> {
    let Some(index) = field.oneof_index.filter(|_| !field.proto3_optional()) else {
        return Vec::new();
    };
    let fields = message.field.iter();
    let alike = fields.filter(|other| other.oneof_index == Some(index));
    alike.map(FieldDescriptorProto::json_name).collect()
}

fn choice(place: &Place<'_>, item: &EnumDescriptorProto) -> Value {
    let mut lines = docs(place.file, &place.path);
    for (number, value) in (0..).zip(&item.value) {
        let path = [place.path.as_slice(), &[ENUM_VALUE, number]].concat();
        let told = docs(place.file, &path).join(" ");
        if !told.is_empty() {
            lines.push(format!("- {}: {told}", value.name()));
        }
    }
    let names: Vec<&str> = item.value.iter().map(|value| value.name()).collect();
    let mut schema = Map::new();
    schema.insert("type".to_owned(), json!("string"));
    if let Some(text) = description(&lines) {
        schema.insert("description".to_owned(), text);
    }
    schema.insert("enum".to_owned(), json!(names));
    Value::Object(schema)
}

fn is_text(full_name: &str) -> bool {
    let name = full_name.trim_start_matches('.');
    let name = name.strip_prefix("google.protobuf.");
    name.is_some_and(|name| {
        matches!(name, "Timestamp" | "Duration" | "FieldMask")
            || name.ends_with("Value") && !matches!(name, "Value" | "ListValue")
    })
}

/// An integer of 64 bits, which JSON writes as text: readers of JSON lose digits of such numbers.
fn integer_text(signed: bool) -> Value {
    match signed {
        true => json!({ "type": "string", "format": "int64", "pattern": "^-?[0-9]{1,19}$" }),
        false => json!({ "type": "string", "format": "uint64", "pattern": "^[0-9]{1,20}$" }),
    }
}

/// The types of protobuf that have JSON of their own.
fn known(full_name: &str) -> Option<Value> {
    let name = full_name.strip_prefix("google.protobuf.")?;
    let or_null = |mut schema: Value| {
        let kind = schema["type"].take();
        schema["type"] = json!([kind, "null"]);
        schema
    };
    Some(match name {
        "Timestamp" => json!({ "type": "string", "format": "date-time" }),
        "Duration" => json!({
            "type": "string", "pattern": "^-?[0-9]+(\\.[0-9]{1,9})?s$", "description": "Seconds, `1.5s`."
        }),
        "FieldMask" => json!({
            "type": "string", "description": "Fields in lowerCamelCase, divided by commas."
        }),
        "Struct" => json!({ "type": "object", "additionalProperties": true }),
        "Value" => json!({ "description": "Any JSON value." }),
        "ListValue" => json!({ "type": "array", "items": {} }),
        "Empty" => json!({ "type": "object" }),
        "Any" => json!({
            "type": "object",
            "description": "A message of the type that `@type` names.",
            "required": ["@type"],
            "properties": { "@type": { "type": "string" } },
            "additionalProperties": true
        }),
        "DoubleValue" => or_null(json!({ "type": "number", "format": "double" })),
        "FloatValue" => or_null(json!({ "type": "number", "format": "float" })),
        "Int64Value" => or_null(integer_text(true)),
        "UInt64Value" => or_null(integer_text(false)),
        "Int32Value" => or_null(json!({ "type": "integer", "format": "int32" })),
        "UInt32Value" => or_null(json!({ "type": "integer", "format": "uint32", "minimum": 0 })),
        "BoolValue" => or_null(json!({ "type": "boolean" })),
        "StringValue" => or_null(json!({ "type": "string" })),
        "BytesValue" => or_null(json!({ "type": "string", "contentEncoding": "base64" })),
        _ => return None,
    })
}
