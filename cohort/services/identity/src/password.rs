//! Which passwords are accepted: long ones that are not among the first that anybody tries.
//!
//! As NIST SP 800-63B asks, length and a list decide; there are no rules about kinds of
//! characters and no changes by the calendar.

use std::sync::LazyLock;

use aws_lc_rs::rand;
use secrecy::SecretString;
use tenon::{OrInternal, Result, Violation};
use zeroize::Zeroizing;

/// The shortest password of staff, in characters.
pub const STAFF_MIN: usize = 12;

/// The shortest password of a patient, who sees nobody's data but its own, in characters.
pub const PATIENT_MIN: usize = 8;

/// The longest password, in characters.
pub const MAX: usize = 128;

/// How many letters a password must have beside the words of the list.
const OWN_LETTERS: usize = 4;

/// The longest group that a password must not merely repeat, in characters.
const REPEATED: usize = 4;

/// The words that are tried first, the longest first. A word may have digits.
static COMMON: LazyLock<Vec<&'static str>> = LazyLock::new(|| {
    let mut words: Vec<&str> = include_str!("common_passwords.txt").lines().collect();
    words.sort_by_key(|word| std::cmp::Reverse(word.len()));
    words
});

/// What characters of a random password are taken from: 32, none of which looks like another.
const ALPHABET: &[u8; 32] = b"abcdefghjkmnpqrstuvwxyz123456789";

/// What is wrong with `password` as that of the account `username`, all of it. `path` is the
/// field that it came in.
pub fn check(path: &str, password: &str, username: &str, patient: bool) -> Vec<Violation> {
    let least = if patient { PATIENT_MIN } else { STAFF_MIN };
    let length = password.chars().count();
    let mut found = Vec::new();
    if !(least..=MAX).contains(&length) {
        let expected = format!("{least} to {MAX} characters");
        found.push(Violation::body(path, "length", expected));
    }
    if password.chars().any(char::is_control) {
        let expected = "no control characters";
        found.push(Violation::body(path, "characters", expected));
    }
    // The work below grows with the length; a longer one is refused already.
    if length <= MAX && is_common(password, username) {
        let expected = "a password that is not easily guessed from common ones or the user name";
        found.push(Violation::body(path, "common", expected));
    }
    found
}

/// A random password of 100 bits, in groups that can be read out.
///
/// # Errors
/// `INTERNAL` when the machine gives no randomness.
pub fn random() -> Result<SecretString> {
    let mut bytes = Zeroizing::new([0; 20]);
    rand::fill(bytes.as_mut_slice()).or_internal("make a password")?;
    let mut text = String::with_capacity(23);
    for (index, byte) in bytes.iter().enumerate() {
        if index > 0 && index % 5 == 0 {
            text.push('-');
        }
        text.push(char::from(ALPHABET[usize::from(byte % 32)]));
    }
    Ok(SecretString::from(text))
}

fn is_common(password: &str, username: &str) -> bool {
    let lower = password.to_lowercase();
    repeats(&lower) || runs(&lower) || {
        let readable = without_substitutes(&lower);
        guessed(&lower, username) || guessed(&readable, username)
    }
}

/// Whether little is left once the words of the list and of the user name are taken out.
fn guessed(lower: &str, username: &str) -> bool {
    let parts = username.split(|c: char| !c.is_alphanumeric());
    let names = std::iter::once(username).chain(parts);
    let names = names.filter(|name| name.chars().count() >= 3);
    let mut rest = lower.to_owned();
    for word in names.chain(COMMON.iter().copied()) {
        if rest.contains(word) {
            rest = rest.replace(word, " ");
        }
    }
    let own = rest.chars().filter(|c| c.is_alphabetic()).count();
    rest != lower && own < OWN_LETTERS
}

/// Letters for the signs that are often put in their place.
fn without_substitutes(lower: &str) -> String {
    let letter = |sign| match sign {
        '0' => 'o',
        '1' | '!' => 'i',
        '3' => 'e',
        '4' | '@' => 'a',
        '5' | '$' => 's',
        '7' => 't',
        other => other,
    };
    lower.chars().map(letter).collect()
}

/// Whether it is one short group again and again.
fn repeats(text: &str) -> bool {
    let signs: Vec<char> = text.chars().collect();
    let repeats = |group| {
        signs
            .iter()
            .zip(signs.iter().skip(group))
            .all(|(a, b)| a == b)
    };
    signs.len() > REPEATED && (1..=REPEATED).any(repeats)
}

/// Whether each character follows the one before it, up or down.
fn runs(text: &str) -> bool {
    let follows = |step: i64| {
        let mut pairs = text.chars().zip(text.chars().skip(1));
        pairs.all(|pair| match pair {
            ('9', '0') if step == 1 => true,
            ('0', '9') if step == -1 => true,
            (a, b) => i64::from(u32::from(b)) - i64::from(u32::from(a)) == step,
        })
    };
    text.chars().count() > 2 && (follows(1) || follows(-1))
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::*;

    fn rules(password: &str) -> Vec<String> {
        check("password", password, "alice.li", false)
            .into_iter()
            .map(|violation| violation.rule.into_owned())
            .collect()
    }

    #[test]
    fn what_anybody_tries_first_is_refused() {
        for common in [
            "Password2024!",
            "P@$$w0rd2024!",
            "passwordpassword",
            "welcome-summer-2025",
            "123456789012",
            "210987654321",
            "abcdefghijklm",
            "qwertyuiop123",
            "aaaaaaaaaaaaaa",
            "xyzxyzxyzxyz",
            "alice.li-2024-1",
            "ALICE alice 99",
            "correct horse battery staple",
        ] {
            assert_eq!(rules(common), ["common"], "{common}");
        }
    }

    #[test]
    fn long_ones_of_any_kind_are_accepted() {
        for good in [
            "839201748263",
            "gentle tram over the hill",
            "床前明月光疑是地上霜举头",
            "sunshine on the garden wall",
            "k7#q-Vd2x!mZ",
        ] {
            assert!(rules(good).is_empty(), "{good}");
        }
    }

    #[test]
    fn length_counts_characters_and_all_faults_are_told() {
        assert_eq!(rules("short"), ["length"]);
        assert_eq!(rules("password"), ["length", "common"]);
        assert_eq!(rules("床前明月光疑是地上霜举"), ["length"]);
        assert_eq!(rules(&"gx4 ".repeat(40)), ["length"]);
        assert_eq!(rules("gentle tram\u{0}over"), ["characters"]);
        assert!(check("password", "tram-hil", "p001", true).is_empty());
        assert!(!check("password", "tram-hi", "p001", true).is_empty());
    }

    #[test]
    fn random_ones_pass_and_differ() {
        let (one, two) = (random().unwrap(), random().unwrap());
        assert_ne!(one.expose_secret(), two.expose_secret());
        assert!(rules(one.expose_secret()).is_empty());
    }
}
