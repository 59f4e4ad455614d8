//! What every operation can reach.

use std::sync::Arc;

use tenon::{
    Clock, Context, Result,
    store::{Db, args, seal::Keyring},
};
use trial_contract::rpc::TrialClient;

use crate::{errors::PATIENT_NOT_FOUND, names::Names, store::SUBJECT, subject::Subject};

/// The data, its keys, the neighbours and the clock. Cheap to clone.
#[derive(Clone)]
pub struct ServiceContext {
    /// The persons and subjects.
    pub db: Db,
    /// The keys of what is sealed.
    pub ring: Arc<Keyring>,
    /// Names that were opened lately.
    pub names: Names,
    /// Who knows the studies and sites.
    pub trial: TrialClient,
    /// The wall clock.
    pub clock: Arc<dyn Clock>,
}

impl ServiceContext {
    /// A subject, or `PATIENT_NOT_FOUND`. Nobody is asked who they are: whoever calls this asks
    /// the caller's grants before it shows anything.
    pub(crate) async fn subject(&self, cx: &Context, id: &str) -> Result<Subject> {
        let found = self.db.optional(cx, SUBJECT, args![id]).await?;
        found.ok_or_else(|| PATIENT_NOT_FOUND.error())
    }
}
