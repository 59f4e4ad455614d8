//! jemalloc as the allocator of the program, and its switches.

use std::{
    ffi::{CStr, CString, c_char},
    fs::File,
    io::{self, Read, Seek},
    os::fd::{AsRawFd, FromRawFd},
    sync::{Mutex, PoisonError},
};

use super::Dump;

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// Read by jemalloc before `main`: ready to sample, but not sampling; with counts of what was
/// freed; one sample in 512 KiB (2^19).
// SAFETY: jemalloc reads a pointer to text that ends with zero under this name, and nobody else
// defines it.
#[unsafe(export_name = "malloc_conf")]
static OPTIONS: Option<&'static c_char> = {
    const TEXT: &[u8] = b"prof:true,prof_active:false,prof_accum:true,lg_prof_sample:19\0";
    // SAFETY: a byte has the size of a c_char, and the text is static.
    Some(unsafe { &*TEXT.as_ptr().cast::<c_char>() })
};

/// One sample in 2 MiB, for sampling that never ends: 4 % of the CPU time of a service that
/// allocates much, where 512 KiB cost 10 %.
const ALWAYS_LG_SAMPLE: usize = 21;

/// How many ask for sampling.
static WANTED: Mutex<usize> = Mutex::new(0);

/// Whether jemalloc took the options.
pub(super) fn available() -> Result<(), &'static str> {
    // Named here, so that the linker keeps it.
    std::hint::black_box(&OPTIONS);
    let mut on = false;
    // SAFETY: this option is a bool.
    match unsafe { read(c"opt.prof", &mut on) } {
        Ok(()) if on => Ok(()),
        _ => {
            Err("heap profiling is off: the program has another allocator, or MALLOC_CONF says so")
        }
    }
}

pub(super) fn start() {
    change(|wanted| wanted.saturating_add(1));
}

pub(super) fn stop() {
    change(|wanted| wanted.saturating_sub(1));
}

pub(super) fn always() {
    // SAFETY: `prof.reset` takes the new rate as a size_t.
    let reset = unsafe { write(c"prof.reset", ALWAYS_LG_SAMPLE) };
    if reset.is_err() {
        tracing::warn!("jemalloc did not take the rate for sampling always; it samples at its own");
    }
    start();
}

fn change(number: impl FnOnce(usize) -> usize) {
    let mut wanted = WANTED.lock().unwrap_or_else(PoisonError::into_inner);
    *wanted = number(*wanted);
    // SAFETY: this switch is a bool. It fails only where `available` said so before.
    let _ = unsafe { write(c"prof.active", *wanted > 0) };
}

/// Has jemalloc write its samples, into memory: a container may have no folder to write to.
pub(super) fn dump() -> Result<Dump, String> {
    let failed = |cause: &dyn std::fmt::Display| format!("could not dump the heap: {cause}");
    let mut file = memory_file().map_err(|cause| failed(&cause))?;
    let path = format!("/proc/self/fd/{}", file.as_raw_fd());
    let path = CString::new(path).map_err(|cause| failed(&cause))?;
    // SAFETY: `prof.dump` takes a pointer to a path, which lives until the call returns.
    unsafe { write(c"prof.dump", path.as_ptr()) }.map_err(|cause| failed(&cause))?;
    let mut text = String::new();
    file.rewind()
        .and_then(|()| file.read_to_string(&mut text))
        .map_err(|cause| failed(&cause))?;
    Dump::parse(text)
}

fn memory_file() -> io::Result<File> {
    // SAFETY: the name is text that ends with zero.
    let file = unsafe { libc::memfd_create(c"heap".as_ptr(), libc::MFD_CLOEXEC) };
    if file < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the descriptor is new and ours.
    Ok(unsafe { File::from_raw_fd(file) })
}

/// Reads a setting.
///
/// # Safety
/// The setting is of this type.
unsafe fn read<T>(name: &CStr, value: &mut T) -> io::Result<()> {
    let mut size = size_of::<T>();
    // SAFETY: jemalloc writes as many bytes as the type has, by the rule above.
    let failed = unsafe {
        let value = std::ptr::from_mut(value).cast();
        tikv_jemalloc_sys::mallctl(name.as_ptr(), value, &raw mut size, std::ptr::null_mut(), 0)
    };
    outcome(failed)
}

/// Writes a setting.
///
/// # Safety
/// The setting is of this type, and what the value points to lives during the call.
unsafe fn write<T>(name: &CStr, mut value: T) -> io::Result<()> {
    // SAFETY: jemalloc reads as many bytes as the type has, by the rule above.
    let failed = unsafe {
        let (old, size) = (std::ptr::null_mut(), std::ptr::null_mut());
        let value = std::ptr::from_mut(&mut value).cast();
        tikv_jemalloc_sys::mallctl(name.as_ptr(), old, size, value, size_of::<T>())
    };
    outcome(failed)
}

fn outcome(failed: i32) -> io::Result<()> {
    match failed {
        0 => Ok(()),
        code => Err(io::Error::from_raw_os_error(code)),
    }
}
