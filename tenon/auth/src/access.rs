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
/// [`PUBLIC`] passes without a caller, and [`INTERNAL`] when the rules let the calling service
/// in; every other permission needs a verified caller first, so that rules never have to think of
/// a missing one.
///
/// # Errors
/// `TOKEN_MISSING` without a caller, else what the rules answer.
pub fn check(rules: &dyn AccessRules, cx: &Context, permission: &str) -> Result<()> {
    match permission {
        PUBLIC => Ok(()),
        INTERNAL => rules.allow_internal(cx),
        _ => {
            cx.caller()?;
            rules.allow(cx, permission)
        }
    }
}

/// Decides whether a caller may do what a permission names. Also any
/// `Fn(&Context, &str) -> Result<()>`.
pub trait AccessRules: Send + Sync + 'static {
    /// Allows or refuses.
    ///
    /// # Errors
    /// `PERMISSION_DENIED` (see [`denied`]) or the service's own error.
    fn allow(&self, cx: &Context, permission: &str) -> Result<()>;

    /// Allows or refuses a method with the permission [`INTERNAL`]. By default every caller that
    /// reaches the door may use it. Where services show certificates, a service names here those
    /// that may: [`tenon_core::PeerIdentity::of`] is who calls.
    ///
    /// # Errors
    /// `PERMISSION_DENIED` (see [`denied`]) or the service's own error.
    fn allow_internal(&self, cx: &Context) -> Result<()> {
        let _ = cx;
        Ok(())
    }
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

    use tenon_core::{PeerIdentity, Principal};

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
    fn internal_methods_may_be_kept_to_certain_services() {
        struct OnlyEpro;
        impl AccessRules for OnlyEpro {
            fn allow(&self, _: &Context, permission: &str) -> Result<()> {
                Err(denied(permission))
            }
            fn allow_internal(&self, cx: &Context) -> Result<()> {
                match PeerIdentity::of(cx) {
                    Some(service) if service.as_str() == "spiffe://cohort/epro" => Ok(()),
                    _ => Err(denied(INTERNAL)),
                }
            }
        }
        let by = |service: &str| Context::background().with_value(PeerIdentity::new(service));
        assert!(check(&OnlyEpro, &by("spiffe://cohort/epro"), INTERNAL).is_ok());
        for cx in [by("spiffe://cohort/trial"), Context::background()] {
            let error = check(&OnlyEpro, &cx, INTERNAL).unwrap_err();
            assert!(error.is(&catalogue::PERMISSION_DENIED));
            assert!(check(&OnlyEpro, &cx, PUBLIC).is_ok());
        }
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
