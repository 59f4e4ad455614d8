//! The model as text that a person can check, and checks on trees that several tests share.

use std::fmt::Write;

use tenon_idl::api::tree::{Child, Tree};
use tenon_idl::model::{Api, Field, Group, Presence, Route, Struct};
use tenon_idl::proto::Proto;

/// Joined tokens are the text, by the token list and by a walk of the tree.
pub(crate) fn assert_lossless(tree: &Tree, text: &str) {
    assert_eq!(tree.text(), text);
    let listed: String = (0..tree.tokens().len())
        .map(|token| tree.token_text(token))
        .collect();
    assert_eq!(listed, text);
    let mut walked = String::new();
    let mut open = vec![Child::Node(tree.root())];
    while let Some(child) = open.pop() {
        match child {
            Child::Token(token) => walked.push_str(tree.token_text(token)),
            Child::Node(node) => open.extend(tree.children(node).iter().rev().copied()),
        }
    }
    assert_eq!(walked, text);
}

/// A REST contract.
pub(crate) fn api(api: &Api) -> String {
    let mut out = String::new();
    for pair in &api.info {
        writeln!(out, "info {} = {:?}", pair.key, pair.value).unwrap();
    }
    for item in &api.types {
        structure(&mut out, item);
    }
    if let Some(service) = &api.service {
        writeln!(
            out,
            "service {} (crate {})",
            service.name, service.crate_name
        )
        .unwrap();
        for item in &service.groups {
            group(&mut out, item);
        }
    }
    out
}

fn docs(out: &mut String, indent: &str, lines: &[String]) {
    for line in lines {
        writeln!(out, "{indent}# {line}").unwrap();
    }
}

fn structure(out: &mut String, item: &Struct) {
    docs(out, "", &item.docs);
    write!(out, "type {}", item.name).unwrap();
    if let Some((parent, name)) = &item.lifted_from {
        write!(out, " (lifted from {parent}.{name})").unwrap();
    }
    writeln!(out).unwrap();
    for item in &item.fields {
        docs(out, "  ", &item.docs);
        writeln!(out, "  {}", field(item)).unwrap();
    }
}

fn field(item: &Field) -> String {
    let mut text = format!(
        "{}: {} {} {:?}",
        item.name, item.ty, item.source, item.wire_name
    );
    for (flag, name) in [
        (item.required(), "required"),
        (item.optional, "optional"),
        (item.omit_empty, "omitempty"),
        (item.string_encoded, "string"),
        (item.boxed, "boxed"),
    ] {
        if flag {
            write!(text, " {name}").unwrap();
        }
    }
    match &item.presence {
        Some(Presence::With(other)) => write!(text, " with {other}").unwrap(),
        Some(Presence::Without(other)) => write!(text, " without {other}").unwrap(),
        None => {}
    }
    if let Some(default) = &item.default {
        write!(text, " default={default}").unwrap();
    }
    if !item.options.is_empty() {
        let options: Vec<String> = item.options.iter().map(ToString::to_string).collect();
        write!(text, " options={}", options.join("|")).unwrap();
    }
    if let Some(range) = &item.range {
        write!(text, " range={range}").unwrap();
    }
    if let Some(origin) = &item.embedded_from {
        write!(text, " from {origin}").unwrap();
    }
    for (key, value) in &item.other_tags {
        write!(text, " {key}={value:?}").unwrap();
    }
    text
}

fn group(out: &mut String, item: &Group) {
    let mut keys = Vec::new();
    keys.extend(item.group.as_ref().map(|name| format!("group={name}")));
    if !item.prefix.is_empty() {
        keys.push(format!("prefix={}", item.prefix));
    }
    keys.extend(item.jwt.as_ref().map(|name| format!("jwt={name}")));
    keys.extend(
        item.jwt_transition
            .as_ref()
            .map(|name| format!("jwtTransition={name}")),
    );
    if !item.middleware.is_empty() {
        keys.push(format!("middleware={}", item.middleware.join(",")));
    }
    keys.extend(item.timeout.map(|timeout| format!("timeout={timeout:?}")));
    keys.extend(item.max_bytes.map(|limit| format!("maxBytes={limit}")));
    let criticality = item.criticality;
    keys.extend(criticality.map(|class| format!("criticality={class:?}")));
    let places = item.max_in_flight;
    keys.extend(places.map(|places| format!("maxInFlight={places}")));
    keys.extend(
        item.permission
            .as_ref()
            .map(|name| format!("permission={name}")),
    );
    if item.strict {
        keys.push("strict".to_owned());
    }
    if item.sse {
        keys.push("sse".to_owned());
    }
    keys.extend(
        item.summary
            .as_ref()
            .map(|text| format!("summary={text:?}")),
    );
    if !item.tags.is_empty() {
        keys.push(format!("tags={:?}", item.tags));
    }
    keys.extend(
        item.extra
            .iter()
            .map(|pair| format!("+{}={:?}", pair.key, pair.value)),
    );
    writeln!(out, "  block {}", keys.join(" ")).unwrap();
    for item in &item.routes {
        route(out, item);
    }
}

fn route(out: &mut String, item: &Route) {
    docs(out, "    ", &item.docs);
    write!(
        out,
        "    {}: {} {}",
        item.handler,
        item.method.as_str(),
        item.full_path
    )
    .unwrap();
    if let Some(body) = &item.request {
        write!(out, " ({})", body.ty).unwrap();
    }
    if let Some(body) = &item.response {
        write!(out, " -> {}", body.ty).unwrap();
    }
    if item.path != item.full_path {
        write!(out, " path={}", item.path).unwrap();
    }
    if let Some(summary) = &item.summary {
        write!(out, " summary={summary:?}").unwrap();
    }
    if let Some(status) = item.status {
        write!(out, " status={status}").unwrap();
    }
    if !item.tags.is_empty() {
        write!(out, " tags={:?}", item.tags).unwrap();
    }
    for pair in &item.extra {
        write!(out, " +{}={:?}", pair.key, pair.value).unwrap();
    }
    writeln!(out).unwrap();
}

/// An RPC contract.
pub(crate) fn proto(proto: &Proto) -> String {
    let mut out = String::new();
    writeln!(out, "package {}", proto.package).unwrap();
    for file in &proto.descriptor_set.file {
        writeln!(out, "file {}", file.name()).unwrap();
        for message in &file.message_type {
            if file.name().starts_with("google/") {
                continue;
            }
            let fields: Vec<String> = message
                .field
                .iter()
                .map(|field| format!("{}={}", field.name(), field.number()))
                .collect();
            writeln!(out, "  message {} {}", message.name(), fields.join(" ")).unwrap();
        }
    }
    for service in &proto.services {
        docs(&mut out, "", &service.docs);
        writeln!(out, "service {} ({})", service.name, service.full_name).unwrap();
        for method in &service.methods {
            docs(&mut out, "  ", &method.docs);
            let stream = |streams: bool| if streams { "stream " } else { "" };
            writeln!(
                out,
                "  {}: {}{} -> {}{}{}",
                method.name,
                stream(method.client_streaming),
                method.input,
                stream(method.server_streaming),
                method.output,
                method
                    .criticality
                    .map_or_else(String::new, |class| format!(" [{class:?}]"))
            )
            .unwrap();
        }
    }
    out
}
