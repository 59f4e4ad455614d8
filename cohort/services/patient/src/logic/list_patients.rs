//! `GET /api/v1/patient`

use cohort_access::{Caller, Permission, after, merge};
use patient_contract::rest;
use tenon::{Context, Result, store::Rx};

use crate::{
    ServiceContext, shown,
    store::{page, places},
};

/// The subjects that the caller may see, oldest first. A study that is hidden from the caller and
/// one that does not exist have the same empty list.
pub async fn list_patients(
    cx: &Context,
    svc: &ServiceContext,
    req: rest::ListPatientsReq,
) -> Result<rest::ListPatientsResp> {
    let after = after(req.cursor.as_deref())?;
    let limit = usize::try_from(req.limit).unwrap_or(1);
    let more = req.limit.saturating_add(1);
    let caller = Caller::of(cx)?;
    let study = req.trial_id.filter(|study| !study.is_empty());
    let places = places(&caller.listing(Permission::SubjectRead), study.as_deref());
    let ring = svc.ring.clone();
    let read = async move |rx: &mut Rx| {
        let mut lists = Vec::with_capacity(places.len());
        for place in &places {
            let mut list = page(rx, place, &after, more).await?;
            // An own subject may be of another study than was asked for or granted.
            list.retain(|subject| {
                study
                    .as_ref()
                    .is_none_or(|study| *study == subject.study_id)
                    && caller.allows(Permission::SubjectRead, subject.scope())
            });
            lists.push(list);
        }
        let (subjects, next_cursor) = merge(lists, limit, |subject| subject.id.clone());
        Ok(rest::ListPatientsResp {
            items: shown::many(rx, &ring, &caller, subjects).await?,
            next_cursor,
        })
    };
    svc.db.read(cx, read).await
}
