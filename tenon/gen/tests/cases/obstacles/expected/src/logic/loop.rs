// Scaffolded by tenon once; yours to edit.
//! `DELETE /v1/loop`

use tenon::{Context, Result, catalogue};

use crate::ServiceContext;

/// `DELETE /v1/loop`
///
/// # Errors
/// `METHOD_UNIMPLEMENTED` until it is written.
pub async fn r#loop(_cx: &Context, _svc: &ServiceContext) -> Result<()> {
    Err(catalogue::METHOD_UNIMPLEMENTED.error())
}
