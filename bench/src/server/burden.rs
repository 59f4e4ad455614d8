//! The generated routes, with a millisecond of CPU behind the door of each.

use std::{
    hint::black_box,
    path::Path,
    sync::{Arc, OnceLock},
    time::{Duration, Instant},
};

use tenon::{
    Context, Result, SystemClock,
    auth::Verifier,
    rest::{Door, Middleware, Next, Request, Response},
    telemetry::Metrics,
};

/// What each request costs: about a durable submission over the network, or a small report.
const COST: Duration = Duration::from_millis(1);

pub(super) fn door(keys: &Path) -> anyhow::Result<::axum::Router> {
    let context = ward::ServiceContext::default();
    let routes = ward_contract::rest::routes(ward::doors::rest::RestDoor(context));
    let verifier = Verifier::new(&super::auth_config(keys), Arc::new(SystemClock))?;
    let door = Door::new("ward", super::rest_config(), routes)
        .verifier(verifier)
        .rules(ward::rules())
        .metrics(Metrics::new())
        .layer(Middleware::from_fn(burden));
    Ok(tenon::rest::with_fallbacks(door.router()?))
}

/// A fixed number of steps and no fixed time: who shares the machine makes them slower.
async fn burden(cx: Context, request: Request, next: Next) -> Result<Response> {
    static STEPS: OnceLock<u64> = OnceLock::new();
    work(*STEPS.get_or_init(steps));
    next.run(cx, request).await
}

/// How many steps last [`COST`] on a processor that does nothing else.
fn steps() -> u64 {
    const TRIAL: u64 = 1_000_000;
    let fastest = (0..20).map(|_| {
        let began = Instant::now();
        work(TRIAL);
        began.elapsed()
    });
    let fastest = fastest.min().unwrap_or(COST).as_secs_f64();
    (TRIAL as f64 * COST.as_secs_f64() / fastest) as u64
}

fn work(steps: u64) {
    let mut number: u64 = 0x9e37_79b9_7f4a_7c15;
    for _ in 0..steps {
        number ^= number << 13;
        number ^= number >> 7;
        number ^= number << 17;
        number = black_box(number);
    }
}
