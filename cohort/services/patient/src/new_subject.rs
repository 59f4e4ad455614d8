//! A new subject as it was asked for: checked as a whole, brought to one form.

use clinical::identity_number::{self, Fault, IdentityNumber, Sex};
use jiff::civil::Date;
use patient_contract::rest::CreatePatientReq;
use tenon::{Error, Personal, Result, Violation};
use zeroize::Zeroizing;

use crate::{birth_date, phone};

/// Subject numbers are printed on labels.
const SUBJECT_NO_MAX: usize = 64;
/// The longest names that registries know are shorter.
const NAME_MAX: usize = 200;

/// A checked request. It has no `Debug`: it tells who somebody is.
pub(crate) struct NewSubject {
    pub(crate) study_id: String,
    pub(crate) site_id: String,
    pub(crate) subject_no: String,
    pub(crate) sex: String,
    pub(crate) birth_date: Personal<String>,
    pub(crate) name: Option<Zeroizing<String>>,
    /// In its 18-character form.
    pub(crate) identity_number: Option<Zeroizing<String>>,
    /// Digits with an optional leading `+`.
    pub(crate) phone: Option<Zeroizing<String>>,
    /// The identity number states another sex than the site does. Either may be right, so this
    /// is kept for a question to the site and refuses nothing.
    pub(crate) sex_differs: bool,
}

impl NewSubject {
    /// Checks a request; `today` is that of the site.
    ///
    /// # Errors
    /// `REQUEST_INVALID` with every violation; none of them shows a value.
    pub(crate) fn check(req: CreatePatientReq, today: Date) -> Result<Self> {
        let mut found = Vec::new();
        if !is_line(&req.subject_no, SUBJECT_NO_MAX) {
            found.push(line("subjectNo", SUBJECT_NO_MAX));
        }
        let born = req.birth_date.expose();
        if !birth_date::is_valid(born, today) {
            let expected = "a date as 1960-05-17, 1960-05 or 1960, not before 1850 or after today";
            found.push(Violation::body("birthDate", "date", expected));
        }
        let name = req.name.map(zeroizing);
        if name.as_ref().is_some_and(|name| !is_line(name, NAME_MAX)) {
            found.push(line("name", NAME_MAX));
        }
        let phone = req.phone.map(zeroizing);
        let phone = phone.and_then(|phone| checked_phone(&phone, &mut found));
        let number = req.identity_number.map(zeroizing);
        let number = number.and_then(|number| checked_number(&number, today, &mut found));
        if let Some(number) = &number
            && birth_date::earliest(born).is_some()
            && !birth_date::agrees(born, number.birth_date())
        {
            let expected = "the date of birth that the identity number states";
            found.push(Violation::body("birthDate", "identity-number", expected));
        }
        if !found.is_empty() {
            return Err(Error::invalid(found));
        }
        Ok(Self {
            sex_differs: number.as_ref().is_some_and(|number| {
                let stated = match number.sex() {
                    Sex::Male => "M",
                    Sex::Female => "F",
                };
                req.sex != "U" && req.sex != stated
            }),
            identity_number: number.map(|number| Zeroizing::new(number.as_str().to_owned())),
            study_id: req.trial_id,
            site_id: req.site_id,
            subject_no: req.subject_no,
            sex: req.sex,
            birth_date: req.birth_date,
            name,
            phone,
        })
    }

    /// All that was asked for, in one form, to know the same request again. Personal.
    pub(crate) fn content(&self) -> Zeroizing<String> {
        let text = |value: &Option<Zeroizing<String>>| value.as_deref().cloned();
        let parts = serde_json::json!([
            self.study_id,
            self.site_id,
            self.subject_no,
            self.sex,
            self.birth_date,
            text(&self.name),
            text(&self.identity_number),
            text(&self.phone),
        ]);
        Zeroizing::new(parts.to_string())
    }
}

fn zeroizing(value: Personal<String>) -> Zeroizing<String> {
    Zeroizing::new(value.into_exposed())
}

fn is_line(text: &str, longest: usize) -> bool {
    (1..=longest).contains(&text.chars().count())
        && text.trim() == text
        && !text.contains(char::is_control)
}

fn line(path: &str, longest: usize) -> Violation {
    let expected =
        format!("1 to {longest} characters on one line, without white space at either end");
    Violation::body(path, "text", expected)
}

fn checked_phone(written: &str, found: &mut Vec<Violation>) -> Option<Zeroizing<String>> {
    let number = phone::normalise(written).map(Zeroizing::new);
    if number.is_none() {
        let expected = "5 to 15 digits, with a leading + for a country code";
        found.push(Violation::body("phone", "phone", expected));
    }
    number
}

fn checked_number(
    written: &str,
    today: Date,
    found: &mut Vec<Violation>,
) -> Option<IdentityNumber> {
    let rules = identity_number::Rules::default();
    match identity_number::parse(written, today, rules) {
        Ok((number, _)) => Some(number),
        Err(faults) => {
            found.extend(faults.into_iter().map(fault));
            None
        }
    }
}

fn fault(fault: Fault) -> Violation {
    let rule = match fault {
        Fault::Format | Fault::Legacy => "format",
        Fault::Region => "region",
        Fault::Date => "date",
        Fault::Checksum => "checksum",
    };
    let text = fault.to_string();
    // The text is `what is wrong: what to do`.
    let expected = text
        .split_once(": ")
        .map_or(text.as_str(), |(_, rest)| rest);
    Violation::body("identityNumber", rule, expected)
}
