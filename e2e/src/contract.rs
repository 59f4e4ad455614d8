//! Holds an answer against the OpenAPI document: its status must be documented, and its body must
//! have the members that are required, none that are not documented, and the types that are said.

use serde_json::{Map, Value};

use crate::http::Answer;

/// Statuses that the contracts cannot say: the same content again is answered 200, which the
/// summary of the operation tells and its list of answers does not.
const REPLAYS: [(&str, &str); 2] = [
    ("POST", "/api/v1/epro/response"),
    ("POST", "/api/v1/epro/questionnaire"),
];

/// The operation that a method and path mean: its path as documented, and its description.
pub(crate) fn operation<'d>(
    document: &'d Value,
    method: &str,
    path: &str,
) -> Option<(&'d str, &'d Value)> {
    let method = method.to_ascii_lowercase();
    let paths = document["paths"].as_object()?;
    let (template, item) = paths.iter().find(|(template, item)| {
        item.get(&method).is_some() && template.split('/').count() == path.split('/').count() && {
            let mut pairs = template.split('/').zip(path.split('/'));
            pairs.all(|(part, given)| part == given || (part.starts_with('{') && !given.is_empty()))
        }
    })?;
    Some((template, &item[&method]))
}

/// Every operation of the document: method and path.
pub(crate) fn operations(document: &Value) -> Vec<(String, String)> {
    let paths = document["paths"].as_object().unwrap();
    let of = |(path, item): (&String, &Value)| {
        let methods: Vec<_> = item.as_object().unwrap().keys().cloned().collect();
        let path = path.clone();
        methods
            .into_iter()
            .map(move |method| (method.to_ascii_uppercase(), path.clone()))
    };
    paths.iter().flat_map(of).collect()
}

/// Says what is wrong with an answer.
pub(crate) fn check(
    document: &Value,
    method: &str,
    path: &str,
    answer: &Answer,
) -> Result<(), String> {
    if answer.status >= 400 {
        check_problem(answer)?;
    }
    let Some((template, operation)) = operation(document, method, path) else {
        return Ok(());
    };
    let replayed = answer.status == 200 && REPLAYS.contains(&(method, template));
    let status = if replayed { 201 } else { answer.status };
    let responses = &operation["responses"];
    let documented = match responses.get(status.to_string()) {
        Some(documented) => documented,
        None if status >= 400 => &responses["default"],
        None => return Err("the status is not documented".to_owned()),
    };
    let Some(content) = documented.get("content").and_then(Value::as_object) else {
        return match answer.body.is_empty() {
            true => Ok(()),
            false => Err("a body is not documented".to_owned()),
        };
    };
    let media_type = answer
        .header("content-type")
        .split(';')
        .next()
        .unwrap_or_default();
    let Some(content) = content.get(media_type) else {
        return Err(format!("the content type `{media_type}` is not documented"));
    };
    fits(document, &content["schema"], &answer.json, "$")
}

/// What every problem document promises.
fn check_problem(answer: &Answer) -> Result<(), String> {
    let promised = [
        ("content-type", "application/problem+json"),
        ("cache-control", "no-store"),
        ("x-content-type-options", "nosniff"),
    ];
    for (name, value) in promised {
        if answer.header(name) != value {
            return Err(format!("{name} is `{}`, not {value}", answer.header(name)));
        }
    }
    let problem = &answer.json;
    let is_traced = problem["traceId"].as_str().is_some_and(|id| id.len() == 32)
        && problem["traceId"] == answer.header("x-trace-id");
    let needed = match answer.status {
        401 => Some("www-authenticate"),
        405 => Some("allow"),
        429 => Some("retry-after"),
        _ => None,
    };
    let lacks = needed.filter(|name| answer.header(*name).is_empty());
    if problem["status"] != answer.status || !is_traced {
        return Err("status or trace id are not those of the answer".to_owned());
    }
    if problem["code"].as_str().is_none_or(str::is_empty) {
        return Err("it has no code".to_owned());
    }
    lacks.map_or(Ok(()), |name| Err(format!("the header {name} is missing")))
}

/// Whether a value is what a schema says.
fn fits(document: &Value, schema: &Value, value: &Value, at: &str) -> Result<(), String> {
    if let Some(reference) = schema.get("$ref").and_then(Value::as_str) {
        let pointer = reference.trim_start_matches('#');
        let target = document.pointer(pointer);
        let target = target.ok_or_else(|| format!("{reference} is not in the document"))?;
        return fits(document, target, value, at);
    }
    let wrong = |what: &str| Err(format!("{at} is not {what}"));
    if let Some(allowed) = schema.get("enum").and_then(Value::as_array)
        && !allowed.contains(value)
    {
        return wrong("one of those documented");
    }
    match schema.get("type").and_then(Value::as_str) {
        None => Ok(()),
        Some("object") => match value.as_object() {
            Some(members) => fits_object(document, schema, members, at),
            None => wrong("an object"),
        },
        Some("array") => match value.as_array() {
            Some(entries) => entries.iter().enumerate().try_for_each(|(index, entry)| {
                fits(document, &schema["items"], entry, &format!("{at}[{index}]"))
            }),
            None => wrong("an array"),
        },
        Some("string") => match (value.as_str(), schema.get("format").and_then(Value::as_str)) {
            (None, _) => wrong("a string"),
            (Some(text), Some("date-time")) if text.parse::<tenon::Timestamp>().is_err() => {
                wrong("a date-time")
            }
            _ => Ok(()),
        },
        Some("integer") if value.is_i64() || value.is_u64() => Ok(()),
        Some("number") if value.is_number() => Ok(()),
        Some("boolean") if value.is_boolean() => Ok(()),
        Some(kind) => wrong(kind),
    }
}

fn fits_object(
    document: &Value,
    schema: &Value,
    members: &Map<String, Value>,
    at: &str,
) -> Result<(), String> {
    let required = schema.get("required").and_then(Value::as_array);
    for name in required.into_iter().flatten().filter_map(Value::as_str) {
        if !members.contains_key(name) {
            return Err(format!("{at}.{name} is missing"));
        }
    }
    let Some(properties) = schema.get("properties").and_then(Value::as_object) else {
        return Ok(());
    };
    for (name, value) in members {
        let Some(schema) = properties.get(name) else {
            return Err(format!("{at}.{name} is not documented"));
        };
        fits(document, schema, value, &format!("{at}.{name}"))?;
    }
    Ok(())
}
