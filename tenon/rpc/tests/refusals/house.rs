//! A feed that holds, fails and answers as the text of a call says, behind a door with a section
//! `rpc`, and callers of each of its methods.

use std::{
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use http::{HeaderMap, HeaderName, HeaderValue};
use tenon_auth::Verifier;
use tenon_core::{
    Context, Lifecycle, Messages, Result, SystemClock, catalogue,
    config::{AuthConfig, ClientConfig, RetryConfig, RpcConfig},
};
use tenon_net::Options;
use tenon_rpc::{Channel, Criticality, Door, Method, Metrics, Server, Service};
use tokio::sync::Semaphore;

use crate::feed::{FeedClient, FeedService, Item, serve};

const SECRET: &str = "0123456789abcdef0123456789abcdef";

/// What a caller could try: none of it may change how it is treated.
pub fn hostile() -> HeaderMap {
    let headers = [
        ("x-forwarded-for", "203.0.113.9"),
        ("x-real-ip", "203.0.113.9"),
        ("forwarded", "for=203.0.113.9"),
        ("tenon-criticality", "critical"),
        ("criticality", "critical"),
        ("priority", "u=0"),
        ("grpc-previous-rpc-attempts", "1"),
        ("grpc-retry-pushback-ms", "0"),
        ("x-retry", "true"),
        ("baggage", "criticality=critical"),
    ];
    let headers = headers.map(|(name, value)| {
        let name = HeaderName::from_static(name);
        (name, HeaderValue::from_static(value))
    });
    headers.into_iter().collect()
}

/// A section `rpc`.
pub fn config(text: &str) -> RpcConfig {
    match text {
        "" => RpcConfig::default(),
        text => tenon_core::config::parse(text, "etc/test.yaml".as_ref()).unwrap(),
    }
}

/// A message that says how the call is to be treated.
pub fn item(text: &str) -> Item {
    Item {
        number: 1,
        text: text.to_owned(),
    }
}

/// A token of this subject.
pub fn token(subject: &str) -> String {
    let claims = serde_json::json!({"sub": subject, "exp": 4_102_444_800_u64});
    let key = jsonwebtoken::EncodingKey::from_secret(SECRET.as_bytes());
    let header = jsonwebtoken::Header::new(jsonwebtoken::Algorithm::HS256);
    jsonwebtoken::encode(&header, &claims, &key).unwrap()
}

fn verifier() -> Option<Arc<Verifier>> {
    let config = AuthConfig {
        access_secret: Some(SECRET.to_owned().into()),
        ..AuthConfig::default()
    };
    Verifier::new(&config, Arc::new(SystemClock)).unwrap()
}

/// A method of the feed, by what streams.
#[derive(Debug, Clone, Copy)]
pub enum Shape {
    /// Nothing.
    One,
    /// The answer.
    List,
    /// The request.
    Import,
    /// Both.
    Sync,
}

impl Shape {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::One, Self::List, Self::Import, Self::Sync];

    /// The name of the method.
    pub fn name(self) -> &'static str {
        match self {
            Self::One => "one",
            Self::List => "list",
            Self::Import => "import",
            Self::Sync => "sync",
        }
    }

    /// Calls it, and takes all of its answer.
    pub async fn call(self, client: &FeedClient, cx: &Context, text: &str) -> Result<()> {
        let (one, many) = (item(text), Messages::list([item(text)]));
        match self {
            Self::One => client.one(cx, one).await.map(|_| ()),
            Self::Import => client.import(cx, many).await.map(|_| ()),
            Self::List => client.list(cx, one).await?.collect(9).await.map(|_| ()),
            Self::Sync => client.sync(cx, many).await?.collect(9).await.map(|_| ()),
        }
    }
}

struct Feed {
    entered: Arc<Semaphore>,
}

impl Feed {
    async fn one_of(&self, text: &str) -> Result<Item> {
        match text {
            "hold" => {
                self.entered.add_permits(1);
                std::future::pending().await
            }
            "fail" | "break" => Err(catalogue::UNAVAILABLE.error()),
            _ => Ok(item("done")),
        }
    }

    fn many_of(&self, text: String) -> Result<Messages<Item>> {
        if text == "fail" {
            return Err(catalogue::UNAVAILABLE.error());
        }
        let entered = self.entered.clone();
        Ok(Messages::produce(async move |out| {
            if text == "break" {
                return Err(catalogue::UNAVAILABLE.error());
            }
            out.send(item("first")).await?;
            if text == "hold" {
                entered.add_permits(1);
                std::future::pending::<()>().await;
            }
            Ok(())
        }))
    }
}

async fn text_of(mut requests: Messages<Item>) -> Result<String> {
    let first = requests.try_next().await?;
    Ok(first.map_or_else(String::new, |item| item.text))
}

impl FeedService for Feed {
    async fn one(&self, _: &Context, req: Item) -> Result<Item> {
        self.one_of(&req.text).await
    }

    async fn list(&self, _: &Context, req: Item) -> Result<Messages<Item>> {
        self.many_of(req.text)
    }

    async fn import(&self, _: &Context, req: Messages<Item>) -> Result<Item> {
        self.one_of(&text_of(req).await?).await
    }

    async fn sync(&self, _: &Context, req: Messages<Item>) -> Result<Messages<Item>> {
        self.many_of(text_of(req).await?)
    }
}

/// A served feed; it ends when this is dropped.
pub struct House {
    /// Calls it: once, and with nothing that would refuse a call on this side.
    pub client: FeedClient,
    /// The same for other services of the house.
    pub channel: Channel,
    /// Where it listens.
    pub address: SocketAddr,
    /// What the door counts.
    pub metrics: Metrics,
    /// A permit for each call that was told to hold, once it does.
    pub entered: Arc<Semaphore>,
    life: Lifecycle,
}

impl Drop for House {
    fn drop(&mut self) {
        self.life.kill();
    }
}

impl House {
    /// A feed with a section `rpc`.
    pub async fn open(config: RpcConfig) -> Self {
        let entered = Arc::new(Semaphore::new(0));
        let server = Server::new("feed", config.clone())
            .verifier(verifier())
            .service(serve(Feed {
                entered: entered.clone(),
            }));
        let mut house = Self::serve(server, &config).await;
        house.entered = entered;
        house
    }

    /// A server with services of its own.
    pub async fn serve(server: Server, config: &RpcConfig) -> Self {
        let (life, metrics) = (Lifecycle::new(), Metrics::new());
        let server = server.metrics(&metrics).lifecycle(&life);
        let door = server.into_service().unwrap();
        let listen = "127.0.0.1:0".parse().unwrap();
        let listener = tenon_net::bind(listen, "rpc.listen").await.unwrap();
        let address = listener.local_addr().unwrap();
        let options = Options::rpc(config);
        tokio::spawn(tenon_net::serve(listener, door, options, life.clone()));
        life.ready();
        let channel = channel(address);
        Self {
            client: FeedClient::remote(channel.clone()).unwrap(),
            channel,
            address,
            metrics,
            entered: Arc::new(Semaphore::new(0)),
            life,
        }
    }
}

/// A connection of its own that refuses no call itself.
pub fn channel(address: SocketAddr) -> Channel {
    let config = ClientConfig {
        breaker: false,
        adaptive_limit: false,
        retry: RetryConfig {
            attempts: 1,
            ..RetryConfig::default()
        },
        ..ClientConfig::to([address.to_string()])
    };
    Channel::new("feed", &config, &Metrics::new()).unwrap()
}

/// Answers with the class that its call has, and holds those that say so.
pub struct Classes {
    entered: Arc<Semaphore>,
}

/// `rpc critical`
pub static CRITICAL: Method =
    Method::new("/test.Classes/critical").criticality(Criticality::Critical);
/// `rpc normal`
pub static NORMAL: Method = Method::new("/test.Classes/normal");
/// `rpc sheddable`
pub static SHEDDABLE: Method =
    Method::new("/test.Classes/sheddable").criticality(Criticality::Sheddable);

impl Classes {
    /// The service, and a permit for each call that it holds.
    pub fn service() -> (Service, Arc<Semaphore>) {
        let entered = Arc::new(Semaphore::new(0));
        let classes = Self {
            entered: entered.clone(),
        };
        let mut service = Service::builder("test.Classes", classes);
        for method in [&CRITICAL, &NORMAL, &SHEDDABLE] {
            service = service.unary(method, |classes, cx, text: String| async move {
                match text.as_str() {
                    "hold" => {
                        classes.entered.add_permits(1);
                        std::future::pending::<()>().await;
                    }
                    "compute" => compute(),
                    _ => {}
                }
                let class = cx.value::<Criticality>();
                Ok(class.map_or_else(String::new, |class| class.to_string()))
            });
        }
        (service.build(), entered)
    }
}

/// Keeps the thread for five milliseconds, as a report does.
fn compute() {
    let began = Instant::now();
    while began.elapsed() < Duration::from_millis(5) {
        std::hint::spin_loop();
    }
}

/// A door that is called in this process, where time can be stopped.
pub struct Indoors {
    /// The door.
    pub door: Door,
    /// What it counts.
    pub metrics: Metrics,
    /// As that of a [`House`].
    pub entered: Arc<Semaphore>,
}

impl Indoors {
    /// A feed with a section `rpc`.
    pub fn new(config: RpcConfig) -> Self {
        let (entered, metrics) = (Arc::new(Semaphore::new(0)), Metrics::new());
        let door = Server::new("feed", config)
            .metrics(&metrics)
            .service(serve(Feed {
                entered: entered.clone(),
            }))
            .into_service()
            .unwrap();
        Self {
            door,
            metrics,
            entered,
        }
    }
}
