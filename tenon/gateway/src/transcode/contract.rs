//! The contracts of gRPC services: descriptors from a file, from the program, or from the service.

use std::path::Path;

use prost_reflect::{DescriptorPool, MethodDescriptor, ServiceDescriptor};
use tenon_core::config::TranscodeConfig;

use super::{Binding, Matcher, Rule, matcher::Verb};

/// The largest file of descriptors: that of all of Google's public APIs has 20 MiB.
const FILE_MAX: u64 = 64 << 20;

/// Adds the files of a `google.protobuf.FileDescriptorSet` to a pool.
///
/// # Errors
/// The bytes are no such set, or it lacks files that it imports.
pub(crate) fn add(pool: &mut DescriptorPool, bytes: &[u8]) -> Result<(), String> {
    pool.decode_file_descriptor_set(bytes).map_err(|error| {
        format!("the descriptors cannot be used: {error}; make them with their imports (protoc --include_imports)")
    })
}

/// Reads a file of descriptors into a pool.
///
/// # Errors
/// The file cannot be read, or [`add`] refuses it.
pub(crate) fn load(pool: &mut DescriptorPool, path: &Path) -> Result<(), String> {
    let shown = path.display();
    let unread = |error| format!("the descriptors {shown} could not be read: {error}");
    let length = std::fs::metadata(path).map_err(unread)?.len();
    if length > FILE_MAX {
        return Err(format!(
            "the descriptors {shown} are larger than {FILE_MAX} bytes"
        ));
    }
    let bytes = std::fs::read(path).map_err(unread)?;
    add(pool, &bytes).map_err(|problem| format!("{shown}: {problem}"))
}

/// Opens the methods of a contract: those with rules, and those that are mapped.
///
/// # Errors
/// A rule that does not fit its method, a service or method that the contract does not have, or
/// two rules for one path.
pub(crate) fn open(
    pool: &DescriptorPool,
    config: &TranscodeConfig,
) -> Result<Vec<(super::Template, Binding)>, String> {
    let mut opened = Vec::new();
    for service in services(pool, &config.services)? {
        for method in service.methods() {
            let rules = Rule::of(&method).map_err(|problem| of(&method, &problem))?;
            for rule in rules {
                opened.push(bind(&method, rule)?);
            }
        }
    }
    for mapping in &config.mappings {
        let unknown = || {
            format!(
                "the contract has no method `{}`; expected package.Service/Method",
                mapping.rpc
            )
        };
        let (service, name) = mapping.rpc.rsplit_once('/').ok_or_else(unknown)?;
        let service = pool.get_service_by_name(service).ok_or_else(unknown)?;
        let method = service.methods().find(|method| method.name() == name);
        opened.push(bind(&method.ok_or_else(unknown)?, Rule::mapped(mapping))?);
    }
    Ok(opened)
}

/// Adds what was opened to the rules of others.
///
/// # Errors
/// Two rules take the same requests; both are named.
pub(crate) fn insert<T: AsRef<Binding>>(
    matcher: &mut Matcher<T>,
    template: super::Template,
    call: T,
) -> Result<(), String> {
    let binding = call.as_ref();
    let (verb, path) = (binding.rule().verb.clone(), binding.rule().path.clone());
    let name = binding.method().full_name().to_owned();
    matcher
        .insert(verb.clone(), template, call)
        .map_err(|other| {
            let other = other.as_ref();
            let verb = match &verb {
                Verb::Method(name) => name,
                Verb::Any => "*",
            };
            format!(
                "{verb} {path} of {name} takes the same requests as {} of {}; change one of them",
                other.rule().path,
                other.method().full_name()
            )
        })
}

fn services(pool: &DescriptorPool, names: &[String]) -> Result<Vec<ServiceDescriptor>, String> {
    if names.is_empty() {
        return Ok(pool.services().collect());
    }
    let named = names.iter().map(|name| {
        pool.get_service_by_name(name)
            .ok_or_else(|| format!("the contract has no service `{name}`"))
    });
    named.collect()
}

fn bind(method: &MethodDescriptor, rule: Rule) -> Result<(super::Template, Binding), String> {
    Binding::new(method, rule).map_err(|problem| of(method, &problem))
}

fn of(method: &MethodDescriptor, problem: &str) -> String {
    format!("{}: {problem}", method.full_name())
}
