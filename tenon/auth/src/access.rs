//! The access rules of routes and methods: who may do what is the service's own decision, asked
//! here under the permission that the contract names.

use tenon_core::{Context, Error, Result, catalogue};

/// The permission of a route or method that is open to everybody.
pub const PUBLIC: &str = "public";

/// The permission of a method that any caller inside the trust boundary may use. Such a method
/// returns no personal data: nobody is asked who they are.
pub const INTERNAL: &str = "internal";

/// Asks `rules` whether the caller of `cx` has `permission`.
///
/// [`PUBLIC`] and [`INTERNAL`] pass without a caller; every other permission needs a verified
/// caller first, so that rules never have to think of a missing one.
///
/// # Errors
/// `TOKEN_MISSING` without a caller, else what the rules answer.
pub fn check(rules: &dyn AccessRules, cx: &Context, permission: &str) -> Result<()> {
    if matches!(permission, PUBLIC | INTERNAL) {
        return Ok(());
    }
    cx.caller()?;
    rules.allow(cx, permission)
}

/// Decides whether a caller may do what a permission names. Also any
/// `Fn(&Context, &str) -> Result<()>`.
pub trait AccessRules: Send + Sync + 'static {
    /// Allows or refuses.
    ///
    /// # Errors
    /// `PERMISSION_DENIED` (see [`denied`]) or the service's own error.
    fn allow(&self, cx: &Context, permission: &str) -> Result<()>;
}

impl<F> AccessRules for F
where
    F: Fn(&Context, &str) -> Result<()> + Send + Sync + 'static,
{
    fn allow(&self, cx: &Context, permission: &str) -> Result<()> {
        self(cx, permission)
    }
}

/// The rules of a service that has none: everything that asks for a permission is refused.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoRules;

impl AccessRules for NoRules {
    fn allow(&self, _: &Context, permission: &str) -> Result<()> {
        Err(denied(permission))
    }
}

/// `PERMISSION_DENIED`, naming the permission that is lacking.
pub fn denied(permission: &str) -> Error {
    catalogue::PERMISSION_DENIED
        .error()
        .param("permission", permission)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tenon_core::Principal;

    use super::*;

    fn called_by(subject: &str) -> Context {
        let principal = Principal::new(subject, serde_json::Map::new());
        Context::background().with_principal(Arc::new(principal))
    }

    #[test]
    fn public_and_internal_pass_without_a_caller() {
        let cx = Context::background();
        assert!(check(&NoRules, &cx, PUBLIC).is_ok());
        assert!(check(&NoRules, &cx, INTERNAL).is_ok());
    }

    #[test]
    fn another_permission_needs_a_caller_before_the_rules_are_asked() {
        let rules = |_: &Context, _: &str| -> Result<()> { panic!("the rules were asked") };
        let error = check(&rules, &Context::background(), "subject.read").unwrap_err();
        assert!(error.is(&catalogue::TOKEN_MISSING));
    }

    #[test]
    fn the_rules_decide_by_caller_and_permission() {
        let rules = |cx: &Context, permission: &str| match cx.caller()?.subject() {
            "reader" if permission == "subject.read" => Ok(()),
            _ => Err(denied(permission)),
        };
        assert!(check(&rules, &called_by("reader"), "subject.read").is_ok());
        for (subject, permission) in [("reader", "subject.write"), ("other", "subject.read")] {
            let error = check(&rules, &called_by(subject), permission).unwrap_err();
            assert!(error.is(&catalogue::PERMISSION_DENIED));
            assert!(error.to_string().contains(permission));
        }
    }

    #[test]
    fn names_that_only_look_like_the_open_ones_are_refused() {
        for near in ["Public", "public ", "INTERNAL", ""] {
            assert!(
                check(&NoRules, &called_by("reader"), near).is_err(),
                "{near}"
            );
        }
    }
}
