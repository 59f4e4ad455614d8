//! Chinese resident identity numbers (GB 11643-1999, check character by ISO 7064 MOD 11-2).
//!
//! A number is personal data: errors name rules and never digits, and [`IdentityNumber`] does not print itself.

mod county;

use std::fmt;
use std::sync::LazyLock;

use jiff::civil::{Date, date};
use regex::Regex;
use serde::{Deserialize, Serialize};

pub use county::{CountyTable, CountyTableError};

/// The two forms after folding: 18 characters, or 15 digits of the old cards. Compiled once.
static FORM: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r"^(?:[0-9]{17}[0-9X]|[0-9]{15})$").ok());

/// Provinces, autonomous regions, municipalities, Taiwan, Hong Kong and Macau.
const PROVINCES: [u8; 34] = [
    11, 12, 13, 14, 15, 21, 22, 23, 31, 32, 33, 34, 35, 36, 37, 41, 42, 43, 44, 45, 46, 50, 51, 52,
    53, 54, 61, 62, 63, 64, 65, 71, 81, 82,
];

/// On residence permits of Taiwan residents; accepted by option.
const RESIDENCE_PERMIT: u8 = 83;

/// The standard's own example is born in 1880; nobody before this can be meant.
const EARLIEST_BIRTH: Date = date(1850, 1, 1);

/// A valid number in its 18-character form.
#[derive(Clone, PartialEq, Eq)]
pub struct IdentityNumber {
    number: String,
    birth_date: Date,
    sex: Sex,
}

impl IdentityNumber {
    /// The 18 characters. Personal data: seal it before it is stored and never log it.
    pub fn as_str(&self) -> &str {
        &self.number
    }

    /// The date of birth that the number states. A patient's own must equal it.
    pub fn birth_date(&self) -> Date {
        self.birth_date
    }

    /// The sex that the number states: odd order codes are male. A patient's may differ, which is worth a question.
    pub fn sex(&self) -> Sex {
        self.sex
    }
}

impl fmt::Debug for IdentityNumber {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("IdentityNumber(..)")
    }
}

/// Sex as the order code states it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Sex {
    /// Odd.
    Male,
    /// Even.
    Female,
}

/// What is wrong with a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "kebab-case")]
pub enum Fault {
    /// Neither of the two forms.
    #[error(
        "identity number has a wrong form: expected 17 digits and a digit or X, without spaces inside"
    )]
    Format,
    /// The old 15-digit form where only the new one is taken.
    #[error("identity number has 15 digits: expected the 18 characters of the present card")]
    Legacy,
    /// The first two digits are no province.
    #[error(
        "identity number has an unknown region: expected the first two digits to be a province's"
    )]
    Region,
    /// Positions 7 to 14 are no date of birth.
    #[error(
        "identity number has no date of birth: expected a real date from 1850 to today in positions 7 to 14"
    )]
    Date,
    /// The check character does not fit.
    #[error(
        "identity number has a wrong check character: compare it with the card, digit by digit"
    )]
    Checksum,
}

/// What is worth a second look but no reason to refuse.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Warning {
    /// A 15-digit number was converted; such cards have expired.
    Legacy,
    /// The county code was not in use in the year of birth, as far as the table knows.
    County,
}

/// How strict to be.
#[derive(Clone, Copy, Debug, Default)]
pub struct Rules<'t> {
    /// Take 15-digit numbers of old cards, as in a bulk import, and convert them.
    pub legacy: bool,
    /// Take region 83 of residence permits.
    pub residence_permits: bool,
    /// Warn about county codes that this table does not have for the year of birth.
    pub counties: Option<&'t CountyTable>,
}

/// Reads and checks a number as people type it: outer spaces, full-width characters and a small x are folded.
///
/// # Errors
/// All faults at once; [`Fault::Format`] and [`Fault::Legacy`] come alone, since nothing further can be read.
pub fn parse(
    input: &str,
    today: Date,
    rules: Rules<'_>,
) -> Result<(IdentityNumber, Vec<Warning>), Vec<Fault>> {
    let folded: String = input.trim().chars().map(fold).collect();
    if !FORM.as_ref().is_some_and(|form| form.is_match(&folded)) {
        return Err(vec![Fault::Format]);
    }
    let mut warnings = Vec::new();
    let number = if folded.len() == 15 {
        if !rules.legacy {
            return Err(vec![Fault::Legacy]);
        }
        warnings.push(Warning::Legacy);
        convert_legacy(&folded)
    } else {
        folded
    };
    let mut faults = Vec::new();
    let region = two_digits(&number, 0);
    let permit = rules.residence_permits && region == RESIDENCE_PERMIT;
    if !permit && !PROVINCES.contains(&region) {
        faults.push(Fault::Region);
    }
    let birth_date = birth_date(&number).filter(|born| (EARLIEST_BIRTH..=today).contains(born));
    if birth_date.is_none() {
        faults.push(Fault::Date);
    }
    if !number.ends_with(check_character(&number)) {
        faults.push(Fault::Checksum);
    }
    let Some(birth_date) = birth_date.filter(|_| faults.is_empty()) else {
        return Err(faults);
    };
    if rules
        .counties
        .is_some_and(|counties| !counties.knows(&number[..6], birth_date.year()))
    {
        warnings.push(Warning::County);
    }
    let sex = if two_digits(&number, 15) % 2 == 1 {
        Sex::Male
    } else {
        Sex::Female
    };
    Ok((
        IdentityNumber {
            number,
            birth_date,
            sex,
        },
        warnings,
    ))
}

/// Full-width digits and letters to ASCII, a small x to a capital one.
fn fold(character: char) -> char {
    match character {
        'x' | 'ｘ' | 'Ｘ' => 'X',
        '０'..='９' => {
            char::from_u32(character as u32 - '０' as u32 + u32::from(b'0')).unwrap_or(character)
        }
        other => other,
    }
}

/// Inserts the century and appends the check character. Order codes 996 to 999 marked people over a hundred.
fn convert_legacy(digits: &str) -> String {
    let century = if matches!(&digits[12..], "996" | "997" | "998" | "999") {
        "18"
    } else {
        "19"
    };
    let mut number = format!("{}{century}{}", &digits[..6], &digits[6..]);
    number.push(check_character(&number));
    number
}

/// The character that the first 17 digits demand.
fn check_character(number: &str) -> char {
    const WEIGHTS: [u32; 17] = [7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2];
    let sum: u32 = number
        .bytes()
        .zip(WEIGHTS)
        .map(|(digit, weight)| u32::from(digit.wrapping_sub(b'0')) * weight)
        .sum();
    char::from(b"10X98765432"[(sum % 11) as usize])
}

fn birth_date(number: &str) -> Option<Date> {
    let year = i16::from(two_digits(number, 6)) * 100 + i16::from(two_digits(number, 8));
    let month = i8::try_from(two_digits(number, 10)).ok()?;
    let day = i8::try_from(two_digits(number, 12)).ok()?;
    Date::new(year, month, day).ok()
}

/// The two digits at a position; the form was matched, so they are there.
fn two_digits(number: &str, at: usize) -> u8 {
    number
        .get(at..at + 2)
        .and_then(|digits| digits.parse().ok())
        .unwrap_or(0)
}
