//! Ports for programs that must be told one, and come back on it after they were killed.

use std::{
    net::TcpListener,
    process,
    sync::atomic::{AtomicU16, Ordering},
};

/// Below 32768, where Linux begins to give ports to outgoing connections, and above those that
/// packages of a distribution listen on.
const FIRST: u16 = 20_000;
const COUNT: u16 = 12_000;

/// A port of 127.0.0.1 that nobody listens on, and that the system gives to nobody by itself.
///
/// A port that was bound as port 0 and let go of may be given to any connection of the machine
/// a moment later: the program that was meant to have it, or to have it again, then cannot start.
///
/// # Panics
/// When all of them are taken.
#[must_use]
pub fn fixed_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    // Test programs that run side by side begin at different places.
    let own = u16::try_from(process::id() % u32::from(COUNT)).unwrap_or(0);
    for _ in 0..COUNT {
        let turn = NEXT.fetch_add(1, Ordering::Relaxed);
        let port = FIRST + (own.wrapping_mul(61).wrapping_add(turn)) % COUNT;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
    panic!("no port of 127.0.0.1 is free from {FIRST} on");
}
