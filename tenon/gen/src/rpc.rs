//! `contract/src/gen/rpc.rs`: the messages of the RPC contract, and for each service its trait,
//! its server side and its client that is local or remote.

pub(crate) mod messages;
mod service;

use std::collections::BTreeSet;

use tenon_idl::{Diagnostic, proto::Proto};

use crate::{docs, layout::Code, plan::Plan, plan::file_name, rest::header};
use messages::Messages;

/// The whole file.
///
/// # Errors
/// The messages cannot be written as Rust.
pub(crate) fn write(
    plan: &Plan<'_>,
    proto: &Proto,
    messages: &Messages,
) -> Result<String, Vec<Diagnostic>> {
    let mut code = Code::new();
    let path = plan.project.config.proto.as_deref().unwrap_or_default();
    code.line(header(file_name(path)));
    code.blank();
    match proto.package.as_str() {
        "" => code.line("//! The RPC contract."),
        package => code.line(format!(
            "//! The RPC contract, package `{}`.",
            docs::escape(package)
        )),
    }
    let mut taken: BTreeSet<String> = messages.top_level_names();
    for (index, names) in plan.services.iter().enumerate() {
        service::write(&mut code, plan, messages, index, names, &mut taken);
    }
    service::write_methods(&mut code, plan, messages);
    messages.write(&mut code)?;
    Ok(code.finish())
}
