//! A study as the caller may see it.

use cohort_access::{Caller, Permission, Scope};
use tenon::{Context, Result};

use crate::{ServiceContext, errors::TRIAL_NOT_FOUND, study::Study};

/// The study, where the caller has the permission in it.
///
/// The caller is asked first, so that a study which is hidden and one that does not exist take
/// the same way and the same time.
///
/// # Errors
/// `TRIAL_NOT_FOUND` or `PERMISSION_DENIED`.
pub(crate) async fn study(
    cx: &Context,
    svc: &ServiceContext,
    permission: Permission,
    id: &str,
) -> Result<Study> {
    let scope = Scope {
        study: Some(id),
        ..Scope::default()
    };
    Caller::of(cx)?.require(permission, scope, &TRIAL_NOT_FOUND)?;
    svc.study(cx, id).await
}
