//! `POST /api/v1/trial`

use cohort_access::{Act, Caller, Permission, Scope};
use serde_json::json;
use tenon::{Context, Result};
use trial_contract::rest;
use uuid::Uuid;

use crate::{
    ServiceContext, check,
    errors::{TRIAL_CODE_TAKEN, TRIAL_NOT_FOUND},
    store,
    study::Study,
};

/// Creates a study.
pub async fn create_trial(
    cx: &Context,
    svc: &ServiceContext,
    mut req: rest::CreateTrialReq,
) -> Result<rest::Trial> {
    let caller = Caller::of(cx)?;
    // A study that does not exist yet is covered by grants for all studies only.
    let scope = Scope::default();
    caller.require(Permission::StudyWrite, scope, &TRIAL_NOT_FOUND)?;
    let definition = check::study(&mut req)?;
    let study = Study {
        id: Uuid::now_v7().to_string(),
        code: req.code,
        title: req.title,
        status: req.status,
        target: req.target,
        definition,
        created_at: svc.clock.now(),
    };
    let mut record = caller.record(Act {
        stream: &study.id,
        action: "study.create",
        entity_id: &study.id,
        permission: Permission::StudyWrite,
        scope,
        time: study.created_at,
    });
    record
        .attributes
        .insert("study".to_owned(), study.id.clone());
    record.new = Some(json!({
        "code": study.code,
        "title": study.title,
        "status": study.status,
        "target": study.target,
        "arms": study.definition.arms,
        "cycles": study.definition.cycles,
    }));
    let kept = study.clone();
    let is_new = svc
        .db
        .write(cx, async move |tx| {
            store::insert_study(tx, &kept, &record).await
        })
        .await?;
    if is_new {
        Ok(study.into())
    } else {
        Err(TRIAL_CODE_TAKEN.error())
    }
}
