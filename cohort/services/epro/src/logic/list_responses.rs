//! `GET /api/v1/epro/response`

use cohort_access::{Caller, Permission};
use epro_contract::rest;
use tenon::{Context, Result, store::Rx};

use crate::{
    ServiceContext,
    places::{Place, places},
    receipt,
    store::response::{self, Computed, Stored},
    view,
};

/// The responses that the caller may see, oldest first; of one subject or study where asked.
///
/// # Errors
/// `REQUEST_INVALID` for a cursor of another list; the store's.
pub async fn list_responses(
    cx: &Context,
    svc: &ServiceContext,
    req: rest::ListResponsesReq,
) -> Result<rest::ListResponsesResp> {
    let caller = Caller::of(cx)?;
    let listing = caller.listing(Permission::ResponseRead);
    let places = places(&listing, req.trial_id.as_deref(), req.subject_id.as_deref());
    let after = receipt::after(req.cursor)?;
    let limit = req.limit;
    let (rows, next_cursor) = svc
        .db
        .read(cx, async move |rx| page(rx, &places, &after, limit).await)
        .await?;
    let items = rows
        .into_iter()
        .map(|(stored, computed)| view::response(stored, computed))
        .collect::<Result<Vec<_>>>()?;
    Ok(rest::ListResponsesResp { items, next_cursor })
}

type Page = (Vec<(Stored, Computed)>, Option<String>);

async fn page(rx: &mut Rx, places: &[Place], after: &str, limit: i64) -> Result<Page> {
    let mut lists = Vec::with_capacity(places.len());
    for place in places {
        // One more than the page says whether there is another.
        lists.push(response::page(rx, place, after, limit + 1).await?);
    }
    let limit = usize::try_from(limit).unwrap_or_default();
    let (stored, cursor) = cohort_access::merge(lists, limit, |row| row.receipt_no.clone());
    let mut rows = Vec::with_capacity(stored.len());
    for stored in stored {
        let computed = response::computed(rx, &stored.id).await?;
        rows.push((stored, computed));
    }
    Ok((rows, cursor))
}
