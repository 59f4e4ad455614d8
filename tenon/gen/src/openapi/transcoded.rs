//! `contract/src/gen/openapi_rpc.json`: what the `google.api.http` rules of the RPC contract open
//! over HTTP, as OpenAPI 3.1.
//!
//! What OpenAPI cannot say stands in descriptions: that a part of a path may hold slashes (`**`),
//! and that a rule takes any method. Rules for methods that OpenAPI does not know are left out.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};
use tenon_idl::{
    Diagnostic,
    proto::{HttpRule, Method, Proto, RpcService},
};

use super::{
    description,
    messages::{Field, Message, Types, is_raw},
    problem, problem_schema,
    template::{Parameter, Template},
};
use crate::project::Config;

/// How deep query parameters reach into messages; a message that holds itself has no end.
const DEPTH_MAX: usize = 8;

/// The whole document, pretty-printed with a final newline; `None` where no method has a rule.
pub(crate) fn write(proto: &Proto, config: &Config) -> Option<String> {
    let opened = |service: &&RpcService| service.methods.iter().any(|it| !it.http.is_empty());
    let services: Vec<&RpcService> = proto.services.iter().filter(opened).collect();
    if services.is_empty() {
        return None;
    }
    let mut writer = Writer {
        types: Types::new(proto),
        config,
        paths: Map::new(),
        shapes: BTreeMap::new(),
        names: names(&services),
    };
    for service in &services {
        for method in &service.methods {
            for (number, rule) in (1..).zip(&method.http) {
                writer.add(service, method, number, rule);
            }
        }
    }
    let title = match proto.package.as_str() {
        "" => config.name.as_str(),
        package => package,
    };
    let version = proto.package.rsplit('.').next().unwrap_or_default();
    let version = version
        .strip_prefix('v')
        .filter(|it| it.starts_with(|c: char| c.is_ascii_digit()));
    let tags: Vec<Value> = services.iter().map(|service| tag(service)).collect();
    let document = json!({
        "openapi": "3.1.0",
        "info": { "title": title, "version": version.unwrap_or("1") },
        "tags": tags,
        "paths": writer.paths,
        "components": writer.components(&services),
    });
    Some(format!("{document:#}\n"))
}

/// The rules that fit no path or no field, so that nothing opens them.
pub(crate) fn check(proto: &Proto) -> Vec<Diagnostic> {
    let types = Types::new(proto);
    let methods = proto.services.iter().flat_map(|service| &service.methods);
    let rules = methods.flat_map(|method| method.http.iter().map(move |rule| (method, rule)));
    let wrong = rules.filter_map(|(method, rule)| {
        let problem = problem_of(&types, method, rule)?;
        let message = format!("`google.api.http` of method `{}`: {problem}", method.name);
        Some(proto.diagnostic(method.position, message))
    });
    wrong.collect()
}

fn problem_of(types: &Types<'_>, method: &Method, rule: &HttpRule) -> Option<String> {
    let template = match Template::parse(&rule.path) {
        Ok(template) => template,
        Err(expected) => {
            return Some(format!("`{}` is no path template: {expected}", rule.path));
        }
    };
    let (input, output) = (
        types.message(&method.input)?,
        types.message(&method.output)?,
    );
    let lacks = |message: &Message<'_>, name: &str, key: &str| {
        let name_of = message.full_name();
        format!("{name_of} has no field `{name}`, which the {key} names")
    };
    let mut in_path = template.fields();
    if let Some(name) = in_path.find(|name| field_at(types, input, name).is_none()) {
        return Some(lacks(input, name, "path"));
    }
    let (body, answer) = (rule.body.as_str(), rule.response_body.as_str());
    if !matches!(body, "" | "*") && input.field(body).is_none() {
        return Some(lacks(input, body, "body"));
    }
    let missing = !answer.is_empty() && output.field(answer).is_none();
    missing.then(|| lacks(output, answer, "response_body"))
}

/// The field at `a.b.c` with its name in JSON.
fn field_at<'a>(
    types: &Types<'a>,
    message: &Message<'a>,
    names: &str,
) -> Option<(String, Field<'a>)> {
    let mut message = message.clone();
    let mut shown = Vec::new();
    let mut names = names.split('.').peekable();
    while let Some(name) = names.next() {
        let field = message.field(name)?;
        shown.push(field.json_name());
        if names.peek().is_none() {
            return Some((shown.join("."), field));
        }
        message = types.within(&field)?.clone();
    }
    None
}

/// The names of methods that more than one service has.
fn names(services: &[&RpcService]) -> BTreeSet<String> {
    let mut seen = BTreeSet::new();
    let methods = services.iter().flat_map(|service| &service.methods);
    let twice = methods.filter(|method| !seen.insert(method.name.as_str()));
    twice.map(|method| method.name.clone()).collect()
}

fn tag(service: &RpcService) -> Value {
    let mut tag = Map::new();
    tag.insert("name".to_owned(), json!(service.name));
    if let Some(text) = description(&service.docs) {
        tag.insert("description".to_owned(), text);
    }
    Value::Object(tag)
}

struct Writer<'a> {
    types: Types<'a>,
    config: &'a Config,
    paths: Map<String, Value>,
    /// What the parameters of each shape of a path are called: two names for one place are two
    /// paths to OpenAPI, and not allowed.
    shapes: BTreeMap<String, Vec<String>>,
    /// Methods whose name alone says too little.
    names: BTreeSet<String>,
}

impl<'a> Writer<'a> {
    fn add(&mut self, service: &RpcService, method: &Method, number: u32, rule: &HttpRule) {
        // A template that is none was refused before, and so was a method without its messages.
        let (Ok(template), Some(input)) = (
            Template::parse(&rule.path),
            self.types.message(&method.input).cloned(),
        ) else {
            return;
        };
        let verb = match rule.verb.to_ascii_lowercase().as_str() {
            "*" if rule.body.is_empty() => "get".to_owned(),
            "*" => "post".to_owned(),
            verb => verb.to_owned(),
        };
        let known = [
            "get", "put", "post", "delete", "patch", "head", "options", "trace",
        ];
        if !known.contains(&verb.as_str()) {
            return;
        }
        let parameters = template.parameters();
        let shape = template.path(parameters.iter().map(|_| ""));
        let own = || parameters.iter().map(|it| it.name.clone()).collect();
        let names = self.shapes.entry(shape).or_insert_with(own).clone();
        let path = template.path(names.iter().map(String::as_str));
        let mut id = method.name.clone();
        if self.names.contains(&id) {
            id = format!("{}.{id}", service.name);
        }
        if number > 1 {
            id = format!("{id}_{number}");
        }
        let operation = Operation {
            types: &self.types,
            method,
            rule,
            input: &input,
            template: &template,
        };
        let permission = self.config.permissions.get(&method.name);
        let named: Vec<_> = names.iter().zip(parameters).collect();
        let written = operation.write(&service.name, id, &named, permission);
        let operations = self.paths.entry(path).or_insert_with(|| json!({}));
        if let Value::Object(operations) = operations {
            operations.entry(verb).or_insert(written);
        }
    }

    fn components(&self, services: &[&RpcService]) -> Value {
        let mut schemas: Map<String, Value> = self.types.components().into_iter().collect();
        schemas.insert("Problem".to_owned(), problem_schema());
        let methods = services.iter().flat_map(|service| &service.methods);
        let mut permissions = methods.filter_map(|it| self.config.permissions.get(&it.name));
        let mut components = json!({ "schemas": schemas });
        if permissions.any(|permission| permission != "public") {
            components["securitySchemes"] =
                json!({ "bearer": { "type": "http", "scheme": "bearer", "bearerFormat": "JWT" } });
        }
        components
    }
}

/// One rule of one method.
struct Operation<'a, 'b> {
    types: &'b Types<'a>,
    method: &'b Method,
    rule: &'b HttpRule,
    input: &'b Message<'a>,
    template: &'b Template,
}

impl<'a> Operation<'a, '_> {
    fn write(
        &self,
        service: &str,
        id: String,
        named: &[(&String, Parameter)],
        permission: Option<&String>,
    ) -> Value {
        let mut operation = Map::new();
        operation.insert("operationId".to_owned(), json!(id));
        operation.insert("tags".to_owned(), json!([service]));
        let mut lines = self.method.docs.clone();
        if self.rule.verb == "*" {
            lines.push("Any method of HTTP is taken.".to_owned());
        }
        if let Some(text) = description(&lines) {
            operation.insert("description".to_owned(), text);
        }
        let in_path = named.iter().map(|(name, it)| self.path_parameter(name, it));
        let mut parameters: Vec<Value> = in_path.collect();
        parameters.extend(self.query());
        if !parameters.is_empty() {
            operation.insert("parameters".to_owned(), json!(parameters));
        }
        if let Some(body) = self.body() {
            operation.insert("requestBody".to_owned(), body);
        }
        let closed = permission.filter(|permission| *permission != "public");
        operation.insert("responses".to_owned(), self.responses(closed.is_some()));
        if closed.is_some() {
            operation.insert("security".to_owned(), json!([{ "bearer": [] }]));
        }
        if let Some(permission) = permission {
            operation.insert("x-permission".to_owned(), json!(permission));
        }
        Value::Object(operation)
    }

    fn path_parameter(&self, name: &str, parameter: &Parameter) -> Value {
        let field = parameter.field.as_deref();
        let field = field.and_then(|field| field_at(self.types, self.input, field));
        let mut lines = field
            .as_ref()
            .map_or_else(Vec::new, |(_, field)| field.docs());
        let whole = match (&field, &parameter.part_of) {
            (Some((named, _)), Some(pattern)) => {
                lines.push(format!("A part of `{named}`, which is `{pattern}`."));
                None
            }
            (Some((_, field)), None) => Some(self.types.schema(field)),
            (None, _) => None,
        };
        if parameter.is_rest {
            lines.push("Whatever is left of the path, slashes included.".to_owned());
        }
        let mut written = json!({ "name": name, "in": "path" });
        if let Some(text) = description(&lines) {
            written["description"] = text;
        }
        written["required"] = json!(true);
        written["schema"] = whole.unwrap_or_else(|| json!({ "type": "string" }));
        written
    }

    /// All that neither path nor body holds.
    fn query(&self) -> Vec<Value> {
        if self.rule.body == "*" {
            return Vec::new();
        }
        let mut parameters = Vec::new();
        let mut way = vec![self.input.full_name().to_owned()];
        self.query_of(self.input, ("", ""), &mut way, &mut parameters);
        parameters
    }

    fn query_of(
        &self,
        message: &Message<'a>,
        (named, shown): (&str, &str),
        way: &mut Vec<String>,
        parameters: &mut Vec<Value>,
    ) {
        for field in message.fields() {
            let named = format!("{named}{}", field.name());
            let shown = format!("{shown}{}", field.json_name());
            let of_path = self.template.fields().any(|it| it == named);
            if of_path || named == self.rule.body {
                continue;
            }
            if field.is_plain() {
                parameters.push(self.query_parameter(&shown, &field));
                continue;
            }
            let Some(within) = self.types.within(&field) else {
                continue;
            };
            let name = within.full_name().to_owned();
            if way.len() < DEPTH_MAX && !way.contains(&name) {
                way.push(name);
                let prefix = (format!("{named}."), format!("{shown}."));
                self.query_of(within, (&prefix.0, &prefix.1), way, parameters);
                way.pop();
            }
        }
    }

    fn query_parameter(&self, name: &str, field: &Field<'a>) -> Value {
        let mut parameter = json!({ "name": name, "in": "query" });
        if let Some(text) = description(&field.docs()) {
            parameter["description"] = text;
        }
        parameter["required"] = json!(false);
        parameter["schema"] = self.types.schema(field);
        parameter
    }

    fn body(&self) -> Option<Value> {
        let content = match self.rule.body.as_str() {
            "" => return None,
            "*" if is_raw(self.input.full_name()) => json!({ "*/*": {} }),
            "*" => json!({ self.media_type(): { "schema": self.whole() } }),
            name => {
                let field = self.input.field(name)?;
                match field.is_raw() {
                    true => json!({ "*/*": {} }),
                    false => json!({ self.media_type(): { "schema": self.types.schema(&field) } }),
                }
            }
        };
        Some(json!({ "required": false, "content": content }))
    }

    /// Of a body that is a stream, each line holds one JSON document of the schema.
    fn media_type(&self) -> &'static str {
        match self.method.client_streaming {
            true => "application/x-ndjson",
            false => "application/json",
        }
    }

    /// The message without what the path gives.
    fn whole(&self) -> Value {
        let given: Vec<&str> = self.template.fields().collect();
        let top = |name: &&str| self.input.field(name).is_some();
        match given.iter().any(top) {
            true => self.types.object(self.input, &given),
            false => self.types.reference(self.input.full_name()),
        }
    }

    fn responses(&self, closed: bool) -> Value {
        let mut responses = Map::new();
        let success = json!({ "description": "Success", "content": self.answer() });
        responses.insert("200".to_owned(), success);
        if closed {
            responses.insert("401".to_owned(), problem("No valid token"));
            responses.insert("403".to_owned(), problem("The caller may not do this"));
        }
        responses.insert("default".to_owned(), problem("The request failed"));
        Value::Object(responses)
    }

    fn answer(&self) -> Value {
        let output = self.types.message(&self.method.output);
        let field = output.and_then(|output| output.field(&self.rule.response_body));
        let raw = match &field {
            Some(field) => field.is_raw(),
            None => is_raw(&self.method.output),
        };
        if raw {
            return json!({ "*/*": {} });
        }
        let schema = match &field {
            Some(field) => self.types.schema(field),
            None => self.types.reference(&self.method.output),
        };
        if !self.method.server_streaming {
            return json!({ "application/json": { "schema": schema } });
        }
        let line = json!({
            "type": "object",
            "description": "One line. A last one has `error` if the stream broke off.",
            "properties": {
                "result": schema,
                "error": { "$ref": "#/components/schemas/Problem" }
            }
        });
        json!({
            "application/x-ndjson": { "schema": line },
            "text/event-stream": { "schema": schema }
        })
    }
}
