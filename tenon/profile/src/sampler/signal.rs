//! The signal handler: where the interrupted thread is, into its ring.
//!
//! It runs between any two instructions of any thread, so it obeys these rules: no allocation, no
//! lock, no thread-local with a destructor, `errno` put back, and no memory read that might not be
//! mapped. It runs on the thread's own stack: Rust's alternate stacks are smaller than the tables
//! that unwinding needs.

use std::{
    ptr,
    sync::atomic::{AtomicI32, AtomicPtr, AtomicUsize, Ordering},
};

use framehop::Unwinder;
use libc::{c_int, c_void, siginfo_t, ucontext_t};

use super::{
    registers,
    slot::{self, Kind, Slot},
    snapshot::Snapshot,
};
use crate::label;

/// Free stack that unwinding may need: a sample of a thread with less gets its leaf alone.
const STACK_NEEDED: u64 = 64 << 10;

/// Handlers that are running now. A snapshot is freed only when there is none.
static RUNNING: AtomicUsize = AtomicUsize::new(0);
/// What handlers unwind with; null while nobody samples.
static SNAPSHOT: AtomicPtr<Snapshot> = AtomicPtr::new(ptr::null_mut());
/// This process; a child of a fork is another.
static PROCESS: AtomicI32 = AtomicI32::new(0);

/// The start of a `siginfo_t` of a timer or of `rt_tgsigqueueinfo`, as the kernel lays it out.
#[repr(C)]
pub(super) struct Info {
    pub(super) signal: c_int,
    pub(super) errno: c_int,
    pub(super) code: c_int,
    _pad: c_int,
    /// The timer, or the sending process.
    pub(super) sender: c_int,
    /// How often the timer expired besides; or the sending user.
    pub(super) overrun: c_int,
    pub(super) value: usize,
    /// The kernel reads as much as its own type has.
    rest: [u64; 12],
}

const _: () = assert!(size_of::<Info>() == size_of::<siginfo_t>());

impl Info {
    /// The question where a thread is, whose slot this is.
    pub(super) fn question(process: i32, slot: usize) -> Self {
        // SAFETY: getuid has no preconditions.
        let user = unsafe { libc::getuid() };
        Self {
            signal: libc::SIGPROF,
            errno: 0,
            code: libc::SI_QUEUE,
            _pad: 0,
            sender: process,
            overrun: user.cast_signed(),
            value: slot,
            rest: [0; 12],
        }
    }
}

/// Installs the handler, once; later calls only look whether it is still ours.
///
/// # Errors
/// False when somebody else handles the signal.
pub(super) fn install() -> std::io::Result<bool> {
    let handler = handle as extern "C" fn(c_int, *mut siginfo_t, *mut c_void) as usize;
    // SAFETY: a zeroed sigaction is valid, and the call only writes it.
    let before = unsafe {
        let mut before: libc::sigaction = std::mem::zeroed();
        if libc::sigaction(libc::SIGPROF, ptr::null(), &raw mut before) != 0 {
            return Err(std::io::Error::last_os_error());
        }
        before.sa_sigaction
    };
    if before == handler {
        return Ok(true);
    }
    if before != libc::SIG_DFL && before != libc::SIG_IGN {
        return Ok(false);
    }
    PROCESS.store(std::process::id().cast_signed(), Ordering::SeqCst);
    // SAFETY: `handle` keeps to the rules of signal handlers above. Not SA_ONSTACK, see there. The
    // handler is never taken away again: a signal that is late would end the process.
    let installed = unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = handler;
        action.sa_flags = libc::SA_SIGINFO | libc::SA_RESTART;
        libc::sigemptyset(&raw mut action.sa_mask);
        libc::sigaction(libc::SIGPROF, &raw const action, ptr::null_mut())
    };
    match installed {
        0 => Ok(true),
        _ => Err(std::io::Error::last_os_error()),
    }
}

/// Puts a snapshot, or null, in the place of the one that handlers use, and gives that one back:
/// to be freed once [`is_quiet`] was true after this.
pub(super) fn publish(snapshot: *mut Snapshot) -> *mut Snapshot {
    SNAPSHOT.swap(snapshot, Ordering::SeqCst)
}

/// Whether no handler is running at this moment, so that what was replaced before is in nobody's
/// hands.
pub(super) fn is_quiet() -> bool {
    RUNNING.load(Ordering::SeqCst) == 0
}

extern "C" fn handle(_: c_int, info: *mut siginfo_t, context: *mut c_void) {
    // SAFETY: errno's place is the thread's own.
    let (errno, before) = unsafe {
        let errno = libc::__errno_location();
        (errno, *errno)
    };
    // Before the snapshot is looked up: whoever replaces it afterwards sees that we are here.
    RUNNING.fetch_add(1, Ordering::SeqCst);
    // SAFETY: the kernel calls with valid pointers, as SA_SIGINFO promises.
    unsafe { sample(&*info.cast::<Info>(), &*context.cast::<ucontext_t>()) };
    RUNNING.fetch_sub(1, Ordering::SeqCst);
    // SAFETY: as above.
    unsafe { *errno = before };
}

fn sample(info: &Info, context: &ucontext_t) {
    let (kind, weight) = match info.code {
        // Above the kernel's tick the timer expires several times for one signal.
        libc::SI_TIMER => (Kind::Cpu, 1 + u64::try_from(info.overrun).unwrap_or(0)),
        libc::SI_QUEUE if info.sender == PROCESS.load(Ordering::Relaxed) => (Kind::Where, 1),
        _ => return,
    };
    // The value may be anybody's: it is an index, and the slot must be this thread's.
    let Some(slot) = slot::slot(info.value) else {
        return;
    };
    if !slot.is_of(thread_id()) {
        return;
    }
    // SAFETY: a published snapshot is freed only after `RUNNING` was seen at 0, and we are counted.
    let Some(snapshot) = (unsafe { SNAPSHOT.load(Ordering::SeqCst).as_ref() }) else {
        return;
    };
    unwind(slot, snapshot, kind, weight, context);
}

fn unwind(slot: &Slot, snapshot: &Snapshot, kind: Kind, weight: u64, context: &ucontext_t) {
    let Some(mut writer) = slot.begin(kind, weight) else {
        return;
    };
    let (pc, sp, registers) = registers::of(context);
    let stack = snapshot.stack_of(sp);
    let roomy = stack
        .as_ref()
        .is_some_and(|stack| sp.saturating_sub(stack.start) >= STACK_NEEDED);
    if let Some(stack) = stack.filter(|_| roomy) {
        let mut read = |address: u64| {
            let end = address.checked_add(8).ok_or(())?;
            if address < sp || end > stack.end {
                return Err(());
            }
            // SAFETY: the word lies between the stack pointer of this very thread and the end of
            // the mapping that holds it.
            Ok(unsafe {
                ptr::read_unaligned(ptr::with_exposed_provenance::<u64>(address as usize))
            })
        };
        // SAFETY: this is the handler of the thread that owns the slot, and the only use in it.
        let cache = unsafe { slot.cache() };
        let mut frames = snapshot
            .unwinder()
            .iter_frames(pc, registers, cache, &mut read);
        while let Ok(Some(frame)) = frames.next() {
            if !writer.push(frame.address_for_lookup()) {
                break;
            }
        }
    } else {
        writer.push(pc);
    }
    writer.finish(label::current());
}

/// The kernel's number of this thread.
pub(super) fn thread_id() -> i32 {
    // SAFETY: gettid has no preconditions and is safe in a signal handler.
    i32::try_from(unsafe { libc::syscall(libc::SYS_gettid) }).unwrap_or(0)
}
