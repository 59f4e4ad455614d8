//! Canonical JSON against the published vectors of RFC 8785, and what the digest does and does not see.

use clinical::canonical::{canonicalize, digest};
use proptest::prelude::*;
use serde_json::{Value, json};

#[test]
fn published_documents_come_out_byte_for_byte() {
    let cases: Vec<Value> = serde_json::from_str(include_str!("vectors/jcs.json")).unwrap();
    assert_eq!(cases.len(), 6);
    for case in cases {
        let input: Value = serde_json::from_str(case["input"].as_str().unwrap()).unwrap();
        assert_eq!(
            canonicalize(&input),
            case["output"].as_str().unwrap(),
            "{}",
            case["name"]
        );
    }
}

/// RFC 8785, appendix B: the double as IEEE 754 bits and its canonical text.
#[test]
fn published_numbers_come_out_as_ecmascript_prints_them() {
    let vectors: [(u64, &str); 24] = [
        (0x0000_0000_0000_0000, "0"),
        (0x8000_0000_0000_0000, "0"),
        (0x0000_0000_0000_0001, "5e-324"),
        (0x8000_0000_0000_0001, "-5e-324"),
        (0x7fef_ffff_ffff_ffff, "1.7976931348623157e+308"),
        (0xffef_ffff_ffff_ffff, "-1.7976931348623157e+308"),
        (0x4340_0000_0000_0000, "9007199254740992"),
        (0xc340_0000_0000_0000, "-9007199254740992"),
        (0x4430_0000_0000_0000, "295147905179352830000"),
        (0x44b5_2d02_c7e1_4af5, "9.999999999999997e+22"),
        (0x44b5_2d02_c7e1_4af6, "1e+23"),
        (0x44b5_2d02_c7e1_4af7, "1.0000000000000001e+23"),
        (0x444b_1ae4_d6e2_ef4e, "999999999999999700000"),
        (0x444b_1ae4_d6e2_ef4f, "999999999999999900000"),
        (0x444b_1ae4_d6e2_ef50, "1e+21"),
        (0x3eb0_c6f7_a0b5_ed8c, "9.999999999999997e-7"),
        (0x3eb0_c6f7_a0b5_ed8d, "0.000001"),
        (0x41b3_de43_5555_5553, "333333333.3333332"),
        (0x41b3_de43_5555_5554, "333333333.33333325"),
        (0x41b3_de43_5555_5555, "333333333.3333333"),
        (0x41b3_de43_5555_5556, "333333333.3333334"),
        (0x41b3_de43_5555_5557, "333333333.33333343"),
        (0xbecb_f647_612f_3696, "-0.0000033333333333333333"),
        (0x4314_3ff3_c1cb_0959, "1424953923781206.2"),
    ];
    for (bits, expected) in vectors {
        assert_eq!(
            canonicalize(&json!(f64::from_bits(bits))),
            expected,
            "{bits:016x}"
        );
    }
}

#[test]
fn integers_up_to_53_bits_are_exact_and_larger_ones_are_doubles() {
    assert_eq!(
        canonicalize(&json!(9_007_199_254_740_991_i64)),
        "9007199254740991"
    );
    assert_eq!(
        canonicalize(&json!(-9_007_199_254_740_991_i64)),
        "-9007199254740991"
    );
    assert_eq!(canonicalize(&json!(u64::MAX)), "18446744073709552000");
    assert_eq!(canonicalize(&json!(i64::MIN)), "-9223372036854776000");
}

#[test]
fn every_control_character_is_escaped_in_its_shortest_form() {
    assert_eq!(
        canonicalize(&json!("\u{0}\u{8}\t\n\u{b}\u{c}\r\u{1f}\u{7f}/")),
        r#""\u0000\b\t\n\u000b\f\r\u001f"#.to_owned() + "\u{7f}/\""
    );
}

#[test]
fn the_digest_ignores_meta_text_order_and_number_spelling_only() {
    let read = |text: &str| digest(&serde_json::from_str(text).unwrap());
    let first =
        read(r#"{"id":"a","status":"completed","item":[{"linkId":"x","text":"kept"}],"score":1}"#);
    assert_eq!(
        first,
        read(
            r#"{"score":1.0,"item":[{"text":"kept","linkId":"x"}],"meta":{"versionId":"7"},"text":{"div":"<p/>"},"status":"completed","id":"a"}"#
        )
    );
    assert_ne!(
        first,
        read(
            r#"{"id":"a","status":"completed","item":[{"linkId":"x","text":"changed"}],"score":1}"#
        )
    );
    assert_ne!(
        first,
        read(r#"{"id":"b","status":"completed","item":[{"linkId":"x","text":"kept"}],"score":1}"#)
    );
}

/// The digest of an empty object is the SHA-256 of `{}`, a value anybody can compute.
#[test]
fn the_digest_is_plain_sha_256() {
    let hex: String = digest(&json!({"meta": {}}))
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    assert_eq!(
        hex,
        "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"
    );
}

proptest! {
    #[test]
    fn any_double_reads_back_as_itself(bits in any::<u64>()) {
        let double = f64::from_bits(bits);
        prop_assume!(double.is_finite());
        let text = canonicalize(&json!(double));
        prop_assert_eq!(text.parse::<f64>().unwrap(), double);
    }

    #[test]
    fn any_string_reads_back_as_itself(string in any::<String>()) {
        let text = canonicalize(&json!(string));
        prop_assert_eq!(serde_json::from_str::<String>(&text).unwrap(), string);
    }
}
