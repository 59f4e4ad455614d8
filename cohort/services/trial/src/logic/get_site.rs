//! `rpc GetSite`

use tenon::{Context, Result};
use trial_contract::rpc;

use crate::ServiceContext;

/// A site of a study, with the state of both.
pub async fn get_site(
    cx: &Context,
    svc: &ServiceContext,
    req: rpc::GetSiteReq,
) -> Result<rpc::GetSiteResp> {
    let study = svc.study(cx, &req.trial_id).await?;
    let site = svc.site(cx, &req.trial_id, &req.site_id).await?;
    Ok(rpc::GetSiteResp {
        id: site.id,
        trial_id: site.study_id,
        code: site.code,
        time_zone: site.time_zone,
        status: site.status,
        trial_status: study.status,
    })
}
