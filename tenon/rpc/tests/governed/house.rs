//! Instances of a small service that behave as they are told, and callers of it.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU8, AtomicUsize, Ordering},
    },
    time::Duration,
};

use tenon_core::{
    Context, Error, Lifecycle, PeerIdentity, Result, catalogue,
    config::{ClientConfig, RetryConfig, RpcConfig},
};
use tenon_net::{Options, ServerTls};
use tenon_rpc::{Channel, Method, Metrics, Server, Service};
use tokio::task::JoinHandle;

/// A method that must not be repeated.
pub static WRITE: Method = Method::new("/test.Notes/write");
/// One that may be.
pub static READ: Method = Method::new("/test.Notes/read").idempotent();

/// What an instance does with calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Mood {
    /// Answers with the identity of its caller.
    Well,
    /// Cannot.
    Unavailable,
    /// Fails.
    Broken,
    /// Never answers.
    Silent,
    /// Answers after 200 ms.
    Slow,
    /// Says that its caller asks too often.
    Limiting,
}

/// How an instance behaves, and how often it was called.
#[derive(Clone, Default)]
pub struct Conduct {
    mood: Arc<AtomicU8>,
    calls: Arc<AtomicUsize>,
    next: Option<Channel>,
}

impl Conduct {
    /// An instance that asks another service, by `READ`, and answers what that answers.
    pub fn asking(next: Channel) -> Self {
        Self {
            next: Some(next),
            ..Self::default()
        }
    }

    /// Behaves so from now on.
    pub fn set(&self, mood: Mood) {
        self.mood.store(mood as u8, Ordering::SeqCst);
    }

    /// How many calls came.
    pub fn calls(&self) -> usize {
        self.calls.load(Ordering::SeqCst)
    }

    async fn answer(&self, cx: &Context) -> Result<String> {
        const UNAVAILABLE: u8 = Mood::Unavailable as u8;
        const BROKEN: u8 = Mood::Broken as u8;
        const SILENT: u8 = Mood::Silent as u8;
        const SLOW: u8 = Mood::Slow as u8;
        const LIMITING: u8 = Mood::Limiting as u8;
        self.calls.fetch_add(1, Ordering::SeqCst);
        match self.mood.load(Ordering::SeqCst) {
            UNAVAILABLE => return Err(catalogue::UNAVAILABLE.error()),
            BROKEN => return Err(Error::internal("keep a note", "out of paper")),
            LIMITING => return Err(catalogue::RATE_LIMITED.error()),
            SILENT => std::future::pending().await,
            SLOW => tokio::time::sleep(Duration::from_millis(200)).await,
            _ => {}
        }
        if let Some(next) = &self.next {
            return next.unary(cx, &READ, String::new()).await;
        }
        Ok(PeerIdentity::of(cx).map_or("nobody".to_owned(), |identity| identity.to_string()))
    }
}

/// A running instance.
pub struct House {
    /// Where it listens.
    pub address: SocketAddr,
    /// How it behaves.
    pub conduct: Conduct,
    life: Lifecycle,
    done: JoinHandle<std::io::Result<()>>,
}

/// An instance that is well.
pub async fn house() -> House {
    house_of(Conduct::default()).await
}

/// An instance of this conduct.
pub async fn house_of(conduct: Conduct) -> House {
    open("127.0.0.1:0".parse().unwrap(), conduct, None).await
}

/// An instance at an address.
pub async fn open(listen: SocketAddr, conduct: Conduct, tls: Option<ServerTls>) -> House {
    let life = Lifecycle::new();
    // What callers do about an instance that fails is looked at; it must not refuse by itself.
    let config = RpcConfig {
        breaker: false,
        ..RpcConfig::default()
    };
    let service = Service::builder("test.Notes", conduct.clone())
        .unary(&WRITE, |conduct, cx, _: String| async move {
            conduct.answer(&cx).await
        })
        .unary(&READ, |conduct, cx, _: String| async move {
            conduct.answer(&cx).await
        })
        .build();
    let door = Server::new("notes", config.clone())
        .lifecycle(&life)
        .service(service)
        .into_service()
        .unwrap();
    let listener = tenon_net::bind(listen, "rpc.listen").await.unwrap();
    let address = listener.local_addr().unwrap();
    let options = Options::rpc(&config).tls(tls);
    let done = tokio::spawn(tenon_net::serve(listener, door, options, life.clone()));
    life.ready();
    House {
        address,
        conduct,
        life,
        done,
    }
}

impl House {
    /// Ends in order: what is in flight is answered.
    pub async fn drain(self) {
        self.life.drain();
        self.done.await.unwrap().unwrap();
    }

    /// Dies.
    pub async fn kill(self) {
        self.life.kill();
        self.done.await.unwrap().unwrap();
    }
}

/// A configuration that makes each call once, so that failures show.
pub fn once(addresses: &[SocketAddr]) -> ClientConfig {
    ClientConfig {
        retry: RetryConfig {
            attempts: 1,
            ..RetryConfig::default()
        },
        ..ClientConfig::to(addresses.iter().map(ToString::to_string))
    }
}

/// A channel by a section `clients.notes`.
pub fn channel(config: &ClientConfig) -> Channel {
    Channel::new("notes", config, &Metrics::new()).unwrap()
}

/// One call.
pub async fn call(channel: &Channel, method: &'static Method) -> Result<String> {
    let cx = Context::background();
    channel.unary(&cx, method, String::new()).await
}

/// Callers that go on until they are stopped, and count.
pub struct Load {
    stop: Arc<std::sync::atomic::AtomicBool>,
    callers: Vec<JoinHandle<(u32, Vec<String>)>>,
}

impl Load {
    /// So many callers, each with its next call when the last one ended.
    pub fn start(channel: &Channel, method: &'static Method, callers: usize) -> Self {
        let stop = Arc::<std::sync::atomic::AtomicBool>::default();
        let caller = |_| {
            let (stop, channel) = (stop.clone(), channel.clone());
            tokio::spawn(async move {
                let (mut made, mut failed) = (0, Vec::new());
                while !stop.load(Ordering::Relaxed) {
                    made += 1;
                    if let Err(error) = call(&channel, method).await {
                        failed.push(format!("{error:?}"));
                    }
                    tokio::task::yield_now().await;
                }
                (made, failed)
            })
        };
        let callers = (0..callers).map(caller).collect();
        Self { stop, callers }
    }

    /// How many calls were made, and the errors of those that failed.
    pub async fn stop(self) -> (u32, Vec<String>) {
        self.stop.store(true, Ordering::Relaxed);
        let (mut made, mut failed) = (0, Vec::new());
        for caller in self.callers {
            let (more, bad) = caller.await.unwrap();
            made += more;
            failed.extend(bad);
        }
        (made, failed)
    }
}
