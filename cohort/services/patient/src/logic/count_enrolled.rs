//! `rpc CountEnrolled`

use patient_contract::rpc;
use tenon::{Context, Result};

use crate::{ServiceContext, store};

/// How many subjects of a study were ever enrolled: a number, which names nobody.
pub async fn count_enrolled(
    cx: &Context,
    svc: &ServiceContext,
    req: rpc::CountEnrolledReq,
) -> Result<rpc::CountEnrolledResp> {
    let enrolled = store::enrolled(&svc.db, cx, &req.trial_id).await?;
    Ok(rpc::CountEnrolledResp { enrolled })
}
