//! Checked contracts to the files of a service, in memory: nothing here reads or writes a disk.
//!
//! [`generate`] takes a [`Project`] and gives an [`Output`]: machine-owned files (the contract
//! crate, the doors, the lists of modules), scaffolds that belong to a person once they are
//! written, and the orphans that no operation asks for any more. [`Output::changes`] says what
//! has to be done on disk.

mod check;
mod contract;
mod convert;
mod docs;
mod layout;
mod names;
mod openapi;
mod output;
mod plan;
mod project;
mod rest;
mod rpc;
mod scaffold;
mod service;

use std::collections::BTreeSet;

use tenon_idl::Diagnostic;

pub use output::{Change, File, Kind, MANIFEST, Orphan, Output};
pub use project::{Config, Project};

use convert::Conversions;
use plan::Plan;
use rest::field_names as rest_field_names;
use rpc::messages::Messages;

/// Writes all files of a service.
///
/// # Errors
/// Every finding: what the contracts promise and this generator does not build, access rules that
/// are missing, permissions of unknown methods.
pub fn generate(project: &Project) -> Result<Output, Vec<Diagnostic>> {
    let findings = check::check(project);
    if !findings.is_empty() {
        return Err(findings);
    }
    let messages = project.proto.as_ref().map(Messages::new).transpose()?;
    let mut plan = Plan::new(project);
    let mut conversions = match (&project.api, &project.proto) {
        (Some(api), Some(proto)) => Some(Conversions::new(api, proto)),
        _ => None,
    };
    let mut files = Vec::new();
    for operation in &plan.operations {
        let messages = messages.as_ref();
        files.push(scaffold::logic(
            &plan,
            operation,
            messages,
            &mut conversions,
        ));
    }
    files.extend(scaffold::project(&plan));
    files.push(service::doors(&plan));
    files.extend(service::logic_lists(&plan));
    files.push(service::middleware_list(&plan));
    if service::has_rest(&plan) {
        files.push(service::rest_door(&plan));
    }
    if let (Some(proto), Some(messages)) = (&project.proto, &messages) {
        if !plan.services.is_empty() {
            files.push(service::rpc_door(&plan, messages, &mut conversions));
        }
        let text = rpc::write(&plan, proto, messages)?;
        files.push(contract::owned("contract/src/gen/rpc.rs", text));
        if plan.services.iter().any(|names| !names.methods.is_empty()) {
            let text = rpc::descriptor(&plan, proto);
            files.push(contract::owned("contract/src/gen/descriptor.txt", text));
        }
        if let Some(text) = openapi::transcoded::write(proto, &project.config) {
            files.push(contract::owned(contract::OPENAPI_RPC, text));
        }
    }
    let converts = conversions
        .as_ref()
        .zip(messages.as_ref())
        .and_then(|(conversions, messages)| conversions.write(&plan, messages));
    files.push(contract::cargo(&plan));
    files.push(contract::library(&plan, converts.is_some()));
    if let Some(text) = converts {
        files.push(contract::owned("contract/src/gen/convert.rs", text));
    }
    if let Some(api) = &project.api {
        files.push(contract::owned(
            "contract/src/gen/openapi.json",
            openapi::write(api),
        ));
        files.push(contract::owned(
            "contract/src/gen/rest.rs",
            rest::write(&mut plan, api),
        ));
    }
    let manifest = output::manifest(&files);
    files.push(contract::owned(MANIFEST, manifest));
    files.sort_by(|left, right| left.path.cmp(&right.path));
    Ok(Output {
        orphans: orphans(project, &files),
        files,
        warnings: check::warnings(project),
    })
}

/// Files of logic and middleware that exist and that no contract asks for.
fn orphans(project: &Project, files: &[File]) -> Vec<Orphan> {
    let wanted: BTreeSet<&str> = files.iter().map(|file| file.path.as_str()).collect();
    let owned = project
        .manifest
        .as_deref()
        .map(output::listed)
        .unwrap_or_default();
    let mut orphans = Vec::new();
    for path in &project.existing {
        let written_by_hand = ["src/logic/", "src/middleware/"]
            .iter()
            .any(|folder| path.starts_with(folder))
            && path.ends_with(".rs");
        if !written_by_hand || wanted.contains(path.as_str()) || owned.contains(path) {
            continue;
        }
        let name = plan::file_name(path);
        let moved_to = files
            .iter()
            .find(|file| {
                file.kind == Kind::Scaffold
                    && file.path.starts_with("src/logic/")
                    && plan::file_name(&file.path) == name
                    && !project.existing.contains(&file.path)
            })
            .map(|file| file.path.clone());
        orphans.push(Orphan {
            path: path.clone(),
            moved_to,
        });
    }
    orphans
}
