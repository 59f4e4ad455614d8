//! How large a request may be: keys of `rest` and `rpc` that may change while the service runs.

use serde::Deserialize;

/// How large a request may be at a door.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sizes {
    /// `maxBytes`: the body, counted after decompression.
    pub body_bytes: u64,
    /// `maxHeadBytes`: request line and headers.
    pub head_bytes: usize,
    /// `maxUriBytes`: path and query. HTTP/2 has no request line, and counts it as a header.
    pub uri_bytes: usize,
    /// `maxJsonDepth`: arrays and objects within each other.
    pub json_depth: usize,
}

impl Default for Sizes {
    fn default() -> Self {
        Self {
            body_bytes: 1 << 20,
            head_bytes: HEAD_BYTES,
            uri_bytes: URI_BYTES,
            json_depth: JSON_DEPTH_MAX,
        }
    }
}

impl Sizes {
    /// What no single key shows.
    ///
    /// # Errors
    /// No body would fit, or the target is to be larger than the head that it is a part of.
    pub fn check(&self) -> Result<(), String> {
        let Self {
            body_bytes,
            head_bytes,
            uri_bytes,
            ..
        } = *self;
        if body_bytes == 0 {
            return Err("maxBytes is 0, which would refuse every body; expected 1 or more".into());
        }
        if uri_bytes > head_bytes {
            return Err(format!(
                "maxUriBytes is {uri_bytes}, more than the {head_bytes} of maxHeadBytes, which holds it; lower the one or raise the other"
            ));
        }
        Ok(())
    }
}

/// The default of `maxHeadBytes`: what proxies and frameworks send at most, several times over.
pub(super) const HEAD_BYTES: usize = 32 << 10;
/// The default of `maxUriBytes`: what RFC 9110 asks every server to take.
pub(super) const URI_BYTES: usize = 8 << 10;
/// The default and the most of `maxJsonDepth`: what the parser can take without a stack of its own.
pub const JSON_DEPTH_MAX: usize = 127;

/// A head that is smaller takes no browser; a larger one is held in memory for each connection.
pub(super) fn head_bytes<'de, D: serde::Deserializer<'de>>(from: D) -> Result<usize, D::Error> {
    within(from, "maxHeadBytes", 1 << 10, 1 << 20)
}

/// The most is what the HTTP library keeps of a target.
pub(super) fn uri_bytes<'de, D: serde::Deserializer<'de>>(from: D) -> Result<usize, D::Error> {
    within(from, "maxUriBytes", 64, 65_534)
}

pub(super) fn json_depth<'de, D: serde::Deserializer<'de>>(from: D) -> Result<usize, D::Error> {
    within(from, "maxJsonDepth", 1, JSON_DEPTH_MAX)
}

fn within<'de, D: serde::Deserializer<'de>>(
    from: D,
    key: &str,
    least: usize,
    most: usize,
) -> Result<usize, D::Error> {
    let number = usize::deserialize(from)?;
    if !(least..=most).contains(&number) {
        let expected = format!("{key} is {number}; expected {least} to {most}");
        return Err(serde::de::Error::custom(expected));
    }
    Ok(number)
}
