//! The records of the audit trail that no caller stands behind, and what they have in common.
//!
//! Passwords, tokens and their hashes are never in a record. A failed login under a name that no
//! account has is recorded under a keyed hash of that name, because people also type their
//! password there.

use std::collections::BTreeMap;

use cohort_access::Grant;
use serde_json::json;
use tenon::{
    Json, Timestamp,
    store::{
        ToValue, Value,
        audit::{Record, SERVICE},
        seal::BlindIndex,
    },
};

/// The actor of what happens before anybody is known.
const ANONYMOUS: &str = "anonymous";

/// A record about a thing of this service, by nobody known.
pub(crate) fn anonymous(action: &str, entity: &str, id: &str, time: Timestamp) -> Record {
    Record {
        stream: SERVICE.to_owned(),
        action: action.to_owned(),
        entity: entity.to_owned(),
        entity_id: id.to_owned(),
        actor: ANONYMOUS.to_owned(),
        actor_role: String::new(),
        on_behalf_of: None,
        session: None,
        reason: None,
        old: None,
        new: None,
        attributes: BTreeMap::new(),
        source: "api".to_owned(),
        time,
    }
}

/// What the service did itself, or its operator on the machine.
pub(crate) fn system(action: &str, entity: &str, id: &str, time: Timestamp) -> Record {
    Record {
        actor: "identity".to_owned(),
        actor_role: "system".to_owned(),
        source: "system".to_owned(),
        ..anonymous(action, entity, id, time)
    }
}

/// The hash of a login name as the trail has it.
pub(crate) fn name_text(name: BlindIndex) -> String {
    match name.to_value() {
        Value::Bytes(bytes) => bytes.iter().map(|byte| format!("{byte:02x}")).collect(),
        _ => String::new(),
    }
}

/// The stream of a grant: that of its study, where it has one.
pub(crate) fn stream_of(grant: &Grant) -> &str {
    grant.study.as_deref().unwrap_or(SERVICE)
}

/// A grant as the contract names it.
pub(crate) fn grant_value(grant: &Grant) -> Json {
    let mut value = json!({ "role": grant.role });
    if let Some(study) = &grant.study {
        value["trialId"] = json!(study);
    }
    if let Some(site) = &grant.site {
        value["siteId"] = json!(site);
    }
    value
}
