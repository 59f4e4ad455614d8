//! What is answered below `/debug/pprof/`: Go's paths, parameters and errors, so that its tool and
//! the scrapers made for it work unchanged.

mod answer;
mod index;
mod query;

use std::{future::Future, sync::Arc, thread, time::Duration};

use http::{HeaderName, HeaderValue, Method, Response, StatusCode};
use tenon_core::config::{ConfigError, HeapProfiling, ProfilingConfig};
use tokio::sync::{Semaphore, oneshot};

use self::{
    answer::Answer,
    query::{Query, SECONDS_DEFAULT},
};
use crate::{
    cmdline,
    goroutine::Moment,
    heap::{self, First, Sampling},
    profile::Profile,
    refusal::{Refusal, SESSIONS_MAX},
    sampler::{self, Session},
    symbols,
};

/// Addresses looked up in one request: more than any profile has different ones in one object.
const SYMBOLS_MAX: usize = 10_000;
/// The largest body of a request for symbols: as many addresses with sixteen digits each.
pub const BODY_BYTES_MAX: usize = SYMBOLS_MAX * 20;

/// A request below `/debug/pprof/`.
#[derive(Debug, Clone)]
pub struct Ask {
    /// GET, or POST for symbols.
    pub method: Method,
    /// What stands behind `/debug/pprof/`.
    pub path: String,
    /// What stands behind the question mark.
    pub query: String,
    /// For symbols; at most [`BODY_BYTES_MAX`].
    pub body: Vec<u8>,
    /// Who asks, for the log.
    pub who: String,
}

/// Takes profiles of this process and answers with them. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Profiler {
    config: ProfilingConfig,
    /// Whoever waits for a profile or has one written: each costs memory meanwhile.
    places: Arc<Semaphore>,
}

impl Profiler {
    /// By the section `admin.profiling`. Nothing is sampled until somebody asks, except the heap
    /// if it is to be sampled always.
    ///
    /// # Errors
    /// The heap is to be sampled always, and the program cannot.
    pub fn new(config: ProfilingConfig) -> Result<Self, ConfigError> {
        let always = config.enabled && config.heap == HeapProfiling::Always;
        if always {
            heap::available().map_err(|why| ConfigError::new("admin.profiling.heap", why))?;
            Sampling::always();
        }
        Ok(Self {
            config,
            places: Arc::new(Semaphore::new(SESSIONS_MAX)),
        })
    }

    /// Answers a request. When `stopping` resolves, a window ends early and what was collected is
    /// the answer; when the answer is dropped, the window ends at once.
    pub async fn answer(&self, ask: Ask, stopping: impl Future<Output = ()>) -> Response<Vec<u8>> {
        if !self.config.enabled {
            return answer::error(
                StatusCode::NOT_FOUND,
                "profiling is off; set admin.profiling.enabled",
            );
        }
        let posts = ask.path == "symbol" && ask.method == Method::POST;
        let looks = ask.path.is_empty() && ask.method == Method::HEAD;
        if ask.method != Method::GET && !posts && !looks {
            return answer::error(StatusCode::METHOD_NOT_ALLOWED, "expected GET");
        }
        let query = match Query::read(&ask.query, self.config.max_duration) {
            Ok(query) => query,
            Err(problem) => return answer::error(StatusCode::BAD_REQUEST, problem),
        };
        let Ok(_place) = self.places.clone().try_acquire_owned() else {
            let refusal = Refusal::Full;
            return answer::error(refusal.status(), refusal);
        };
        let outcome = self.route(&ask, query, stopping).await;
        outcome.unwrap_or_else(|refused| *refused)
    }

    async fn route(
        &self,
        ask: &Ask,
        query: Query,
        stopping: impl Future<Output = ()>,
    ) -> Result<Answer, Box<Answer>> {
        match ask.path.as_str() {
            "" => Ok(answer::html(on_own_thread(index::page).await?)),
            "profile" => cpu(ask, query, stopping).await,
            "heap" => self.heap(ask, query, First::InUse, stopping).await,
            "allocs" => self.heap(ask, query, First::Allocated, stopping).await,
            "goroutine" => goroutine(ask, query, stopping).await,
            "threadcreate" => on_own_thread(move || threads(query)).await?,
            "block" | "mutex" => Ok(empty(&ask.path, query)),
            "cmdline" => Ok(answer::text(cmdline::text())),
            "symbol" => {
                let addresses = if ask.body.is_empty() {
                    ask.query.clone().into_bytes()
                } else {
                    ask.body.clone()
                };
                on_own_thread(move || Ok(answer::text(symbol_text(&addresses)))).await?
            }
            "trace" => Err(answer::refuse(
                StatusCode::NOT_IMPLEMENTED,
                "Go execution traces do not exist for Rust; use profile?format=svg, or tokio-console",
            )),
            _ => Err(answer::refuse(StatusCode::NOT_FOUND, "Unknown profile")),
        }
    }

    async fn heap(
        &self,
        ask: &Ask,
        query: Query,
        first: First,
        stopping: impl Future<Output = ()>,
    ) -> Result<Answer, Box<Answer>> {
        if self.config.heap == HeapProfiling::Off {
            return Err(answer::refuse(
                StatusCode::NOT_FOUND,
                "heap profiling is off; set admin.profiling.heap",
            ));
        }
        heap::available().map_err(|why| answer::refuse(StatusCode::NOT_FOUND, why))?;
        let sampling = query.seconds.map(|_| Sampling::start());
        let before = match query.seconds {
            Some(_) => Some(on_own_thread(heap::dump).await?.map_err(broken)?),
            None => None,
        };
        wait(query.seconds.unwrap_or_default(), stopping).await;
        tell(ask, query.seconds);
        let name = ask.path.clone();
        let on_demand = self.config.heap == HeapProfiling::OnDemand && query.seconds.is_none();
        on_own_thread(move || {
            let dump = heap::dump().map_err(broken)?;
            drop(sampling);
            if query.debug > 0 {
                return Ok(answer::text(dump.text));
            }
            let mut profile = heap::profile(&dump, before.as_ref(), first, sampler::images(), query.view);
            profile.duration_nanos = nanos(query.seconds.unwrap_or_default());
            if on_demand {
                let comment = "the heap is sampled on demand: ask with seconds=N, or set admin.profiling.heap to always";
                profile.comments.push(comment.to_owned());
            }
            Ok(answer::profile(&profile, query.format, &name))
        })
        .await?
    }
}

async fn cpu(
    ask: &Ask,
    query: Query,
    stopping: impl Future<Output = ()>,
) -> Result<Answer, Box<Answer>> {
    let session = Session::start(query.hz).map_err(refused)?;
    let seconds = query.seconds.unwrap_or(SECONDS_DEFAULT);
    wait(seconds, stopping).await;
    let Some(taken) = session.finish() else {
        return Err(broken("its session was lost"));
    };
    tell(ask, Some(taken.duration));
    let mut answer = on_own_thread(move || {
        let profile = Profile::of_cpu(taken, query.view);
        answer::profile(&profile, query.format, "profile")
    })
    .await?;
    if query.seconds_invalid {
        let note = HeaderValue::from_static("invalid seconds, used 30");
        answer
            .headers_mut()
            .insert(HeaderName::from_static("x-pprof-note"), note);
    }
    Ok(answer)
}

async fn goroutine(
    ask: &Ask,
    query: Query,
    stopping: impl Future<Output = ()>,
) -> Result<Answer, Box<Answer>> {
    let before = match query.seconds {
        Some(_) => Some(on_own_thread(Moment::now).await?.map_err(refused)?),
        None => None,
    };
    wait(query.seconds.unwrap_or_default(), stopping).await;
    tell(ask, query.seconds);
    on_own_thread(move || {
        let now = Moment::now().map_err(refused)?;
        if query.debug > 0 {
            return Ok(answer::text(now.text(query.debug > 1, query.view)));
        }
        let profile = now.profile(before.as_ref(), query.view);
        Ok(answer::profile(&profile, query.format, "goroutine"))
    })
    .await?
}

/// Waits for the end of a window.
async fn wait(window: Duration, stopping: impl Future<Output = ()>) {
    if !window.is_zero() {
        tokio::select! {
            () = tokio::time::sleep(window) => {}
            () = stopping => {}
        }
    }
}

fn threads(query: Query) -> Result<Answer, Box<Answer>> {
    let count = sampler::thread_count();
    if query.debug > 0 {
        return Ok(answer::text(format!(
            "threadcreate profile: total {count}\n"
        )));
    }
    let mut profile = Profile::empty(&[("threadcreate", "count")]);
    profile.default_type = "threadcreate";
    profile.comments.push(format!(
        "threads: {count}; where they were made is not known"
    ));
    Ok(answer::profile(&profile, query.format, "threadcreate"))
}

/// Scrapers ask for these by default and count an error as a failure of the service.
fn empty(name: &str, query: Query) -> Answer {
    const WHY: &str = "not supported on Rust: its locks tell nobody that they wait";
    if query.debug > 0 {
        return answer::text(format!("--- {name}:\n# {WHY}\n"));
    }
    let mut profile = Profile::empty(&[("contentions", "count"), ("delay", "nanoseconds")]);
    profile.default_type = "delay";
    profile.period_type = Some(("contentions", "count"));
    profile.period = 1;
    profile.comments.push(WHY.to_owned());
    answer::profile(&profile, query.format, name)
}

/// Go's protocol: without addresses whether there are symbols, else a line for each address.
fn symbol_text(asked: &[u8]) -> String {
    let mut text = String::from("num_symbols: 1\n");
    let asked = String::from_utf8_lossy(asked);
    let addresses = asked
        .split('+')
        .filter_map(|text| u64::from_str_radix(text.trim().strip_prefix("0x")?, 16).ok());
    let mut addresses: Vec<u64> = addresses.take(SYMBOLS_MAX).collect();
    addresses.sort_unstable();
    addresses.dedup();
    if addresses.is_empty() {
        return text;
    }
    let names = symbols::look_up(&sampler::images(), &addresses);
    for address in addresses {
        let place = names.places.get(&address).and_then(|place| place.last());
        if let Some((function, _)) = place {
            text.push_str(&format!("{address:#x} {}\n", function.name));
        }
    }
    text
}

/// Says who took a profile: it shows paths, arguments and names of routes.
fn tell(ask: &Ask, window: Option<Duration>) {
    let seconds = window.unwrap_or_default().as_secs_f64();
    tracing::info!(profile = ask.path, who = ask.who, seconds, "profile taken");
}

/// Runs what takes its time on a thread of its own, which profiles leave out.
async fn on_own_thread<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Box<Answer>> {
    let (done, outcome) = oneshot::channel();
    let thread = thread::Builder::new().name(sampler::OWN_THREAD.to_owned());
    let started = thread.spawn(move || {
        // Nobody to tell is a caller who left.
        let _ = done.send(work());
    });
    started.map_err(broken)?;
    outcome.await.map_err(|_| broken("its thread ended"))
}

fn refused(refusal: Refusal) -> Box<Answer> {
    answer::refuse(refusal.status(), refusal)
}

fn broken(cause: impl std::fmt::Display) -> Box<Answer> {
    let text = format!("could not write the profile: {cause}");
    answer::refuse(StatusCode::INTERNAL_SERVER_ERROR, text)
}

fn nanos(duration: Duration) -> i64 {
    i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX)
}
