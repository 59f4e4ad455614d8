//! What a caller does, as a record of the audit trail.

use std::collections::BTreeMap;

use clinical::access::{Permission, Scope};
use tenon::Timestamp;
use tenon::store::audit::Record;

use crate::Caller;

/// One act of a caller.
#[derive(Debug, Clone, Copy)]
pub struct Act<'a> {
    /// The chain that it is told in: the id of a study, or [`tenon::store::audit::SERVICE`].
    pub stream: &'a str,
    /// `entity.verb`: `subject.move`. The part before the dot is the record's entity.
    pub action: &'a str,
    /// To which one it was done.
    pub entity_id: &'a str,
    /// The permission that allowed it: the record names the role that has it.
    pub permission: Permission,
    /// Where it was done.
    pub scope: Scope<'a>,
    /// When, by the server's clock.
    pub time: Timestamp,
}

impl Caller {
    /// The record of an act, with account, user name, role and session of this caller and the
    /// place of the act; old and new value, reason and further attributes are to be filled in.
    pub fn record(&self, act: Act<'_>) -> Record {
        let role = self.role(act.permission, act.scope);
        let place = [
            ("username", Some(self.username())),
            ("study", act.scope.study),
            ("site", act.scope.site),
            ("subject", act.scope.subject),
        ];
        let mut attributes = BTreeMap::new();
        for (name, value) in place {
            if let Some(value) = value.filter(|value| !value.is_empty()) {
                attributes.insert(name.to_owned(), value.to_owned());
            }
        }
        let entity = act.action.split('.').next().unwrap_or_default();
        Record {
            stream: act.stream.to_owned(),
            action: act.action.to_owned(),
            entity: entity.to_owned(),
            entity_id: act.entity_id.to_owned(),
            actor: self.account().to_owned(),
            actor_role: role.map_or("", |role| role.as_str()).to_owned(),
            on_behalf_of: None,
            session: self.session().map(str::to_owned),
            reason: None,
            old: None,
            new: None,
            attributes,
            source: "api".to_owned(),
            time: act.time,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::json;
    use tenon::{Context, Principal};

    use super::*;

    #[test]
    fn r_01_a_record_names_who_in_which_role_and_where() {
        let claims = json!({
            "grants": [
                {"role": "monitor", "study": "T1"},
                {"role": "coordinator", "study": "T1", "site": "S1"},
            ],
            "username": "chen", "sid": "session-1",
        });
        let serde_json::Value::Object(claims) = claims else {
            panic!("claims are an object")
        };
        let principal = Arc::new(Principal::new("account-1", claims));
        let cx = Context::background().with_principal(principal);
        let scope = Scope {
            study: Some("T1"),
            site: Some("S1"),
            subject: None,
        };
        let record = Caller::of(&cx).unwrap().record(Act {
            stream: "T1",
            action: "subject.create",
            entity_id: "P1",
            permission: Permission::SubjectWrite,
            scope,
            time: Timestamp::UNIX_EPOCH,
        });
        assert_eq!(
            (record.entity.as_str(), record.entity_id.as_str()),
            ("subject", "P1")
        );
        assert_eq!(
            (record.actor.as_str(), record.actor_role.as_str()),
            ("account-1", "coordinator")
        );
        assert_eq!(record.session.as_deref(), Some("session-1"));
        let attributes: Vec<(&str, &str)> = record
            .attributes
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect();
        assert_eq!(
            attributes,
            [("site", "S1"), ("study", "T1"), ("username", "chen")]
        );
    }
}
