// Scaffolded by tenon once; yours to edit.
//! `PUT /patient/:patientId/visit`

use both_doors_contract::rest;
use tenon::{Context, Result, catalogue};

use crate::ServiceContext;

/// `PUT /patient/:patientId/visit`
///
/// # Errors
/// `METHOD_UNIMPLEMENTED` until it is written.
pub async fn put_visit(
    _cx: &Context,
    _svc: &ServiceContext,
    _req: rest::PutVisitReq,
) -> Result<()> {
    Err(catalogue::METHOD_UNIMPLEMENTED.error())
}
