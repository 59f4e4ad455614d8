//! In place of the sampler on systems and processors that it does not know.

use std::sync::Arc;

use crate::{
    image::Image,
    refusal::Refusal,
    stacks::{Taken, ThreadStack},
};

/// The name of threads that make profiles.
pub(crate) const OWN_THREAD: &str = "pprof";

/// There is none.
#[derive(Debug)]
pub(crate) enum Session {}

impl Session {
    pub(crate) fn start(_hz: u32) -> Result<Self, Refusal> {
        Err(Refusal::Elsewhere)
    }

    pub(crate) fn finish(self) -> Option<Taken> {
        match self {}
    }
}

pub(crate) fn where_threads_are() -> Result<(Vec<ThreadStack>, Vec<Arc<Image>>), Refusal> {
    Err(Refusal::Elsewhere)
}

pub(crate) fn images() -> Vec<Arc<Image>> {
    Vec::new()
}

pub(crate) fn thread_count() -> usize {
    0
}
