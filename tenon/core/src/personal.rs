//! What identifies or describes a person, kept from being printed.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Stands in a debug print for a value that is not shown.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Hidden;

impl fmt::Debug for Hidden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(SHOWN)
    }
}

const SHOWN: &str = "[personal]";

/// A personal value: a name, a birth date, a number of identity. It cannot be displayed, and its
/// debug print shows that it is there and nothing of it, so that no log line, error or panic can
/// hold it by accident. Who means to use it says [`Personal::expose`].
///
/// It is serialized as what it holds: answers and databases are where it belongs.
///
/// ```
/// use tenon_core::Personal;
///
/// let name = Personal::from("Ada".to_owned());
/// assert_eq!(format!("{:?}", Some(&name)), "Some([personal])");
/// assert_eq!(name.expose(), "Ada");
/// ```
///
/// ```compile_fail
/// println!("{}", tenon_core::Personal::from("Ada"));
/// ```
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Personal<T>(T);

impl<T> Personal<T> {
    /// The value. It must not go into a log line, an error or a label.
    pub fn expose(&self) -> &T {
        &self.0
    }

    /// The value itself.
    pub fn into_exposed(self) -> T {
        self.0
    }
}

impl<T> From<T> for Personal<T> {
    fn from(value: T) -> Self {
        Self(value)
    }
}

impl<T> fmt::Debug for Personal<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(SHOWN)
    }
}
