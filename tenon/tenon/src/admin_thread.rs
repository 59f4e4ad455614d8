//! The admin server on a thread of its own: it answers, and profiles, while every worker of the
//! process is stuck, which is when it is needed most.

use std::{future::Future, io, thread};

use tenon_core::{Error, Lifecycle};
use tenon_net::Options;
use tokio::{net::TcpListener, runtime, sync::oneshot};

use crate::process::{Probe, Work};

/// Serves until the process drains, or the future that comes back is dropped.
///
/// # Errors
/// The thread cannot be started.
pub(crate) fn serve(
    listener: TcpListener,
    router: tenon_rest::axum::Router,
    options: Options,
    life: Lifecycle,
) -> io::Result<impl Future<Output = io::Result<()>> + Send + 'static> {
    // Out of the hands of this runtime, whose workers may be stuck.
    let listener = listener.into_std()?;
    let (ended, outcome) = oneshot::channel();
    let (held, dropped) = oneshot::channel::<()>();
    let thread = thread::Builder::new().name("admin".to_owned());
    thread.spawn(move || {
        // Nobody to tell is a process that was dropped.
        let _ = ended.send(run(listener, router, options, life, dropped));
    })?;
    Ok(async move {
        let _held = held;
        let ended = outcome.await;
        ended.unwrap_or_else(|_| Err(io::Error::other("the thread of the admin server panicked")))
    })
}

fn run(
    listener: std::net::TcpListener,
    router: tenon_rest::axum::Router,
    options: Options,
    life: Lifecycle,
    dropped: oneshot::Receiver<()>,
) -> io::Result<()> {
    let runtime = runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let listener = TcpListener::from_std(listener)?;
        tokio::select! {
            served = tenon_net::serve(listener, router, options, life) => served,
            _ = dropped => Ok(()),
        }
    })
}

/// A probe that is asked from that thread but runs on the workers of the process, where the
/// connections that it uses belong. While they are stuck it does not answer, and the process is
/// not ready.
pub(crate) fn on_workers(probe: Probe) -> impl Fn() -> Work + Send + Sync + 'static {
    let workers = runtime::Handle::current();
    move || {
        let running = workers.spawn(probe());
        Box::pin(async move {
            let outcome = running.await;
            outcome.unwrap_or_else(|_| Err(Error::internal("ask a probe", "it panicked")))
        }) as Work
    }
}

#[cfg(test)]
mod tests {
    use std::{
        io::{Read, Write},
        net::{SocketAddr, TcpStream},
        sync::mpsc,
    };

    use tenon_core::config::{AdminConfig, ProfilingConfig};

    use crate::{Process, Runtime};

    fn get(address: SocketAddr, path: &str) -> String {
        let mut stream = TcpStream::connect(address).unwrap();
        let request =
            format!("GET {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }

    #[test]
    fn it_answers_while_every_worker_is_stuck() {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("worker")
            .enable_all()
            .build()
            .unwrap();
        let config = AdminConfig {
            listen: "127.0.0.1:0".parse().unwrap(),
            profiling: ProfilingConfig::default(),
            ..AdminConfig::default()
        };
        let process = Process::new(Runtime::default())
            .admin(config)
            .probe("store", || async { Ok(()) });
        let running = runtime.block_on(process.start()).unwrap();
        let address = running.address("admin").unwrap();
        let (release, released) = mpsc::channel::<()>();
        let (stuck, is_stuck) = mpsc::channel();
        runtime.spawn(async move {
            stuck.send(()).unwrap();
            // Blocks the only worker, as code that waits for a lock does.
            let _ = released.recv();
        });
        is_stuck.recv().unwrap();
        assert!(get(address, "/healthz").starts_with("HTTP/1.1 200"));
        assert!(get(address, "/readyz").starts_with("HTTP/1.1 503"));
        if cfg!(all(
            target_os = "linux",
            any(target_arch = "x86_64", target_arch = "aarch64")
        )) {
            let threads = get(address, "/debug/pprof/goroutine?debug=2");
            assert!(threads.contains("\"worker\" [sleeping]"), "{threads}");
            assert!(
                threads.contains("it_answers_while_every_worker_is_stuck"),
                "{threads}"
            );
        }
        release.send(()).unwrap();
        drop(running);
    }
}
