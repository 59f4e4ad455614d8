//! `contract/src/gen/openapi.json`: the REST contract as OpenAPI 3.1. What an RPC contract opens over
//! HTTP is `transcoded`'s.

mod messages;
pub(crate) mod template;
pub(crate) mod transcoded;

use serde_json::{Map, Value, json};
use tenon_idl::model::{
    Api, Body, Bound, Field, Group, Literal, Range, Route, Segment, Source, Struct, Type,
};

use crate::plan::{is_json, is_request_only};

/// Stands at what says who somebody is, for those who show or record what goes over the wire.
const PERSONAL: &str = "x-personal";

/// The whole document, pretty-printed with a final newline.
pub(crate) fn write(api: &Api) -> String {
    let mut document = Map::new();
    document.insert("openapi".to_owned(), json!("3.1.0"));
    document.insert("info".to_owned(), info(api));
    document.insert("paths".to_owned(), paths(api));
    document.insert("components".to_owned(), components(api));
    format!("{:#}\n", Value::Object(document))
}

fn info(api: &Api) -> Value {
    let name = api.service.as_ref().map_or("api", |service| &service.name);
    let mut info = Map::new();
    let title = api.info_value("title").unwrap_or(name);
    info.insert("title".to_owned(), json!(title));
    let description = api.info_value("desc").or(api.info_value("description"));
    if let Some(description) = description {
        info.insert("description".to_owned(), json!(description));
    }
    let version = api.info_value("version").unwrap_or("1");
    info.insert("version".to_owned(), json!(version));
    let mut contact = Map::new();
    for (key, name) in [("author", "name"), ("email", "email")] {
        if let Some(value) = api.info_value(key) {
            contact.insert(name.to_owned(), json!(value));
        }
    }
    if !contact.is_empty() {
        info.insert("contact".to_owned(), Value::Object(contact));
    }
    Value::Object(info)
}

fn paths(api: &Api) -> Value {
    let mut paths: Map<String, Value> = Map::new();
    for (group, route) in api.service.iter().flat_map(|service| service.routes()) {
        let path: String = match route.segments.as_slice() {
            [] => "/".to_owned(),
            segments => segments
                .iter()
                .map(|segment| match segment {
                    Segment::Literal(text) => format!("/{text}"),
                    Segment::Parameter(name) => format!("/{{{name}}}"),
                })
                .collect(),
        };
        let operations = paths.entry(path).or_insert_with(|| json!({}));
        if let Value::Object(operations) = operations {
            operations.insert(
                route.method.as_str().to_owned(),
                operation(api, group, route),
            );
        }
    }
    Value::Object(paths)
}

fn operation(api: &Api, group: &Group, route: &Route) -> Value {
    let mut operation = Map::new();
    operation.insert(
        "operationId".to_owned(),
        json!(operation_id(api, group, route)),
    );
    let tags = if route.tags.is_empty() {
        &group.tags
    } else {
        &route.tags
    };
    let group_tag = group.group.clone().into_iter().collect();
    let tags: &Vec<String> = if tags.is_empty() { &group_tag } else { tags };
    if !tags.is_empty() {
        operation.insert("tags".to_owned(), json!(tags));
    }
    if let Some(summary) = route.summary.as_ref().or(group.summary.as_ref()) {
        operation.insert("summary".to_owned(), json!(summary));
    }
    if let Some(text) = description(&route.docs) {
        operation.insert("description".to_owned(), text);
    }
    let parameters = parameters(api, route);
    if !parameters.is_empty() {
        operation.insert("parameters".to_owned(), Value::Array(parameters));
    }
    if let Some(body) = request_body(api, route) {
        operation.insert("requestBody".to_owned(), body);
    }
    operation.insert("responses".to_owned(), responses(group, route));
    if needs_token(group) {
        operation.insert("security".to_owned(), json!([{ "bearer": [] }]));
    }
    if let Some(permission) = &group.permission {
        operation.insert("x-permission".to_owned(), json!(permission));
    }
    Value::Object(operation)
}

/// The handler, with its group where two groups have a handler of that name.
fn operation_id(api: &Api, group: &Group, route: &Route) -> String {
    let routes = api.service.iter().flat_map(|service| service.routes());
    let alike = routes
        .filter(|(_, other)| other.handler == route.handler)
        .count();
    match &group.group {
        Some(name) if alike > 1 => format!("{}.{}", name.replace('/', "."), route.handler),
        _ => route.handler.clone(),
    }
}

fn needs_token(group: &Group) -> bool {
    let ruled = group
        .permission
        .as_deref()
        .is_some_and(|name| name != "public");
    group.jwt.is_some() || group.jwt_transition.is_some() || ruled
}

/// The struct that a request is read into.
fn request_type<'a>(api: &'a Api, route: &Route) -> Option<&'a Struct> {
    match &route.request.as_ref()?.ty {
        Type::Struct(name) => api.type_named(name),
        _ => None,
    }
}

fn parameters(api: &Api, route: &Route) -> Vec<Value> {
    let item = request_type(api, route);
    let mut parameters = Vec::new();
    for name in route.parameters() {
        let field = item.and_then(|item| {
            item.fields_from(Source::Path)
                .find(|field| field.wire_name == name)
        });
        // A parameter that no field binds is still part of the path.
        parameters.push(match field {
            Some(field) => parameter(field, "path"),
            None => json!({
                "name": name, "in": "path", "required": true, "schema": { "type": "string" }
            }),
        });
    }
    for (source, place) in [(Source::Query, "query"), (Source::Header, "header")] {
        for field in item.into_iter().flat_map(|item| item.fields_from(source)) {
            parameters.push(parameter(field, place));
        }
    }
    parameters
}

fn parameter(field: &Field, place: &str) -> Value {
    let mut parameter = Map::new();
    parameter.insert("name".to_owned(), json!(field.wire_name));
    parameter.insert("in".to_owned(), json!(place));
    if let Some(text) = description(&field.docs) {
        parameter.insert("description".to_owned(), text);
    }
    parameter.insert("required".to_owned(), json!(field.required()));
    parameter.insert("schema".to_owned(), field_schema(field, false));
    Value::Object(parameter)
}

fn request_body(api: &Api, route: &Route) -> Option<Value> {
    let body = route.request.as_ref()?;
    let schema = match request_type(api, route) {
        Some(item) if is_json(item) => schema(&body.ty),
        Some(item) => {
            item.fields_from(Source::Json).next()?;
            object(item)
        }
        None => schema(&body.ty),
    };
    let required = request_type(api, route)
        .is_none_or(|item| item.fields_from(Source::Json).any(Field::required));
    Some(json!({
        "required": required,
        "content": { "application/json": { "schema": schema } }
    }))
}

/// Each event of a stream holds one JSON document of the schema in its `data`.
fn media_type(group: &Group) -> &'static str {
    match group.sse {
        true => "text/event-stream",
        false => "application/json",
    }
}

fn responses(group: &Group, route: &Route) -> Value {
    let mut responses = Map::new();
    let (code, body) = match (&route.response, route.status) {
        (Some(Body { ty, .. }), status) => (
            status.unwrap_or(200),
            json!({
                "description": "Success",
                "content": { media_type(group): { "schema": schema(ty) } }
            }),
        ),
        (None, status) => (status.unwrap_or(204), json!({ "description": "Success" })),
    };
    responses.insert(code.to_string(), body);
    if needs_token(group) {
        responses.insert("401".to_owned(), problem("No valid token"));
    }
    if group
        .permission
        .as_deref()
        .is_some_and(|name| name != "public")
    {
        responses.insert("403".to_owned(), problem("The caller may not do this"));
    }
    responses.insert("default".to_owned(), problem("The request failed"));
    Value::Object(responses)
}

/// An answer that is a problem document.
fn problem(description: &str) -> Value {
    json!({
        "description": description,
        "content": {
            "application/problem+json": {
                "schema": { "$ref": "#/components/schemas/Problem" }
            }
        }
    })
}

fn components(api: &Api) -> Value {
    let mut schemas = Map::new();
    for item in api.types.iter().filter(|item| !is_request_only(item)) {
        schemas.insert(schema_name(&item.name), object(item));
    }
    schemas.insert("Problem".to_owned(), problem_schema());
    let mut components = Map::new();
    components.insert("schemas".to_owned(), Value::Object(schemas));
    if api
        .service
        .iter()
        .flat_map(|service| &service.groups)
        .any(needs_token)
    {
        components.insert(
            "securitySchemes".to_owned(),
            json!({ "bearer": { "type": "http", "scheme": "bearer", "bearerFormat": "JWT" } }),
        );
    }
    Value::Object(components)
}

/// A type of the contract may be called like the toolkit's own schema.
fn schema_name(name: &str) -> String {
    if name == "Problem" {
        "Problem_".to_owned()
    } else {
        name.to_owned()
    }
}

/// The document of RFC 9457 that every failure answers.
fn problem_schema() -> Value {
    let text = json!({ "type": "string" });
    json!({
        "type": "object",
        "description": "RFC 9457 problem document",
        "required": ["type", "title", "status", "code"],
        "properties": {
            "type": text, "title": text, "status": { "type": "integer" }, "detail": text,
            "code": text, "traceId": text,
            "errors": {
                "type": "array",
                "items": {
                    "type": "object",
                    "required": ["in", "path", "rule", "expected"],
                    "properties": {
                        "in": { "type": "string", "enum": ["path", "query", "header", "body"] },
                        "path": text, "rule": text, "expected": text
                    }
                }
            }
        }
    })
}

fn object(item: &Struct) -> Value {
    let mut properties = Map::new();
    let mut required = Vec::new();
    for field in item.fields_from(Source::Json) {
        properties.insert(field.wire_name.clone(), field_schema(field, true));
        if field.required() && !field.omit_empty {
            required.push(json!(field.wire_name));
        }
    }
    let mut object = Map::new();
    object.insert("type".to_owned(), json!("object"));
    if let Some(text) = description(&item.docs) {
        object.insert("description".to_owned(), text);
    }
    object.insert("properties".to_owned(), Value::Object(properties));
    if !required.is_empty() {
        object.insert("required".to_owned(), Value::Array(required));
    }
    Value::Object(object)
}

/// The schema of a field with its rules.
fn field_schema(field: &Field, described: bool) -> Value {
    let mut value = schema(&field.ty);
    let Value::Object(map) = &mut value else {
        return value;
    };
    if field.string_encoded {
        map.clear();
        map.insert("type".to_owned(), json!("string"));
        map.insert(
            "description".to_owned(),
            json!(format!("`{}` inside a string", field.ty)),
        );
    }
    if let Some(text) = description(&field.docs).filter(|_| described) {
        map.insert("description".to_owned(), text);
    }
    if !field.string_encoded {
        if !field.options.is_empty() {
            let options = field.options.iter().map(literal).collect();
            map.insert("enum".to_owned(), Value::Array(options));
        }
        if let Some(range) = &field.range {
            limits(map, range);
        }
        if let Some(default) = &field.default {
            map.insert("default".to_owned(), literal(default));
        }
    }
    if field.personal {
        map.insert(PERSONAL.to_owned(), json!(true));
    }
    value
}

fn limits(map: &mut Map<String, Value>, range: &Range) {
    let mut limit = |end: &Option<Bound>, inclusive: &str, exclusive: &str| {
        if let Some(bound) = end {
            let key = if bound.inclusive {
                inclusive
            } else {
                exclusive
            };
            map.insert(key.to_owned(), literal(&bound.value));
        }
    };
    limit(&range.low, "minimum", "exclusiveMinimum");
    limit(&range.high, "maximum", "exclusiveMaximum");
}

fn literal(value: &Literal) -> Value {
    match value {
        Literal::Bool(value) => json!(value),
        Literal::Int(value) => i64::try_from(*value)
            .map(Value::from)
            .or_else(|_| u64::try_from(*value).map(Value::from))
            .unwrap_or(Value::Null),
        Literal::Float(value) => json!(value),
        Literal::String(value) => json!(value),
    }
}

fn schema(ty: &Type) -> Value {
    match ty {
        Type::Bool => json!({ "type": "boolean" }),
        Type::Int { bits, signed } => integer(*bits, *signed),
        Type::Float { bits: 32 } => json!({ "type": "number", "format": "float" }),
        Type::Float { .. } => json!({ "type": "number", "format": "double" }),
        Type::String => json!({ "type": "string" }),
        Type::Bytes => json!({ "type": "string", "contentEncoding": "base64" }),
        Type::Time => json!({ "type": "string", "format": "date-time" }),
        Type::Any => json!({}),
        Type::Struct(name) => {
            json!({ "$ref": format!("#/components/schemas/{}", schema_name(name)) })
        }
        Type::List(item) => json!({ "type": "array", "items": schema(item) }),
        Type::Array(length, item) => json!({
            "type": "array", "items": schema(item), "minItems": length, "maxItems": length
        }),
        Type::Map(_, value) => json!({ "type": "object", "additionalProperties": schema(value) }),
    }
}

fn integer(bits: u8, signed: bool) -> Value {
    match (bits, signed) {
        (64, true) => json!({ "type": "integer", "format": "int64" }),
        (32, true) => json!({ "type": "integer", "format": "int32" }),
        (64, false) => json!({ "type": "integer", "format": "uint64", "minimum": 0 }),
        (32, false) => json!({ "type": "integer", "format": "uint32", "minimum": 0 }),
        (bits, true) => {
            let end = 1_i64 << (bits - 1);
            json!({ "type": "integer", "minimum": -end, "maximum": end - 1 })
        }
        (bits, false) => json!({ "type": "integer", "minimum": 0, "maximum": (1_i64 << bits) - 1 }),
    }
}

fn description(docs: &[String]) -> Option<Value> {
    let text = docs.join("\n").trim().to_owned();
    (!text.is_empty()).then(|| json!(text))
}
