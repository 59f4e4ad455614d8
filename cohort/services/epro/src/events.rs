//! Delivers what others must learn. No other service asks for the events of this one yet, so each
//! goes to the log, where an operator can follow them by the target `event`.

use tenon::{
    Context, Result,
    store::{Db, outbox},
};

/// Delivers events until the process ends.
///
/// # Errors
/// The disk failed.
pub(crate) async fn deliver(db: &Db) -> Result<()> {
    let cx = Context::background();
    outbox::deliver(db, &cx, async |event: &outbox::Event| {
        let outbox::Event { id, topic, key, .. } = event;
        tracing::debug!(target: "event", %id, topic, key, "event");
        Ok(())
    })
    .await
}
