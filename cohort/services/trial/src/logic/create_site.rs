//! `POST /api/v1/trial/:trialId/site`

use cohort_access::{Act, Caller, Permission, Scope};
use serde_json::json;
use tenon::{Context, Result};
use trial_contract::rest;
use uuid::Uuid;

use crate::{ServiceContext, check, errors::SITE_CODE_TAKEN, seen, store, study::Site};

/// No route opens or closes a site yet, so a new one takes subjects at once.
const NEW: &str = "active";

/// Adds a site to a study.
pub async fn create_site(
    cx: &Context,
    svc: &ServiceContext,
    req: rest::CreateSiteReq,
) -> Result<rest::Site> {
    let study = seen::study(cx, svc, Permission::SiteWrite, &req.trial_id).await?;
    let time_zone = check::site(&req)?;
    let site = Site {
        id: Uuid::now_v7().to_string(),
        study_id: study.id,
        code: req.code,
        name: req.name,
        time_zone,
        status: NEW.to_owned(),
        target: req.target,
        created_at: svc.clock.now(),
    };
    let mut record = Caller::of(cx)?.record(Act {
        stream: &site.study_id,
        action: "site.create",
        entity_id: &site.id,
        permission: Permission::SiteWrite,
        scope: Scope {
            study: Some(&site.study_id),
            ..Scope::default()
        },
        time: site.created_at,
    });
    record.attributes.insert("site".to_owned(), site.id.clone());
    record.new = Some(json!({
        "code": site.code,
        "name": site.name,
        "timeZone": site.time_zone,
        "status": site.status,
        "target": site.target,
    }));
    let kept = site.clone();
    let is_new = svc
        .db
        .write(cx, async move |tx| {
            store::insert_site(tx, &kept, &record).await
        })
        .await?;
    if is_new {
        Ok(site.into())
    } else {
        Err(SITE_CODE_TAKEN.error())
    }
}
