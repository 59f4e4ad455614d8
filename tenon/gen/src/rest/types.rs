//! The structs of a REST contract.

use std::collections::BTreeSet;

use heck::ToLowerCamelCase;
use tenon_idl::model::{Field, Source, Struct, Type};

use super::{field_type, is_option};
use crate::{
    docs,
    layout::{Code, literal},
    names::{bare_snake, claim, escaped},
    plan::{Plan, is_request_only},
};

pub(super) fn write(code: &mut Code, plan: &Plan<'_>, item: &Struct) {
    code.blank();
    code.docs(&docs::lines_or(&item.docs, otherwise(item)));
    let serialized = !is_request_only(item);
    let serialize = match serialized {
        true => ", ::tenon::serde::Serialize",
        false => "",
    };
    code.line(format!(
        "#[derive(Debug, Clone, Default, PartialEq{serialize})]"
    ));
    let names = field_names(item);
    let camel = serialized && camel_case_fits(item, &names);
    if camel {
        code.line("#[serde(crate = \"::tenon::serde\", rename_all = \"camelCase\")]");
    } else if serialized {
        code.line("#[serde(crate = \"::tenon::serde\")]");
    }
    let head = format!("pub struct {} {{", plan.types.rust(&item.name));
    code.open(head);
    for (field, name) in item.fields.iter().zip(&names) {
        code.docs(&docs::lines_or(&field.docs, place_docs(field)));
        if serialized {
            let options = serde_options(plan, field, name, camel);
            if !options.is_empty() {
                code.attribute("serde", &options);
            }
        }
        code.line(format!("pub {name}: {},", field_type(plan, field)));
    }
    code.close("}");
}

/// The Rust names of the fields, in order.
pub(crate) fn field_names(item: &Struct) -> Vec<String> {
    let mut taken = BTreeSet::new();
    item.fields
        .iter()
        .map(|field| escaped(claim(&mut taken, &bare_snake(&field.name), "_")))
        .collect()
}

fn otherwise(item: &Struct) -> String {
    match &item.lifted_from {
        Some((parent, field)) => format!("The type of `{field}` in `{parent}`."),
        None => format!("`type {}`", item.name),
    }
}

/// What a field without a comment is documented with: where it is on the wire.
pub(crate) fn place_docs(field: &Field) -> String {
    let name = &field.wire_name;
    match field.source {
        Source::Path => format!("`:{name}` of the path."),
        Source::Query => format!("`{name}` of the query."),
        Source::Header => format!("The header `{name}`."),
        Source::Json => format!("`{name}`"),
        Source::None => "Never on the wire.".to_owned(),
    }
}

/// Whether serde's `camelCase` gives every name that differs from its Rust name.
fn camel_case_fits(item: &Struct, names: &[String]) -> bool {
    let mut wanted = false;
    for (field, name) in item.fields.iter().zip(names) {
        if field.source != Source::Json {
            continue;
        }
        let name = name.trim_start_matches("r#");
        if serde_camel(name) != field.wire_name {
            return false;
        }
        wanted |= name != field.wire_name;
    }
    wanted
}

/// What serde's `rename_all = "camelCase"` makes of a field name.
fn serde_camel(name: &str) -> String {
    let mut camel = String::new();
    let mut capital = false;
    for character in name.chars() {
        match character {
            '_' => capital = true,
            other if capital && !camel.is_empty() => {
                camel.push(other.to_ascii_uppercase());
                capital = false;
            }
            other => {
                camel.push(if camel.is_empty() {
                    other.to_ascii_lowercase()
                } else {
                    other
                });
                capital = false;
            }
        }
    }
    // Names that heck and serde read differently are renamed one by one.
    if camel == name.to_lower_camel_case() {
        camel
    } else {
        String::new()
    }
}

fn serde_options(plan: &Plan<'_>, field: &Field, name: &str, camel: bool) -> Vec<String> {
    if field.source == Source::None {
        return vec!["skip".to_owned()];
    }
    let mut options = Vec::new();
    if !camel && name.trim_start_matches("r#") != field.wire_name {
        options.push(format!("rename = {}", literal(&field.wire_name)));
    }
    if is_option(field) {
        let option = plan.types.prelude("Option");
        options.push(format!("skip_serializing_if = \"{option}::is_none\""));
        if field.string_encoded {
            options.push(serialize_with(field, "optional_"));
        }
        return options;
    }
    // Go never leaves out a struct; its time is one.
    if field.omit_empty && !matches!(field.ty, Type::Struct(_) | Type::Time) {
        options.push("skip_serializing_if = \"::tenon::rest::bind::is_zero\"".to_owned());
    }
    if field.string_encoded {
        options.push(serialize_with(field, ""));
    }
    options
}

/// How a number or boolean is written inside a string.
fn serialize_with(field: &Field, optional: &str) -> String {
    let personal = if field.personal { "personal_" } else { "" };
    format!("serialize_with = \"::tenon::rest::bind::{optional}{personal}string\"")
}
