// Scaffolded by tenon once; yours to edit.
//! `POST /api/v1/open/submission`

use tenon::{Context, Result};
use ward_contract::rest;

use crate::{ServiceContext, logic::submit::submit};

/// Takes the answers of a questionnaire, open to all.
///
/// `POST /api/v1/open/submission`
///
/// # Errors
/// None.
pub async fn submit_open(
    cx: &Context,
    svc: &ServiceContext,
    req: rest::SubmitReq,
) -> Result<rest::SubmitResp> {
    submit(cx, svc, req).await
}
