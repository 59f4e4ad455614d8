//! The threads of this process, from `/proc/self/task`: tokio's workers, its blocking threads and
//! those of C libraries alike, without a hook in any of them.

use std::{fs, io};

/// Their numbers.
///
/// # Errors
/// `/proc` is not mounted.
pub(super) fn list() -> io::Result<Vec<i32>> {
    let path = "/proc/self/task";
    let entries = fs::read_dir(path).map_err(|cause| unmounted(path, &cause))?;
    Ok(entries
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .collect())
}

/// A file of the kernel about this process cannot be read: says what to do about it.
pub(super) fn unmounted(path: &str, cause: &io::Error) -> io::Error {
    let what = format!("read {path}: {cause}; mount /proc, as every container engine does");
    io::Error::new(cause.kind(), what)
}

/// The name of a thread: at most 15 bytes, as its maker set it.
pub(super) fn name(tid: i32) -> String {
    let name = fs::read_to_string(format!("/proc/self/task/{tid}/comm")).unwrap_or_default();
    name.trim_end().to_owned()
}

/// What a thread is doing, by the letter of the kernel: `R` running, `S` sleeping, `D` in the
/// kernel, not to be disturbed.
pub(super) fn state(tid: i32) -> char {
    let stat = fs::read_to_string(format!("/proc/self/task/{tid}/stat")).unwrap_or_default();
    // The name stands in parentheses and may hold anything.
    let after = stat.rsplit_once(") ").map(|(_, after)| after);
    after.and_then(|after| after.chars().next()).unwrap_or('?')
}
