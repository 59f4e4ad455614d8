// Scaffolded by tenon once; yours to edit.
//! `rpc Echo`

use library_contract::rpc;
use tenon::{Context, Result, catalogue};

use crate::ServiceContext;

/// Whatever is asked.
///
/// # Errors
/// `METHOD_UNIMPLEMENTED` until it is written.
pub async fn echo(
    _cx: &Context,
    _svc: &ServiceContext,
    _req: rpc::Everything,
) -> Result<rpc::Everything> {
    Err(catalogue::METHOD_UNIMPLEMENTED.error())
}
