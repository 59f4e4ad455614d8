//! Changing a running service: its configuration file is watched, and what may change at run time
//! changes.
//!
//! A room registers the keys that it can change, with a function that reads and checks a new
//! section and answers what will put it into force. A new file is first read whole, as strictly as
//! at the start, and every changed section is checked; only when all is sound does anything take
//! effect. A key that nobody registered needs a restart, and is reported as such. A bad file
//! leaves the old values in force.

mod flat;
mod watch;

use std::{
    collections::BTreeMap,
    fmt,
    path::Path,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{SystemTime, UNIX_EPOCH},
};

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use self::flat::{Flat, flatten, section, shown};
use crate::config::{self, ConfigError};

/// Puts a checked section into force. Must not fail and not wait.
pub type Apply = Box<dyn FnOnce() + Send>;

type Prepare = Box<dyn Fn(Value) -> Result<Apply, String> + Send + Sync>;
type Validate = Arc<dyn Fn(&str) -> Result<(), ConfigError> + Send + Sync>;

/// What may change in this process, and what is in force. Cheap to clone: all clones are one.
///
/// ```
/// use tenon_core::{Live, Reload, config::LogConfig};
///
/// let reload = Reload::new();
/// let live = Live::new(LogConfig::default());
/// let room = live.clone();
/// reload.register("log", &["level"], move |config: LogConfig| {
///     let room = room.clone();
///     Ok(Box::new(move || room.store(config)))
/// });
/// reload.begin("log: { level: info }", "etc/x.yaml".as_ref(), |_| Ok(())).unwrap();
/// let outcome = reload.take("log: { level: debug }").unwrap();
/// assert_eq!(outcome.applied[0].key, "log.level");
/// ```
#[derive(Clone, Default)]
pub struct Reload {
    inner: Arc<Inner>,
}

#[derive(Default)]
struct Inner {
    handles: Mutex<Vec<Handle>>,
    file: Mutex<Option<File>>,
    taken: AtomicU64,
    refused: AtomicU64,
    last_success_seconds: AtomicU64,
}

/// The keys that a room can change.
struct Handle {
    section: String,
    /// Whole keys, `log.level`; what stands below one belongs to it.
    keys: Vec<String>,
    prepare: Prepare,
}

/// The watched file.
#[derive(Clone)]
struct File {
    path: Arc<Path>,
    /// As it was read at the start.
    text: Arc<str>,
    validate: Validate,
    /// What is in force, by whole keys.
    in_force: Flat,
    /// What the file says and a restart would bring.
    pending: Flat,
}

/// One key that differs from what is in force. Values are as the log shows them: secrets hidden.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The whole key, `log.level`.
    pub key: String,
    /// What was in force; `default` where the file said nothing.
    pub old: String,
    /// What the file says now.
    pub new: String,
}

/// What a new file brought.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Outcome {
    /// What is in force from now on.
    pub applied: Vec<Change>,
    /// What takes a restart.
    pub needs_restart: Vec<Change>,
}

/// How often the file was taken, for metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stats {
    /// Files that were sound.
    pub taken: u64,
    /// Files that were refused.
    pub refused: u64,
    /// Seconds since 1970 of the last sound file, the one of the start included; 0 without a file.
    pub last_success_seconds: u64,
}

impl Reload {
    /// Nothing may change yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Lets `keys` of `section` change at run time (`"log"`, `["level"]`); a key stands for all
    /// that is below it, and an empty one for the whole section. `prepare` gets the new section,
    /// checks it, and answers what puts it into force; it reads only its keys, because others of
    /// the section may have changed as well. Several rooms may register the same key. An empty
    /// section is the whole file, for a room that must see several sections at once.
    pub fn register<T, P>(&self, section: &str, keys: &[&str], prepare: P)
    where
        T: DeserializeOwned,
        P: Fn(T) -> Result<Apply, String> + Send + Sync + 'static,
    {
        let whole = |key: &&str| match (section.is_empty(), key.is_empty()) {
            (true, _) => (*key).to_owned(),
            (false, true) => section.to_owned(),
            (false, false) => format!("{section}.{key}"),
        };
        let handle = Handle {
            section: section.to_owned(),
            keys: keys.iter().map(whole).collect(),
            prepare: Box::new(move |value| {
                let typed = T::deserialize(value).map_err(|problem| problem.to_string())?;
                prepare(typed)
            }),
        };
        lock(&self.inner.handles).push(handle);
    }

    /// Remembers `text` as what is in force, read from the file at `path`. `validate` reads a
    /// whole new text as strictly as the start did.
    ///
    /// # Errors
    /// The text is not YAML.
    pub fn begin<V>(&self, text: &str, path: &Path, validate: V) -> Result<(), ConfigError>
    where
        V: Fn(&str) -> Result<(), ConfigError> + Send + Sync + 'static,
    {
        let file = File {
            path: path.into(),
            text: text.into(),
            validate: Arc::new(validate),
            in_force: flatten(&tree(text, path)?),
            pending: Flat::new(),
        };
        *lock(&self.inner.file) = Some(file);
        self.inner.succeeded();
        Ok(())
    }

    /// Takes a new text of the file: all of it or, when anything in it is wrong, nothing.
    ///
    /// # Errors
    /// The text is not sound; what was in force stays so.
    pub fn take(&self, text: &str) -> Result<Outcome, ConfigError> {
        let outcome = self.inner.take(text);
        match &outcome {
            Ok(_) => self.inner.taken.fetch_add(1, Ordering::Relaxed),
            Err(_) => self.inner.refused.fetch_add(1, Ordering::Relaxed),
        };
        outcome
    }

    /// How often a file was taken.
    pub fn stats(&self) -> Stats {
        Stats {
            taken: self.inner.taken.load(Ordering::Relaxed),
            refused: self.inner.refused.load(Ordering::Relaxed),
            last_success_seconds: self.inner.last_success_seconds.load(Ordering::Relaxed),
        }
    }

    /// What operators may see: what the file put in force, what waits for a restart, and the keys
    /// that may change. Secrets are hidden.
    pub fn report(&self) -> Value {
        let file = lock(&self.inner.file).clone();
        let values = |flat: &Flat| -> Map<String, Value> {
            let hide = |(key, value): (&String, &Value)| (key.clone(), flat::hidden(key, value));
            flat.iter().map(hide).collect()
        };
        let mut keys: Vec<String> = lock(&self.inner.handles)
            .iter()
            .flat_map(|handle| handle.keys.clone())
            .collect();
        keys.sort_unstable();
        keys.dedup();
        serde_json::json!({
            "file": file.as_ref().map(|file| file.path.display().to_string()),
            "inForce": file.as_ref().map(|file| values(&file.in_force)),
            "needsRestart": file.as_ref().map(|file| values(&file.pending)),
            "changeable": keys,
        })
    }
}

impl Inner {
    fn take(&self, text: &str) -> Result<Outcome, ConfigError> {
        let mut guard = lock(&self.file);
        let Some(file) = guard.as_mut() else {
            let problem = "this process has no configuration file to change";
            return Err(ConfigError::new("none", problem));
        };
        (file.validate)(text)?;
        let tree = tree(text, &file.path)?;
        let new = flatten(&tree);
        let handles = lock(&self.handles);
        let mut outcome = Outcome::default();
        let mut pending = Flat::new();
        let mut touched = BTreeMap::new();
        for (key, old, value) in flat::differences(&file.in_force, &new) {
            let change = Change {
                old: shown(&key, old.as_ref()),
                new: shown(&key, value.as_ref()),
                key: key.clone(),
            };
            let mut live = false;
            for (index, handle) in handles.iter().enumerate() {
                if handle.covers(&key) {
                    live = true;
                    touched.insert(index, handle);
                }
            }
            if live {
                outcome.applied.push(change);
            } else {
                pending.insert(key, value.unwrap_or(Value::Null));
                outcome.needs_restart.push(change);
            }
        }
        let mut ready = Vec::new();
        for handle in touched.values() {
            let checked = (handle.prepare)(section(&tree, &handle.section));
            let refuse = |problem: String| {
                let told = match handle.section.as_str() {
                    "" => problem,
                    section => format!("{section}: {problem}"),
                };
                ConfigError::new(&*file.path, told)
            };
            ready.push(checked.map_err(refuse)?);
        }
        // From here on nothing fails.
        ready.into_iter().for_each(|apply| apply());
        for change in &outcome.applied {
            match new.get(&change.key) {
                Some(value) => file.in_force.insert(change.key.clone(), value.clone()),
                None => file.in_force.remove(&change.key),
            };
        }
        file.pending = pending;
        self.succeeded();
        Ok(outcome)
    }

    fn succeeded(&self) {
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let seconds = now.unwrap_or_default().as_secs();
        self.last_success_seconds.store(seconds, Ordering::Relaxed);
    }
}

impl Handle {
    fn covers(&self, key: &str) -> bool {
        self.keys.iter().any(|own| {
            let below = key.strip_prefix(own.as_str());
            below.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        })
    }
}

fn tree(text: &str, path: &Path) -> Result<Value, ConfigError> {
    config::parse(text, path)
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl fmt::Debug for Reload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reload")
            .field("stats", &self.stats())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
