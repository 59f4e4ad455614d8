//! A feed whose behaviour is told by the text that it is asked with, and ways to call it: in the
//! process, and over real sockets.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use tenon_core::{
    Code, Context, Entry, Error, Lifecycle, Messages, Result, catalogue,
    config::{ClientConfig, RpcConfig},
};
use tenon_net::Options;
use tenon_rpc::{Channel, Metrics, Server};
use tokio::sync::mpsc;

use crate::feed::{FeedClient, FeedService, Item, serve};

/// The error of the text `invalid`.
pub static FEED_INVALID: Entry = Entry::new(
    "FEED_INVALID",
    Code::FailedPrecondition,
    "the feed {feed} cannot be listed",
    "无法列出 {feed}",
);

/// What happened to the work of a call.
#[derive(Debug)]
pub enum Event {
    /// An import got its first item.
    Began,
    /// An import took all its items and would have committed.
    Committed(i64),
    /// An item failed.
    Failed(Error),
    /// The work of a call was dropped or has ended.
    Over,
    /// The context of the call ended, and how.
    Ended(Error),
}

/// The service.
#[derive(Clone)]
pub struct Feed {
    events: mpsc::UnboundedSender<Event>,
    /// How many items the last list has made.
    pub made: Arc<AtomicI64>,
}

/// Says when it is dropped.
struct Watch(mpsc::UnboundedSender<Event>);

impl Drop for Watch {
    fn drop(&mut self) {
        let _ = self.0.send(Event::Over);
    }
}

/// An item.
pub fn item(number: i64, text: &str) -> Item {
    Item {
        number,
        text: text.to_owned(),
    }
}

impl Feed {
    /// Reports the end of the work, and that of its context.
    fn watch(&self, cx: &Context) -> Watch {
        let (cx, events) = (cx.clone(), self.events.clone());
        tokio::spawn(async move {
            let error = cx.cancelled().await;
            let _ = events.send(Event::Ended(error));
        });
        Watch(self.events.clone())
    }
}

impl FeedService for Feed {
    async fn one(&self, _: &Context, req: Item) -> Result<Item> {
        Ok(req)
    }

    async fn list(&self, cx: &Context, req: Item) -> Result<Messages<Item>> {
        let (number, made) = (req.number, self.made.clone());
        made.store(0, Ordering::SeqCst);
        match req.text.as_str() {
            "invalid" => return Err(FEED_INVALID.error().param("feed", "F1").cause("inside")),
            "panic" => panic!("the feed is on fire"),
            "late" => std::future::pending().await,
            _ => Error::new(&FEED_INVALID),
        };
        let (watch, text) = (self.watch(cx), req.text);
        Ok(Messages::produce(async move |out| {
            let _watch = watch;
            for at in 0..number {
                out.send(item(at, &text)).await?;
                made.fetch_add(1, Ordering::SeqCst);
            }
            match text.as_str() {
                "away" => Err(catalogue::UNAVAILABLE.error()),
                "broken" => Err(Error::internal("list the feed", "out of paper")),
                "fail" => Err(FEED_INVALID.error().param("feed", "F2")),
                "burn" => panic!("the feed burns"),
                "wait" => std::future::pending().await,
                _ => Ok(()),
            }
        }))
    }

    async fn import(&self, cx: &Context, mut req: Messages<Item>) -> Result<Item> {
        let _watch = self.watch(cx);
        let mut count = 0;
        loop {
            match req.next().await {
                Some(Ok(item)) => {
                    count += 1;
                    if count == 1 {
                        let _ = self.events.send(Event::Began);
                    }
                    match item.text.as_str() {
                        "enough" => return Ok(super::stand::item(count, "enough")),
                        "refuse" => return Err(FEED_INVALID.error().param("feed", "F3")),
                        "panic" => panic!("the import is on fire"),
                        "stall" => std::future::pending().await,
                        _ => {}
                    }
                }
                Some(Err(error)) => {
                    let _ = self.events.send(Event::Failed(error.clone()));
                    return Err(error);
                }
                None => break,
            }
        }
        let _ = self.events.send(Event::Committed(count));
        Ok(item(count, "all"))
    }

    async fn sync(&self, cx: &Context, mut req: Messages<Item>) -> Result<Messages<Item>> {
        let watch = self.watch(cx);
        Ok(Messages::produce(async move |out| {
            let _watch = watch;
            while let Some(item) = req.try_next().await? {
                match item.text.as_str() {
                    "stop" => return Ok(()),
                    "fail" => return Err(FEED_INVALID.error().param("feed", "F4")),
                    _ => out.send(item).await?,
                }
            }
            Ok(())
        }))
    }
}

/// A feed, a client of it, and what its work reports.
pub struct Stand {
    /// Calls the feed.
    pub client: FeedClient,
    /// What the calls' work reports.
    pub events: mpsc::UnboundedReceiver<Event>,
    /// How many items the last list has made.
    pub made: Arc<AtomicI64>,
    /// `local` or `remote`.
    pub kind: &'static str,
    /// What the client counts.
    pub calls: Metrics,
    /// The served feed, where there is one.
    pub house: Option<House>,
}

/// A served feed; it ends when this is dropped.
pub struct House {
    /// Where it listens.
    pub address: SocketAddr,
    /// Its life.
    pub life: Lifecycle,
    /// What it counts.
    pub metrics: Metrics,
}

impl Drop for House {
    fn drop(&mut self) {
        self.life.kill();
    }
}

/// A feed and what its work will report.
pub fn feed() -> (Feed, mpsc::UnboundedReceiver<Event>) {
    let (events, received) = mpsc::unbounded_channel();
    let made = Arc::default();
    (Feed { events, made }, received)
}

/// Serves services with a section `rpc`.
pub async fn open(
    services: impl IntoIterator<Item = tenon_rpc::Service>,
    config: RpcConfig,
) -> House {
    let (life, metrics) = (Lifecycle::new(), Metrics::new());
    let mut server = Server::new("feed", config.clone())
        .metrics(&metrics)
        .lifecycle(&life);
    for service in services {
        server = server.service(service);
    }
    let door = server.into_service().unwrap();
    let listener = tenon_net::bind("127.0.0.1:0".parse().unwrap(), "rpc.listen")
        .await
        .unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(tenon_net::serve(
        listener,
        door,
        Options::rpc(&config),
        life.clone(),
    ));
    life.ready();
    House {
        address,
        life,
        metrics,
    }
}

/// A channel to an address.
pub fn channel(address: SocketAddr, metrics: &Metrics) -> Channel {
    channel_by(address, called(), metrics)
}

/// How the feed is called where nothing else is said.
fn called() -> ClientConfig {
    ClientConfig {
        timeout: Duration::from_secs(5),
        ..ClientConfig::default()
    }
}

fn channel_by(address: SocketAddr, config: ClientConfig, metrics: &Metrics) -> Channel {
    let config = ClientConfig {
        endpoints: vec![address.to_string()],
        ..config
    };
    Channel::new("feed", &config, metrics).unwrap()
}

impl Stand {
    /// In this process.
    pub async fn local() -> Self {
        let (feed, events) = feed();
        let (calls, made) = (Metrics::new(), feed.made.clone());
        Self {
            client: FeedClient::local(feed).metrics(&calls),
            events,
            made,
            kind: "local",
            calls,
            house: None,
        }
    }

    /// Over a socket.
    pub async fn remote() -> Self {
        Self::with(RpcConfig::default()).await
    }

    /// Over a socket, with a section `rpc`.
    pub async fn with(config: RpcConfig) -> Self {
        Self::called(config, called()).await
    }

    /// Over a socket, with a section `rpc` and one of `clients`, whose endpoints are filled in.
    pub async fn called(config: RpcConfig, client: ClientConfig) -> Self {
        let (feed, events) = feed();
        let (calls, made) = (Metrics::new(), feed.made.clone());
        let house = open([serve(feed)], config).await;
        let channel = channel_by(house.address, client, &calls);
        Self {
            client: FeedClient::remote(channel).unwrap(),
            events,
            made,
            kind: "remote",
            calls,
            house: Some(house),
        }
    }

    /// The next event; none within five seconds is a failure.
    pub async fn event(&mut self) -> Event {
        tokio::time::timeout(Duration::from_secs(5), self.events.recv())
            .await
            .expect("the work of the call reports nothing")
            .expect("the feed is gone")
    }

    /// That the work is over and its context has ended, in any order, with how; other events
    /// before are passed over.
    pub async fn over(&mut self) -> Error {
        let (mut over, mut ended) = (false, None);
        loop {
            match self.event().await {
                Event::Over => over = true,
                Event::Ended(error) => ended = Some(error),
                Event::Committed(count) => panic!("{count} items were committed"),
                Event::Began | Event::Failed(_) => {}
            }
            if let (true, Some(error)) = (over, &ended) {
                return error.clone();
            }
        }
    }
}
