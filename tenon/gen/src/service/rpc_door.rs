//! `src/gen/rpc.rs` of the service crate: the RPC door.

use super::{body_type, owned, write_call};
use crate::rpc;
use crate::{
    File,
    convert::Conversions,
    layout::{Code, literal},
    plan::{Operation, Plan, RestOperation, RpcOperation, file_name},
    rest::header,
    rpc::messages::Messages,
};

/// The whole file.
pub(crate) fn rpc_door(
    plan: &Plan<'_>,
    messages: &Messages,
    conversions: &mut Option<Conversions<'_>>,
) -> File {
    let mut code = Code::new();
    let path = plan.project.config.proto.as_deref().unwrap_or_default();
    code.line(header(file_name(path)));
    code.blank();
    code.line("//! The RPC door: it checks who may call, and hands each method to its logic.");
    code.blank();
    write_imports(&mut code, plan, conversions);
    write_struct(&mut code);
    for (index, names) in plan.services.iter().enumerate() {
        code.blank();
        code.open(format!("impl rpc::{} for RpcDoor {{", names.service_trait));
        for (operation, rpc) in plan.methods(index) {
            let (function, _) = &names.methods[rpc.index];
            let method = Method {
                plan,
                operation,
                rpc,
                function,
                output: rpc::output(rpc.method, messages, "rpc::").replace("::tenon::", "tenon::"),
                converts_request: conversions
                    .as_mut()
                    .is_none_or(|all| all.request(operation)),
                converts_response: conversions
                    .as_mut()
                    .is_none_or(|all| all.response(operation)),
            };
            code.blank();
            method.write(&mut code, messages);
        }
        code.close("}");
    }
    owned("src/gen/rpc.rs", code)
}

fn write_imports(code: &mut Code, plan: &Plan<'_>, conversions: &mut Option<Conversions<'_>>) {
    let contract = plan.project.config.contract_crate().replace('-', "_");
    let mut methods = plan
        .services
        .iter()
        .flat_map(|names| &names.service.methods)
        .peekable();
    let any = methods.peek().is_some();
    let permissions = &plan.project.config.permissions;
    let ruled = methods.any(|method| permissions.contains_key(&method.name));
    code.line("use std::sync::Arc;");
    code.blank();
    let converts = plan
        .operations
        .iter()
        .any(|operation| names_rest_type(operation, conversions));
    let modules = if converts { "{rest, rpc}" } else { "rpc" };
    let runtime = match (ruled, any) {
        (true, _) => "use tenon::{\n    Context, Result,\n    auth::{AccessRules, access},\n};",
        (false, true) => "use tenon::{Context, Result, auth::AccessRules};",
        (false, false) => "use tenon::auth::AccessRules;",
    };
    code.imports(vec![
        format!("use {contract}::{modules};"),
        runtime.to_owned(),
    ]);
    code.blank();
    match any {
        true => code.line("use crate::{ServiceContext, logic};"),
        false => code.line("use crate::ServiceContext;"),
    }
}

/// Whether the door names a type of the REST contract: it does to convert a request.
fn names_rest_type(operation: &Operation<'_>, conversions: &mut Option<Conversions<'_>>) -> bool {
    let (Some(rest), Some(_)) = (operation.rest, operation.rpc) else {
        return false;
    };
    rest.route.request.is_some()
        && conversions
            .as_mut()
            .is_none_or(|all| all.request(operation))
}

fn write_struct(code: &mut Code) {
    code.blank();
    code.lines(
        "/// Answers the RPC contract with the logic of this service, over the network and to\n\
         /// neighbours in the same process alike.\n#[derive(Clone)]",
    );
    code.open("pub struct RpcDoor {");
    code.line("context: ServiceContext,");
    code.line("rules: Arc<dyn AccessRules>,");
    code.close("}");
    code.blank();
    code.open("impl RpcDoor {");
    let functions = [
        (
            "/// A door whose callers `rules` decides about.",
            "pub fn new(context: ServiceContext, rules: Arc<dyn AccessRules>) -> Self {",
            "Self { context, rules }",
        ),
        (
            "/// What its operations share.",
            "pub fn context(&self) -> &ServiceContext {",
            "&self.context",
        ),
        (
            "/// Who decides about callers.",
            "pub fn rules(&self) -> &Arc<dyn AccessRules> {",
            "&self.rules",
        ),
    ];
    for (doc, signature, body) in functions {
        code.blank();
        code.line(doc);
        code.open(signature);
        code.line(body);
        code.close("}");
    }
    code.close("}");
}

/// One method of the door.
struct Method<'a> {
    plan: &'a Plan<'a>,
    operation: &'a Operation<'a>,
    rpc: RpcOperation<'a>,
    function: &'a str,
    output: String,
    converts_request: bool,
    converts_response: bool,
}

impl Method<'_> {
    fn write(&self, code: &mut Code, messages: &Messages) {
        // An empty message has nothing that logic without a request would take.
        let unused = self.converts_request
            && self
                .operation
                .rest
                .is_some_and(|rest| rest.route.request.is_none());
        let params = [
            "&self".to_owned(),
            "cx: &Context".to_owned(),
            format!(
                "{}: {}",
                if unused { "_req" } else { "req" },
                rpc::input(self.rpc.method, messages, "rpc::").replace("::tenon::", "tenon::")
            ),
        ];
        let tail = format!(") -> Result<{}> {{", self.output);
        code.signature(&format!("async fn {}(", self.function), &params, &tail);
        code.indent();
        let permissions = &self.plan.project.config.permissions;
        if let Some(permission) = permissions.get(&self.rpc.method.name) {
            let permission = literal(permission);
            code.line(format!(
                "access::check(self.rules.as_ref(), cx, {permission})?;"
            ));
        }
        let mut arguments = vec!["cx".to_owned(), "&self.context".to_owned()];
        match self.operation.rest {
            Some(rest) => self.write_converted(code, rest, arguments),
            None => {
                arguments.push("req".to_owned());
                write_call(code, self.operation, &arguments, "", ".await");
            }
        }
        code.close("}");
    }

    /// The call of logic that takes the types of the REST contract.
    fn write_converted(
        &self,
        code: &mut Code,
        rest: RestOperation<'_>,
        mut arguments: Vec<String>,
    ) {
        let module = self.operation.module();
        let request = rest.route.request.as_ref();
        match (self.converts_request, request) {
            (true, Some(_)) => {
                let ty = body_type(self.plan, request);
                code.line(format!("let req = {ty}::from(req);"));
            }
            (true, None) => {}
            (false, Some(_)) => code.line(format!("let req = {module}::request_from_rpc(req)?;")),
            (false, None) => code.line(format!("{module}::request_from_rpc(req)?;")),
        }
        if request.is_some() {
            arguments.push("req".to_owned());
        }
        let answers = rest.route.response.is_some();
        let head = if answers { "let resp = " } else { "" };
        write_call(code, self.operation, &arguments, head, ".await?;");
        if self.rpc.method.server_streaming {
            code.line("let messages = resp.into_messages();");
            code.line(match self.converts_response {
                true => "Ok(messages.map(Into::into))".to_owned(),
                false => format!("Ok(messages.try_map({module}::response_to_rpc))"),
            });
            return;
        }
        code.line(match (self.converts_response, answers) {
            (true, true) => "Ok(resp.into())".to_owned(),
            (true, false) if self.output == "()" => "Ok(())".to_owned(),
            (true, false) => format!("Ok({}::default())", self.output),
            (false, true) => format!("{module}::response_to_rpc(resp)"),
            (false, false) => format!("{module}::response_to_rpc(())"),
        });
    }
}
