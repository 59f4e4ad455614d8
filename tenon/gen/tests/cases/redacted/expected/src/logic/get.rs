// Scaffolded by tenon once; yours to edit.
//! `rpc get`

use redacted_contract::rpc;
use tenon::{Context, Result, catalogue};

use crate::ServiceContext;

/// `rpc get`
///
/// # Errors
/// `METHOD_UNIMPLEMENTED` until it is written.
pub async fn get(_cx: &Context, _svc: &ServiceContext, _req: rpc::Person) -> Result<rpc::Person> {
    Err(catalogue::METHOD_UNIMPLEMENTED.error())
}
