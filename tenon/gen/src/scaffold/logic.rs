//! `src/logic/**.rs`: the stub of an operation, which answers `METHOD_UNIMPLEMENTED`.

use tenon_idl::model::Type;

use super::{FIRST, scaffold};
use crate::{
    File,
    convert::Conversions,
    docs,
    layout::Code,
    plan::{Operation, Plan, RpcOperation},
    rest::{method_and_path, route_docs},
    rpc::messages::Messages,
    service::{answer_type, body_type, request_param},
};

/// The file of an operation.
pub(crate) fn logic(
    plan: &Plan<'_>,
    operation: &Operation<'_>,
    messages: Option<&Messages>,
    conversions: &mut Option<Conversions<'_>>,
) -> File {
    let contract = plan.project.config.contract_crate().replace('-', "_");
    let mut code = Code::new();
    code.line(FIRST);
    code.line(format!("//! `{}`", title(operation)));
    code.blank();
    let by_hand = by_hand(operation, conversions);
    let modules = match (
        uses_rest(operation),
        operation.rest.is_none() || by_hand.any(),
    ) {
        (true, true) => format!("use {contract}::{{rest, rpc}};"),
        (true, false) => format!("use {contract}::rest;"),
        (false, true) => format!("use {contract}::rpc;"),
        (false, false) => String::new(),
    };
    let streams =
        |rpc: RpcOperation<'_>| rpc.method.client_streaming || rpc.method.server_streaming;
    let runtime = match (operation.rest, operation.rpc) {
        (Some(rest), _) if rest.group.sse => {
            "use tenon::{Context, Result, catalogue, rest::Events};"
        }
        (None, Some(rpc)) if streams(rpc) => "use tenon::{Context, Messages, Result, catalogue};",
        _ => "use tenon::{Context, Result, catalogue};",
    };
    let mut imports = vec![runtime.to_owned()];
    imports.extend(Some(modules).filter(|modules| !modules.is_empty()));
    code.imports(imports);
    code.blank();
    code.line("use crate::ServiceContext;");
    code.blank();
    match (operation.rest, operation.rpc) {
        (Some(rest), _) => code.docs(&route_docs(rest.route)),
        (None, Some(rpc)) => {
            let otherwise = format!("`rpc {}`", rpc.method.name);
            code.docs(&docs::lines_or(&rpc.method.docs, otherwise));
        }
        (None, None) => {}
    }
    code.line("///");
    code.line("/// # Errors");
    code.line("/// `METHOD_UNIMPLEMENTED` until it is written.");
    let mut params = vec![
        "_cx: &Context".to_owned(),
        "_svc: &ServiceContext".to_owned(),
    ];
    let output = match (operation.rest, operation.rpc, messages) {
        (Some(rest), _, _) => {
            params.extend(request_param(plan, rest.route.request.as_ref(), "_"));
            answer_type(plan, rest)
        }
        (None, Some(rpc), Some(messages)) => {
            let input = crate::rpc::input(rpc.method, messages, "rpc::");
            params.push(format!("_req: {}", input.replace("::tenon::", "")));
            crate::rpc::output(rpc.method, messages, "rpc::").replace("::tenon::", "")
        }
        _ => "()".to_owned(),
    };
    let head = format!("pub async fn {}(", operation.function());
    code.signature(&head, &params, &format!(") -> Result<{output}> {{"));
    code.indent();
    code.line("Err(catalogue::METHOD_UNIMPLEMENTED.error())");
    code.close("}");
    if let Some(messages) = messages {
        write_conversions(&mut code, plan, operation, messages, &by_hand);
    }
    scaffold(&operation.file(), code.finish())
}

/// Which conversions of an operation that stands in both contracts a person must write.
struct ByHand {
    request: bool,
    response: bool,
}

impl ByHand {
    fn any(&self) -> bool {
        self.request || self.response
    }
}

fn by_hand(operation: &Operation<'_>, conversions: &mut Option<Conversions<'_>>) -> ByHand {
    match conversions {
        Some(all) => ByHand {
            request: !all.request(operation),
            response: !all.response(operation),
        },
        None => ByHand {
            request: false,
            response: false,
        },
    }
}

fn write_conversions(
    code: &mut Code,
    plan: &Plan<'_>,
    operation: &Operation<'_>,
    messages: &Messages,
    by_hand: &ByHand,
) {
    let (Some(rest), Some(rpc)) = (operation.rest, operation.rpc) else {
        return;
    };
    let unwritten = [
        "///",
        "/// # Errors",
        "/// `METHOD_UNIMPLEMENTED` until it is written.",
    ];
    if by_hand.request {
        code.blank();
        code.line("/// The request of the RPC contract as that of the REST contract; they differ.");
        unwritten.iter().for_each(|line| code.line(line));
        let input = messages.rust_type(&rpc.method.input, "rpc::");
        let output = body_type(plan, rest.route.request.as_ref());
        let tail = format!(") -> Result<{output}> {{");
        code.signature(
            "pub fn request_from_rpc(",
            &[format!("_req: {input}")],
            &tail,
        );
        code.indent();
        code.line("Err(catalogue::METHOD_UNIMPLEMENTED.error())");
        code.close("}");
    }
    if by_hand.response {
        code.blank();
        code.line(
            "/// The response of the REST contract as that of the RPC contract; they differ.",
        );
        unwritten.iter().for_each(|line| code.line(line));
        let input = body_type(plan, rest.route.response.as_ref());
        let output = messages.rust_type(&rpc.method.output, "rpc::");
        let tail = format!(") -> Result<{output}> {{");
        code.signature(
            "pub fn response_to_rpc(",
            &[format!("_resp: {input}")],
            &tail,
        );
        code.indent();
        code.line("Err(catalogue::METHOD_UNIMPLEMENTED.error())");
        code.close("}");
    }
}

/// Whether the logic names a type of the REST contract.
fn uses_rest(operation: &Operation<'_>) -> bool {
    fn names_struct(ty: &Type) -> bool {
        match ty {
            Type::Struct(_) => true,
            Type::List(item) | Type::Array(_, item) => names_struct(item),
            Type::Map(_, value) => names_struct(value),
            _ => false,
        }
    }
    operation.rest.is_some_and(|rest| {
        [&rest.route.request, &rest.route.response]
            .into_iter()
            .flatten()
            .any(|body| names_struct(&body.ty))
    })
}

fn title(operation: &Operation<'_>) -> String {
    match (operation.rest, operation.rpc) {
        (Some(rest), _) => method_and_path(rest.route),
        (None, Some(rpc)) => format!("rpc {}", rpc.method.name),
        (None, None) => String::new(),
    }
}
