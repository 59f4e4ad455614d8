//! The audit records of this service that are not simply an act of the caller.

use std::fmt::Write;

use cohort_access::{Act, Caller, Permission};
use serde_json::json;
use tenon::{Timestamp, store::audit::Record};

use crate::store::response::First;

/// The record of a refused submission under an id that stands for another content. It stands in
/// the trail of the stored one, which nothing has changed.
pub(crate) fn conflict(
    caller: &Caller,
    first: &First,
    digest: &[u8; 32],
    time: Timestamp,
) -> Record {
    let mut record = caller.record(Act {
        stream: &first.study_id,
        action: "response.conflict",
        entity_id: &first.id,
        permission: Permission::ResponseWrite,
        scope: first.scope(),
        time,
    });
    record.old = Some(json!({"digest": hex(&first.digest)}));
    record.new = Some(json!({"digest": hex(digest)}));
    record.reason = Some("another content under a stored id was refused".to_owned());
    record
}

/// A digest in hexadecimal digits.
pub(crate) fn hex(digest: &[u8]) -> String {
    digest.iter().fold(String::new(), |mut text, byte| {
        // Writing into a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}
