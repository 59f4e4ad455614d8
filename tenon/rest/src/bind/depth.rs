//! How deep JSON may be nested. The parser has a limit of its own, which costs nothing; a lower one
//! is asked before it.

use http::Extensions;
use tenon_core::config::JSON_DEPTH_MAX;

use crate::Request;

/// A limit that is lower than the parser's, in the extensions of a request.
#[derive(Clone, Copy)]
struct Lower(usize);

/// Lays the limit of a door on a request.
pub(crate) fn limit(mut request: Request, levels: usize) -> Request {
    if levels < JSON_DEPTH_MAX {
        request.extensions_mut().insert(Lower(levels));
    }
    request
}

/// The limit that lies on a request.
pub(crate) fn allowed(extensions: &Extensions) -> usize {
    let lower = extensions.get::<Lower>();
    lower.map_or(JSON_DEPTH_MAX, |lower| lower.0)
}

/// Whether more than `levels` arrays and objects stand within each other in what may be JSON. At
/// [`JSON_DEPTH_MAX`] and above the answer is no: there the parser says so.
pub fn is_deeper(text: &[u8], levels: usize) -> bool {
    if levels >= JSON_DEPTH_MAX {
        return false;
    }
    let (mut depth, mut quoted, mut escaped) = (0_usize, false, false);
    for byte in text {
        match (quoted, byte) {
            (true, _) if escaped => escaped = false,
            (true, b'\\') => escaped = true,
            (_, b'"') => quoted = !quoted,
            (false, b'[' | b'{') => {
                depth += 1;
                if depth > levels {
                    return true;
                }
            }
            (false, b']' | b'}') => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    false
}
