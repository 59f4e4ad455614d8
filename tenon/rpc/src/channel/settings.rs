//! What a section of `clients` says of calls: held against the contract, because a name that no
//! method has would be a setting that does nothing, and changed while the channel is used.

use std::sync::{Arc, PoisonError};

use tenon_core::config::{ClientConfig, ConfigError, nearest};

use super::Channel;
use crate::Method;

impl Channel {
    /// The keys of its section that [`Channel::prepare`] can change. The others say where the
    /// service is and how it is connected to: they hold for the life of a channel.
    pub const CHANGEABLE: [&str; 7] = [
        "timeout",
        "timeouts",
        "balancer",
        "retry",
        "breaker",
        "failures",
        "adaptiveLimit",
    ];

    /// Checks the methods that the section of this channel names against those of the contract,
    /// and remembers these for [`Channel::prepare`] and [`Channel::row`].
    ///
    /// # Errors
    /// `timeouts` or `retry.methods` names a method that the contract does not have, or
    /// `retry.methods` one that may not be made again.
    pub fn check(&self, methods: &[&'static Method]) -> Result<(), ConfigError> {
        self.remember(methods);
        let config = self.inner.config.load();
        let named = methods.iter().map(|method| Named::of(method));
        check_methods(&config, &named.collect::<Vec<_>>())
            .map_err(|problem| ConfigError::new(format!("clients.{}", self.inner.name), problem))
    }

    /// The methods of the contract, where somebody else has checked the section against them.
    pub fn remember(&self, methods: &[&'static Method]) {
        let mut contract = self.lock_contract();
        *contract = Arc::from(methods);
    }

    /// Checks another section for this channel without using it yet. Only the keys of
    /// [`Channel::CHANGEABLE`] are looked at.
    ///
    /// # Errors
    /// As [`Channel::check`]; the text does not name the section.
    pub fn prepare(&self, new: &ClientConfig) -> Result<Prepared, String> {
        let contract = self.contract();
        if !contract.is_empty() {
            let named = contract.iter().map(|method| Named::of(method));
            check_methods(new, &named.collect::<Vec<_>>())?;
        }
        Ok(Prepared {
            channel: self.clone(),
            config: new.clone(),
        })
    }

    /// Puts a section in force that somebody else has checked; see [`Prepared::put_in_force`].
    pub fn change(&self, new: &ClientConfig) {
        let prepared = Prepared {
            channel: self.clone(),
            config: new.clone(),
        };
        prepared.put_in_force();
    }

    /// The methods of its contract, as far as they are known.
    pub(super) fn contract(&self) -> Arc<[&'static Method]> {
        self.lock_contract().clone()
    }

    fn lock_contract(&self) -> std::sync::MutexGuard<'_, Arc<[&'static Method]>> {
        let contract = self.inner.contract.lock();
        contract.unwrap_or_else(PoisonError::into_inner)
    }
}

/// A checked section that is not in force yet.
#[must_use = "nothing has changed yet"]
pub struct Prepared {
    channel: Channel,
    config: ClientConfig,
}

impl Prepared {
    /// Puts it in force for all calls that begin from now on. Connections and what is known of
    /// the instances stay.
    pub fn put_in_force(self) {
        let inner = &*self.channel.inner;
        let new = self.config;
        inner.config.store(ClientConfig {
            timeout: new.timeout,
            timeouts: new.timeouts,
            balancer: new.balancer,
            retry: new.retry,
            breaker: new.breaker,
            failures: new.failures,
            adaptive_limit: new.adaptive_limit,
            ..inner.config.load().place()
        });
        inner.retries.budget_changed();
        inner.pool.policy_changed();
    }
}

/// A method of a contract, as far as a section of `clients` can be wrong about it.
#[derive(Debug, Clone, Copy)]
pub struct Named<'a> {
    /// The name in the contract.
    pub name: &'a str,
    /// Whether it may be made again.
    pub is_idempotent: bool,
}

impl Named<'static> {
    fn of(method: &'static Method) -> Self {
        Self {
            name: method.name(),
            is_idempotent: method.is_idempotent(),
        }
    }
}

/// Checks the methods that a section of `clients` names against those of a contract.
///
/// # Errors
/// As [`Channel::check`]; the text does not name the section.
pub fn check_methods(config: &ClientConfig, methods: &[Named<'_>]) -> Result<(), String> {
    for name in config.timeouts.0.keys() {
        if methods.iter().all(|method| method.name != name) {
            return Err(unknown("timeouts", name, methods));
        }
    }
    for name in &config.retry.methods {
        let mut called = methods
            .iter()
            .filter(|method| method.name == name)
            .peekable();
        if called.peek().is_none() {
            return Err(unknown("retry.methods", name, methods));
        }
        if called.any(|method| !method.is_idempotent) {
            return Err(harmful(name));
        }
    }
    Ok(())
}

fn unknown(key: &str, name: &str, methods: &[Named<'_>]) -> String {
    let problem = format!("{key}: the contract has no method `{name}`");
    match nearest(name, methods.iter().map(|method| method.name)) {
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
