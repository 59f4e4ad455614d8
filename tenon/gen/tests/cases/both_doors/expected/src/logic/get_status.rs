// Scaffolded by tenon once; yours to edit.
//! `GET /patient/:patientId/status`

use both_doors_contract::{rest, rpc};
use tenon::{Context, Result, catalogue};

use crate::ServiceContext;

/// `GET /patient/:patientId/status`
///
/// # Errors
/// `METHOD_UNIMPLEMENTED` until it is written.
pub async fn get_status(
    _cx: &Context,
    _svc: &ServiceContext,
    _req: rest::StatusReq,
) -> Result<rest::StatusResp> {
    Err(catalogue::METHOD_UNIMPLEMENTED.error())
}

/// The request of the RPC contract as that of the REST contract; they differ.
///
/// # Errors
/// `METHOD_UNIMPLEMENTED` until it is written.
pub fn request_from_rpc(_req: rpc::GetStatusReq) -> Result<rest::StatusReq> {
    Err(catalogue::METHOD_UNIMPLEMENTED.error())
}

/// The response of the REST contract as that of the RPC contract; they differ.
///
/// # Errors
/// `METHOD_UNIMPLEMENTED` until it is written.
pub fn response_to_rpc(_resp: rest::StatusResp) -> Result<rpc::GetStatusResp> {
    Err(catalogue::METHOD_UNIMPLEMENTED.error())
}
