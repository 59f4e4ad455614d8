//! The machine-owned files of the service crate: its doors, which hand each operation to its
//! logic, and the lists of modules.

mod rpc_door;

use std::collections::BTreeSet;

use tenon_idl::model::{Body, Type};

pub(crate) use rpc_door::rpc_door;

use crate::{
    File, Kind,
    layout::{Code, literal},
    names::{bare_snake, escaped, snake},
    plan::{Operation, Plan, RestOperation, module_tree},
    rest::header,
};

/// `src/gen/doors.rs`: how the doors are opened.
pub(crate) fn doors(plan: &Plan<'_>) -> File {
    let contract = plan.project.config.contract_crate().replace('-', "_");
    let has_rest = has_rest(plan);
    let middleware = plan.middleware();
    let mut code = Code::new();
    code.line(header(&plan.sources()));
    code.blank();
    code.line("//! The doors of the service, as its contracts have them.");
    code.blank();
    if has_rest {
        code.line("pub mod rest;");
    }
    if !plan.services.is_empty() {
        code.line("pub mod rpc;");
    }
    code.blank();
    code.line("use std::sync::Arc;");
    code.blank();
    code.line("use tenon::{");
    code.indent();
    code.line("Service,");
    code.line("auth::AccessRules,");
    code.line("config::{RestConfig, RpcConfig},");
    if !middleware.is_empty() {
        code.line("rest::Middleware,");
    }
    code.close("};");
    code.blank();
    let middleware_module = if middleware.is_empty() {
        ""
    } else {
        ", middleware"
    };
    match middleware_module {
        "" => code.line("use crate::ServiceContext;"),
        _ => code.line("use crate::{ServiceContext, middleware};"),
    }
    code.blank();
    code.line(
        "/// Adds every door of the contracts to `service`. A contract that is not there has no",
    );
    code.line("/// door, and its section of the configuration no effect.");
    let used = |name: &str, used: bool| {
        if used {
            name.to_owned()
        } else {
            format!("_{name}")
        }
    };
    let params = [
        "service: Service".to_owned(),
        format!("{}: RestConfig", used("rest_config", has_rest)),
        format!(
            "{}: RpcConfig",
            used("rpc_config", !plan.services.is_empty())
        ),
        format!(
            "{}: ServiceContext",
            used("context", has_rest || !plan.services.is_empty())
        ),
        "rules: Arc<dyn AccessRules>".to_owned(),
    ];
    code.signature("pub fn open(", &params, ") -> Service {");
    code.indent();
    write_open(&mut code, plan, &contract, has_rest);
    code.close("}");
    owned("src/gen/doors.rs", code)
}

fn write_open(code: &mut Code, plan: &Plan<'_>, contract: &str, has_rest: bool) {
    let rpc = plan.services.len();
    let mut calls = vec![format!(
        ".rules(rules{})",
        if rpc > 0 { ".clone()" } else { "" }
    )];
    if has_rest {
        let context = if rpc > 0 {
            "context.clone()"
        } else {
            "context"
        };
        code.line(format!(
            "let routes = {contract}::rest::routes(rest::RestDoor({context}));"
        ));
        calls.push(".rest(rest_config, routes)".to_owned());
    }
    for name in plan.middleware() {
        let module = snake(name);
        calls.push(format!(
            ".middleware({}, Middleware::from_fn(middleware::{module}::{module}))",
            literal(name)
        ));
    }
    if rpc > 0 {
        code.line("let door = rpc::RpcDoor::new(context, rules.clone());");
        if let Some(first) = calls.first_mut() {
            *first = ".rules(rules)".to_owned();
        }
    }
    for (index, names) in plan.services.iter().enumerate() {
        let last = index + 1 == rpc;
        let (config, door) = match last {
            true => ("rpc_config", "door"),
            false => ("rpc_config.clone()", "door.clone()"),
        };
        calls.push(format!(
            ".rpc({config}, {contract}::rpc::{}({door}))",
            names.serve
        ));
    }
    code.chain("", "service", &calls, "");
}

/// Whether the REST contract has a service.
pub(crate) fn has_rest(plan: &Plan<'_>) -> bool {
    plan.project
        .api
        .as_ref()
        .is_some_and(|api| api.service.is_some())
}

/// `src/gen/rest.rs`: the REST door.
pub(crate) fn rest_door(plan: &Plan<'_>) -> File {
    let contract = plan.project.config.contract_crate().replace('-', "_");
    let mut code = Code::new();
    code.line(header(&plan.sources_of_api()));
    code.blank();
    code.line("//! The REST door: it hands each operation to its logic.");
    code.blank();
    let mut imports = vec![format!("use {contract}::rest;")];
    let any = plan.routes().next().is_some();
    if any {
        imports.push("use tenon::{Context, Result};".to_owned());
    }
    code.imports(imports);
    code.blank();
    match any {
        true => code.line("use crate::{ServiceContext, logic};"),
        false => code.line("use crate::ServiceContext;"),
    }
    code.blank();
    code.line("/// Answers the REST contract with the logic of this service.");
    code.line("#[derive(Clone)]");
    code.line("pub struct RestDoor(pub ServiceContext);");
    code.blank();
    let head = format!("impl rest::{} for RestDoor {{", plan.api_trait);
    code.open(head);
    for (operation, rest) in plan.routes() {
        code.blank();
        let (function, _) = plan.rest_names(rest);
        let mut params = vec!["&self".to_owned(), "cx: &Context".to_owned()];
        params.extend(request_param(plan, rest.route.request.as_ref(), ""));
        let answer = match rest.group.sse {
            true => format!("tenon::rest::{}", answer_type(plan, rest)),
            false => answer_type(plan, rest),
        };
        let tail = format!(") -> Result<{answer}> {{");
        code.signature(&format!("async fn {function}("), &params, &tail);
        code.indent();
        let mut arguments = vec!["cx".to_owned(), "&self.0".to_owned()];
        if rest.route.request.is_some() {
            arguments.push("req".to_owned());
        }
        write_call(&mut code, operation, &arguments, "", ".await");
        code.close("}");
    }
    code.close("}");
    owned("src/gen/rest.rs", code)
}

pub(crate) fn write_call(
    code: &mut Code,
    operation: &Operation<'_>,
    arguments: &[String],
    head: &str,
    tail: &str,
) {
    let call = format!("{head}{}::{}(", operation.module(), operation.function());
    code.call(&call, arguments, &format!("){tail}"));
}

/// `src/logic.rs` and a list for each of its folders.
pub(crate) fn logic_lists(plan: &Plan<'_>) -> Vec<File> {
    let mut files = Vec::new();
    for (folder, modules) in module_tree(&plan.operations) {
        let mut code = Code::new();
        code.line(header(&plan.sources()));
        code.blank();
        let what = match folder.trim_start_matches('/') {
            "" => "The operations of the service, a file each.".to_owned(),
            folder => format!("The operations of the group `{folder}`, a file each."),
        };
        code.line(format!("//! {what}"));
        write_modules(&mut code, &modules);
        files.push(owned(&format!("src/logic{folder}.rs"), code));
    }
    files
}

/// `src/middleware.rs`.
pub(crate) fn middleware_list(plan: &Plan<'_>) -> File {
    let mut code = Code::new();
    code.line(header(&plan.sources()));
    code.blank();
    code.line("//! The middleware that routes name, a file each.");
    let names = plan.middleware();
    write_modules(
        &mut code,
        &names.iter().map(|name| bare_snake(name)).collect(),
    );
    owned("src/middleware.rs", code)
}

fn write_modules(code: &mut Code, modules: &BTreeSet<String>) {
    code.blank();
    for module in modules {
        code.line(format!("pub mod {};", escaped(module.clone())));
    }
}

/// `req: rest::GetPatientReq`, where the operation takes one.
pub(crate) fn request_param(
    plan: &Plan<'_>,
    body: Option<&Body>,
    underscore: &str,
) -> Option<String> {
    body.map(|_| format!("{underscore}req: {}", body_type(plan, body)))
}

/// The type of a body as the service crate names it.
pub(crate) fn body_type(plan: &Plan<'_>, body: Option<&Body>) -> String {
    body.map_or("()".to_owned(), |body| service_type(plan, &body.ty))
}

/// What the logic of a route answers: its response, or a stream of events of that type.
pub(crate) fn answer_type(plan: &Plan<'_>, rest: RestOperation<'_>) -> String {
    let body = body_type(plan, rest.route.response.as_ref());
    match rest.group.sse {
        true => format!("Events<{body}>"),
        false => body,
    }
}

fn service_type(plan: &Plan<'_>, ty: &Type) -> String {
    match ty {
        Type::Struct(name) => format!("rest::{}", plan.types.rust(name)),
        Type::Bool => "bool".to_owned(),
        Type::Int { bits, signed } => format!("{}{bits}", if *signed { 'i' } else { 'u' }),
        Type::Float { bits } => format!("f{bits}"),
        Type::String => "String".to_owned(),
        Type::Bytes => "tenon::rest::bind::Base64".to_owned(),
        Type::Time => "tenon::Timestamp".to_owned(),
        Type::Any => "tenon::Json".to_owned(),
        Type::List(item) | Type::Array(_, item) => format!("Vec<{}>", service_type(plan, item)),
        Type::Map(key, value) => format!(
            "std::collections::BTreeMap<{}, {}>",
            service_type(plan, key),
            service_type(plan, value)
        ),
    }
}

fn owned(path: &str, code: Code) -> File {
    File {
        path: path.to_owned(),
        kind: Kind::Owned,
        text: code.finish(),
    }
}
