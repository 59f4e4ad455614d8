//! What the signal handler may look at: how to unwind the code that is loaded, and where stacks
//! are. Made anew when code is loaded or a thread comes, never changed.

use std::{fs, io, ops::Range};

use framehop::{MustNotAllocateDuringUnwind, UnwinderNative};

use super::{loaded::Section, signal, threads};

pub(super) type StackUnwinder = UnwinderNative<Section, MustNotAllocateDuringUnwind>;

/// See the module.
pub(super) struct Snapshot {
    unwinder: StackUnwinder,
    /// Writable memory of this process by address, which holds the stack of every thread that was
    /// there when it was read.
    stacks: Vec<Range<u64>>,
}

impl Snapshot {
    /// How to unwind.
    pub(super) fn unwinder(&self) -> &StackUnwinder {
        &self.unwinder
    }

    /// The memory that holds this stack pointer.
    pub(super) fn stack_of(&self, sp: u64) -> Option<Range<u64>> {
        let after = self.stacks.partition_point(|stack| stack.start <= sp);
        let stack = self.stacks.get(after.checked_sub(1)?)?;
        stack.contains(&sp).then(|| stack.clone())
    }
}

/// The snapshot that handlers use, and those before it that a handler may still be using.
pub(super) struct Published {
    retired: Vec<Retired>,
}

struct Retired(*mut Snapshot);

// SAFETY: the pointer came from a box of a type that may be sent, and is used to free it only.
unsafe impl Send for Retired {}

impl Published {
    /// None yet.
    pub(super) const fn new() -> Self {
        Self {
            retired: Vec::new(),
        }
    }

    /// Lets handlers use this unwinder and the stacks that are there now.
    ///
    /// # Errors
    /// `/proc` is not mounted.
    pub(super) fn renew(&mut self, unwinder: StackUnwinder) -> io::Result<()> {
        let stacks = writable_memory()?;
        let snapshot = Box::new(Snapshot { unwinder, stacks });
        self.replace(Box::into_raw(snapshot));
        Ok(())
    }

    /// Handlers do nothing from now on.
    pub(super) fn withdraw(&mut self) {
        self.replace(std::ptr::null_mut());
    }

    fn replace(&mut self, snapshot: *mut Snapshot) {
        self.retired.push(Retired(signal::publish(snapshot)));
        self.sweep();
    }

    /// Frees what no handler can be using any more.
    pub(super) fn sweep(&mut self) {
        if !signal::is_quiet() {
            return;
        }
        for Retired(snapshot) in self.retired.drain(..) {
            if !snapshot.is_null() {
                // SAFETY: it came from `Box::into_raw`, was replaced before this moment, and there
                // was a moment since at which no handler ran: those that run now see a later one.
                drop(unsafe { Box::from_raw(snapshot) });
            }
        }
    }
}

/// Private, readable and writable memory, in the order of addresses.
fn writable_memory() -> io::Result<Vec<Range<u64>>> {
    let path = "/proc/self/maps";
    let maps = fs::read_to_string(path).map_err(|cause| threads::unmounted(path, &cause))?;
    let mut found = Vec::new();
    let mut free_from = 0;
    for line in maps.lines() {
        let mut fields = line.split_ascii_whitespace();
        let Some((start, end)) = fields.next().and_then(|range| range.split_once('-')) else {
            continue;
        };
        let address = |text| u64::from_str_radix(text, 16);
        let (Ok(start), Ok(end)) = (address(start), address(end)) else {
            continue;
        };
        if fields.next().is_some_and(|mode| mode.starts_with("rw")) {
            // The first thread's stack grows downwards into what is free below it.
            let grows = line.ends_with("[stack]");
            found.push(if grows { free_from..end } else { start..end });
        }
        free_from = end;
    }
    Ok(found)
}
