//! The rules of `google.api.http`, read from the compiled contract, because the types of prost drop
//! the options that they do not know.

use std::collections::HashMap;

use protox::prost_reflect::{DescriptorPool, DynamicMessage, Value};

/// One way in which a method is opened over HTTP.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpRule {
    /// The HTTP method in upper case; `*` for any.
    pub verb: String,
    /// The template of the path, `/v1/{name=shelves/*}:close`.
    pub path: String,
    /// The field that is the body; `*` for the whole message; empty for none.
    pub body: String,
    /// The field of the answer that is sent; empty for the whole message.
    pub response_body: String,
}

/// The rules of each method that has any, its additional ones after its own, by its full name.
pub(super) fn rules(pool: &DescriptorPool) -> HashMap<String, Vec<HttpRule>> {
    let Some(option) = pool.get_extension_by_name("google.api.http") else {
        return HashMap::new();
    };
    let services: Vec<_> = pool.services().collect();
    let methods = services.iter().flat_map(|service| service.methods());
    let written = methods.filter_map(|method| {
        let options = method.options();
        if !options.has_extension(&option) {
            return None;
        }
        let value = options.get_extension(&option);
        let own = value.as_message()?;
        let additional = own.get_field_by_name("additional_bindings");
        let additional = additional.as_deref().and_then(Value::as_list);
        let additional = additional.unwrap_or_default().iter();
        let all = std::iter::once(own).chain(additional.filter_map(Value::as_message));
        Some((
            method.full_name().to_owned(),
            all.filter_map(rule).collect(),
        ))
    });
    written.collect()
}

/// A rule; one without a pattern opens nothing.
fn rule(rule: &DynamicMessage) -> Option<HttpRule> {
    let known = ["get", "put", "post", "delete", "patch"];
    let known = known.into_iter().find(|name| rule.has_field_by_name(name));
    let (verb, path) = match known {
        Some(name) => (name.to_ascii_uppercase(), text(rule, name)),
        None if rule.has_field_by_name("custom") => {
            let custom = rule.get_field_by_name("custom")?;
            let custom = custom.as_message()?;
            (text(custom, "kind"), text(custom, "path"))
        }
        None => return None,
    };
    Some(HttpRule {
        verb,
        path,
        body: text(rule, "body"),
        response_body: text(rule, "response_body"),
    })
}

fn text(message: &DynamicMessage, field: &str) -> String {
    let value = message.get_field_by_name(field);
    let text = value.as_deref().and_then(Value::as_str);
    text.unwrap_or_default().to_owned()
}
