//! How a request becomes its type: `Bind` of request types, `Object` of what stands in bodies.

use std::collections::BTreeSet;

use tenon_idl::model::{Field, Literal, Presence, Range, Source, Struct, Type};

use super::{PERSONAL, field_type, is_option, types::field_names};
use crate::{
    layout::{Code, literal},
    names::claim,
    plan::{Plan, is_json},
};

/// `impl Bind`, and the type of the body where the request has other fields too.
pub(super) fn write_request(code: &mut Code, plan: &mut Plan<'_>, item: &Struct) {
    let name = plan.types.rust(&item.name).to_owned();
    let result = plan.types.prelude("Result");
    let signature = "fn bind(parts: &::tenon::rest::Parts<'_>) -> ::tenon::Result<Self> {";
    code.blank();
    code.open(format!("impl ::tenon::rest::Bind for {name} {{"));
    if is_json(item) {
        code.open(signature);
        code.line("bind::read(parts, |input| input.body())");
        code.close("}");
        code.close("}");
        return;
    }
    let body_fields: Vec<&Field> = item.fields_from(Source::Json).collect();
    let body = (!body_fields.is_empty()).then(|| plan.types.claim(&format!("{name}Body")));
    if body.is_none() {
        code.line("const BODY: bool = false;");
        code.blank();
    }
    let names = field_names(item);
    let input = local("input", &names);
    long_function(code, item.fields.len() * 3 + 6);
    code.open(signature);
    let read = if item.fields.iter().all(|field| field.source == Source::None) {
        "_".to_owned()
    } else {
        input.clone()
    };
    code.open(format!("bind::read(parts, |{read}| {{"));
    write_presence(code, item, &names, |field| text_source(&input, field));
    for (field, name) in item.fields.iter().zip(&names) {
        if matches!(field.source, Source::Json | Source::None) {
            continue;
        }
        let mut calls = vec![format!(".{}", reader(field))];
        calls.extend(rules(plan, item, field, &names));
        code.chain(&format!("let {name} = "), &input, &calls, ";");
    }
    let body_name = local("body", &names);
    if let Some(body) = &body {
        let option = plan.types.prelude("Option");
        code.line(format!(
            "let {body_name}: {option}<{body}> = {input}.body();"
        ));
        code.line(format!("let {body_name} = {body_name}?;"));
    }
    write_literal(
        code,
        "Some(Self {",
        item,
        &names,
        "})",
        |field, name| match field.source {
            Source::Json => format!("{body_name}.{name}"),
            _ => value(plan, field, name),
        },
    );
    code.close("})");
    code.close("}");
    code.close("}");
    if let Some(body) = body {
        write_body(code, plan, item, &body, &result);
    }
}

/// The fields of a request that come from the body, as a type of their own.
fn write_body(code: &mut Code, plan: &Plan<'_>, item: &Struct, body: &str, result: &str) {
    let mut part = item.clone();
    part.fields.retain(|field| field.source == Source::Json);
    // The names must be those of the request, which may have numbered them.
    let all = field_names(item);
    let names: Vec<String> = item
        .fields
        .iter()
        .zip(all)
        .filter(|(field, _)| field.source == Source::Json)
        .map(|(_, name)| name)
        .collect();
    code.blank();
    code.line(format!(
        "/// The body of [`{}`].",
        plan.types.rust(&item.name)
    ));
    code.open(format!("struct {body} {{"));
    for (field, name) in part.fields.iter().zip(&names) {
        code.line(format!("{name}: {},", field_type(plan, field)));
    }
    code.close("}");
    write_read(code, plan, &part, &names, body, result);
}

/// `impl Object` of a type of the contract.
pub(super) fn write_object(code: &mut Code, plan: &Plan<'_>, item: &Struct) {
    let name = plan.types.rust(&item.name).to_owned();
    let result = plan.types.prelude("Result");
    write_read(code, plan, item, &field_names(item), &name, &result);
}

fn write_read(
    code: &mut Code,
    plan: &Plan<'_>,
    item: &Struct,
    names: &[String],
    name: &str,
    result: &str,
) {
    let json = local("json", names);
    let key = local("key", names);
    let fields: Vec<(&Field, &String)> = item
        .fields
        .iter()
        .zip(names)
        .filter(|(field, _)| field.source == Source::Json)
        .collect();
    code.blank();
    code.open(format!("impl bind::Object for {name} {{"));
    let keys: Vec<String> = fields
        .iter()
        .map(|(field, _)| literal(&field.wire_name))
        .collect();
    code.array("const KEYS: &'static [&'static str] = &[", &keys, "];");
    code.blank();
    long_function(code, item.fields.len() * 4 + 10);
    code.signature(
        "fn read<'de, A: bind::MapAccess<'de>>(",
        &[format!("mut {json}: bind::Fields<'_, 'de, A>")],
        &format!(
            ") -> {result}<{}<Self>, A::Error> {{",
            plan.types.prelude("Option")
        ),
    );
    code.indent();
    for (_, name) in &fields {
        code.line(format!("let mut {name} = bind::Slot::Absent;"));
    }
    write_loop(code, &fields, &json, &key);
    write_presence(code, item, names, |_| String::new());
    for (index, (field, name)) in fields.iter().enumerate() {
        let mut calls = vec![format!(".field({index}, {name})")];
        calls.extend(rules(plan, item, field, names));
        code.chain(&format!("let {name} = "), &json, &calls, ";");
    }
    write_build(code, plan, item, names, &json);
    code.close("}");
    code.close("}");
}

fn write_loop(code: &mut Code, fields: &[(&Field, &String)], json: &str, key: &str) {
    let read = |field: &Field| {
        if field.string_encoded {
            "quoted"
        } else {
            "value"
        }
    };
    match fields {
        [] => code.line(format!("while {json}.next_key()?.is_some() {{}}")),
        [(field, name)] => {
            code.open(format!("while {json}.next_key()?.is_some() {{"));
            code.line(format!("{name} = {json}.{}()?;", read(field)));
            code.close("}");
        }
        _ => {
            code.open(format!("while let Some({key}) = {json}.next_key()? {{"));
            code.open(format!("match {key} {{"));
            for (index, (field, name)) in fields.iter().enumerate() {
                let pattern = if index + 1 == fields.len() {
                    "_".to_owned()
                } else {
                    index.to_string()
                };
                code.line(format!("{pattern} => {name} = {json}.{}()?,", read(field)));
            }
            code.close("}");
            code.close("}");
        }
    }
}

/// The value of the whole struct, where `json.build` wants it.
fn write_build(code: &mut Code, plan: &Plan<'_>, item: &Struct, names: &[String], json: &str) {
    let parts: Vec<String> = item
        .fields
        .iter()
        .zip(names)
        .map(|(field, name)| format!("{name}: {}", value(plan, field, name)))
        .collect();
    if let Some(line) = short_literal(&parts) {
        code.line(format!("{json}.build(|| Some({line}))"));
        return;
    }
    code.open(format!("{json}.build(|| {{"));
    write_literal(code, "Some(Self {", item, names, "})", |field, name| {
        value(plan, field, name)
    });
    code.close("})");
}

fn write_literal(
    code: &mut Code,
    head: &str,
    item: &Struct,
    names: &[String],
    tail: &str,
    value: impl Fn(&Field, &str) -> String,
) {
    let parts: Vec<String> = item
        .fields
        .iter()
        .zip(names)
        .map(|(field, name)| format!("{name}: {}", value(field, name)))
        .collect();
    if let Some(line) = short_literal(&parts) {
        code.line(format!("Some({line})"));
        return;
    }
    code.open(head);
    for part in parts {
        code.line(format!("{part},"));
    }
    code.close(tail);
}

/// A struct literal that rustfmt keeps on one line.
pub(crate) fn short_literal(parts: &[String]) -> Option<String> {
    match parts.join(", ") {
        empty if empty.is_empty() => Some("Self {}".to_owned()),
        short if short.len() <= 18 => Some(format!("Self {{ {short} }}")),
        _ => None,
    }
}

/// A field's value once all fields were checked.
fn value(plan: &Plan<'_>, field: &Field, name: &str) -> String {
    match (field.source, field.boxed) {
        (Source::None, _) if is_option(field) => "None".to_owned(),
        (Source::None, _) => "Default::default()".to_owned(),
        (_, true) => format!("{name}?.map({}::new)", plan.types.prelude("Box")),
        _ => format!("{name}?"),
    }
}

/// `let other_given = ...;` for each field that a presence rule names.
fn write_presence(
    code: &mut Code,
    item: &Struct,
    names: &[String],
    source: impl Fn(&Field) -> String,
) {
    let mut done = BTreeSet::new();
    for field in &item.fields {
        let Some((other, other_name)) = partner(item, field, names) else {
            continue;
        };
        let text = source(other);
        if (other.source == Source::Json) != text.is_empty() || !done.insert(other_name) {
            continue;
        }
        let bare = other_name.trim_start_matches("r#");
        if text.is_empty() {
            code.line(format!("let {bare}_given = {other_name}.is_given();"));
        } else {
            code.line(format!("let {bare}_given = {text};"));
        }
    }
}

/// The field that the presence rule of `field` names.
fn partner<'a>(
    item: &'a Struct,
    field: &Field,
    names: &'a [String],
) -> Option<(&'a Field, &'a String)> {
    let (Presence::With(wanted) | Presence::Without(wanted)) = field.presence.as_ref()?;
    let fits =
        |(other, _): &(&Field, &String)| other.wire_name == *wanted && other.source == field.source;
    item.fields.iter().zip(names).find(fits)
}

/// Whether the other field of a presence rule is in the query or headers.
fn text_source(input: &str, field: &Field) -> String {
    match field.source {
        Source::Query | Source::Header => {
            let place = if field.source == Source::Query {
                "query"
            } else {
                "header"
            };
            format!("{input}.has_{place}({})", literal(&field.wire_name))
        }
        _ => String::new(),
    }
}

/// `query("limit")`
fn reader(field: &Field) -> String {
    let list = matches!(field.ty, Type::List(_) | Type::Array(..));
    let name = literal(&field.wire_name);
    match (field.source, list) {
        (Source::Path, _) => format!("path({name})"),
        (Source::Header, false) => format!("header({name})"),
        (Source::Header, true) => format!("header_list({name})"),
        (_, false) => format!("query({name})"),
        (_, true) => format!("query_list({name})"),
    }
}

/// The rules of a field as calls, the last of which gives its value.
fn rules(plan: &Plan<'_>, item: &Struct, field: &Field, names: &[String]) -> Vec<String> {
    let mut calls = Vec::new();
    if let Some((other, other_name)) = partner(item, field, names) {
        let call = match &field.presence {
            Some(Presence::Without(_)) => "without",
            _ => "with",
        };
        let given = other_name.trim_start_matches("r#");
        calls.push(format!(
            ".{call}({}, {given}_given)",
            literal(&other.wire_name)
        ));
    }
    if let Type::Array(length, _) = field.ty {
        calls.push(format!(".length({length})"));
    }
    if let Some(range) = &field.range {
        calls.push(range_call(range));
    }
    if !field.options.is_empty() {
        let options: Vec<String> = field.options.iter().map(rust_literal).collect();
        calls.push(format!(".one_of(&[{}])", options.join(", ")));
    }
    // The rules compare the value; nothing after them does.
    if field.personal {
        calls.push(".personal()".to_owned());
    }
    calls.push(match &field.default {
        Some(default) => default_call(plan, field, default),
        None if field.optional => ".optional()".to_owned(),
        None => ".required()".to_owned(),
    });
    calls
}

/// `.or(50)`
fn default_call(plan: &Plan<'_>, field: &Field, default: &Literal) -> String {
    let string = plan.types.prelude("String");
    match (default, field.personal) {
        (Literal::String(text), false) if text.is_empty() => format!(".or_else({string}::new)"),
        (Literal::String(text), false) => format!(".or_else(|| {}.to_owned())", literal(text)),
        (Literal::String(text), true) if text.is_empty() => {
            format!(".or_else(|| {string}::new().into())")
        }
        (Literal::String(text), true) => {
            format!(".or_else(|| {}.to_owned().into())", literal(text))
        }
        (other, false) => format!(".or({})", rust_literal(other)),
        (other, true) => format!(".or({PERSONAL}::from({}))", rust_literal(other)),
    }
}

/// `.range(1..=200)`, or `.above(0, ..=200)` where the start is not part of the range.
fn range_call(range: &Range) -> String {
    let end = match &range.high {
        None => "..".to_owned(),
        Some(high) if high.inclusive => format!("..={}", rust_literal(&high.value)),
        Some(high) => format!("..{}", rust_literal(&high.value)),
    };
    match &range.low {
        None => format!(".range({end})"),
        Some(low) if low.inclusive => format!(".range({}{end})", rust_literal(&low.value)),
        Some(low) => format!(".above({}, {end})", rust_literal(&low.value)),
    }
}

pub(crate) fn rust_literal(value: &Literal) -> String {
    match value {
        Literal::Bool(value) => value.to_string(),
        Literal::Int(value) => value.to_string(),
        Literal::Float(value) => format!("{value:?}"),
        Literal::String(text) => literal(text),
    }
}

/// A name for a local that no field has.
fn local(base: &str, names: &[String]) -> String {
    let mut taken: BTreeSet<String> = names.iter().cloned().collect();
    claim(&mut taken, base, "_")
}

/// Clippy counts the lines of functions; these grow with the fields and nothing else.
fn long_function(code: &mut Code, lines: usize) {
    if lines > 60 {
        code.line("#[allow(clippy::too_many_lines, reason = \"a few lines for each field\")]");
    }
}
