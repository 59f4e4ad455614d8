//! An API server as far as EndpointSlices go: lists in pages, watches from a version with
//! bookmarks, and the faults of a real one. HTTP by hand, so that it shares no code with the client.

#![expect(
    clippy::unwrap_used,
    reason = "what tests stand on fails them as their assertions do"
)]

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU16, AtomicUsize, Ordering},
    },
};

use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
    sync::watch,
};

/// A pod as an endpoint.
#[derive(Debug, Clone)]
pub struct Pod {
    address: String,
    ready: bool,
    terminating: bool,
}

impl Pod {
    /// It is ready.
    pub fn ready(address: &str) -> Self {
        Self {
            address: address.to_owned(),
            ready: true,
            terminating: false,
        }
    }

    /// It is not ready yet.
    pub fn unready(address: &str) -> Self {
        Self {
            ready: false,
            ..Self::ready(address)
        }
    }

    /// On its way out, as a service with `publishNotReadyAddresses` shows it.
    pub fn terminating(address: &str) -> Self {
        Self {
            terminating: true,
            ..Self::ready(address)
        }
    }
}

/// A slice of the service `trial` with a gRPC and a REST port.
pub fn slice(name: &str, pods: &[Pod]) -> Value {
    slice_on(name, 9102, 8102, pods)
}

/// The same whose pods have these ports.
pub fn slice_on(name: &str, grpc: u16, rest: u16, pods: &[Pod]) -> Value {
    let endpoints: Vec<_> = pods
        .iter()
        .map(|pod| {
            json!({
                "addresses": [pod.address],
                "conditions": {
                    "ready": pod.ready,
                    "serving": true,
                    "terminating": pod.terminating,
                },
                "targetRef": { "kind": "Pod", "name": "trial-0" },
            })
        })
        .collect();
    json!({
        "metadata": { "name": name, "labels": { "kubernetes.io/service-name": "trial" } },
        "addressType": "IPv4",
        "endpoints": endpoints,
        "ports": [
            { "name": "grpc", "port": grpc, "protocol": "TCP" },
            { "name": "rest", "port": rest, "protocol": "TCP" },
        ],
    })
}

/// An API server that knows the slices of the service `trial` in the namespace `cohort`.
#[derive(Clone)]
pub struct ApiServer {
    url: String,
    state: Arc<State>,
}

struct State {
    store: Mutex<Store>,
    /// The version, raised at each change.
    version: watch::Sender<u64>,
    /// Raised when connections are to break, and when watches are to end.
    cuts: watch::Sender<u64>,
    ends: watch::Sender<u64>,
    /// How many watches run.
    watching: watch::Sender<usize>,
    away: AtomicBool,
    status: AtomicU16,
    lists: AtomicUsize,
    token: Mutex<Option<String>>,
}

#[derive(Default)]
struct Store {
    slices: BTreeMap<String, Value>,
    /// What happened, with the version after it.
    log: Vec<(u64, &'static str, Value)>,
    /// Versions before this one are gone.
    oldest: u64,
}

impl ApiServer {
    /// One without slices.
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let state = Arc::new(State {
            store: Mutex::default(),
            version: watch::Sender::new(1),
            cuts: watch::Sender::new(0),
            ends: watch::Sender::new(0),
            watching: watch::Sender::new(0),
            away: AtomicBool::new(false),
            status: AtomicU16::new(200),
            lists: AtomicUsize::new(0),
            token: Mutex::default(),
        });
        let shared = state.clone();
        tokio::spawn(async move {
            loop {
                let (socket, _) = listener.accept().await.unwrap();
                if shared.away.load(Ordering::SeqCst) {
                    continue;
                }
                let state = shared.clone();
                tokio::spawn(async move {
                    let mut cuts = state.cuts.subscribe();
                    tokio::select! {
                        _ = state.serve(socket) => {}
                        _ = cuts.changed() => {}
                    }
                });
            }
        });
        Self { url, state }
    }

    /// Where it is.
    pub fn url(&self) -> String {
        self.url.clone()
    }

    /// Adds a slice, or replaces the one of its name.
    pub fn put(&self, mut slice: Value) {
        let mut store = self.state.store.lock().unwrap();
        self.change(|version| {
            slice["metadata"]["resourceVersion"] = version.to_string().into();
            let name = slice["metadata"]["name"].as_str().unwrap().to_owned();
            let known = store.slices.insert(name, slice.clone()).is_some();
            let kind = if known { "MODIFIED" } else { "ADDED" };
            store.log.push((version, kind, slice));
        });
    }

    /// Takes a slice away.
    pub fn delete(&self, name: &str) {
        let mut store = self.state.store.lock().unwrap();
        self.change(|version| {
            let mut slice = store.slices.remove(name).unwrap();
            slice["metadata"]["resourceVersion"] = version.to_string().into();
            store.log.push((version, "DELETED", slice));
        });
    }

    /// Changes a slice in a way that no watch tells: the versions up to it are gone. Running
    /// watches are told so (`within`), or end so that the next one is refused.
    pub fn expire(&self, within: bool, mut slice: Value) {
        let mut store = self.state.store.lock().unwrap();
        self.change(|version| {
            slice["metadata"]["resourceVersion"] = version.to_string().into();
            let name = slice["metadata"]["name"].as_str().unwrap().to_owned();
            store.slices.insert(name, slice);
            store.oldest = version;
        });
        drop(store);
        if !within {
            self.end_watches();
        }
    }

    fn change(&self, apply: impl FnOnce(u64)) {
        let next = *self.state.version.borrow() + 1;
        apply(next);
        self.state.version.send_replace(next);
    }

    /// Breaks all connections; new ones are closed at once until [`ApiServer::mend`].
    pub fn cut(&self) {
        self.state.away.store(true, Ordering::SeqCst);
        self.state.cuts.send_modify(|cuts| *cuts += 1);
    }

    /// Answers this status to everything until [`ApiServer::mend`], and breaks what runs.
    pub fn fail(&self, status: u16) {
        self.state.away.store(false, Ordering::SeqCst);
        self.state.status.store(status, Ordering::SeqCst);
        self.state.cuts.send_modify(|cuts| *cuts += 1);
    }

    /// Answers again.
    pub fn mend(&self) {
        self.state.status.store(200, Ordering::SeqCst);
        self.state.away.store(false, Ordering::SeqCst);
    }

    /// Ends all watches as a server does when their time is over.
    pub fn end_watches(&self) {
        self.state.ends.send_modify(|ends| *ends += 1);
    }

    /// Resolves when a watch runs.
    pub async fn watched(&self) {
        let mut watching = self.state.watching.subscribe();
        watching.wait_for(|watching| *watching > 0).await.unwrap();
    }

    /// Refuses whoever shows another token.
    pub fn ask_for(&self, token: &str) {
        *self.state.token.lock().unwrap() = Some(format!("Bearer {token}"));
    }

    /// How many pages of lists were asked for.
    pub fn lists(&self) -> usize {
        self.state.lists.load(Ordering::SeqCst)
    }
}

impl State {
    async fn serve(&self, socket: TcpStream) -> std::io::Result<()> {
        let mut socket = BufReader::new(socket);
        let (mut target, mut token) = (String::new(), None);
        loop {
            let mut line = String::new();
            if socket.read_line(&mut line).await? == 0 {
                // The client left before it asked.
                return Ok(());
            }
            match line.trim_end().split_once(' ') {
                Some(("GET", rest)) => rest.split(' ').next().unwrap().clone_into(&mut target),
                Some((name, value)) if name.eq_ignore_ascii_case("authorization:") => {
                    token = Some(value.to_owned());
                }
                Some(_) => {}
                None => break,
            }
        }
        let mut socket = socket.into_inner();
        let wanted = self.token.lock().unwrap().clone();
        if wanted.is_some() && wanted != token {
            return answer(&mut socket, 401, &json!({})).await;
        }
        let (path, query) = target.split_once('?').unwrap();
        assert_eq!(
            path,
            "/apis/discovery.k8s.io/v1/namespaces/cohort/endpointslices"
        );
        let query: BTreeMap<_, _> = query
            .split('&')
            .filter_map(|pair| pair.split_once('='))
            .collect();
        assert_eq!(
            query["labelSelector"],
            "kubernetes.io%2Fservice-name%3Dtrial"
        );
        let status = self.status.load(Ordering::SeqCst);
        if status != 200 {
            return answer(&mut socket, status, &json!({})).await;
        }
        match query.get("resourceVersion") {
            Some(version) => {
                assert_eq!(query["allowWatchBookmarks"], "true");
                self.watch(&mut socket, version.parse().unwrap()).await
            }
            None => self.list(&mut socket, &query).await,
        }
    }

    async fn list(
        &self,
        socket: &mut TcpStream,
        query: &BTreeMap<&str, &str>,
    ) -> std::io::Result<()> {
        self.lists.fetch_add(1, Ordering::SeqCst);
        let (limit, from): (usize, usize) = (
            query["limit"].parse().unwrap(),
            // The token has a character that must be escaped.
            query
                .get("continue")
                .map_or(0, |text| text.trim_start_matches("at%2F").parse().unwrap()),
        );
        let page = {
            let store = self.store.lock().unwrap();
            let items: Vec<_> = store
                .slices
                .values()
                .skip(from)
                .take(limit)
                .cloned()
                .collect();
            let more = from + items.len() < store.slices.len();
            let proceed = if more {
                format!("at/{}", from + limit)
            } else {
                String::new()
            };
            let version = self.version.borrow().to_string();
            json!({
                "kind": "EndpointSliceList",
                "metadata": { "resourceVersion": version, "continue": proceed },
                "items": items,
            })
        };
        answer(socket, 200, &page).await
    }

    async fn watch(&self, socket: &mut TcpStream, mut from: u64) -> std::io::Result<()> {
        let (mut version, mut ends) = (self.version.subscribe(), self.ends.subscribe());
        if from < self.store.lock().unwrap().oldest {
            return answer(socket, 410, &json!({ "kind": "Status", "code": 410 })).await;
        }
        socket
            .write_all(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n")
            .await?;
        self.watching.send_modify(|watching| *watching += 1);
        let _running = Running(self);
        loop {
            version.borrow_and_update();
            let (gone, news) = {
                let store = self.store.lock().unwrap();
                let news: Vec<_> = store
                    .log
                    .iter()
                    .filter(|entry| entry.0 > from)
                    .cloned()
                    .collect();
                (from < store.oldest, news)
            };
            if gone {
                let status = json!({ "kind": "Status", "code": 410, "reason": "Expired" });
                line(socket, &json!({ "type": "ERROR", "object": status })).await?;
                return socket.write_all(b"0\r\n\r\n").await;
            }
            for (at, kind, object) in news {
                from = at;
                line(socket, &json!({ "type": kind, "object": object })).await?;
            }
            let bookmark = json!({ "kind": "EndpointSlice", "metadata": { "resourceVersion": from.to_string() } });
            line(socket, &json!({ "type": "BOOKMARK", "object": bookmark })).await?;
            tokio::select! {
                _ = version.changed() => {}
                _ = ends.changed() => return socket.write_all(b"0\r\n\r\n").await,
            }
        }
    }
}

struct Running<'a>(&'a State);

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.watching.send_modify(|watching| *watching -= 1);
    }
}

async fn answer(socket: &mut TcpStream, status: u16, body: &Value) -> std::io::Result<()> {
    let body = body.to_string();
    let head = format!(
        "HTTP/1.1 {status} X\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    socket.write_all(head.as_bytes()).await?;
    socket.write_all(body.as_bytes()).await
}

/// One event as a chunk, cut in two in the middle of the line, as a network may.
async fn line(socket: &mut TcpStream, event: &Value) -> std::io::Result<()> {
    let text = format!("{event}\n");
    let (first, second) = text.split_at(text.len() / 2);
    for part in [first, second] {
        let chunk = format!("{:x}\r\n{part}\r\n", part.len());
        socket.write_all(chunk.as_bytes()).await?;
    }
    Ok(())
}
