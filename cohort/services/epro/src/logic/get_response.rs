//! `GET /api/v1/epro/response/:responseId`

use cohort_access::{Caller, Permission};
use epro_contract::rest;
use tenon::{Context, Result};

use crate::{ServiceContext, errors::RESPONSE_NOT_FOUND, places::is_id, store::response, view};

/// One response with its scores. Patients see their own.
///
/// # Errors
/// `RESPONSE_NOT_FOUND`, also for responses that the caller may not know about; the store's.
pub async fn get_response(
    cx: &Context,
    svc: &ServiceContext,
    req: rest::ResponseReq,
) -> Result<rest::Response> {
    let caller = Caller::of(cx)?;
    let id = req.response_id.to_ascii_lowercase();
    if !is_id(&id) {
        return Err(RESPONSE_NOT_FOUND.error());
    }
    let found = svc
        .db
        .read(cx, async move |rx| {
            let Some(stored) = response::find(rx, &id).await? else {
                return Ok(None);
            };
            let computed = response::computed(rx, &id).await?;
            Ok(Some((stored, computed)))
        })
        .await?;
    let (stored, computed) = found.ok_or_else(|| RESPONSE_NOT_FOUND.error())?;
    caller.require(
        Permission::ResponseRead,
        stored.scope(),
        &RESPONSE_NOT_FOUND,
    )?;
    view::response(stored, computed)
}
