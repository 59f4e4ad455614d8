//! What every operation can reach: the data, the neighbours, the caches and the clock.

use std::sync::Arc;

use patient_contract::rpc::PatientClient;
use tenon::{Clock, store::Db};
use trial_contract::rpc::TrialClient;

use crate::{assignments::Assignments, config::Config, library::Library};

/// The neighbours that this service calls.
#[derive(Clone)]
pub struct Clients {
    /// Knows whether a subject may answer.
    pub patient: PatientClient,
    /// Knows which questionnaires a study assigns.
    pub trial: TrialClient,
}

/// Shared by all operations; cheap to clone.
#[derive(Clone)]
pub struct ServiceContext {
    pub(crate) db: Db,
    pub(crate) patient: PatientClient,
    pub(crate) assignments: Assignments,
    pub(crate) library: Library,
    pub(crate) clock: Arc<dyn Clock>,
}

impl ServiceContext {
    /// The context over opened data.
    pub fn new(config: &Config, db: Db, clients: Clients, clock: Arc<dyn Clock>) -> Self {
        Self {
            library: Library::new(db.clone()),
            assignments: Assignments::new(clients.trial, config.assignments_kept_for),
            patient: clients.patient,
            db,
            clock,
        }
    }
}
