// Scaffolded by tenon once; yours to edit.
//! `POST /api/v1/submission`

use tenon::{Context, Result};
use ward_contract::rest;

use crate::ServiceContext;

/// Takes the answers of a questionnaire: counts and adds them.
///
/// `POST /api/v1/submission`
///
/// # Errors
/// None.
pub async fn submit(
    _cx: &Context,
    _svc: &ServiceContext,
    req: rest::SubmitReq,
) -> Result<rest::SubmitResp> {
    Ok(rest::SubmitResp {
        accepted: i64::try_from(req.items.len()).unwrap_or(i64::MAX),
        total: req.items.iter().map(|item| item.value).sum(),
        id: req.id,
    })
}
