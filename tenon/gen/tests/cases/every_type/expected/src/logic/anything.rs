// Scaffolded by tenon once; yours to edit.
//! `POST /any`

use tenon::{Context, Result, catalogue};

use crate::ServiceContext;

/// `POST /any`
///
/// # Errors
/// `METHOD_UNIMPLEMENTED` until it is written.
pub async fn anything(
    _cx: &Context,
    _svc: &ServiceContext,
    _req: tenon::Json,
) -> Result<tenon::Json> {
    Err(catalogue::METHOD_UNIMPLEMENTED.error())
}
