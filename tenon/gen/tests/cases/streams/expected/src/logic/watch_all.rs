// Scaffolded by tenon once; yours to edit.
//! `GET /api/v1/progress`

use streams_contract::{rest, rpc};
use tenon::{Context, Result, catalogue, rest::Events};

use crate::ServiceContext;

/// `GET /api/v1/progress`
///
/// # Errors
/// `METHOD_UNIMPLEMENTED` until it is written.
pub async fn watch_all(
    _cx: &Context,
    _svc: &ServiceContext,
    _req: rest::All,
) -> Result<Events<rest::Everything>> {
    Err(catalogue::METHOD_UNIMPLEMENTED.error())
}

/// The response of the REST contract as that of the RPC contract; they differ.
///
/// # Errors
/// `METHOD_UNIMPLEMENTED` until it is written.
pub fn response_to_rpc(_resp: rest::Everything) -> Result<rpc::Summary> {
    Err(catalogue::METHOD_UNIMPLEMENTED.error())
}
