//! What a section of `clients` says of single methods, held against the contract: a name that no
//! method has would be a setting that does nothing.

use tenon_core::config::{ConfigError, nearest};

use super::Channel;
use crate::Method;

impl Channel {
    /// Checks the methods that the section of this channel names against those of the contract.
    ///
    /// # Errors
    /// `timeouts` or `retry.methods` names a method that the contract does not have, or
    /// `retry.methods` one that may not be made again.
    pub fn check(&self, methods: &[&Method]) -> Result<(), ConfigError> {
        let inner = &*self.inner;
        let refused = |problem| ConfigError::new(format!("clients.{}", inner.name), problem);
        for name in inner.timeouts.keys() {
            if methods.iter().all(|method| method.name() != name) {
                return Err(refused(unknown("timeouts", name, methods)));
            }
        }
        for name in inner.retries.methods() {
            let mut called = methods
                .iter()
                .filter(|method| method.name() == name)
                .peekable();
            if called.peek().is_none() {
                return Err(refused(unknown("retry.methods", name, methods)));
            }
            if called.any(|method| !method.is_idempotent()) {
                return Err(refused(harmful(name)));
            }
        }
        Ok(())
    }
}

fn unknown(key: &str, name: &str, methods: &[&Method]) -> String {
    let problem = format!("{key}: the contract has no method `{name}`");
    match nearest(name, methods.iter().map(|method| method.name())) {
        Some(near) => format!("{problem}; the nearest is `{near}`: write that, or take it out"),
        None => format!("{problem}, nor any other; take it out"),
    }
}

fn harmful(name: &str) -> String {
    format!(
        "retry.methods: `{name}` must not be made again: its contract has no `option \
         idempotency_level = IDEMPOTENT`; add that where it is true, or take it out"
    )
}
