// Scaffolded by tenon once; yours to edit.
//! `POST /v1/type`

use obstacles_contract::{rest, rpc};
use tenon::{Context, Result, catalogue};

use crate::ServiceContext;

/// `POST /v1/type`
///
/// # Errors
/// `METHOD_UNIMPLEMENTED` until it is written.
pub async fn r#type(
    _cx: &Context,
    _svc: &ServiceContext,
    _req: rest::String,
) -> Result<rest::Result> {
    Err(catalogue::METHOD_UNIMPLEMENTED.error())
}

/// The request of the RPC contract as that of the REST contract; they differ.
///
/// # Errors
/// `METHOD_UNIMPLEMENTED` until it is written.
pub fn request_from_rpc(_req: rpc::String) -> Result<rest::String> {
    Err(catalogue::METHOD_UNIMPLEMENTED.error())
}

/// The response of the REST contract as that of the RPC contract; they differ.
///
/// # Errors
/// `METHOD_UNIMPLEMENTED` until it is written.
pub fn response_to_rpc(_resp: rest::Result) -> Result<rpc::Option> {
    Err(catalogue::METHOD_UNIMPLEMENTED.error())
}
