//! Phone numbers, brought to one form: digits with an optional leading `+`.

/// The longest number of E.164.
const DIGITS_MAX: usize = 15;
/// Shorter ones are extensions and services, which reach nobody from outside.
const DIGITS_MIN: usize = 5;

/// The number without what people write between its digits; none when it is no phone number.
///
/// Nothing is guessed: a national number gets no country code, so it equals itself only.
pub(crate) fn normalise(written: &str) -> Option<String> {
    let mut number = String::new();
    for character in written.trim().chars() {
        match character {
            '0'..='9' => number.push(character),
            '０'..='９' => number.push(narrow(character)?),
            '+' | '＋' if number.is_empty() => number.push('+'),
            ' ' | '\u{a0}' | '\u{3000}' | '-' | '‐' | '–' | '.' | '(' | ')' | '（' | '）' => {
            }
            _ => return None,
        }
    }
    let digits = number.trim_start_matches('+').len();
    (DIGITS_MIN..=DIGITS_MAX)
        .contains(&digits)
        .then_some(number)
}

fn narrow(wide: char) -> Option<char> {
    let digit = u32::from(wide).checked_sub(u32::from('０'))?;
    char::from_digit(digit, 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_people_write_becomes_digits() {
        for (written, expected) in [
            ("13800138000", "13800138000"),
            ("138 0013-8000", "13800138000"),
            ("１３８００１３８０００", "13800138000"),
            (" +86 (10) 6552 9988 ", "+861065529988"),
            ("＋86.138.0013.8000", "+8613800138000"),
        ] {
            assert_eq!(normalise(written).as_deref(), Some(expected));
        }
        for bad in [
            "",
            "+",
            "1234",
            "1234567890123456",
            "138x0013800",
            "1+3800138000",
            "电话",
            "12\u{0}345",
        ] {
            assert_eq!(normalise(bad), None, "{bad}");
        }
    }
}
