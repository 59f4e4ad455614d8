// Scaffolded by tenon once; yours to edit.
//! `GET /v1/gen`

use obstacles_contract::rest;
use tenon::{Context, Result, catalogue};

use crate::ServiceContext;

/// `GET /v1/gen`
///
/// # Errors
/// `METHOD_UNIMPLEMENTED` until it is written.
pub async fn r#gen(_cx: &Context, _svc: &ServiceContext) -> Result<rest::ObstaclesApi> {
    Err(catalogue::METHOD_UNIMPLEMENTED.error())
}
