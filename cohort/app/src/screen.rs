//! What the command says to the person at the terminal: results on standard output, everything
//! else on standard error. A reader that has gone away, as `head` does, is no reason to fail.

use std::{
    fmt::Display,
    io::{self, Write},
};

/// A result, one line on standard output.
pub(crate) fn say(line: impl Display) {
    let mut out = io::stdout().lock();
    let _ = writeln!(out, "{line}").and_then(|()| out.flush());
}

/// A remark or a problem, one line on standard error.
pub(crate) fn tell(line: impl Display) {
    let _ = writeln!(io::stderr().lock(), "{line}");
}
