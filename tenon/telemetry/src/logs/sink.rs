//! Where lines go: into a buffer of bounded size, from which one thread writes them, so that a
//! terminal, a pipe or a disk that stalls never holds a request. What does not fit is dropped and
//! counted.

use std::{
    io::{self, Write},
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use tracing_subscriber::fmt::MakeWriter;

use super::gate::Gate;

/// How many bytes wait at most: ten thousand lines, a tenth of a second of a loaded service, and
/// a size that nobody misses.
const BYTES_MAX: usize = 4 << 20;

/// How long the writer gathers lines after the first: waking a thread costs more than a line.
const GATHER: Duration = Duration::from_millis(2);

/// How often the writer looks after its file and tells of lines that were not written.
const TICK: Duration = Duration::from_secs(1);

/// What the writer writes to.
pub(super) trait Output: Send {
    /// Writes whole lines.
    fn write(&mut self, lines: &[u8]) -> io::Result<()>;

    /// Called each second.
    fn tick(&mut self) {}
}

/// Standard error.
pub(super) struct StandardError;

impl Output for StandardError {
    fn write(&mut self, lines: &[u8]) -> io::Result<()> {
        io::stderr().lock().write_all(lines)
    }
}

/// The way into the buffer. Cheap to clone: all clones are one.
#[derive(Clone)]
pub(super) struct Sink {
    shared: Arc<Shared>,
}

struct Shared {
    state: Mutex<State>,
    /// Lines wait.
    filled: Condvar,
    /// Everything is written.
    emptied: Condvar,
    dropped: AtomicU64,
    bytes_max: usize,
}

#[derive(Default)]
struct State {
    waiting: Vec<u8>,
    is_idle: bool,
    is_writing: bool,
}

impl Sink {
    /// Starts the thread that writes to `output`.
    pub(super) fn start(output: impl Output + 'static, gate: Gate) -> io::Result<Self> {
        Self::with_size(output, gate, BYTES_MAX)
    }

    fn with_size(output: impl Output + 'static, gate: Gate, bytes_max: usize) -> io::Result<Self> {
        let shared = Arc::new(Shared {
            state: Mutex::default(),
            filled: Condvar::new(),
            emptied: Condvar::new(),
            dropped: AtomicU64::new(0),
            bytes_max,
        });
        let writer = Writer {
            shared: shared.clone(),
            output,
            gate,
            told: 0,
            ticked: Instant::now(),
        };
        thread::Builder::new()
            .name("log".to_owned())
            .spawn(move || writer.run())?;
        Ok(Self { shared })
    }

    /// Lines that were dropped since the start.
    pub(super) fn dropped(&self) -> u64 {
        self.shared.dropped.load(Ordering::Relaxed)
    }

    /// Waits until everything that was logged so far is written, and `patience` at most.
    pub(super) fn flush(&self, patience: Duration) {
        let state = self.shared.lock();
        let busy = |state: &mut State| state.is_writing || !state.waiting.is_empty();
        // Whether it got there or not, there is nothing more to be done.
        let _ = self
            .shared
            .emptied
            .wait_timeout_while(state, patience, busy);
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One line on its way: the formatter writes it in one piece.
impl Write for Sink {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let mut state = self.shared.lock();
        if state.waiting.len() + line.len() > self.shared.bytes_max {
            self.shared.dropped.fetch_add(1, Ordering::Relaxed);
            return Ok(line.len());
        }
        state.waiting.extend_from_slice(line);
        if state.is_idle {
            state.is_idle = false;
            self.shared.filled.notify_one();
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Sink {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

/// The thread that writes.
struct Writer<O> {
    shared: Arc<Shared>,
    output: O,
    gate: Gate,
    /// Dropped lines that the log knows of.
    told: u64,
    ticked: Instant,
}

impl<O: Output> Writer<O> {
    /// Runs as long as the process.
    fn run(mut self) {
        let mut lines = Vec::new();
        loop {
            if self.wait() {
                thread::sleep(GATHER);
                self.take(&mut lines);
                if self.output.write(&lines).is_err() {
                    let lost = lines.iter().filter(|byte| **byte == b'\n').count();
                    let lost = u64::try_from(lost).unwrap_or(u64::MAX);
                    self.shared.dropped.fetch_add(lost, Ordering::Relaxed);
                }
                lines.clear();
                self.shared.lock().is_writing = false;
                self.shared.emptied.notify_all();
            }
            if self.ticked.elapsed() >= TICK {
                self.ticked = Instant::now();
                self.output.tick();
                self.tell();
            }
        }
    }

    /// Waits for lines, and for the next tick at most. Whether there are lines.
    fn wait(&self) -> bool {
        let mut state = self.shared.lock();
        if state.waiting.is_empty() {
            state.is_idle = true;
            let empty = |state: &mut State| state.waiting.is_empty();
            let waited = self.shared.filled.wait_timeout_while(state, TICK, empty);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
            state.is_idle = false;
        }
        !state.waiting.is_empty()
    }

    fn take(&self, lines: &mut Vec<u8>) {
        let mut state = self.shared.lock();
        std::mem::swap(&mut state.waiting, lines);
        state.is_writing = true;
    }

    /// Writes how many lines are missing.
    fn tell(&mut self) {
        let dropped = self.shared.dropped.load(Ordering::Relaxed);
        let count = dropped - self.told;
        if count > 0 {
            self.told = dropped;
            tracing::warn!(target: "log", count, "lines were dropped: the log could not be written as fast as it was made");
        }
        for repeated in self.gate.repeated() {
            tracing::warn!(
                target: "log",
                place = %format_args!("{}:{}", repeated.file, repeated.line),
                count = repeated.count,
                "repeated lines were not written; log.repeatsMax says how many of one place are"
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use tenon_core::config::LogLevel;

    use super::*;

    /// Stands still until it is let go.
    struct Stalled {
        go: mpsc::Receiver<()>,
        written: mpsc::Sender<Vec<u8>>,
    }

    impl Output for Stalled {
        fn write(&mut self, lines: &[u8]) -> io::Result<()> {
            self.go.recv().map_err(io::Error::other)?;
            self.written.send(lines.to_vec()).map_err(io::Error::other)
        }
    }

    #[test]
    fn an_output_that_stands_still_costs_lines_and_never_waits() {
        let (go, wait) = mpsc::channel();
        let (written, written_by_it) = mpsc::channel();
        let output = Stalled { go: wait, written };
        let gate = Gate::new(LogLevel::Info, 0);
        let mut sink = Sink::with_size(output, gate, 100).unwrap();
        // None of these waits, or the test would never end.
        for _ in 0..1000 {
            sink.write_all(b"0123456789\n").unwrap();
        }
        let dropped = sink.dropped();
        assert!(dropped >= 1000 - 2 * 9, "{dropped}");
        for _ in 0..3 {
            go.send(()).unwrap();
        }
        sink.flush(Duration::from_secs(60));
        let lines = written_by_it.try_iter().flatten();
        let lines = lines.filter(|byte| *byte == b'\n').count();
        assert_eq!(u64::try_from(lines).unwrap() + sink.dropped(), 1000);
    }

    #[test]
    fn an_output_that_fails_costs_lines() {
        struct Failing;
        impl Output for Failing {
            fn write(&mut self, _: &[u8]) -> io::Result<()> {
                Err(io::ErrorKind::StorageFull.into())
            }
        }
        let mut sink = Sink::start(Failing, Gate::new(LogLevel::Info, 0)).unwrap();
        sink.write_all(b"one\n").unwrap();
        sink.write_all(b"two\n").unwrap();
        sink.flush(Duration::from_secs(60));
        assert_eq!(sink.dropped(), 2);
    }
}
