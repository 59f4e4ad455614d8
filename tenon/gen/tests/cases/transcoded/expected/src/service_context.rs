// Scaffolded by tenon once; yours to edit.
//! What every operation can reach: stores, clients of other services, the clock.

use std::sync::Arc;

use tenon::StartError;

use crate::Config;

/// Shared by all operations; cheap to clone.
#[derive(Debug, Clone)]
pub struct ServiceContext {
    /// The configuration that the service was built from.
    pub config: Arc<Config>,
}

impl ServiceContext {
    /// Opens what the operations need.
    ///
    /// # Errors
    /// Something that the service needs cannot be had.
    pub async fn new(config: &Config) -> Result<Self, StartError> {
        Ok(Self {
            config: Arc::new(config.clone()),
        })
    }
}
