// Scaffolded by tenon once; yours to edit.
//! `rpc WriteFile`

use library_contract::rpc;
use tenon::{Context, Result, catalogue};

use crate::ServiceContext;

/// Keeps pages.
///
/// # Errors
/// `METHOD_UNIMPLEMENTED` until it is written.
pub async fn write_file(
    _cx: &Context,
    _svc: &ServiceContext,
    _req: rpc::WriteFileReq,
) -> Result<()> {
    Err(catalogue::METHOD_UNIMPLEMENTED.error())
}
