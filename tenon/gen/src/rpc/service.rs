//! One service of an RPC contract: trait, server side and client.

use std::collections::BTreeSet;

use tenon_idl::{model::Criticality, proto::Method};

use super::messages::Messages;
use crate::{
    docs,
    layout::{Code, literal},
    names::claim,
    plan::{Plan, RpcNames, RpcOperation},
};

/// Writes the service and reserves the names that it takes at the top of the file.
pub(super) fn write(
    code: &mut Code,
    plan: &Plan<'_>,
    messages: &Messages,
    index: usize,
    names: &RpcNames<'_>,
    taken: &mut BTreeSet<String>,
) {
    let methods: Vec<RpcOperation<'_>> = plan
        .methods(index)
        .into_iter()
        .map(|(_, method)| method)
        .collect();
    let writer = Writer {
        messages,
        names,
        methods: &methods,
        has_methods: plan.services.iter().any(|names| !names.methods.is_empty()),
        module: methods_module(messages),
        client: claim(taken, &names.client, ""),
        erased: claim(taken, &format!("Dyn{}", names.service_trait), ""),
    };
    writer.write_trait(code);
    writer.write_serve(code);
    writer.write_client(code);
    writer.write_calls(code);
    writer.write_erased(code);
}

/// The statics of all methods, in a module of their own.
pub(super) fn write_methods(code: &mut Code, plan: &Plan<'_>, messages: &Messages) {
    if plan.services.iter().all(|names| names.methods.is_empty()) {
        return;
    }
    code.blank();
    code.line("/// The methods as they stand on the wire.");
    code.open(format!("pub mod {} {{", methods_module(messages)));
    code.line("use ::tenon::rpc::Method;");
    for names in &plan.services {
        for (method, (_, constant)) in names.service.methods.iter().zip(&names.methods) {
            let path = literal(&format!("/{}/{}", names.service.full_name, method.name));
            code.blank();
            code.line(format!("/// `rpc {}`", method.name));
            let head = format!("pub static {constant}: Method =");
            let calls = promises(method);
            code.constant(&head, "Method::new", &[path], &calls);
        }
    }
    code.close("}");
}

/// What the contract says of a method besides its name.
fn promises(method: &Method) -> Vec<String> {
    let mut calls = Vec::new();
    if method.idempotent {
        calls.push(".idempotent()".to_owned());
    }
    let criticality = match method.criticality {
        None | Some(Criticality::Normal) => return calls,
        Some(Criticality::Critical) => "Critical",
        Some(Criticality::Sheddable) => "Sheddable",
    };
    calls.push(format!(
        ".criticality(::tenon::rpc::Criticality::{criticality})"
    ));
    calls
}

/// Every method of the contract, in one list. A channel calls all of its services, so that its
/// settings may name any of them.
pub(super) fn write_list(code: &mut Code, plan: &Plan<'_>, messages: &Messages) {
    let module = methods_module(messages);
    let constants = plan.services.iter().flat_map(|names| &names.methods);
    let items: Vec<_> = constants
        .map(|(_, constant)| format!("&{module}::{constant}"))
        .collect();
    code.blank();
    code.line("/// Every method of the contract: what the settings of a client may name.");
    code.array(
        "pub static METHODS: &[&::tenon::rpc::Method] = &[",
        &items,
        "];",
    );
}

/// The constructor of a client across the network.
fn write_remote(code: &mut Code, has_methods: bool) {
    let methods = if has_methods { "METHODS" } else { "&[]" };
    code.blank();
    code.lines(
        "/// Calls the service across the network.\n\
         ///\n\
         /// # Errors\n\
         /// The settings of the channel name a method that the contract does not have.",
    );
    code.signature(
        "pub fn remote(",
        &["channel: ::tenon::rpc::Channel".to_owned()],
        ") -> ::tenon::Result<Self, ::tenon::config::ConfigError> {",
    );
    code.indent();
    code.line(format!(
        "let inner = ::tenon::rpc::Client::remote(channel, {methods})?;"
    ));
    code.line("Ok(Self { inner })");
    code.close("}");
}

/// `methods`, unless a message's own module is called so.
fn methods_module(messages: &Messages) -> &'static str {
    if messages.top_level_names().contains("Methods") {
        "rpc_methods"
    } else {
        "methods"
    }
}

/// The call that serves a method, and the one that calls it.
fn shape(method: &Method) -> &'static str {
    match (method.client_streaming, method.server_streaming) {
        (false, false) => ".unary",
        (false, true) => ".server_stream",
        (true, false) => ".client_stream",
        (true, true) => ".bidi",
    }
}

/// What a method takes, as Rust writes it: a message, or a stream of them.
pub(crate) fn input(method: &Method, messages: &Messages, prefix: &str) -> String {
    streamed(
        messages.rust_type(&method.input, prefix),
        method.client_streaming,
    )
}

/// What a method answers, likewise.
pub(crate) fn output(method: &Method, messages: &Messages, prefix: &str) -> String {
    streamed(
        messages.rust_type(&method.output, prefix),
        method.server_streaming,
    )
}

fn streamed(message: String, streams: bool) -> String {
    match streams {
        true => format!("::tenon::Messages<{message}>"),
        false => message,
    }
}

struct Writer<'a> {
    messages: &'a Messages,
    names: &'a RpcNames<'a>,
    methods: &'a [RpcOperation<'a>],
    /// Any service of the contract has one.
    has_methods: bool,
    module: &'static str,
    client: String,
    erased: String,
}

impl Writer<'_> {
    fn write_trait(&self, code: &mut Code) {
        let prelude = |name| self.messages.prelude(name);
        let service = self.names.service;
        code.blank();
        code.docs(&docs::lines_or(
            &service.docs,
            format!("`service {}`", service.name),
        ));
        let (send, sync) = (prelude("Send"), prelude("Sync"));
        let head = format!(
            "pub trait {}: {send} + {sync} + 'static {{",
            self.names.service_trait
        );
        code.open(head);
        for rpc in self.methods {
            code.blank();
            let otherwise = format!("`rpc {}`", rpc.method.name);
            code.docs(&docs::lines_or(&rpc.method.docs, otherwise));
            let tail = format!(
                ") -> impl {}<Output = ::tenon::Result<{}>> + {send};",
                prelude("Future"),
                self.output(rpc)
            );
            code.signature(
                &format!("fn {}(", self.function(rpc)),
                &self.params(rpc, ""),
                &tail,
            );
        }
        code.close("}");
    }

    fn write_serve(&self, code: &mut Code) {
        let service_trait = &self.names.service_trait;
        code.blank();
        code.line(format!(
            "/// Serves an implementation of [`{service_trait}`] over the network."
        ));
        code.open(format!(
            "pub fn {}<S: {service_trait}>(service: S) -> ::tenon::rpc::Service {{",
            self.names.serve
        ));
        let name = literal(&self.names.service.full_name);
        if self.methods.is_empty() {
            code.line(format!(
                "::tenon::rpc::Service::builder({name}, service).build()"
            ));
            code.close("}");
            return;
        }
        code.open(format!("::tenon::rpc::Service::builder({name}, service)"));
        code.line(".descriptor_text(DESCRIPTOR)");
        for rpc in self.methods {
            let function = self.function(rpc);
            code.closure_call(
                shape(rpc.method),
                &[format!("&{}::{}", self.module, self.constant(rpc))],
                "|service, cx, req| async move",
                &format!("service.{function}(&cx, req).await"),
            );
        }
        code.line(".build()");
        code.dedent();
        code.close("}");
    }

    fn write_client(&self, code: &mut Code) {
        let (client, service_trait) = (&self.client, &self.names.service_trait);
        code.blank();
        code.line(format!(
            "/// [`{service_trait}`] as other services hold it: in this process, or across the network."
        ));
        code.line("#[derive(Clone)]");
        code.open(format!("pub struct {client} {{"));
        code.line(format!("inner: ::tenon::rpc::Client<dyn {}>,", self.erased));
        code.close("}");
        code.blank();
        code.open(format!("impl {client} {{"));
        let constructors = [
            (
                "/// Calls an implementation in this process; nothing is encoded.",
                format!("pub fn local(service: impl {service_trait}) -> Self {{"),
                "inner: ::tenon::rpc::Client::local(::std::sync::Arc::new(service)),",
            ),
            (
                "/// Counts local calls in `metrics`; a channel counts its own.",
                "pub fn metrics(self, metrics: &::tenon::rpc::Metrics) -> Self {".to_owned(),
                "inner: self.inner.metrics(metrics),",
            ),
        ];
        for (doc, signature, field) in constructors {
            if signature.contains("metrics") {
                write_remote(code, self.has_methods);
            }
            code.blank();
            code.line(doc);
            if signature.contains("metrics") {
                code.line("#[must_use]");
            }
            code.open(signature);
            code.open("Self {");
            code.line(field);
            code.close("}");
            code.close("}");
        }
        code.close("}");
    }

    fn write_calls(&self, code: &mut Code) {
        code.blank();
        let head = format!("impl {} for {} {{", self.names.service_trait, self.client);
        code.open(head);
        for rpc in self.methods {
            let function = self.function(rpc);
            code.blank();
            let tail = format!(") -> ::tenon::Result<{}> {{", self.output(rpc));
            code.signature(
                &format!("async fn {function}("),
                &self.params(rpc, ""),
                &tail,
            );
            code.indent();
            code.open("self.inner");
            let args = [
                "cx".to_owned(),
                format!("&{}::{}", self.module, self.constant(rpc)),
                "req".to_owned(),
            ];
            let body = format!("service.{function}(cx, req)");
            code.closure_call(shape(rpc.method), &args, "|service, cx, req|", &body);
            code.line(".await");
            code.dedent();
            code.close("}");
        }
        code.close("}");
    }

    fn write_erased(&self, code: &mut Code) {
        let prelude = |name| self.messages.prelude(name);
        let service_trait = &self.names.service_trait;
        code.blank();
        code.line(format!("/// [`{service_trait}`] behind a pointer."));
        let head = format!(
            "trait {}: {} + {} {{",
            self.erased,
            prelude("Send"),
            prelude("Sync")
        );
        code.open(head);
        for rpc in self.methods {
            code.blank();
            self.write_boxed(code, rpc, ";");
        }
        code.close("}");
        code.blank();
        let head = format!("impl<S: {service_trait}> {} for S {{", self.erased);
        code.open(head);
        for rpc in self.methods {
            code.blank();
            self.write_boxed(code, rpc, " {");
            code.indent();
            code.line(format!(
                "{}::pin({service_trait}::{}(self, cx, req))",
                prelude("Box"),
                self.function(rpc)
            ));
            code.close("}");
        }
        code.close("}");
    }

    fn write_boxed(&self, code: &mut Code, rpc: &RpcOperation<'_>, tail: &str) {
        code.signature(
            &format!("fn {}<'a>(", self.function(rpc)),
            &self.params(rpc, "'a "),
            &format!(
                ") -> ::tenon::rpc::BoxFuture<'a, ::tenon::Result<{}>>{tail}",
                self.output(rpc)
            ),
        );
    }

    fn params(&self, rpc: &RpcOperation<'_>, lifetime: &str) -> Vec<String> {
        vec![
            format!("&{lifetime}self"),
            format!("cx: &{lifetime}::tenon::Context"),
            format!("req: {}", input(rpc.method, self.messages, "")),
        ]
    }

    fn output(&self, rpc: &RpcOperation<'_>) -> String {
        output(rpc.method, self.messages, "")
    }

    fn function(&self, rpc: &RpcOperation<'_>) -> &str {
        self.names
            .methods
            .get(rpc.index)
            .map_or("", |(name, _)| name)
    }

    fn constant(&self, rpc: &RpcOperation<'_>) -> &str {
        self.names
            .methods
            .get(rpc.index)
            .map_or("", |(_, name)| name)
    }
}
