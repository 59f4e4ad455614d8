//! Durations as text: `3s`, `500ms`, `1m30s`. A bare number is refused: it has no unit.

use std::time::Duration;

use serde::{Deserialize, Deserializer, de::Error};

/// Reads a duration, for `#[serde(with = "tenon_core::config::duration")]`.
///
/// # Errors
/// The text is not a duration with units, or is negative.
pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
    let text = String::deserialize(from)?;
    parse(&text).map_err(D::Error::custom)
}

/// The longest duration: nothing is waited for longer, and deadlines can be added to it.
pub const LONGEST: Duration = Duration::from_secs(365 * 24 * 3600);

/// Reads `3s`, `500ms`, `1m30s`.
///
/// # Errors
/// The text is not a duration with units, is negative, or is longer than [`LONGEST`].
pub fn parse(text: &str) -> Result<Duration, String> {
    let refused = || format!("`{text}` is not a duration; expected one like 3s, 500ms, 1m30s");
    let signed: jiff::SignedDuration = text.parse().map_err(|_| refused())?;
    let duration = Duration::try_from(signed).map_err(|_| refused())?;
    if duration > LONGEST {
        return Err(format!("`{text}` is too long; expected at most 365 days"));
    }
    Ok(duration)
}

/// Durations above zero, for times that would refuse everything at zero. Zero is not "no
/// limit": there is always one.
pub mod positive {
    use std::time::Duration;

    use serde::{Deserializer, de::Error};

    /// Reads a duration above zero.
    ///
    /// # Errors
    /// As [`super::deserialize`], and for zero.
    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
        let duration = super::deserialize(from)?;
        if duration.is_zero() {
            let problem = "a duration of zero would refuse everything; expected a longer one";
            return Err(D::Error::custom(problem));
        }
        Ok(duration)
    }
}
