// Scaffolded by tenon once; yours to edit.
//! `rpc ListPages`

use both_doors_contract::rpc;
use tenon::{Context, Result, catalogue};

use crate::ServiceContext;

/// Pages through everything.
///
/// # Errors
/// `METHOD_UNIMPLEMENTED` until it is written.
pub async fn list_pages(
    _cx: &Context,
    _svc: &ServiceContext,
    _req: rpc::common::Page,
) -> Result<rpc::common::Page> {
    Err(catalogue::METHOD_UNIMPLEMENTED.error())
}
