// Scaffolded by tenon once; yours to edit.
//! What the operations answer from: a few hundred patients in memory, so that the figures show
//! the doors and not a store.

use std::sync::Arc;

use tenon::StartError;
use ward_contract::{rest, rpc};

use crate::Config;

/// How many patients a trial has.
pub const PATIENTS: usize = 300;

/// Shared by all operations; cheap to clone.
#[derive(Debug, Clone)]
pub struct ServiceContext {
    /// The patient that is read alone.
    pub patient: Arc<rest::Patient>,
    /// The patients of every trial.
    pub patients: Arc<[rpc::PatientInfo]>,
}

impl ServiceContext {
    /// Makes the patients; nothing of the configuration matters to them.
    ///
    /// # Errors
    /// None.
    pub async fn new(_: &Config) -> Result<Self, StartError> {
        Ok(Self::default())
    }
}

impl Default for ServiceContext {
    fn default() -> Self {
        let patients = (1..=PATIENTS).map(|number| rpc::PatientInfo {
            id: format!("01890a5d-ac96-774b-bcce-b302099a{number:04}"),
            name: format!("Example Patient {number:03}"),
            status: 1,
        });
        Self {
            patient: Arc::new(rest::Patient {
                id: "P001".to_owned(),
                name: "Example Patient of the ward".to_owned(),
                trial_id: "01890a5d-ac96-774b-bcce-b302099a8057".to_owned(),
                status: 1,
            }),
            patients: patients.collect(),
        }
    }
}
