//! Canonical JSON (RFC 8785) and the digest that tells one response's content from another's.

use std::fmt::Write as _;

use serde_json::{Map, Number, Value};
use sha2::{Digest as _, Sha256};

/// SHA-256 of the canonical form of a FHIR resource without its top-level `meta` and `text` members.
///
/// Servers rewrite `meta` and renderers rewrite `text`; neither is what the patient said, so two submissions
/// that differ only there are the same content. The order of members, white space and the spelling of numbers
/// (`1.0` or `1`) do not matter either; everything else does.
pub fn digest(response: &Value) -> [u8; 32] {
    let mut text = String::with_capacity(1024);
    match response {
        Value::Object(members) => {
            write_object(&mut text, members, |name| !matches!(name, "meta" | "text"))
        }
        other => write_value(&mut text, other),
    }
    Sha256::digest(text.as_bytes()).into()
}

/// The canonical form of a value: no white space, members sorted by UTF-16 code units, numbers as ECMAScript
/// prints them.
///
/// Numbers must have been parsed exactly, which `serde_json` does with its feature `float_roundtrip` only; the
/// workspace turns it on. Integers within a double's exact range (53 bits) are printed digit by digit; larger ones are rounded to a
/// double, as the RFC prescribes. The recursion is as deep as the value, which parsing with `serde_json`
/// limits to 128 levels.
pub fn canonicalize(value: &Value) -> String {
    let mut text = String::with_capacity(256);
    write_value(&mut text, value);
    text
}

fn write_value(text: &mut String, value: &Value) {
    match value {
        Value::Null => text.push_str("null"),
        Value::Bool(true) => text.push_str("true"),
        Value::Bool(false) => text.push_str("false"),
        Value::Number(number) => write_number(text, number),
        Value::String(string) => write_string(text, string),
        Value::Array(elements) => {
            text.push('[');
            for (position, element) in elements.iter().enumerate() {
                if position > 0 {
                    text.push(',');
                }
                write_value(text, element);
            }
            text.push(']');
        }
        Value::Object(members) => write_object(text, members, |_| true),
    }
}

fn write_object(text: &mut String, members: &Map<String, Value>, keep: impl Fn(&str) -> bool) {
    let mut sorted: Vec<(&String, &Value)> =
        members.iter().filter(|(name, _)| keep(name)).collect();
    // UTF-8 order, which the map may already have, differs from UTF-16 order above the basic plane only.
    sorted.sort_by(|(left, _), (right, _)| left.encode_utf16().cmp(right.encode_utf16()));
    text.push('{');
    for (position, (name, value)) in sorted.into_iter().enumerate() {
        if position > 0 {
            text.push(',');
        }
        write_string(text, name);
        text.push(':');
        write_value(text, value);
    }
    text.push('}');
}

/// Escapes what JSON demands and nothing else, with the short forms where JSON has them.
fn write_string(text: &mut String, string: &str) {
    text.push('"');
    let mut plain_from = 0;
    for (position, byte) in string.bytes().enumerate() {
        let short = match byte {
            b'"' => "\\\"",
            b'\\' => "\\\\",
            0x08 => "\\b",
            0x09 => "\\t",
            0x0a => "\\n",
            0x0c => "\\f",
            0x0d => "\\r",
            0x00..=0x1f => "",
            _ => continue,
        };
        text.push_str(&string[plain_from..position]);
        plain_from = position + 1;
        if short.is_empty() {
            // Writing into a string cannot fail.
            let _ = write!(text, "\\u{byte:04x}");
        } else {
            text.push_str(short);
        }
    }
    text.push_str(&string[plain_from..]);
    text.push('"');
}

fn write_number(text: &mut String, number: &Number) {
    const EXACT: u64 = 1 << 53;
    if let Some(integer) = number
        .as_i64()
        .filter(|integer| integer.unsigned_abs() <= EXACT)
    {
        let _ = write!(text, "{integer}");
        return;
    }
    match number.as_f64() {
        Some(double) if double.is_finite() => {
            text.push_str(ryu_js::Buffer::new().format_finite(double))
        }
        // `serde_json` never parses a number into one that is not finite.
        _ => text.push_str("null"),
    }
}
