//! Passwords: Argon2id on a bounded pool of blocking threads, never on a thread that serves
//! requests.
//!
//! One hash costs about 20 ms of a core and 19 MiB. As many run at once as there are cores, a
//! bounded number waits, and further ones are told at once to come back.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

use argon2::{
    Algorithm, Argon2, Params, Version,
    password_hash::{
        Error as HashError, PasswordHasher, PasswordVerifier,
        phc::{Output, ParamsString, PasswordHash, Salt},
    },
};
use secrecy::{ExposeSecret, SecretString};
use tenon_core::{Context, Error, OrInternal, Result, Violation, catalogue, panics};
use tokio::sync::Semaphore;

/// What OWASP's Password Storage Cheat Sheet asks for at least: 19 MiB, two passes, one lane.
const MEMORY_KIB: u32 = 19 * 1024;
const PASSES: u32 = 2;
const LANES: u32 = 1;

/// The most that a stored hash may ask for, so that a damaged row cannot take the machine.
const MEMORY_MAX_KIB: u32 = 256 * 1024;
const PASSES_MAX: u32 = 16;

/// The longest password that is hashed, in bytes.
const PASSWORD_MAX_BYTES: usize = 1024;

/// How long a refused caller should stay away.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// What came of a verification.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Another password, or nobody has that name.
    Wrong,
    /// The password.
    Right,
    /// The password, but its hash was made with weaker parameters than today's: hash the password
    /// again and store that.
    RightButOutdated,
}

impl Verdict {
    /// Whether the password was the right one.
    pub fn is_right(self) -> bool {
        self != Self::Wrong
    }
}

/// The pool that hashes and verifies passwords. Cheap to clone; one for the process.
#[derive(Debug, Clone)]
pub struct Passwords {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    permits: Arc<Semaphore>,
    waiting: AtomicUsize,
    queue: usize,
    size: usize,
}

impl Passwords {
    /// A pool of as many hashes at once as there are cores, and 32 times that many waiting.
    pub fn new() -> Self {
        let cores = thread::available_parallelism().map_or(1, usize::from);
        Self::with_limits(cores, cores * 32)
    }

    /// A pool of `running` hashes at once (at least one) and at most `waiting` behind them.
    pub fn with_limits(running: usize, waiting: usize) -> Self {
        Self {
            inner: Arc::new(Inner {
                permits: Arc::new(Semaphore::new(running.max(1))),
                waiting: AtomicUsize::new(0),
                queue: waiting,
                size: running.max(1),
            }),
        }
    }

    /// How many passwords are hashed or verified now.
    pub fn running(&self) -> usize {
        self.inner
            .size
            .saturating_sub(self.inner.permits.available_permits())
    }

    /// How many wait for their turn.
    pub fn waiting(&self) -> usize {
        self.inner.waiting.load(Ordering::Relaxed)
    }

    /// Hashes a password with a new random salt. Answers a PHC string, `$argon2id$v=19$...`.
    ///
    /// # Errors
    /// `REQUEST_INVALID` for a password over 1024 bytes, `OVERLOADED` with a delay when the queue
    /// is full, `CANCELLED` or `DEADLINE_EXCEEDED` when the caller waits no longer.
    pub async fn hash(&self, cx: &Context, password: SecretString) -> Result<String> {
        if password.expose_secret().len() > PASSWORD_MAX_BYTES {
            let expected = format!("at most {PASSWORD_MAX_BYTES} bytes");
            let violation = Violation::body("password", "length", expected);
            return Err(Error::invalid(vec![violation]));
        }
        self.run(cx, move || hash(password.expose_secret())).await
    }

    /// Verifies a password against its stored hash.
    ///
    /// Pass `None` where nobody has the given name: the answer is then [`Verdict::Wrong`] after
    /// the same work, so that time does not tell which names exist.
    ///
    /// # Errors
    /// `INTERNAL` when the stored hash cannot be used, else as [`Passwords::hash`].
    pub async fn verify(
        &self,
        cx: &Context,
        password: SecretString,
        stored: Option<&str>,
    ) -> Result<Verdict> {
        let stored = stored.map(str::to_owned);
        let work = move || {
            // One that is too long was never hashed; it must cost the same all the same.
            let password = password.expose_secret();
            let password = if password.len() > PASSWORD_MAX_BYTES {
                None
            } else {
                Some(password)
            };
            verify(password, stored.as_deref())
        };
        self.run(cx, work).await
    }

    /// Runs `work` on a blocking thread once a permit is free. The permit stays with the work, so
    /// that callers who leave do not let more run than may.
    async fn run<T, F>(&self, cx: &Context, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce() -> Result<T> + Send + 'static,
    {
        let permit = match Arc::clone(&self.inner.permits).try_acquire_owned() {
            Ok(permit) => permit,
            Err(_) => {
                let _place = Place::take(&self.inner)?;
                let permits = Arc::clone(&self.inner.permits);
                cx.run(permits.acquire_owned())
                    .await?
                    .or_internal("wait for a password thread")?
            }
        };
        cx.check()?;
        let running = tokio::task::spawn_blocking(move || {
            let _permit = permit;
            panics::catch(work)
        });
        cx.run(running)
            .await?
            .or_internal("run a password thread")?
            .or_internal("hash or verify a password")?
    }
}

impl Default for Passwords {
    fn default() -> Self {
        Self::new()
    }
}

/// Whether a stored hash was made with other parameters than today's, or cannot be read.
pub fn needs_rehash(stored: &str) -> bool {
    PasswordHash::new(stored).map_or(true, |hash| is_outdated(&hash))
}

/// A place in the queue, given back on drop.
struct Place<'a>(&'a AtomicUsize);

impl<'a> Place<'a> {
    fn take(inner: &'a Inner) -> Result<Self> {
        let one_more = |waiting: usize| (waiting < inner.queue).then_some(waiting + 1);
        inner
            .waiting
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, one_more)
            .map(|_| Self(&inner.waiting))
            .map_err(|_| catalogue::OVERLOADED.error().retry_after(RETRY_AFTER))
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

fn hash(password: &str) -> Result<String> {
    let hash = argon2()?
        .hash_password(password.as_bytes())
        .or_internal("hash a password")?;
    Ok(hash.to_string())
}

/// `None` stands for a password or a hash that cannot be right.
fn verify(password: Option<&str>, stored: Option<&str>) -> Result<Verdict> {
    let dummy = dummy()?;
    let hash = match stored {
        Some(stored) => PasswordHash::new(stored).or_internal("read a stored password hash")?,
        None => dummy,
    };
    let argon2 = stored_argon2(&hash)?;
    let outcome = argon2.verify_password(password.unwrap_or_default().as_bytes(), &hash);
    match outcome {
        Ok(()) if password.is_none() || stored.is_none() => Ok(Verdict::Wrong),
        Ok(()) if is_outdated(&hash) => Ok(Verdict::RightButOutdated),
        Ok(()) => Ok(Verdict::Right),
        Err(HashError::PasswordInvalid) => Ok(Verdict::Wrong),
        Err(cause) => Err(Error::internal("verify a password", cause)),
    }
}

fn params() -> Result<Params> {
    Params::new(MEMORY_KIB, PASSES, LANES, None).or_internal("set the parameters of Argon2id")
}

fn argon2() -> Result<Argon2<'static>> {
    Ok(Argon2::new(Algorithm::Argon2id, Version::V0x13, params()?))
}

/// A hash of nothing with today's parameters: its output is all zeros, which no password gives.
fn dummy() -> Result<PasswordHash> {
    let params = ParamsString::try_from(&params()?).or_internal("write the dummy hash")?;
    let salt = Salt::new(b"tenon-dummy-salt").or_internal("write the dummy hash")?;
    let output = Output::new(&[0; 32]).or_internal("write the dummy hash")?;
    Ok(PasswordHash {
        algorithm: Algorithm::Argon2id.ident(),
        version: Some(Version::V0x13.into()),
        params,
        salt: Some(salt),
        hash: Some(output),
    })
}

/// Refuses a stored hash that is damaged, which would read as a wrong password, or that would
/// take the machine.
fn stored_argon2(hash: &PasswordHash) -> Result<Argon2<'static>> {
    let refuse = |problem: &'static str| Err(Error::internal("verify a password", problem));
    if hash.salt.is_none() || hash.hash.is_none() {
        return refuse("its stored hash lacks salt or output");
    }
    let params = Params::try_from(hash).or_internal("read a stored password hash")?;
    if params.m_cost() > MEMORY_MAX_KIB || params.t_cost() > PASSES_MAX {
        return refuse("its stored hash asks for more memory or passes than is allowed");
    }
    argon2()
}

fn is_outdated(hash: &PasswordHash) -> bool {
    let current = Params::try_from(hash).is_ok_and(|params| {
        (params.m_cost(), params.t_cost(), params.p_cost()) == (MEMORY_KIB, PASSES, LANES)
    });
    let algorithm = hash.algorithm == Algorithm::Argon2id.ident();
    let version = hash.version == Some(Version::V0x13.into());
    !(current && algorithm && version)
}
