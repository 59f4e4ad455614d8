//! The `google.api.http` rules of a method, read from its options.
//!
//! Source: `google/api/http.proto` and `google/api/annotations.proto`. The messages stand here, so
//! that a descriptor set is read whether or not it brings those two files along.

use prost::Message as _;
use prost_reflect::MethodDescriptor;
use tenon_core::config::MappingConfig;
use tenon_resilience::Criticality;

use super::matcher::Verb;

/// One way to call a method over HTTP.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// The HTTP method.
    pub verb: Verb,
    /// The template of the path.
    pub path: String,
    /// The field that is the body; `*` for the whole message; empty for none.
    pub body: String,
    /// The field of the answer that is sent; empty for the whole message.
    pub response_body: String,
}

impl Rule {
    /// The rules of a method: its own and the additional ones.
    ///
    /// # Errors
    /// A rule without a pattern, or an additional rule with further ones of its own.
    pub fn of(method: &MethodDescriptor) -> Result<Vec<Self>, String> {
        let options = method.options().encode_to_vec();
        // The options are what their own pool encoded, so that they can be read.
        let options = MethodOptions::decode(options.as_slice()).unwrap_or_default();
        let Some(own) = options.http else {
            return Ok(Vec::new());
        };
        let mut rules = vec![Self::read(&own)?];
        for additional in &own.additional_bindings {
            if !additional.additional_bindings.is_empty() {
                return Err("an additional binding has additional bindings of its own".to_owned());
            }
            rules.push(Self::read(additional)?);
        }
        Ok(rules)
    }

    /// The rule of a configured mapping.
    pub fn mapped(mapping: &MappingConfig) -> Self {
        let method = mapping.method.as_str();
        let verb = match method {
            "*" => Verb::Any,
            _ => Verb::Method(method.to_ascii_uppercase()),
        };
        Self {
            verb,
            path: mapping.path.clone(),
            body: mapping.body.clone(),
            response_body: mapping.response_body.clone(),
        }
    }

    fn read(rule: &HttpRule) -> Result<Self, String> {
        let known = |name: &str| Verb::Method(name.to_owned());
        let (verb, path) = match &rule.pattern {
            Some(Pattern::Get(path)) => (known("GET"), path),
            Some(Pattern::Put(path)) => (known("PUT"), path),
            Some(Pattern::Post(path)) => (known("POST"), path),
            Some(Pattern::Delete(path)) => (known("DELETE"), path),
            Some(Pattern::Patch(path)) => (known("PATCH"), path),
            Some(Pattern::Custom(custom)) if custom.kind == "*" => (Verb::Any, &custom.path),
            Some(Pattern::Custom(custom)) => (known(&custom.kind), &custom.path),
            None => return Err(
                "a rule has no pattern; expected one of get, put, post, delete, patch and custom"
                    .to_owned(),
            ),
        };
        if let Verb::Method(name) = &verb
            && name.parse::<http::Method>().is_err()
        {
            return Err(format!("`{name}` is not an HTTP method"));
        }
        Ok(Self {
            verb,
            path: path.clone(),
            body: rule.body.clone(),
            response_body: rule.response_body.clone(),
        })
    }
}

/// Whom overload hits first, by the contract's `option (tenon.criticality)`.
pub(crate) fn criticality(method: &MethodDescriptor) -> Criticality {
    let options = method.options().encode_to_vec();
    let options = MethodOptions::decode(options.as_slice()).unwrap_or_default();
    match options.criticality {
        Some(1) => Criticality::Sheddable,
        Some(2) => Criticality::Critical,
        _ => Criticality::Normal,
    }
}

/// `google.protobuf.MethodOptions`, of which only the extensions `google.api.http` and
/// `tenon.criticality` are read.
#[derive(Clone, PartialEq, prost::Message)]
struct MethodOptions {
    #[prost(message, optional, tag = "72295728")]
    http: Option<HttpRule>,
    #[prost(int32, optional, tag = "56366")]
    criticality: Option<i32>,
}

/// `google.api.HttpRule`
#[derive(Clone, PartialEq, prost::Message)]
struct HttpRule {
    #[prost(oneof = "Pattern", tags = "2, 3, 4, 5, 6, 8")]
    pattern: Option<Pattern>,
    #[prost(string, tag = "7")]
    body: String,
    #[prost(message, repeated, tag = "11")]
    additional_bindings: Vec<HttpRule>,
    #[prost(string, tag = "12")]
    response_body: String,
}

/// `google.api.HttpRule.pattern`
#[derive(Clone, PartialEq, prost::Oneof)]
enum Pattern {
    #[prost(string, tag = "2")]
    Get(String),
    #[prost(string, tag = "3")]
    Put(String),
    #[prost(string, tag = "4")]
    Post(String),
    #[prost(string, tag = "5")]
    Delete(String),
    #[prost(string, tag = "6")]
    Patch(String),
    #[prost(message, tag = "8")]
    Custom(CustomHttpPattern),
}

/// `google.api.CustomHttpPattern`
#[derive(Clone, PartialEq, prost::Message)]
struct CustomHttpPattern {
    #[prost(string, tag = "1")]
    kind: String,
    #[prost(string, tag = "2")]
    path: String,
}
