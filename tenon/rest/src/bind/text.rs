//! Values that travel as text: in the path, the query, a header, or inside a JSON string.

use std::borrow::Cow;

use jiff::Timestamp;

use super::Kind;

/// A value that is one piece of text: a boolean, a number, a string or a time.
pub trait Text: Kind {
    /// What [`Kind::EXPECTED`] is when the value travels inside a JSON string.
    const QUOTED: &'static str;
    /// Whether empty text is a value of this type. For others, an empty query parameter or
    /// header is an absent one.
    const EMPTY: bool = false;

    /// Reads `text`; `None` where it does not fit.
    fn parse(text: &str) -> Option<Self>;
}

impl Text for String {
    const QUOTED: &'static str = "string";
    const EMPTY: bool = true;

    fn parse(text: &str) -> Option<Self> {
        Some(text.to_owned())
    }
}

impl Text for bool {
    const QUOTED: &'static str = "boolean in a string";

    fn parse(text: &str) -> Option<Self> {
        // What go-zero takes.
        if text == "1" || text.eq_ignore_ascii_case("true") {
            Some(true)
        } else if text == "0" || text.eq_ignore_ascii_case("false") {
            Some(false)
        } else {
            None
        }
    }
}

impl Text for Timestamp {
    const QUOTED: &'static str = Self::EXPECTED;

    fn parse(text: &str) -> Option<Self> {
        if is_rfc_3339(text.as_bytes()) {
            text.parse().ok()
        } else {
            None
        }
    }
}

/// Whether `text` has the shape `2026-01-31T08:30:00[.123](Z|+08:00)`. The time library takes many
/// more forms (no offset seconds, `[Asia/Shanghai]`), which the contract does not.
fn is_rfc_3339(text: &[u8]) -> bool {
    let fits = |shape: &[u8], text: &[u8]| {
        shape.len() == text.len()
            && shape.iter().zip(text).all(|(shape, byte)| match shape {
                b'd' => byte.is_ascii_digit(),
                b'T' => matches!(byte, b'T' | b't'),
                other => other == byte,
            })
    };
    let Some((date, rest)) = text.split_at_checked(19) else {
        return false;
    };
    let rest = match rest.split_first() {
        Some((b'.', fraction)) => {
            let digits = fraction.iter().take_while(|byte| byte.is_ascii_digit());
            let count = digits.count();
            if count == 0 || count > 9 {
                return false;
            }
            &fraction[count..]
        }
        _ => rest,
    };
    fits(b"dddd-dd-ddTdd:dd:dd", date)
        && (rest.eq_ignore_ascii_case(b"Z") || fits(b"+dd:dd", rest) || fits(b"-dd:dd", rest))
}

macro_rules! numbers {
    ($($type:ty: $quoted:literal),+ $(,)?) => {$(
        impl Text for $type {
            const QUOTED: &'static str = $quoted;

            fn parse(text: &str) -> Option<Self> {
                // Rust takes a leading plus, JSON and contracts do not.
                if text.starts_with('+') { None } else { text.parse().ok() }
            }
        }
    )+};
}

numbers! {
    i8: "integer from -128 to 127 in a string",
    i16: "integer from -32768 to 32767 in a string",
    i32: "integer of 32 bits in a string",
    i64: "integer in a string",
    u8: "integer from 0 to 255 in a string",
    u16: "integer from 0 to 65535 in a string",
    u32: "integer of 32 bits, not negative, in a string",
    u64: "integer, not negative, in a string",
}

impl Text for f64 {
    const QUOTED: &'static str = "number in a string";

    fn parse(text: &str) -> Option<Self> {
        // Rust also takes `inf`, `NaN`, `+1` and numbers that overflow to infinity.
        let numeric = text.starts_with(|c: char| c.is_ascii_digit() || matches!(c, '-' | '.'));
        text.parse()
            .ok()
            .filter(|value: &f64| numeric && value.is_finite())
    }
}

impl Text for f32 {
    const QUOTED: &'static str = "number of 32 bits in a string";

    fn parse(text: &str) -> Option<Self> {
        let value = f64::parse(text)?;
        // Narrowing rounds, which is what a float field means; only overflow is refused.
        Some(value as f32).filter(|value| value.is_finite())
    }
}

/// Undoes percent-encoding (and `+` for a space where `plus`); `None` where an escape is broken
/// or the bytes are not UTF-8.
pub(super) fn decode(text: &str, plus: bool) -> Option<Cow<'_, str>> {
    if !text
        .bytes()
        .any(|byte| byte == b'%' || (plus && byte == b'+'))
    {
        return Some(Cow::Borrowed(text));
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'%' => hex(rest.next()?)? * 16 + hex(rest.next()?)?,
            b'+' if plus => b' ',
            other => other,
        });
    }
    String::from_utf8(bytes).ok().map(Cow::Owned)
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit)
        .to_digit(16)
        .and_then(|value| u8::try_from(value).ok())
}
