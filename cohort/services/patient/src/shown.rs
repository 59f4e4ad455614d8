//! Subjects as the caller may see them.

use cohort_access::{Caller, Permission};
use patient_contract::rest;
use tenon::{
    Context, Result,
    store::{Rx, seal::Keyring},
};

use crate::{
    ServiceContext,
    errors::PATIENT_NOT_FOUND,
    names,
    subject::{Identity, Subject},
};

/// A subject, where the caller has the permission; nobody is shown yet.
///
/// # Errors
/// `PATIENT_NOT_FOUND` or `PERMISSION_DENIED`.
pub(crate) async fn found(
    cx: &Context,
    svc: &ServiceContext,
    caller: &Caller,
    permission: Permission,
    id: &str,
) -> Result<Subject> {
    let subject = svc.subject(cx, id).await?;
    caller.require(permission, subject.scope(), &PATIENT_NOT_FOUND)?;
    Ok(subject)
}

/// One subject, with what tells who it is where the caller may know that.
pub(crate) async fn one(
    cx: &Context,
    svc: &ServiceContext,
    caller: &Caller,
    subject: Subject,
) -> Result<rest::Patient> {
    if !caller.allows(Permission::SubjectIdentify, subject.scope()) {
        return Ok(subject.shown(Identity::default()));
    }
    let ring = svc.ring.clone();
    let read = async move |rx: &mut Rx| {
        let identity = names::identity(rx, &ring, &subject).await?;
        Ok(subject.clone().shown(identity))
    };
    svc.db.read(cx, read).await
}

/// A page of subjects, inside the read that found them.
pub(crate) async fn many(
    rx: &mut Rx,
    ring: &Keyring,
    caller: &Caller,
    subjects: Vec<Subject>,
) -> Result<Vec<rest::Patient>> {
    let mut shown = Vec::with_capacity(subjects.len());
    for subject in subjects {
        let identity = if caller.allows(Permission::SubjectIdentify, subject.scope()) {
            names::identity(rx, ring, &subject).await?
        } else {
            Identity::default()
        };
        shown.push(subject.shown(identity));
    }
    Ok(shown)
}
