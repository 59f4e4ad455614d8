//! Shared secrets: how strong one must be, and how two are compared.

use aws_lc_rs::{constant_time, digest};

/// HS256 signs with SHA-256; RFC 7518, section 3.2 demands a key of at least its size.
const MINIMUM_BYTES: usize = 32;

/// Whether the two are the same, in a time that tells neither where they differ nor how long the
/// expected one is. An empty secret is never the same as anything.
pub fn same_secret(given: &[u8], expected: &[u8]) -> bool {
    let given_digest = digest::digest(&digest::SHA256, given);
    let expected_digest = digest::digest(&digest::SHA256, expected);
    let same =
        constant_time::verify_slices_are_equal(given_digest.as_ref(), expected_digest.as_ref())
            .is_ok();
    same && !expected.is_empty()
}

/// What is wrong with a secret for HS256, with how to make a good one.
pub(crate) fn weakness(secret: &[u8]) -> Option<String> {
    let problem = if secret.len() < MINIMUM_BYTES {
        let length = secret.len();
        format!("the secret must have at least {MINIMUM_BYTES} bytes and has {length}")
    } else if secret.iter().all(|byte| *byte == secret[0]) {
        "the secret repeats a single byte".to_owned()
    } else {
        return None;
    };
    Some(format!(
        "{problem}; make one with `openssl rand -base64 32`"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_the_same_only_byte_for_byte() {
        assert!(same_secret(b"operator", b"operator"));
        for given in [&b""[..], b"operato", b"operator ", b"Operator"] {
            assert!(!same_secret(given, b"operator"));
        }
        assert!(!same_secret(b"", b""), "an empty secret admits nobody");
    }

    #[test]
    fn short_and_constant_secrets_are_weak() {
        for weak in [&b""[..], b"secret", &[b'a'; 31], &[b'a'; 64], &[0; 32]] {
            let problem = weakness(weak).unwrap();
            assert!(problem.contains("openssl rand -base64 32"), "{problem}");
        }
        assert_eq!(weakness(b"0123456789abcdef0123456789abcdef"), None);
    }
}
