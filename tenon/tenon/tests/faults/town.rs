//! Two services, and a network between them that breaks on demand: `front` answers over REST and
//! asks `back` over gRPC.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use tenon::{
    App, Context, Error, Json, Process, Request, Runtime, Service, catalogue,
    config::{ClientConfig, RestConfig, RpcConfig},
    rpc::{self, Channel, Method},
};
use tenon_test::FaultProxy;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

/// How long a request of the front may take.
pub(crate) const PATIENCE: Duration = Duration::from_millis(500);

static ANSWER: Method = Method::new("/back.BackService/answer").idempotent();
static FAIL: Method = Method::new("/back.BackService/fail").idempotent();

/// The services, and what stands between them.
pub(crate) struct Town {
    pub(crate) network: FaultProxy,
    pub(crate) front: SocketAddr,
    /// How often `fail` was asked.
    pub(crate) failed: Arc<AtomicUsize>,
    _running: [tenon::Running; 2],
}

impl Town {
    pub(crate) async fn build() -> Self {
        let failed = Arc::new(AtomicUsize::new(0));
        let back = back(failed.clone()).await;
        let network = FaultProxy::to(back.address("back.rpc").unwrap(), 1)
            .await
            .unwrap();
        let front = front(network.address()).await;
        Self {
            network,
            front: front.address("front.rest").unwrap(),
            failed,
            _running: [back, front],
        }
    }

    /// Asks the front once.
    pub(crate) async fn ask(&self, path: &str) -> Answer {
        ask(self.front, path).await
    }

    /// Asks many times at once.
    pub(crate) async fn ask_all(&self, path: &'static str, count: usize) -> Vec<Answer> {
        let front = self.front;
        let asked: Vec<_> = (0..count).map(|_| tokio::spawn(ask(front, path))).collect();
        let mut answers = Vec::with_capacity(count);
        for answer in asked {
            answers.push(answer.await.unwrap());
        }
        answers
    }
}

/// What came back, and after how long.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) text: String,
    pub(crate) elapsed: Duration,
}

/// The time within which 99 of 100 were answered.
pub(crate) fn p99(answers: &[Answer]) -> Duration {
    let mut times: Vec<_> = answers.iter().map(|answer| answer.elapsed).collect();
    times.sort_unstable();
    times[(times.len() * 99 / 100).min(times.len() - 1)]
}

pub(crate) async fn ask(front: SocketAddr, path: &str) -> Answer {
    let started = Instant::now();
    let mut socket = TcpStream::connect(front).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nhost: front\r\nconnection: close\r\n\r\n");
    socket.write_all(request.as_bytes()).await.unwrap();
    let mut text = String::new();
    socket.read_to_string(&mut text).await.unwrap();
    let status = text.get(9..12).and_then(|status| status.parse().ok());
    Answer {
        status: status.unwrap_or(0),
        text,
        elapsed: started.elapsed(),
    }
}

fn any() -> SocketAddr {
    ([127, 0, 0, 1], 0).into()
}

async fn back(failed: Arc<AtomicUsize>) -> tenon::Running {
    let service = rpc::Service::builder("back.BackService", failed)
        .unary(&ANSWER, |_, _, name: String| async move {
            Ok(format!("hello, {name}"))
        })
        .unary(&FAIL, |failed, _, _: String| {
            failed.fetch_add(1, Ordering::SeqCst);
            async { Err::<String, Error>(catalogue::UNAVAILABLE.error()) }
        })
        .build();
    let config = RpcConfig {
        listen: any(),
        ..RpcConfig::default()
    };
    run(
        Service::new("back").rpc(config, service),
        Runtime::default(),
    )
    .await
}

async fn front(back: SocketAddr) -> tenon::Running {
    let runtime = Runtime::default();
    let config = ClientConfig::to([back.to_string()]);
    let channel = Channel::new("back", &config, &runtime.metrics).unwrap();
    let app = App::new("front");
    app.group("")
        .get("/ask", asking(channel.clone(), &ANSWER))
        .get("/fail", asking(channel, &FAIL))
        .get("/well", |_, _| async { Ok(Json::from("well")) });
    let config = RestConfig {
        listen: any(),
        timeout: PATIENCE,
        ..RestConfig::default()
    };
    run(app.service(config), runtime).await
}

/// A route that asks the back.
fn asking(
    channel: Channel,
    method: &'static Method,
) -> impl Fn(Context, Request) -> rpc::BoxFuture<'static, tenon::Result<Json>> {
    move |cx, _| {
        let channel = channel.clone();
        Box::pin(async move {
            let answer: String = channel.unary(&cx, method, "front".to_owned()).await?;
            Ok(Json::from(answer))
        })
    }
}

async fn run(service: Service, runtime: Runtime) -> tenon::Running {
    let open = service.open(&runtime).unwrap();
    let process = open.serve(Process::new(runtime)).unwrap();
    process.start().await.unwrap()
}
