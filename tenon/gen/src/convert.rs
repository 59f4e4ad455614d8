//! `contract/src/gen/convert.rs`: operations that stand in both contracts have one logic
//! function, which takes the REST types; here the messages become those types and back, where
//! names and types agree.

use std::collections::{BTreeMap, BTreeSet};

use prost_types::{
    DescriptorProto, FieldDescriptorProto,
    field_descriptor_proto::{Label, Type as Wire},
};
use tenon_idl::{
    model::{Api, Body, Field, Struct, Type},
    proto::Proto,
};

use crate::{
    layout::Code,
    names::snake,
    plan::{Operation, Plan},
    rest::{header, is_option, short_literal},
    rest_field_names,
    rpc::messages::Messages,
};

/// The conversions of all operations that stand in both contracts.
pub(crate) struct Conversions<'a> {
    api: &'a Api,
    messages: BTreeMap<String, &'a DescriptorProto>,
    /// The full names of the fields that no message shows.
    redacted: &'a BTreeSet<String>,
    /// Struct, message, direction -> whether they agree. Entered before it is known, so that a
    /// type that contains itself is looked at once.
    known: BTreeMap<(String, String, Direction), bool>,
}

/// Which way a value goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Direction {
    /// A request message into the REST type.
    In,
    /// The REST type into a response message.
    Out,
}

impl<'a> Conversions<'a> {
    pub(crate) fn new(api: &'a Api, proto: &'a Proto) -> Self {
        let mut messages = BTreeMap::new();
        for file in &proto.descriptor_set.file {
            for message in &file.message_type {
                collect(&mut messages, file.package(), message);
            }
        }
        Self {
            api,
            messages,
            redacted: &proto.redacted,
            known: BTreeMap::new(),
        }
    }

    /// Whether the request message of an operation becomes its REST request by `From`.
    pub(crate) fn request(&mut self, operation: &Operation<'_>) -> bool {
        let (Some(rest), Some(rpc)) = (operation.rest, operation.rpc) else {
            return true;
        };
        self.body(
            rest.route.request.as_ref(),
            &rpc.method.input,
            Direction::In,
        )
    }

    /// Whether the REST response of an operation becomes its response message by `From`.
    pub(crate) fn response(&mut self, operation: &Operation<'_>) -> bool {
        let (Some(rest), Some(rpc)) = (operation.rest, operation.rpc) else {
            return true;
        };
        self.body(
            rest.route.response.as_ref(),
            &rpc.method.output,
            Direction::Out,
        )
    }

    /// The file; none where nothing is converted.
    pub(crate) fn write(&self, plan: &Plan<'_>, messages: &Messages) -> Option<String> {
        let mut pairs = self.known.iter().filter(|(_, agree)| **agree).peekable();
        pairs.peek()?;
        let mut code = Code::new();
        code.line(header(&plan.sources()));
        code.blank();
        code.line(
            "//! Between the messages of the RPC contract and the types of the REST contract.",
        );
        code.blank();
        code.line("use crate::{rest, rpc};");
        for ((name, full, direction), _) in pairs {
            let (Some(item), Some(message)) = (self.api.type_named(name), self.messages.get(full))
            else {
                continue;
            };
            let rest = format!("rest::{}", plan.types.rust(name));
            let rpc = messages.rust_type(full, "rpc::");
            let (from, to) = match direction {
                Direction::In => (rpc, rest),
                Direction::Out => (rest, rpc),
            };
            code.blank();
            code.open(format!("impl From<{from}> for {to} {{"));
            let empty = item.fields.is_empty();
            let argument = if empty { "_" } else { "value" };
            code.open(format!("fn from({argument}: {from}) -> Self {{"));
            let parts = field_values(item, message);
            match short_literal(&parts) {
                Some(line) => code.line(line),
                None => {
                    code.open("Self {");
                    for part in parts {
                        code.lines(&format!("{part},"));
                    }
                    code.close("}");
                }
            }
            code.close("}");
            code.close("}");
        }
        Some(code.finish())
    }

    fn body(&mut self, body: Option<&Body>, full: &str, direction: Direction) -> bool {
        match body.map(|body| &body.ty) {
            // Nothing is lost when a message without fields goes with no body.
            None => self.is_empty(full),
            Some(Type::Struct(name)) => self.agree(&name.clone(), full, direction),
            Some(_) => false,
        }
    }

    fn is_empty(&self, full: &str) -> bool {
        self.messages
            .get(full)
            .is_some_and(|message| message.field.is_empty())
    }

    fn agree(&mut self, name: &str, full: &str, direction: Direction) -> bool {
        let key = (name.to_owned(), full.to_owned(), direction);
        if let Some(known) = self.known.get(&key) {
            return *known;
        }
        if full.starts_with("google.protobuf.") {
            return false;
        }
        let (api, message) = (self.api, self.messages.get(full).copied());
        let (Some(item), Some(message)) = (api.type_named(name), message) else {
            return false;
        };
        self.known.insert(key.clone(), true);
        let agree = self.fields_agree(item, full, message, direction);
        self.known.insert(key, agree);
        agree
    }

    fn fields_agree(
        &mut self,
        item: &Struct,
        full: &str,
        message: &DescriptorProto,
        way: Direction,
    ) -> bool {
        if item.fields.len() != message.field.len() {
            return false;
        }
        let names = rest_field_names(item);
        item.fields.iter().zip(names).all(|(field, name)| {
            let wire = message.field.iter().find(|wire| snake(wire.name()) == name);
            wire.is_some_and(|wire| {
                let redacted = self.redacted.contains(&format!("{full}.{}", wire.name()));
                match (field.personal, redacted) {
                    (false, false) => self.field_agrees(field, wire, way),
                    (true, true) => personal_agrees(field, wire),
                    // Whoever takes a personal value out of its type says so by hand.
                    _ => false,
                }
            })
        })
    }

    fn field_agrees(&mut self, field: &Field, wire: &FieldDescriptorProto, way: Direction) -> bool {
        let in_oneof = wire.oneof_index.is_some() && !wire.proto3_optional();
        if field.boxed || in_oneof {
            return false;
        }
        let list = wire.label() == Label::Repeated;
        let entry = self.map_entry(wire);
        match (&field.ty, entry) {
            (Type::Map(key, value), Some((wire_key, wire_value))) => {
                !is_option(field)
                    && scalar_agrees(key, &wire_key)
                    && self.value_agrees(value, &wire_value, way)
            }
            (_, Some(_)) => false,
            (Type::List(item), None) => {
                list && !is_option(field) && self.value_agrees(item, wire, way)
            }
            (_, None) if list => false,
            // A message field is always an `Option`; a request may lack it.
            (Type::Struct(_), None) => {
                (is_option(field) || way == Direction::Out)
                    && self.value_agrees(&field.ty, wire, way)
            }
            (Type::Bytes, None) => {
                wire.r#type() == Wire::Bytes && is_option(field) == wire.proto3_optional()
            }
            (ty, None) => scalar_agrees(ty, wire) && is_option(field) == wire.proto3_optional(),
        }
    }

    fn value_agrees(&mut self, ty: &Type, wire: &FieldDescriptorProto, way: Direction) -> bool {
        match ty {
            Type::Struct(name) => {
                wire.r#type() == Wire::Message
                    && self.agree(name, wire.type_name().trim_start_matches('.'), way)
            }
            other => scalar_agrees(other, wire),
        }
    }

    /// Key and value of a map field.
    fn map_entry(
        &self,
        wire: &FieldDescriptorProto,
    ) -> Option<(FieldDescriptorProto, FieldDescriptorProto)> {
        let entry = self
            .messages
            .get(wire.type_name().trim_start_matches('.'))?;
        entry
            .options
            .as_ref()
            .filter(|options| options.map_entry())?;
        match entry.field.as_slice() {
            [key, value] => Some((key.clone(), value.clone())),
            _ => None,
        }
    }
}

fn collect<'a>(
    messages: &mut BTreeMap<String, &'a DescriptorProto>,
    scope: &str,
    message: &'a DescriptorProto,
) {
    let full = match scope {
        "" => message.name().to_owned(),
        scope => format!("{scope}.{}", message.name()),
    };
    for nested in &message.nested_type {
        collect(messages, &full, nested);
    }
    messages.insert(full, message);
}

/// `name: value` for each field; an item may be several lines.
fn field_values(item: &Struct, message: &DescriptorProto) -> Vec<String> {
    let mut values = Vec::new();
    for (field, name) in item.fields.iter().zip(rest_field_names(item)) {
        let wire = message.field.iter().find(|wire| snake(wire.name()) == name);
        let Some(wire) = wire else { continue };
        let value = format!("value.{name}");
        let list = wire.label() == Label::Repeated;
        let value = match &field.ty {
            Type::Bytes | Type::Struct(_) if is_option(field) => {
                format!("{value}.map(Into::into)")
            }
            Type::Bytes => format!("{value}.into()"),
            Type::Struct(_) => format!("Some({value}.into())"),
            Type::List(inner) if list && matches!(**inner, Type::Struct(_)) => {
                format!("{value}.into_iter().map(Into::into).collect()")
            }
            Type::Map(_, inner) if matches!(**inner, Type::Struct(_)) => format!(
                "value\n    .{name}\n    .into_iter()\n    .map(|(key, value)| (key, value.into()))\n    .collect()"
            ),
            Type::Map(..) => format!("{value}.into_iter().collect()"),
            _ => value,
        };
        values.push(format!("{name}: {value}"));
    }
    values
}

/// Whether a personal value is the same Rust type on both sides: it goes over as it is.
fn personal_agrees(field: &Field, wire: &FieldDescriptorProto) -> bool {
    let in_oneof = wire.oneof_index.is_some() && !wire.proto3_optional();
    match &field.ty {
        Type::List(item) => {
            !is_option(field) && wire.label() == Label::Repeated && scalar_agrees(item, wire)
        }
        ty => {
            !in_oneof
                && wire.label() != Label::Repeated
                && is_option(field) == wire.proto3_optional()
                && scalar_agrees(ty, wire)
        }
    }
}

/// Whether a scalar is the same Rust type on both sides.
fn scalar_agrees(ty: &Type, wire: &FieldDescriptorProto) -> bool {
    matches!(
        (ty, wire.r#type()),
        (Type::Bool, Wire::Bool)
            | (Type::String, Wire::String)
            | (
                Type::Int {
                    bits: 64,
                    signed: true
                },
                Wire::Int64 | Wire::Sint64 | Wire::Sfixed64
            )
            | (
                Type::Int {
                    bits: 32,
                    signed: true
                },
                Wire::Int32 | Wire::Sint32 | Wire::Sfixed32
            )
            | (
                Type::Int {
                    bits: 64,
                    signed: false
                },
                Wire::Uint64 | Wire::Fixed64
            )
            | (
                Type::Int {
                    bits: 32,
                    signed: false
                },
                Wire::Uint32 | Wire::Fixed32
            )
            | (Type::Float { bits: 64 }, Wire::Double)
            | (Type::Float { bits: 32 }, Wire::Float)
    )
}
