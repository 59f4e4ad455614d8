//! How a service is called: keys of `clients.NAME` beside where it is.

use std::{collections::BTreeMap, time::Duration};

use serde::{Deserialize, Deserializer, de::Error};

use super::duration;

/// The key `balancer`: which instance takes a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum BalancerConfig {
    /// The better of two drawn by weight: the less loaded, the sooner answering.
    #[default]
    P2c,
    /// The one that the key of the call belongs to. Every call must have a key.
    ConsistentHash,
}

/// The key `retry`: when a failed call is made again.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct RetryConfig {
    /// How often a call is made at most, the first time included: 1 to 5. Default 3; 1 never
    /// makes it again.
    #[serde(deserialize_with = "attempts")]
    pub attempts: u32,
    /// The only methods that are made again, by their name in the contract. Each must be one whose
    /// `idempotency_level` says that this does no harm. Default: all of those.
    pub methods: Vec<String>,
    /// How many of the client's calls may be made again at all.
    #[serde(deserialize_with = "budget")]
    pub budget: RetryBudgetConfig,
}

impl Default for RetryConfig {
    fn default() -> Self {
        Self {
            attempts: 3,
            methods: Vec::new(),
            budget: RetryBudgetConfig::default(),
        }
    }
}

/// The key `retry.budget`: how many repeats a client may make in 10 s, so that those who call a
/// service in trouble do not multiply what it is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct RetryBudgetConfig {
    /// Repeats for each hundred calls: 0 to 100. Default 10.
    pub percent: u32,
    /// Repeats a second besides, which a client with few calls may make as well: 0 to 1,000.
    /// Default 1.
    pub per_second: u32,
}

impl Default for RetryBudgetConfig {
    fn default() -> Self {
        Self {
            percent: 10,
            per_second: 1,
        }
    }
}

/// How long calls of single methods may take, by the name in the contract.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MethodTimeouts(pub BTreeMap<String, Duration>);

impl<'de> Deserialize<'de> for MethodTimeouts {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        struct Positive(#[serde(with = "duration::positive")] Duration);

        let timeouts = BTreeMap::<String, Positive>::deserialize(from)?;
        let plain = timeouts.into_iter().map(|(method, time)| (method, time.0));
        Ok(Self(plain.collect()))
    }
}

fn attempts<'de, D: Deserializer<'de>>(from: D) -> Result<u32, D::Error> {
    let attempts = u32::deserialize(from)?;
    if !(1..=5).contains(&attempts) {
        return Err(D::Error::custom(format!(
            "attempts is {attempts}; expected 1 to 5"
        )));
    }
    Ok(attempts)
}

fn budget<'de, D: Deserializer<'de>>(from: D) -> Result<RetryBudgetConfig, D::Error> {
    let budget = RetryBudgetConfig::deserialize(from)?;
    if budget.percent > 100 {
        return Err(D::Error::custom("percent: expected 0 to 100"));
    }
    if budget.per_second > 1000 {
        return Err(D::Error::custom("perSecond: expected 0 to 1000"));
    }
    if budget.percent == 0 && budget.per_second == 0 {
        return Err(D::Error::custom(
            "a budget of nothing allows no repeat; write `attempts: 1` if that is meant",
        ));
    }
    Ok(budget)
}
