//! The encoding of `grpc-message`.

use http::HeaderValue;

/// Printable ASCII but `%` stands for itself (gRPC over HTTP/2, "Percent-Encoded").
pub(super) fn encode(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if (b' '..=b'~').contains(&byte) && byte != b'%' {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}

/// Reads what it can: an escape that is none stands for itself, bytes that are no text are marked.
pub(super) fn decode(value: &HeaderValue) -> String {
    let mut rest = value.as_bytes();
    let mut decoded = Vec::with_capacity(rest.len());
    while let Some((byte, after)) = rest.split_first() {
        let escaped = (*byte == b'%').then(|| after.split_at_checked(2)).flatten();
        let value = escaped
            .and_then(|(digits, _)| std::str::from_utf8(digits).ok())
            .filter(|digits| digits.bytes().all(|digit| digit.is_ascii_hexdigit()))
            .and_then(|digits| u8::from_str_radix(digits, 16).ok());
        match (value, escaped) {
            (Some(value), Some((_, after))) => {
                decoded.push(value);
                rest = after;
            }
            _ => {
                decoded.push(*byte);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&decoded).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_text_survives() {
        for text in [
            "",
            "plain",
            "100% / %41",
            "患者不存在",
            "tab\tline\n\u{7f}\0",
            "🏥",
        ] {
            let encoded = encode(text);
            assert!(
                encoded.bytes().all(|byte| (b' '..=b'~').contains(&byte)),
                "{encoded}"
            );
            assert_eq!(decode(&HeaderValue::try_from(encoded).unwrap()), text);
        }
    }

    #[test]
    fn damaged_text_is_read_as_far_as_it_goes() {
        for (damaged, read) in [
            ("%", "%"),
            ("%4", "%4"),
            ("%+1", "%+1"),
            ("a%FFb", "a\u{fffd}b"),
        ] {
            assert_eq!(decode(&HeaderValue::from_static(damaged)), read);
        }
    }
}
