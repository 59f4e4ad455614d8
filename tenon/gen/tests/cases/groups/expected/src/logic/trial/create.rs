// Scaffolded by tenon once; yours to edit.
//! `POST /api/v1/trial`

use groups_contract::rest;
use tenon::{Context, Result, catalogue};

use crate::ServiceContext;

/// create a trial
///
/// Creates a trial.
///
/// `POST /api/v1/trial`
///
/// # Errors
/// `METHOD_UNIMPLEMENTED` until it is written.
pub async fn create(
    _cx: &Context,
    _svc: &ServiceContext,
    _req: rest::Trial,
) -> Result<rest::Trial> {
    Err(catalogue::METHOD_UNIMPLEMENTED.error())
}
