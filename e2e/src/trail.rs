//! Reads the audit trails of the services beside their running processes.

use tenon::{
    Context,
    store::{
        Db, Migration, Options, Rx,
        audit::{self, Stored},
    },
};

use crate::world::World;

/// The stream of what belongs to no study.
pub(crate) const SERVICE: &str = audit::SERVICE;

impl World {
    /// The records of a stream of the epro service.
    pub(crate) async fn epro_trail(&self, stream: &str) -> Vec<Stored> {
        self.trail("epro", epro::MIGRATIONS, stream).await
    }

    /// The records of a stream of the identity service.
    pub(crate) async fn identity_trail(&self, stream: &str) -> Vec<Stored> {
        self.trail("identity", identity::MIGRATIONS, stream).await
    }

    async fn trail(&self, service: &str, migrations: &[Migration], stream: &str) -> Vec<Stored> {
        let file = self.data().join(format!("{service}.db"));
        let db = Db::open(Options::new(file), migrations).await.unwrap();
        let stream = stream.to_owned();
        let read = async move |rx: &mut Rx| {
            let mut all: Vec<Stored> = Vec::new();
            loop {
                let last = all.last().map_or(0, |record| record.sequence);
                let page = audit::list(rx, &stream, last, 500).await?;
                if page.is_empty() {
                    return Ok(all.clone());
                }
                all.extend(page);
            }
        };
        let found = db.read(&Context::background(), read).await.unwrap();
        db.close().await.unwrap();
        found
    }
}
