//! The option `debug_redact` of fields: prost is told to leave the debug print of their messages
//! out, and it is written here.

use std::collections::BTreeSet;

use prost_types::DescriptorProto;
use tenon_idl::proto::Proto;

use crate::{debug, layout::Code};

/// Stands at the fields that are hidden, between prost and the writer.
const MARK: &str = "#[redacted]";

/// Tells prost which messages are without a debug print, and marks the fields in its output.
pub(super) fn mark(config: &mut prost_build::Config, proto: &Proto) {
    let mut found = Found {
        redacted: &proto.redacted,
        messages: BTreeSet::new(),
        fields: BTreeSet::new(),
    };
    for file in &proto.descriptor_set.file {
        for message in &file.message_type {
            found.look(file.package(), message);
        }
    }
    config.skip_debug(&found.messages);
    for field in &found.fields {
        config.field_attribute(field, MARK);
    }
}

struct Found<'a> {
    redacted: &'a BTreeSet<String>,
    /// Without a leading dot, which would mean everything inside as well.
    messages: BTreeSet<String>,
    /// With a leading dot; those of a oneof by their oneof, as prost names them.
    fields: BTreeSet<String>,
}

impl Found<'_> {
    fn look(&mut self, scope: &str, message: &DescriptorProto) {
        let full = match scope {
            "" => message.name().to_owned(),
            scope => format!("{scope}.{}", message.name()),
        };
        for field in &message.field {
            if !self.redacted.contains(&format!("{full}.{}", field.name())) {
                continue;
            }
            let number = field.oneof_index.filter(|_| !field.proto3_optional());
            let number = number.and_then(|number| usize::try_from(number).ok());
            let oneof = number.and_then(|number| message.oneof_decl.get(number));
            let holder = oneof.map_or_else(
                || format!(".{full}"),
                |oneof| format!(".{full}.{}", oneof.name()),
            );
            self.fields.insert(format!("{holder}.{}", field.name()));
            self.messages.insert(full.clone());
        }
        for nested in &message.nested_type {
            self.look(&full, nested);
        }
    }
}

/// Writes the debug print of a message that prost wrote none for.
pub(super) fn write_struct(code: &mut Code, item: &syn::ItemStruct) {
    if !lacks_debug(&item.attrs) {
        return;
    }
    let names: Vec<(String, bool)> = item
        .fields
        .iter()
        .filter_map(|field| Some((field.ident.as_ref()?.to_string(), is_marked(&field.attrs))))
        .collect();
    let fields: Vec<_> = names
        .iter()
        .map(|(name, hidden)| (name.as_str(), *hidden))
        .collect();
    let name = item.ident.to_string();
    debug::write_struct(code, &name, name.trim_start_matches("r#"), &fields);
}

/// Writes the debug print of a oneof that prost wrote none for.
pub(super) fn write_enum(code: &mut Code, item: &syn::ItemEnum) {
    if !lacks_debug(&item.attrs) {
        return;
    }
    let names: Vec<(String, bool)> = item
        .variants
        .iter()
        .map(|variant| (variant.ident.to_string(), is_marked(&variant.attrs)))
        .collect();
    let variants: Vec<_> = names
        .iter()
        .map(|(name, hidden)| (name.as_str(), *hidden))
        .collect();
    debug::write_enum(code, &item.ident.to_string(), &variants);
}

/// Whether this is the mark of a hidden field, which is no Rust.
pub(super) fn is_mark(attribute: &syn::Attribute) -> bool {
    attribute.path().is_ident("redacted")
}

fn is_marked(attributes: &[syn::Attribute]) -> bool {
    attributes.iter().any(is_mark)
}

fn lacks_debug(attributes: &[syn::Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        attribute.path().is_ident("prost")
            && attribute
                .parse_args::<syn::Ident>()
                .is_ok_and(|word| word == "skip_debug")
    })
}
