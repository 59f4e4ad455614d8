//! What a study and a site must be beyond what binding checks; everything is said at once.

use std::collections::HashSet;

use jiff::tz::TimeZone;
use tenon::{Error, Result, Violation};
use trial_contract::rest;

use crate::study::{Arm, Cycle, Definition};

/// Codes are printed on labels and in tables.
const CODE_MAX: usize = 64;
/// Titles and names are read by people, on one line.
const TITLE_MAX: usize = 300;
/// No study has a tenth of this many arms.
const ARMS_MAX: usize = 100;
/// Daily diaries over ten years stay below it.
const CYCLES_MAX: usize = 4_000;
/// What a subject can be asked at one visit stays far below it.
const QUESTIONNAIRES_MAX: usize = 100;
/// A canonical URL with its version.
const QUESTIONNAIRE_MAX: usize = 512;

/// Checks a new study and gives its arms and cycles.
///
/// # Errors
/// `REQUEST_INVALID` with every violation.
pub(crate) fn study(req: &mut rest::CreateTrialReq) -> Result<Definition> {
    let mut found = Findings::default();
    found.text("code", &req.code, CODE_MAX);
    found.text("title", &req.title, TITLE_MAX);
    let arms: Vec<Arm> = list(req.arms.take());
    let cycles: Vec<Cycle> = list(req.cycles.take());
    found.at_most("arms", arms.len(), ARMS_MAX);
    found.at_most("cycles", cycles.len(), CYCLES_MAX);
    found.arms(&arms);
    found.cycles(&cycles);
    found.done()?;
    Ok(Definition { arms, cycles })
}

/// Checks a new site and gives the name of its time zone as IANA spells it.
///
/// # Errors
/// `REQUEST_INVALID` with every violation.
pub(crate) fn site(req: &rest::CreateSiteReq) -> Result<String> {
    let mut found = Findings::default();
    found.text("code", &req.code, CODE_MAX);
    found.text("name", &req.name, TITLE_MAX);
    let zone = time_zone(&req.time_zone);
    if zone.is_none() {
        found.add(
            "timeZone",
            "time-zone",
            "an IANA time zone, as Asia/Shanghai",
        );
    }
    found.done()?;
    Ok(zone.unwrap_or_default())
}

fn list<T, U: From<T>>(given: Option<Vec<T>>) -> Vec<U> {
    given.into_iter().flatten().map(U::from).collect()
}

/// The zone under the name that IANA gives it; its name may be written in any case.
fn time_zone(name: &str) -> Option<String> {
    if name.eq_ignore_ascii_case("UTC") {
        return Some("UTC".to_owned());
    }
    let zone = TimeZone::get(name).ok()?;
    zone.iana_name().map(str::to_owned)
}

/// Whether it is `url|version`: an absolute URI, then a version, neither with white space.
fn is_canonical(questionnaire: &str) -> bool {
    let plain = |text: &str| {
        !text.is_empty()
            && !text.contains(|c: char| c == '|' || c.is_whitespace() || c.is_control())
    };
    let absolute = |url: &str| {
        url.split_once(':').is_some_and(|(scheme, rest)| {
            scheme.starts_with(|c: char| c.is_ascii_alphabetic())
                && scheme
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte))
                && !rest.is_empty()
        })
    };
    questionnaire.chars().count() <= QUESTIONNAIRE_MAX
        && questionnaire
            .split_once('|')
            .is_some_and(|(url, version)| plain(url) && plain(version) && absolute(url))
}

/// The violations of a body.
#[derive(Default)]
struct Findings(Vec<Violation>);

impl Findings {
    fn add(&mut self, path: impl Into<String>, rule: &'static str, expected: impl Into<String>) {
        self.0.push(Violation::body(path, rule, expected));
    }

    fn text(&mut self, path: impl Into<String>, value: &str, longest: usize) {
        let fits = (1..=longest).contains(&value.chars().count())
            && value.trim() == value
            && !value.contains(char::is_control);
        if !fits {
            let expected =
                format!("1 to {longest} characters on one line, without white space at either end");
            self.add(path, "text", expected);
        }
    }

    fn at_most(&mut self, path: &str, count: usize, most: usize) {
        if count > most {
            self.add(path, "length", format!("at most {most} entries"));
        }
    }

    fn arms(&mut self, arms: &[Arm]) {
        let mut codes = HashSet::new();
        for (index, arm) in arms.iter().enumerate().take(ARMS_MAX) {
            self.entry(&format!("arms[{index}]"), &arm.code, &arm.title);
            self.unique(format!("arms[{index}].code"), codes.insert(&arm.code));
        }
    }

    fn cycles(&mut self, cycles: &[Cycle]) {
        let mut codes = HashSet::new();
        for (index, cycle) in cycles.iter().enumerate().take(CYCLES_MAX) {
            let path = format!("cycles[{index}]");
            self.entry(&path, &cycle.code, &cycle.title);
            self.unique(format!("{path}.code"), codes.insert(&cycle.code));
            self.questionnaires(&format!("{path}.questionnaires"), &cycle.questionnaires);
        }
    }

    fn questionnaires(&mut self, path: &str, questionnaires: &[String]) {
        self.at_most(path, questionnaires.len(), QUESTIONNAIRES_MAX);
        let mut seen = HashSet::new();
        let looked_at = questionnaires.iter().enumerate().take(QUESTIONNAIRES_MAX);
        for (index, questionnaire) in looked_at {
            let path = format!("{path}[{index}]");
            if !is_canonical(questionnaire) {
                self.add(
                    path.clone(),
                    "canonical",
                    "`url|version` of a questionnaire",
                );
            }
            self.unique(path, seen.insert(questionnaire));
        }
    }

    fn entry(&mut self, path: &str, code: &str, title: &str) {
        self.text(format!("{path}.code"), code, CODE_MAX);
        self.text(format!("{path}.title"), title, TITLE_MAX);
    }

    fn unique(&mut self, path: String, is_new: bool) {
        if !is_new {
            self.add(path, "unique", "one that no earlier entry of the list has");
        }
    }

    fn done(self) -> Result<()> {
        if self.0.is_empty() {
            Ok(())
        } else {
            Err(Error::invalid(self.0))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_questionnaire_is_named_by_url_and_version() {
        for good in [
            "http://loinc.org/q/44249-1|1.0",
            "urn:uuid:0f1e|2",
            "https://cohort.example/q/phq9|2024-05",
        ] {
            assert!(is_canonical(good), "{good}");
        }
        for bad in [
            "",
            "|",
            "phq9",
            "phq9|1",
            "http://a|",
            "|1",
            "http://a b|1",
            "http://a|1|2",
            "http:|1",
            "1http://a|1",
        ] {
            assert!(!is_canonical(bad), "{bad}");
        }
    }

    #[test]
    fn a_zone_has_its_iana_name() {
        assert_eq!(time_zone("utc").as_deref(), Some("UTC"));
        for bad in ["", "Mars/Olympus", "+08:00", "CST-8", "../etc/passwd"] {
            assert_eq!(time_zone(bad), None, "{bad}");
        }
    }
}
