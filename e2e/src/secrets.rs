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
    checked(IDENTITY_NUMBER, person)
}

/// An identity number from area and day of birth, a number below 1000 and the digit that checks them.
pub(crate) fn checked(begin: &str, number: u32) -> String {
    let digits = format!("{begin}{number:03}");
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
fn traces() -> Vec<(String, Vec<u8>)> {
    let mut traces = Vec::new();
    for plain in [NAME, NAME_HAN, IDENTITY_NUMBER, PHONE] {
        let named = |(form, bytes)| (format!("{plain} ({form})"), bytes);
        traces.extend(forms(plain).into_iter().map(named));
    }
    traces
}

/// The forms in which a text could be written down, each with its name.
pub(crate) fn forms(plain: &str) -> Vec<(String, Vec<u8>)> {
    let mut forms = Vec::new();
    let mut add = |form: &str, bytes: Vec<u8>| forms.push((form.to_owned(), bytes));
    add("plain", plain.as_bytes().to_vec());
    let list = |bytes: &[u8]| bytes.iter().map(u8::to_string).collect::<Vec<_>>();
    add("decimal", list(plain.as_bytes()).join(", ").into_bytes());
    add("hexadecimal", hexadecimal(plain).into_bytes());
    let upper = hexadecimal(plain).to_uppercase();
    add("upper hexadecimal", upper.into_bytes());
    let units = plain.encode_utf16();
    add("UTF-16", units.clone().flat_map(u16::to_le_bytes).collect());
    for (at, text) in base64(plain).into_iter().enumerate() {
        let other = text.replace('+', "-").replace('/', "_");
        if other != text {
            add(&format!("base 64 of addresses at {at}"), other.into_bytes());
        }
        add(&format!("base 64 at {at}"), text.into_bytes());
    }
    if plain.is_ascii() {
        let lower = plain.to_lowercase();
        if lower != plain {
            add("lower case", lower.into_bytes());
        }
        return forms;
    }
    let escaped: String = units.map(|unit| format!("\\u{unit:04x}")).collect();
    add("JSON escapes", escaped.into_bytes());
    let escaped: String = plain.bytes().map(|byte| format!("\\x{byte:02x}")).collect();
    add("byte escapes", escaped.into_bytes());
    let percent: String = plain.bytes().map(|byte| format!("%{byte:02X}")).collect();
    add("percent", percent.into_bytes());
    forms
}

/// What base 64 makes of a text that begins at the first, second or third byte of a group: the
/// digits that do not depend on what stands around it.
fn base64(plain: &str) -> [String; 3] {
    use base64::{Engine, engine::general_purpose::STANDARD_NO_PAD};
    [0, 1, 2].map(|before| {
        let bytes = [&vec![0; before], plain.as_bytes()].concat();
        let digits = STANDARD_NO_PAD.encode(&bytes);
        // Six bits a digit: those that hold bits of its neighbours are left out.
        digits[(before * 8).div_ceil(6)..bytes.len() * 8 / 6].to_owned()
    })
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
