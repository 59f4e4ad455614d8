//! `POST /api/v1/epro/alert/:id/acknowledge`

use cohort_access::{Act, Caller, Permission};
use epro_contract::rest;
use serde_json::json;
use tenon::{
    Context, Error, Result, Violation,
    store::{Tx, audit},
};

use crate::{
    ServiceContext,
    errors::ALERT_NOT_FOUND,
    places::is_id,
    store::alert::{self, ACKNOWLEDGED, OPEN},
    view,
};

/// The longest note, in bytes.
const NOTE_BYTES_MAX: usize = 2000;

/// Acknowledges an alert: the caller takes responsibility for it. A second acknowledgement
/// changes nothing and shows the first.
///
/// # Errors
/// `ALERT_NOT_FOUND`, also for alerts that the caller may not know about; `PERMISSION_DENIED`;
/// `REQUEST_INVALID` for a note that is too long; the store's.
pub async fn acknowledge_alert(
    cx: &Context,
    svc: &ServiceContext,
    req: rest::AcknowledgeAlertReq,
) -> Result<rest::Alert> {
    let caller = Caller::of(cx)?;
    let id = req.id.to_ascii_lowercase();
    if !is_id(&id) {
        return Err(ALERT_NOT_FOUND.error());
    }
    let note = req.note.filter(|note| !note.trim().is_empty());
    if note
        .as_ref()
        .is_some_and(|note| note.len() > NOTE_BYTES_MAX)
    {
        let expected = format!("at most {NOTE_BYTES_MAX} bytes");
        let violation = Violation::body("note", "max-length", expected);
        return Err(Error::invalid(vec![violation]));
    }
    let now = svc.clock.now();
    let acknowledge = async move |tx: &mut Tx| {
        let found = alert::find(tx, &id).await?;
        let found = found.ok_or_else(|| ALERT_NOT_FOUND.error())?;
        let scope = found.scope();
        caller.require(Permission::AlertAcknowledge, scope, &ALERT_NOT_FOUND)?;
        if found.status == ACKNOWLEDGED {
            return Ok(found);
        }
        alert::acknowledge(tx, &id, caller.account(), note.as_deref(), now).await?;
        let mut record = caller.record(Act {
            stream: &found.study_id,
            action: "alert.acknowledge",
            entity_id: &id,
            permission: Permission::AlertAcknowledge,
            scope,
            time: now,
        });
        record.old = Some(json!({"status": OPEN}));
        // What the note says of a person stays in its row; the trail says that there is one.
        record.new = Some(json!({"status": ACKNOWLEDGED, "hasNote": note.is_some()}));
        audit::append(tx, &record).await?;
        alert::find(tx, &id)
            .await?
            .ok_or_else(|| ALERT_NOT_FOUND.error())
    };
    svc.db.write(cx, acknowledge).await.map(view::alert)
}
