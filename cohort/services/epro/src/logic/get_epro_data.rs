//! `rpc GetEproData`

use cohort_access::{Caller, Permission};
use epro_contract::rpc;
use tenon::{Context, Error, Result, Violation};

use crate::{
    ServiceContext,
    places::places,
    store::response::{self, Stored},
    view,
};

/// How many responses are given when the caller does not say.
const LIMIT: i32 = 50;
/// The most that a caller may ask for.
const LIMIT_MAX: i32 = 200;

/// The scored responses of a subject, the newest first. A subject that the caller may not see has
/// none, as one that does not exist.
///
/// # Errors
/// `REQUEST_INVALID` for a limit out of range; the store's.
pub async fn get_epro_data(
    cx: &Context,
    svc: &ServiceContext,
    req: rpc::GetEproDataReq,
) -> Result<rpc::GetEproDataResp> {
    let limit = match req.limit {
        0 => LIMIT,
        1..=LIMIT_MAX => req.limit,
        _ => {
            let violation = Violation::body("limit", "range", format!("0 to {LIMIT_MAX}"));
            return Err(Error::invalid(vec![violation]));
        }
    };
    let caller = Caller::of(cx)?;
    let listing = caller.listing(Permission::ResponseRead);
    let places = places(&listing, None, Some(&req.patient_id));
    let subject = req.patient_id.clone();
    let limit = i64::from(limit);
    let read = async move |rx: &mut tenon::store::Rx| {
        let mut rows: Vec<Stored> = Vec::new();
        for place in &places {
            rows.extend(response::newest(rx, &subject, place, limit).await?);
        }
        rows.sort_by(|left, right| right.receipt_no.cmp(&left.receipt_no));
        // Two grants may cover the same response.
        rows.dedup_by(|left, right| left.receipt_no == right.receipt_no);
        rows.truncate(usize::try_from(limit).unwrap_or_default());
        let mut responses = Vec::with_capacity(rows.len());
        for row in rows {
            let scores = response::scores(rx, &row.id).await?;
            responses.push(view::response_info(row, scores));
        }
        Ok(responses)
    };
    Ok(rpc::GetEproDataResp {
        responses: svc.db.read(cx, read).await?,
        patient_id: req.patient_id,
    })
}
