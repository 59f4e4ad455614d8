// Scaffolded by tenon once; yours to edit.
//! `rpc Keep`

use archive_contract::rpc;
use tenon::{Context, Result, catalogue};

use crate::ServiceContext;

/// Keeps one scan.
///
/// # Errors
/// `METHOD_UNIMPLEMENTED` until it is written.
pub async fn keep(_cx: &Context, _svc: &ServiceContext, _req: rpc::Scan) -> Result<rpc::Kept> {
    Err(catalogue::METHOD_UNIMPLEMENTED.error())
}
