//! Stacks as they were taken: addresses without names.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use crate::{image::Image, label::Label};

/// Where a thread was, and for whom.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(crate) struct Stack {
    /// The number of the thread's name in [`Taken::threads`].
    pub(crate) thread: usize,
    pub(crate) label: Label,
    /// Leaf first; addresses within the calling instruction.
    pub(crate) frames: Box<[u64]>,
}

/// The samples of one session.
#[derive(Debug)]
pub(crate) struct Taken {
    pub(crate) began: SystemTime,
    pub(crate) duration: Duration,
    /// CPU time between two samples of a thread.
    pub(crate) period: Duration,
    /// Each with the number of periods that it stands for.
    pub(crate) stacks: Vec<(Arc<Stack>, u64)>,
    pub(crate) threads: Vec<String>,
    pub(crate) threads_seen: usize,
    /// Threads that got no timer.
    pub(crate) threads_missed: usize,
    /// Periods whose samples were lost for want of room.
    pub(crate) lost: u64,
    pub(crate) images: Vec<Arc<Image>>,
}

/// Where a thread is at this moment.
#[derive(Debug)]
pub(crate) struct ThreadStack {
    pub(crate) tid: i32,
    pub(crate) name: String,
    /// By the letter of the kernel: `R` running, `S` sleeping, `D` in the kernel.
    pub(crate) state: char,
    pub(crate) label: Label,
    /// Leaf first; empty for a thread that did not answer.
    pub(crate) frames: Vec<u64>,
}
