//! The caller, from the claims of its token, and the rules of the doors.

use clinical::access::{self, Decision, Grant, Listing, Permission, Role, Scope};
use tenon::{
    Context, Entry, Error, Result,
    auth::{self, AccessRules},
    catalogue,
};

/// The permission of what every verified caller may do with its own account.
pub const ACCOUNT_SELF: &str = "account.self";

/// The claims that identity writes and every service reads.
pub mod claim {
    /// The roles of the account and where they hold: a list of [`super::Grant`].
    pub const GRANTS: &str = "grants";
    /// The subject of a patient account.
    pub const SUBJECT_ID: &str = "subjectId";
    /// The user name at the time of the token, for the audit trail.
    pub const USERNAME: &str = "username";
    /// The session that the token belongs to.
    pub const SESSION: &str = "sid";
}

/// A verified caller with its grants.
#[derive(Debug, Clone)]
pub struct Caller {
    account: String,
    username: String,
    session: Option<String>,
    grants: Vec<Grant>,
    subject: Option<String>,
}

impl Caller {
    /// The caller of `cx`.
    ///
    /// # Errors
    /// `TOKEN_MISSING` without a verified caller, `TOKEN_INVALID` when its grants cannot be read.
    pub fn of(cx: &Context) -> Result<Self> {
        let principal = cx.caller()?;
        let grants = principal
            .claim(claim::GRANTS)
            .ok_or_else(|| catalogue::TOKEN_INVALID.error())?;
        Ok(Self {
            account: principal.subject().to_owned(),
            username: principal.claim(claim::USERNAME).unwrap_or_default(),
            session: principal.claim(claim::SESSION),
            grants,
            subject: principal.claim(claim::SUBJECT_ID),
        })
    }

    /// The account id.
    pub fn account(&self) -> &str {
        &self.account
    }

    /// The user name at the time of the token.
    pub fn username(&self) -> &str {
        &self.username
    }

    /// The session of the token.
    pub fn session(&self) -> Option<&str> {
        self.session.as_deref()
    }

    /// The subject of a patient account.
    pub fn subject(&self) -> Option<&str> {
        self.subject.as_deref()
    }

    /// The grants of the account.
    pub fn grants(&self) -> &[Grant] {
        &self.grants
    }

    /// Allows or refuses one object. `hidden` is the error of an object that does not exist: the
    /// answer for one that the caller may not know about.
    ///
    /// # Errors
    /// `hidden` or `PERMISSION_DENIED`.
    pub fn require(
        &self,
        permission: Permission,
        scope: Scope<'_>,
        hidden: &'static Entry,
    ) -> Result<()> {
        match access::decide(&self.grants, self.subject(), permission, scope) {
            Decision::Allow => Ok(()),
            Decision::Deny => Err(denied(permission)),
            Decision::Hidden => Err(hidden.error()),
        }
    }

    /// Whether the object is allowed, for what is only shown to some.
    pub fn allows(&self, permission: Permission, scope: Scope<'_>) -> bool {
        let decision = access::decide(&self.grants, self.subject(), permission, scope);
        decision == Decision::Allow
    }

    /// Which objects the caller may list.
    pub fn listing(&self, permission: Permission) -> Listing<'_> {
        access::listing(&self.grants, self.subject(), permission)
    }

    /// The role by which the caller may do this, for the audit trail: the first grant that
    /// allows it on its own.
    pub fn role(&self, permission: Permission, scope: Scope<'_>) -> Option<Role> {
        let alone = |grant: &&Grant| {
            let one = std::slice::from_ref(*grant);
            access::decide(one, self.subject(), permission, scope) == Decision::Allow
        };
        self.grants.iter().find(alone).map(|grant| grant.role)
    }
}

/// What the doors ask before an object is known: whether any grant has the permission at all.
#[derive(Debug, Clone, Copy, Default)]
pub struct Rules;

impl AccessRules for Rules {
    fn allow(&self, cx: &Context, permission: &str) -> Result<()> {
        let caller = Caller::of(cx)?;
        if permission == ACCOUNT_SELF {
            return Ok(());
        }
        // A name that is no permission is a fault of the contract, never an open route.
        let known: Permission = permission
            .parse()
            .map_err(|cause| Error::internal("read the permission of the route", cause))?;
        if access::holds(&caller.grants, known) {
            Ok(())
        } else {
            Err(denied(known))
        }
    }
}

fn denied(permission: Permission) -> Error {
    auth::access::denied(permission.as_str())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::json;
    use tenon::{Code, Principal};

    use super::*;

    static SUBJECT_NOT_FOUND: Entry = Entry::new(
        "SUBJECT_NOT_FOUND",
        Code::NotFound,
        "no such subject",
        "受试者不存在",
    );

    fn caller(claims: serde_json::Value) -> Context {
        let serde_json::Value::Object(claims) = claims else {
            panic!("claims are an object")
        };
        Context::background().with_principal(Arc::new(Principal::new("account-1", claims)))
    }

    fn coordinator() -> Context {
        caller(json!({"grants": [{"role": "coordinator", "study": "T1", "site": "S1"}]}))
    }

    fn at(site: &str) -> Scope<'_> {
        Scope {
            study: Some("T1"),
            site: Some(site),
            subject: Some("P1"),
        }
    }

    #[test]
    fn another_site_is_hidden_and_a_missing_permission_is_refused() {
        let cx = coordinator();
        let caller = Caller::of(&cx).unwrap();
        caller
            .require(Permission::SubjectWrite, at("S1"), &SUBJECT_NOT_FOUND)
            .unwrap();
        let hidden = caller.require(Permission::SubjectWrite, at("S2"), &SUBJECT_NOT_FOUND);
        assert_eq!(hidden.unwrap_err().code(), "SUBJECT_NOT_FOUND");
        let refused = caller.require(Permission::StudyWrite, at("S1"), &SUBJECT_NOT_FOUND);
        assert!(refused.unwrap_err().is(&catalogue::PERMISSION_DENIED));
        assert_eq!(
            caller.role(Permission::SubjectWrite, at("S1")),
            Some(Role::Coordinator)
        );
    }

    #[test]
    fn the_door_asks_for_the_permission_alone() {
        assert!(Rules.allow(&coordinator(), "subject.write").is_ok());
        assert!(Rules.allow(&coordinator(), ACCOUNT_SELF).is_ok());
        let refused = Rules.allow(&coordinator(), "account.write").unwrap_err();
        assert!(refused.is(&catalogue::PERMISSION_DENIED));
        let unknown = Rules.allow(&coordinator(), "subject.wirte").unwrap_err();
        assert!(unknown.is(&catalogue::INTERNAL));
    }

    #[test]
    fn grants_of_another_shape_are_an_invalid_token() {
        for grants in [
            json!("admin"),
            json!([{"role": "root"}]),
            json!(null),
            json!({"role": 1}),
        ] {
            let cx = caller(json!({ "grants": grants }));
            assert!(Caller::of(&cx).unwrap_err().is(&catalogue::TOKEN_INVALID));
        }
    }
}
