//! The buckets in Redis.

use std::{
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::Duration,
};

use redis::{Script, aio::ConnectionManager, aio::ConnectionManagerConfig};
use secrecy::ExposeSecret;
use sha2::{Digest, Sha256};
use tenon_core::config::{ConfigError, SharedLimitsConfig};
use tokio::{sync::OnceCell, time::Instant};

use crate::{Key, Limiter, rate_limit::Decision};

/// How long a request waits for Redis before its own process counts: a neighbour on the same
/// network answers in one.
const PATIENCE: Duration = Duration::from_millis(50);
/// How long it is left alone after it did not answer, so that requests do not queue for it.
const PAUSE: Duration = Duration::from_secs(1);

/// The rate limit in one step. Times are microseconds of Redis's clock, which a Lua number holds
/// exactly until the year 2255. Answers: allowed, remaining, microseconds until the bucket is
/// full, microseconds until the next request may come.
const TAKE: &str = r"
local gap, depth = tonumber(ARGV[1]), tonumber(ARGV[2])
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local full = tonumber(redis.call('GET', KEYS[1]) or now)
if full < now then full = now end
local debt = full + gap - now
if debt > depth then
  return {0, 0, full - now, debt - depth}
end
redis.call('SET', KEYS[1], string.format('%.0f', full + gap), 'PX', math.ceil(debt / 1000))
return {1, math.floor((depth - debt) / gap), debt, 0}
";

/// The connection to Redis, made when the first request needs it.
pub(crate) struct Shared {
    client: redis::Client,
    connection: OnceCell<ConnectionManager>,
    prefix: String,
    script: Script,
    start: Instant,
    /// Milliseconds from the start until when Redis is left alone; 0 while it answers.
    away: AtomicU64,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared")
            .field("prefix", &self.prefix)
            .field("is_up", &self.is_up())
            .finish_non_exhaustive()
    }
}

impl Shared {
    pub(crate) fn new(section: &str, config: &SharedLimitsConfig) -> Result<Self, ConfigError> {
        // The cause would repeat the address, and with it the password.
        let client = redis::Client::open(config.redis.expose_secret()).map_err(|_| {
            let problem = "sharedLimits.redis is no address of a Redis; expected one like redis://127.0.0.1:6379/0";
            ConfigError::new(section, problem)
        })?;
        Ok(Self {
            client,
            connection: OnceCell::new(),
            prefix: config.prefix.clone(),
            script: Script::new(TAKE),
            start: Instant::now(),
            away: AtomicU64::new(0),
        })
    }

    /// What all instances together say, or `None` while Redis does not answer.
    pub(crate) async fn take(&self, limiter: &Limiter, key: Key<'_>) -> Option<Decision> {
        let now = self.millis();
        let away = self.away.load(Relaxed);
        if away > now {
            return None;
        }
        if away > 0 {
            // One request asks whether it is back; the others go on without it.
            let next = now + PAUSE.as_millis() as u64;
            self.away
                .compare_exchange(away, next, Relaxed, Relaxed)
                .ok()?;
        }
        match tokio::time::timeout(PATIENCE, self.ask(limiter, key)).await {
            Ok(Ok(decision)) => {
                if self.away.swap(0, Relaxed) > 0 {
                    tracing::info!("rate limits are counted together again");
                }
                Some(decision)
            }
            Ok(Err(cause)) => self.leave_alone(cause.category()),
            Err(_elapsed) => self.leave_alone("no answer in time"),
        }
    }

    /// Whether Redis answered when it was last asked.
    pub(crate) fn is_up(&self) -> bool {
        self.away.load(Relaxed) == 0
    }

    fn leave_alone<T>(&self, cause: &str) -> Option<T> {
        let until = self.millis() + PAUSE.as_millis() as u64;
        if self.away.swap(until, Relaxed) == 0 {
            tracing::warn!(
                cause,
                "the shared rate limits cannot be reached; each instance counts for itself"
            );
        }
        None
    }

    async fn ask(&self, limiter: &Limiter, key: Key<'_>) -> redis::RedisResult<Decision> {
        let mut connection = self
            .connection
            .get_or_try_init(|| {
                let config = ConnectionManagerConfig::new().set_number_of_retries(0);
                ConnectionManager::new_with_config(self.client.clone(), config)
            })
            .await?
            .clone();
        let rate = limiter.rate();
        let gap = (rate.per.as_micros() / u128::from(rate.requests.max(1))).max(1);
        let depth = gap * u128::from(rate.burst.max(1));
        let mut call = self.script.key(self.key(limiter, key));
        let call = call.arg(gap.to_string()).arg(depth.to_string());
        let (allowed, remaining, reset, after): (u8, u32, u64, u64) =
            call.invoke_async(&mut connection).await?;
        Ok(Decision {
            allowed: allowed == 1,
            remaining,
            reset: Duration::from_micros(reset),
            retry_after: Duration::from_micros(after),
        })
    }

    /// A digest stands for who called: Redis is no place for account names and addresses.
    fn key(&self, limiter: &Limiter, key: Key<'_>) -> String {
        let (name, bucket) = limiter.shared_key(key);
        let digest = Sha256::digest(bucket.as_bytes());
        let short: String = digest[..16]
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        format!("{}:rate:{name}:{short}", self.prefix)
    }

    fn millis(&self) -> u64 {
        // From 1 on, so that 0 can say "not away".
        let since = self.start.elapsed().as_millis();
        u64::try_from(since).unwrap_or(u64::MAX - 1) + 1
    }
}
