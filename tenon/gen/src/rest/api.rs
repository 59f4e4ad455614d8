//! The trait of a REST contract's operations, and its routes.

use std::time::Duration;

use tenon_idl::model::{Api, Body, Criticality, Group, Method, Route};

use super::rust_type;
use crate::{
    docs,
    layout::{Code, literal},
    plan::Plan,
};

pub(super) fn write_trait(code: &mut Code, plan: &Plan<'_>, api: &Api) {
    let name = api.service.as_ref().map_or("", |service| &service.name);
    code.blank();
    code.line(format!("/// The operations of `service {name}`."));
    let prelude = |name| plan.types.prelude(name);
    code.open(format!(
        "pub trait {}: {} + {} + 'static {{",
        plan.api_trait,
        prelude("Send"),
        prelude("Sync")
    ));
    for (_, rest) in plan.routes() {
        code.blank();
        code.docs(&route_docs(rest.route));
        let (function, _) = plan.rest_names(rest);
        let mut params = vec!["&self".to_owned(), "cx: &::tenon::Context".to_owned()];
        if let Some(body) = &rest.route.request {
            params.push(format!("req: {}", rust_type(plan, &body.ty)));
        }
        let response = match rest.group.sse {
            true => format!(
                "::tenon::rest::Events<{}>",
                response_type(plan, rest.route.response.as_ref())
            ),
            false => response_type(plan, rest.route.response.as_ref()),
        };
        let tail = format!(
            ") -> impl {}<Output = ::tenon::Result<{response}>> + {};",
            prelude("Future"),
            prelude("Send")
        );
        code.signature(&format!("fn {function}("), &params, &tail);
    }
    code.close("}");
}

/// The type of an answer's body, `()` where it has none.
pub(crate) fn response_type(plan: &Plan<'_>, response: Option<&Body>) -> String {
    response.map_or("()".to_owned(), |body| rust_type(plan, &body.ty))
}

/// What an operation is documented with: summary, comment, then method and path.
pub(crate) fn route_docs(route: &Route) -> Vec<String> {
    let mut lines = Vec::new();
    if let Some(summary) = &route.summary {
        lines.extend(docs::lines(std::slice::from_ref(summary)));
    }
    let comment = docs::lines(&route.docs);
    if !lines.is_empty() && !comment.is_empty() {
        lines.push(String::new());
    }
    lines.extend(comment);
    if !lines.is_empty() {
        lines.push(String::new());
    }
    lines.push(format!("`{}`", method_and_path(route)));
    lines
}

/// `GET /api/v1/patient/:patientId`
pub(crate) fn method_and_path(route: &Route) -> String {
    format!(
        "{} {}",
        route.method.as_str().to_uppercase(),
        route.full_path
    )
}

pub(super) fn write_routes(code: &mut Code, plan: &Plan<'_>) {
    code.blank();
    code.line("/// The routes of the contract, as the door serves them.");
    code.open("pub mod route {");
    let routes: Vec<_> = plan.routes().map(|(_, rest)| rest).collect();
    if !routes.is_empty() {
        let auth = routes.iter().any(|rest| {
            calls(rest.group, rest.route)
                .iter()
                .any(|call| call.contains("Auth::"))
        });
        let auth = if auth { "Auth, " } else { "" };
        code.line(format!("use ::tenon::rest::{{{auth}Method, Route}};"));
    }
    for rest in &routes {
        code.blank();
        code.line(format!("/// `{}`", method_and_path(rest.route)));
        let (_, name) = plan.rest_names(*rest);
        let args = [
            format!("Method::{}", method(rest.route.method)),
            literal(&rest.route.full_path),
            literal(&rest.route.handler),
        ];
        let head = format!("pub static {name}: Route =");
        code.constant(&head, "Route::new", &args, &calls(rest.group, rest.route));
    }
    code.close("}");
    write_collection(code, plan);
}

fn write_collection(code: &mut Code, plan: &Plan<'_>) {
    code.blank();
    code.line("/// All routes, answered by `api`.");
    code.open(format!(
        "pub fn routes<A: {}>(api: A) -> ::tenon::rest::Routes {{",
        plan.api_trait
    ));
    let routes: Vec<_> = plan.routes().map(|(_, rest)| rest).collect();
    if routes.is_empty() {
        code.line("::tenon::rest::Routes::new(api).build()");
        code.close("}");
        return;
    }
    code.open("::tenon::rest::Routes::new(api)");
    for rest in routes {
        let (function, name) = plan.rest_names(rest);
        let (request, argument) = match &rest.route.request {
            Some(body) => (format!("req: {}", rust_type(plan, &body.ty)), ", req"),
            None => ("(): ()".to_owned(), ""),
        };
        code.closure_call(
            ".route",
            &[format!("&route::{name}")],
            &format!("|api, cx, {request}| async move"),
            &format!("api.{function}(&cx{argument}).await"),
        );
    }
    code.line(".build()");
    code.dedent();
    code.close("}");
}

/// The calls on a route's builder.
fn calls(group: &Group, route: &Route) -> Vec<String> {
    let mut calls = Vec::new();
    if let Some(name) = &group.group {
        calls.push(format!(".group({})", literal(name)));
    }
    if group.jwt.is_some() || group.jwt_transition.is_some() {
        calls.push(".auth(Auth::Required)".to_owned());
    }
    if let Some(permission) = &group.permission {
        calls.push(format!(".permission({})", literal(permission)));
    }
    if let Some(timeout) = group.timeout {
        calls.push(format!(".timeout({})", duration(timeout)));
    }
    if let Some(limit) = group.max_bytes {
        calls.push(format!(".max_bytes({limit})"));
    }
    if let Some(criticality) = group.criticality {
        let name = match criticality {
            Criticality::Critical => "Critical",
            Criticality::Normal => "Normal",
            Criticality::Sheddable => "Sheddable",
        };
        calls.push(format!(".criticality(::tenon::rest::Criticality::{name})"));
    }
    if let Some(places) = group.max_in_flight {
        calls.push(format!(".max_in_flight({places})"));
    }
    if group.strict {
        calls.push(".strict()".to_owned());
    }
    if group.sse {
        calls.push(".events()".to_owned());
    }
    if !group.middleware.is_empty() {
        let names: Vec<String> = group.middleware.iter().map(|name| literal(name)).collect();
        calls.push(format!(".middleware(&[{}])", names.join(", ")));
    }
    if let Some(status) = route.status {
        calls.push(format!(".status({status})"));
    }
    calls
}

/// A duration in the largest unit that holds it whole.
fn duration(value: Duration) -> String {
    let nanos = value.as_nanos();
    let (unit, size) = [
        ("secs", 1_000_000_000),
        ("millis", 1_000_000),
        ("micros", 1_000),
    ]
    .into_iter()
    .find(|(_, size)| nanos.is_multiple_of(*size))
    .unwrap_or(("nanos", 1));
    format!("::std::time::Duration::from_{unit}({})", nanos / size)
}

fn method(method: Method) -> &'static str {
    match method {
        Method::Get => "Get",
        Method::Head => "Head",
        Method::Post => "Post",
        Method::Put => "Put",
        Method::Patch => "Patch",
        Method::Delete => "Delete",
        Method::Options => "Options",
    }
}
