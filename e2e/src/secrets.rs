//! Personal data that the suite writes through the interface, and that must be found nowhere
//! else: not in a log, a metric, a problem document, or a file of the data.

/// Begins every name.
const NAME: &str = "Quillfeather";
/// Is in every name, in another script.
const NAME_HAN: &str = "金丝雀";
/// Begins every identity number: area and day of birth.
const IDENTITY_NUMBER: &str = "11010519810203";
/// Begins every phone number.
const PHONE: &str = "139123400";

/// The weights of the seventeen digits, and the check digit of each remainder (GB 11643).
const WEIGHTS: [u32; 17] = [7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2];
const CHECK_DIGITS: &[u8; 11] = b"10X98765432";

/// The name of the person with this number.
pub(crate) fn name(person: u32) -> String {
    format!("{NAME} {NAME_HAN} {person}")
}

/// The identity number of the person with this number, below 1000.
pub(crate) fn identity_number(person: u32) -> String {
    let digits = format!("{IDENTITY_NUMBER}{person:03}");
    let weighed = digits
        .bytes()
        .zip(WEIGHTS)
        .map(|(digit, weight)| u32::from(digit - b'0') * weight);
    let remainder = usize::try_from(weighed.sum::<u32>() % 11).unwrap();
    format!("{digits}{}", char::from(CHECK_DIGITS[remainder]))
}

/// The phone number of the person with this number, below 100.
pub(crate) fn phone(person: u32) -> String {
    format!("+86{PHONE}{person:02}")
}

/// What is searched for, each in the forms in which it could be written down.
pub(crate) fn traces() -> Vec<(String, Vec<u8>)> {
    let mut traces = Vec::new();
    for plain in [NAME, NAME_HAN, IDENTITY_NUMBER, PHONE] {
        let mut add =
            |form: &str, bytes: Vec<u8>| traces.push((format!("{plain} ({form})"), bytes));
        add("plain", plain.as_bytes().to_vec());
        add("hexadecimal", hexadecimal(plain).into_bytes());
        add(
            "upper hexadecimal",
            hexadecimal(plain).to_uppercase().into_bytes(),
        );
        add(
            "UTF-16",
            plain.encode_utf16().flat_map(u16::to_le_bytes).collect(),
        );
        if !plain.is_ascii() {
            let escaped: String = plain
                .encode_utf16()
                .map(|unit| format!("\\u{unit:04x}"))
                .collect();
            add("JSON escapes", escaped.into_bytes());
            let percent: String = plain.bytes().map(|byte| format!("%{byte:02X}")).collect();
            add("percent", percent.into_bytes());
        }
    }
    traces.push((
        format!("{NAME} (lower case)"),
        NAME.to_lowercase().into_bytes(),
    ));
    traces
}

/// Fails if any of the personal data is in `bytes`.
#[track_caller]
pub(crate) fn assert_absent(bytes: &[u8], place: &str) {
    for (what, trace) in &*TRACES {
        assert!(!contains(bytes, trace), "{what} is in {place}");
    }
}

static TRACES: std::sync::LazyLock<Vec<(String, Vec<u8>)>> = std::sync::LazyLock::new(traces);

/// Whether `bytes` hold `needle`.
pub(crate) fn contains(bytes: &[u8], needle: &[u8]) -> bool {
    position(bytes, needle).is_some()
}

/// Where `needle` begins in `bytes`.
pub(crate) fn position(bytes: &[u8], needle: &[u8]) -> Option<usize> {
    let first = *needle.first()?;
    let mut from = 0;
    while let Some(step) = bytes[from..].iter().position(|byte| *byte == first) {
        let at = from + step;
        if bytes[at..].starts_with(needle) {
            return Some(at);
        }
        from = at + 1;
    }
    None
}

fn hexadecimal(text: &str) -> String {
    text.bytes().map(|byte| format!("{byte:02x}")).collect()
}
