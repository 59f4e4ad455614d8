//! What every operation can reach.

use std::sync::Arc;

use patient_contract::rpc::PatientClient;
use tenon::{
    Clock, Context, Result,
    store::{Db, args},
};

use crate::{
    errors::{SITE_NOT_FOUND, TRIAL_NOT_FOUND},
    store::{SITE, STUDY},
    study::{Site, Study},
};

/// The data, the neighbours and the clock. Cheap to clone.
#[derive(Clone)]
pub struct ServiceContext {
    /// The studies.
    pub db: Db,
    /// Who knows the subjects.
    pub patient: PatientClient,
    /// The wall clock.
    pub clock: Arc<dyn Clock>,
}

impl ServiceContext {
    /// A study, or `TRIAL_NOT_FOUND`. Nobody is asked who they are.
    pub(crate) async fn study(&self, cx: &Context, id: &str) -> Result<Study> {
        let found = self.db.optional(cx, STUDY, args![id]).await?;
        found.ok_or_else(|| TRIAL_NOT_FOUND.error())
    }

    /// A site of a study, or `SITE_NOT_FOUND`. Nobody is asked who they are.
    pub(crate) async fn site(&self, cx: &Context, study: &str, id: &str) -> Result<Site> {
        let found = self.db.optional(cx, SITE, args![study, id]).await?;
        found.ok_or_else(|| SITE_NOT_FOUND.error())
    }
}
