//! What identifies or describes a person, kept from being printed.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, de::Error};

/// What a debug print shows of it.
const SHOWN: &str = "[personal]";

/// A personal value: a name, a birth date, a number of identity. It cannot be displayed, and its
/// debug print shows that it is there and nothing of it, so that no log line, error or panic can
/// hold it by accident. Who means to use it says [`Personal::expose`].
///
/// Generated types hold one for each field that a contract calls personal. It costs nothing: in
/// memory it is the value.
///
/// It is serialized as what it holds: answers and databases are where it belongs. Where it is
/// deserialized, an error does not quote what does not fit.
///
/// ```
/// use tenon_core::Personal;
///
/// let name = Personal::from("Ada".to_owned());
/// assert_eq!(format!("{:?}", Some(&name)), "Some([personal])");
/// assert_eq!(format!("{}", name.expose()), "Ada");
/// ```
///
/// ```compile_fail,E0277
/// use tenon_core::Personal;
///
/// let name = Personal::from("Ada".to_owned());
/// format!("{}", name);
/// ```
///
/// ```compile_fail,E0599
/// use tenon_core::Personal;
///
/// let name = Personal::from("Ada".to_owned());
/// name.to_string();
/// ```
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
#[repr(transparent)]
pub struct Personal<T>(T);

impl<T> Personal<T> {
    /// The value. It must not go into a log line, an error or a label.
    pub fn expose(&self) -> &T {
        &self.0
    }

    /// The value, to be changed. It must not go into a log line, an error or a label.
    pub fn expose_mut(&mut self) -> &mut T {
        &mut self.0
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

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Personal<T> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        // What serde says of a value that does not fit quotes it.
        let read = T::deserialize(from).map(Self);
        read.map_err(|_| D::Error::custom("a personal value does not fit its type"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_costs_nothing_in_memory() {
        assert_eq!(size_of::<Personal<String>>(), size_of::<String>());
        assert_eq!(size_of::<Option<Personal<String>>>(), size_of::<String>());
        assert_eq!(size_of::<Personal<bool>>(), size_of::<bool>());
    }

    #[test]
    fn it_is_the_value_in_json() {
        let name = Some(Personal::from("canary".to_owned()));
        let text = serde_json::to_string(&name).unwrap();
        assert_eq!(text, "\"canary\"");
        assert_eq!(
            serde_json::from_str::<Option<Personal<String>>>(&text).unwrap(),
            name
        );
    }

    #[test]
    fn an_error_does_not_quote_what_does_not_fit() {
        let wrong = serde_json::from_str::<u8>("\"canary\"").unwrap_err();
        assert!(wrong.to_string().contains("canary"), "{wrong}");
        let wrong = serde_json::from_str::<Personal<u8>>("\"canary\"").unwrap_err();
        assert!(!wrong.to_string().contains("canary"), "{wrong}");
    }
}
