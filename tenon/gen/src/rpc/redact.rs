//! The option `debug_redact` of fields: their values are `::tenon::Personal`, which nothing prints.
//! prost's derive takes no field of such a type, so messages with one are described to
//! `::tenon::rpc::message!` instead; all others stay as prost writes them.

use prost_types::DescriptorProto;
use quote::ToTokens;
use syn::{Meta, Token, punctuated::Punctuated};
use tenon_idl::proto::Proto;

use super::messages::{tokens, type_text};

/// Stands at the fields that are hidden, between prost and the writer.
const MARK: &str = "#[redacted]";

/// Marks the fields in the output of prost.
pub(super) fn mark(config: &mut prost_build::Config, proto: &Proto) {
    for file in &proto.descriptor_set.file {
        for message in &file.message_type {
            mark_message(config, proto, file.package(), message);
        }
    }
}

fn mark_message(
    config: &mut prost_build::Config,
    proto: &Proto,
    scope: &str,
    message: &DescriptorProto,
) {
    let full = match scope {
        "" => message.name().to_owned(),
        scope => format!("{scope}.{}", message.name()),
    };
    for field in &message.field {
        if !proto.redacted.contains(&format!("{full}.{}", field.name())) {
            continue;
        }
        // prost names the fields of a oneof by their oneof.
        let number = field.oneof_index.filter(|_| !field.proto3_optional());
        let number = number.and_then(|number| usize::try_from(number).ok());
        let oneof = number.and_then(|number| message.oneof_decl.get(number));
        let holder = oneof.map_or_else(
            || format!(".{full}"),
            |oneof| format!(".{full}.{}", oneof.name()),
        );
        config.field_attribute(format!("{holder}.{}", field.name()), MARK);
    }
    for nested in &message.nested_type {
        mark_message(config, proto, &full, nested);
    }
}

/// What stands for the label of a value in a oneof, which is written whatever it is.
const ONE: &str = "one";

/// A message or a oneof with redacted fields, as it is written.
pub(super) struct Redacted {
    /// What is derived.
    pub(super) derives: Vec<String>,
    /// The types of its fields or of the values of its variants.
    pub(super) types: Vec<String>,
    /// What `::tenon::rpc::message!` or `oneof!` is told of each, in the order of the tags.
    pub(super) lines: Vec<String>,
    /// Functions as prost derives them for enums and for scalars that may be absent: docs, head
    /// and body of each.
    pub(super) functions: Vec<[String; 3]>,
}

impl Redacted {
    /// A message, where it has redacted fields; else prost derives it.
    ///
    /// # Errors
    /// A field that has no shape here, with what is wrong with it.
    pub(super) fn message(item: &syn::ItemStruct) -> Result<Option<Self>, String> {
        let fields = item.fields.iter().map(|field| {
            let name = field.ident.as_ref().map(ToString::to_string);
            (name.unwrap_or_default(), &field.attrs, &field.ty)
        });
        let found = Self::of(&item.attrs, fields, "");
        found.map_err(|problem| format!("the message `{}`: {problem}", item.ident))
    }

    /// A oneof, where it has redacted fields.
    ///
    /// # Errors
    /// As [`Redacted::message`].
    pub(super) fn oneof(item: &syn::ItemEnum) -> Result<Option<Self>, String> {
        let variants = item.variants.iter().filter_map(|variant| {
            let value = variant.fields.iter().next()?;
            Some((variant.ident.to_string(), &variant.attrs, &value.ty))
        });
        let mut found = Self::of(&item.attrs, variants, ONE)
            .map_err(|problem| format!("the oneof `{}`: {problem}", item.ident))?;
        // No value of a oneof stands for all.
        if let Some(found) = &mut found {
            found.derives.retain(|name| name != "Default");
        }
        Ok(found)
    }

    fn of<'a>(
        attributes: &[syn::Attribute],
        parts: impl Iterator<Item = (String, &'a Vec<syn::Attribute>, &'a syn::Type)>,
        label: &str,
    ) -> Result<Option<Self>, String> {
        let (mut types, mut lines, mut functions) = (Vec::new(), Vec::new(), Vec::new());
        let mut any = false;
        for (name, attributes, ty) in parts {
            let personal = attributes.iter().any(is_mark);
            any |= personal;
            let wire = Wire::of(attributes, label);
            types.push(wire.rust_type(ty, personal));
            if !personal {
                functions.extend(wire.functions(&name, ty));
            }
            lines.push((wire, name, ty, personal));
        }
        if !any {
            return Ok(None);
        }
        lines.sort_by_key(|(wire, ..)| wire.tags.iter().min().copied());
        let lines = lines.into_iter().map(|(wire, name, ty, personal)| {
            let shape = wire.shape(ty, personal);
            let shape = shape.map_err(|problem| format!("the field `{name}` {problem}"))?;
            let tags: Vec<String> = wire.tags.iter().map(u32::to_string).collect();
            Ok(format!("{} => {name}: [{shape}],", tags.join(" | ")))
        });
        Ok(Some(Self {
            derives: derives(attributes),
            types,
            lines: lines.collect::<Result<_, String>>()?,
            functions,
        }))
    }
}

/// What prost derives, but for the message itself.
fn derives(attributes: &[syn::Attribute]) -> Vec<String> {
    let mut names = vec!["Debug".to_owned()];
    for attribute in attributes {
        let text = tokens(attribute);
        let inner = text
            .strip_prefix("#[derive(")
            .and_then(|text| text.strip_suffix(")]"));
        let derived = inner.into_iter().flat_map(|inner| inner.split(','));
        names.extend(derived.map(|name| name.trim().to_owned()));
    }
    names.retain(|name| !name.is_empty() && !name.contains("::prost::"));
    let place = names.iter().position(|name| name == "PartialEq");
    names.insert(place.unwrap_or(names.len()), "Default".to_owned());
    names
}

/// What the attributes of a field say of it.
#[derive(Default)]
struct Wire {
    /// `string`, `int32`, `enumeration`, `message`, `map`, `oneof`, or nothing known.
    kind: String,
    /// What stands behind the `=` of the kind.
    value: String,
    /// `optional`, `repeated`, `required`, [`ONE`], or nothing.
    label: String,
    packed: Option<bool>,
    has_default: bool,
    tags: Vec<u32>,
}

impl Wire {
    fn of(attributes: &[syn::Attribute], label: &str) -> Self {
        let mut wire = Self {
            label: label.to_owned(),
            ..Self::default()
        };
        let options = attributes
            .iter()
            .filter(|attribute| attribute.path().is_ident("prost"))
            .filter_map(|attribute| {
                let parse = Punctuated::<Meta, Token![,]>::parse_terminated;
                attribute.parse_args_with(parse).ok()
            });
        for option in options.flatten() {
            let word = option.path().to_token_stream().to_string();
            let value = text_of(&option);
            match word.as_str() {
                "tag" | "tags" => {
                    let numbers = value.split(',');
                    wire.tags
                        .extend(numbers.filter_map(|number| number.trim().parse::<u32>().ok()));
                }
                "optional" | "repeated" | "required" => wire.label = word,
                "packed" => wire.packed = value.parse().ok(),
                "default" => wire.has_default = true,
                // The type says it.
                "boxed" => {}
                _ => (wire.kind, wire.value) = (word, value),
            }
        }
        wire
    }

    /// The field's type: what may be absent is personal once it is there.
    fn rust_type(&self, ty: &syn::Type, personal: bool) -> String {
        if !personal {
            return type_text(ty);
        }
        match inner(ty, 0).filter(|_| self.label == "optional") {
            Some(inner) => {
                let option = type_text(ty);
                let option = option
                    .split_once('<')
                    .map_or("Option", |(option, _)| option);
                format!("{option}<::tenon::Personal<{}>>", type_text(inner))
            }
            None => format!("::tenon::Personal<{}>", type_text(ty)),
        }
    }

    /// The words for `::tenon::rpc::message!`.
    fn shape(&self, ty: &syn::Type, personal: bool) -> Result<String, String> {
        let personal = if personal { "personal " } else { "" };
        // The default of the Rust type would be another one.
        if self.has_default || (self.kind == "enumeration" && self.label == "required") {
            return Err("has a default value, which a message with redacted fields cannot".into());
        }
        let one = |ty: Option<&syn::Type>| match (self.kind.as_str(), ty) {
            ("message", Some(ty)) => format!("message {}", type_text(ty)),
            (kind, _) => kind.to_owned(),
        };
        Ok(match (self.kind.as_str(), self.label.as_str()) {
            ("oneof", _) => format!("oneof {}", self.value),
            ("map", _) => {
                let (key, value) = self.value.split_once(',').unwrap_or_default();
                let value = match (value.trim(), inner(ty, 1)) {
                    ("message", Some(ty)) => format!("message {}", type_text(ty)),
                    (value, _) if value.starts_with("enumeration") => "enumeration".to_owned(),
                    (value, _) => value.to_owned(),
                };
                format!("{personal}map [{key}] [{value}]")
            }
            ("group" | "", _) => {
                return Err("is a group, which a message with redacted fields cannot have".into());
            }
            (_, "optional") => format!("optional {personal}{}", one(inner(ty, 0))),
            (_, "repeated") => {
                let may_pack = !matches!(self.kind.as_str(), "string" | "bytes" | "message");
                let packed = may_pack && self.packed.unwrap_or(true);
                let many = if packed { "packed" } else { "repeated" };
                format!("{personal}{many} {}", one(inner(ty, 0)))
            }
            (_, "required" | ONE) | ("message", _) => format!("{personal}{}", one(Some(ty))),
            _ => format!("plain {personal}{}", one(Some(ty))),
        })
    }
}

impl Wire {
    /// What prost derives beside the field.
    fn functions(&self, name: &str, ty: &syn::Type) -> Vec<[String; 3]> {
        let bare = name.trim_start_matches("r#");
        let is_optional = self.label == "optional";
        let getter = |docs: &str, result: &str, body: String| {
            let head = format!("pub fn {name}(&self) -> {result} {{");
            [format!("`{bare}`, or {docs}."), head, body]
        };
        match (self.kind.as_str(), self.label.as_str()) {
            ("enumeration", "" | "optional") => {
                let wanted = &self.value;
                let (read, written) = match is_optional {
                    true => (
                        format!("self.{name}.unwrap_or_default()"),
                        "Some(value.into())",
                    ),
                    false => (format!("self.{name}"), "value.into()"),
                };
                let body = format!("{wanted}::try_from({read}).unwrap_or_default()");
                vec![
                    getter(
                        "the first of its enum where it is none of them",
                        wanted,
                        body,
                    ),
                    [
                        format!("Sets `{bare}`."),
                        format!("pub fn set_{bare}(&mut self, value: {wanted}) {{"),
                        format!("self.{name} = {written};"),
                    ],
                ]
            }
            ("message" | "map" | "oneof", _) => Vec::new(),
            (kind, "optional") => {
                let (result, by) = match kind {
                    "string" => ("&str".to_owned(), ".as_deref()"),
                    "bytes" => ("&[u8]".to_owned(), ".as_deref()"),
                    _ => (inner(ty, 0).map(type_text).unwrap_or_default(), ""),
                };
                let body = format!("self.{name}{by}.unwrap_or_default()");
                vec![getter("the default of its type", &result, body)]
            }
            _ => Vec::new(),
        }
    }
}

/// The text behind the `=` of an option.
fn text_of(option: &Meta) -> String {
    let Meta::NameValue(pair) = option else {
        return String::new();
    };
    match &pair.value {
        syn::Expr::Lit(syn::ExprLit {
            lit: syn::Lit::Str(text),
            ..
        }) => text.value(),
        other => other.to_token_stream().to_string(),
    }
}

/// The type inside `Option<T>`, `Vec<T>`, or the second one of a map.
fn inner(ty: &syn::Type, index: usize) -> Option<&syn::Type> {
    let syn::Type::Path(path) = ty else {
        return None;
    };
    let syn::PathArguments::AngleBracketed(arguments) = &path.path.segments.last()?.arguments
    else {
        return None;
    };
    match arguments.args.iter().nth(index)? {
        syn::GenericArgument::Type(inner) => Some(inner),
        _ => None,
    }
}

/// Whether this is the mark of a hidden field, which is no Rust.
fn is_mark(attribute: &syn::Attribute) -> bool {
    attribute.path().is_ident("redacted")
}
