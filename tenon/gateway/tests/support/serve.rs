//! A server on a free port of this machine, for as long as the test runs.

use std::net::SocketAddr;

use axum::Router;
use tenon_core::Lifecycle;
use tenon_net::Options;

pub(crate) async fn serve(router: Router) -> SocketAddr {
    let address = "127.0.0.1:0".parse().unwrap();
    let listener = tenon_net::bind(address, "rest.listen").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(tenon_net::serve(
        listener,
        router,
        Options::admin(),
        Lifecycle::new(),
    ));
    address
}
