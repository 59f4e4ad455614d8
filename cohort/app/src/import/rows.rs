//! Reading the file: every row becomes a subject-to-be, or findings that say what is wrong.

use std::{
    collections::{BTreeMap, HashMap},
    path::Path,
};

use anyhow::{Context as _, Result, ensure};
use clinical::{identity_number, instrument::PartialDate, subject::Status};
use csv::StringRecord;
use jiff::civil::Date;

use super::{
    findings::{Finding, Findings},
    map::{Map, StatusMap, needs_enrolment},
};

/// How a sex is written.
pub(super) const SEXES: [&str; 3] = ["M", "F", "U"];

/// How many rows a file may have: they are all held in memory.
const ROWS_MAX: u64 = 1_000_000;
/// The longest text of a cell, in bytes.
const TEXT_MAX: usize = 256;

/// A row that is in order. It is about a person and cannot be printed.
pub(super) struct Row {
    /// Its number, from 1.
    pub(super) number: u64,
    /// The line on which it begins.
    pub(super) line: u64,
    /// The id of the site.
    pub(super) site_id: String,
    /// The subject's number in the study.
    pub(super) subject_no: String,
    /// M, F or U.
    pub(super) sex: String,
    /// ISO 8601, may be partial.
    pub(super) birth_date: String,
    /// The name, if there is one.
    pub(super) name: Option<String>,
    /// The identity number in its 18 characters.
    pub(super) identity_number: Option<String>,
    /// The phone as it stands there.
    pub(super) phone: Option<String>,
    /// How the subject comes to where it stands, one move after the other.
    pub(super) moves: Vec<Move>,
}

/// A move from one status to the next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Move {
    /// The new status.
    pub(super) to: Status,
    /// Why.
    pub(super) reason: String,
    /// When.
    pub(super) date: Date,
}

/// Reads all rows. Rows with findings are left out.
///
/// # Errors
/// The file cannot be read, is not CSV, or lacks a column of the map.
pub(super) fn read(
    path: &Path,
    map: &Map,
    sites: &BTreeMap<String, String>,
    today: Date,
) -> Result<(Vec<Row>, Findings)> {
    let unread = || format!("{} cannot be read", path.display());
    let mut csv = csv::Reader::from_path(path).with_context(unread)?;
    let header = csv.headers().with_context(unread)?.clone();
    let columns = Columns::of(&header, map).with_context(unread)?;
    let (mut rows, mut findings) = (Vec::new(), Findings::default());
    let mut taken: HashMap<String, u64> = HashMap::new();
    for (record, number) in csv.into_records().zip(1..) {
        ensure!(
            number <= ROWS_MAX,
            "{} has more than {ROWS_MAX} rows",
            path.display()
        );
        // The text of the error names the line and never the content.
        let record = record.with_context(unread)?;
        let line = record.position().map_or(0, csv::Position::line);
        let mut cells = Cells {
            columns: &columns,
            map,
            record: &record,
            place: (number, line),
            findings: Vec::new(),
        };
        let row = cells.row(sites, today);
        let mut found = cells.findings;
        if let Some(row) = &row
            && let Some(first) = taken.insert(row.subject_no.clone(), number)
        {
            let expected = format!("a number that is not in row {first} as well");
            found.push(finding(
                (number, line),
                &map.subject_no,
                "unique",
                &expected,
            ));
        }
        match (row, found.is_empty()) {
            (Some(row), true) => rows.push(row),
            _ => found.into_iter().for_each(|finding| findings.add(finding)),
        }
    }
    Ok((rows, findings))
}

/// Where each column of the map stands.
struct Columns(HashMap<String, usize>);

impl Columns {
    fn of(header: &StringRecord, map: &Map) -> Result<Self> {
        let mut positions = HashMap::new();
        for name in map.columns() {
            let mut found = header
                .iter()
                .enumerate()
                // Spreadsheets begin their files with a byte order mark.
                .filter(|(_, column)| column.trim_start_matches('\u{feff}').trim() == name);
            let (position, _) = found.next().with_context(|| {
                format!("its header has no column {name:?}, which the map names")
            })?;
            ensure!(
                found.next().is_none(),
                "its header has the column {name:?} twice"
            );
            positions.insert(name.to_owned(), position);
        }
        Ok(Self(positions))
    }
}

/// The cells of one row, and what was found in them.
struct Cells<'a> {
    columns: &'a Columns,
    map: &'a Map,
    record: &'a StringRecord,
    place: (u64, u64),
    findings: Vec<Finding>,
}

impl<'a> Cells<'a> {
    fn row(&mut self, sites: &BTreeMap<String, String>, today: Date) -> Option<Row> {
        let map = self.map;
        // All cells are looked at before the first fault ends the row.
        let subject_no = self.required(&map.subject_no);
        let site_id = self.site(sites);
        let sex = self.sex();
        let birth_date = self.birth_date(today);
        let name = self.optional(map.name.as_deref());
        let phone = self.phone();
        let identity_number = self.identity_number(birth_date, today);
        let moves = map.status.as_ref().map(|status| self.moves(status, today));
        if !self.findings.is_empty() {
            return None;
        }
        Some(Row {
            number: self.place.0,
            line: self.place.1,
            site_id: site_id?,
            subject_no: subject_no?.to_owned(),
            sex: sex?,
            birth_date: birth_date?.to_owned(),
            name: name.map(str::to_owned),
            identity_number,
            phone: phone.map(str::to_owned),
            moves: moves.unwrap_or_default(),
        })
    }

    /// A cell without outer spaces; nothing when it is missing or too long.
    fn cell(&mut self, column: &str) -> Option<&'a str> {
        let position = self.columns.0.get(column)?;
        let cell = self.record.get(*position).unwrap_or_default().trim();
        if self.map.missing.iter().any(|missing| missing == cell) {
            return None;
        }
        if cell.len() > TEXT_MAX || cell.chars().any(char::is_control) {
            let expected = format!("one line of at most {TEXT_MAX} bytes");
            self.find(column, "text", &expected);
            return None;
        }
        Some(cell)
    }

    fn optional(&mut self, column: Option<&str>) -> Option<&'a str> {
        self.cell(column?)
    }

    fn required(&mut self, column: &str) -> Option<&'a str> {
        let before = self.findings.len();
        let cell = self.cell(column);
        if cell.is_none() && self.findings.len() == before {
            self.find(column, "required", "a value");
        }
        cell
    }

    fn site(&mut self, sites: &BTreeMap<String, String>) -> Option<String> {
        let column = &self.map.site;
        let code = self.required(column)?;
        let found = sites.get(code).cloned();
        if found.is_none() {
            let mut known: Vec<&str> = sites.keys().map(String::as_str).collect();
            known.truncate(20);
            let expected = format!("the code of a site of the study: {}", known.join(", "));
            self.find(column, "site", &expected);
        }
        found
    }

    fn sex(&mut self) -> Option<String> {
        let (column, values) = (&self.map.sex, &self.map.sex_values);
        let cell = self.required(column)?;
        let sex = values.get(cell).map_or(cell, String::as_str);
        if !SEXES.contains(&sex) {
            self.find(
                column,
                "options",
                "M, F or U, or a value of sexValues in the map",
            );
            return None;
        }
        Some(sex.to_owned())
    }

    fn birth_date(&mut self, today: Date) -> Option<&'a str> {
        let column = &self.map.birth_date;
        let cell = self.required(column)?;
        let date = PartialDate::parse(cell);
        if date.is_none_or(|date| date.earliest() > today) {
            self.find(
                column,
                "date",
                "YYYY, YYYY-MM or YYYY-MM-DD, not in the future",
            );
            return None;
        }
        Some(cell)
    }

    fn phone(&mut self) -> Option<&'a str> {
        let column = self.map.phone.as_deref()?;
        let cell = self.cell(column)?;
        let digits = cell.chars().filter(char::is_ascii_digit).count();
        let plain = cell
            .chars()
            .all(|c| c.is_ascii_digit() || "+-.() ".contains(c));
        if !plain || !(5..=15).contains(&digits) {
            self.find(
                column,
                "phone",
                "5 to 15 digits, with + - . ( ) and spaces between them",
            );
            return None;
        }
        Some(cell)
    }

    fn identity_number(&mut self, birth_date: Option<&str>, today: Date) -> Option<String> {
        let column = self.map.identity_number.as_deref()?;
        let cell = self.cell(column)?;
        // Old files hold the numbers of old cards; what is stored is the present form.
        let rules = identity_number::Rules {
            legacy: true,
            ..Default::default()
        };
        let number = match identity_number::parse(cell, today, rules) {
            Ok((number, _)) => number,
            Err(faults) => {
                for fault in faults {
                    let text = fault.to_string();
                    let (_, expected) = text.split_once("expected ").unwrap_or(("", &text));
                    self.find(column, "identity-number", expected);
                }
                return None;
            }
        };
        let born = birth_date.and_then(PartialDate::parse);
        let stated = PartialDate::parse(&number.birth_date().to_string());
        if let (Some(born), Some(stated)) = (born, stated)
            && !born.overlaps(stated)
        {
            self.find(
                column,
                "birth-date",
                "the date of birth that the row states",
            );
        }
        Some(number.as_str().to_owned())
    }

    fn moves(&mut self, map: &StatusMap, today: Date) -> Vec<Move> {
        let cell = self.cell(&map.column).unwrap_or_default();
        let Some(target) = map.values.get(cell).copied().or(map.otherwise) else {
            let known: Vec<&str> = map.values.keys().map(String::as_str).collect();
            let expected = format!("one of the map's values: {}", known.join(", "));
            self.find(&map.column, "options", &expected);
            return Vec::new();
        };
        if target == Status::Screening {
            return Vec::new();
        }
        let mut moves = Vec::new();
        if needs_enrolment(target) {
            moves.extend(self.step(Status::Enrolled, &map.enrolled, &map.reason, today));
        }
        moves.extend(self.step(target, &map.date, &map.reason, today));
        if let [first, last] = moves.as_slice()
            && last.date < first.date
        {
            let column = map.date.join(" or ");
            self.find(
                &column,
                "order",
                "a day that is not before that of enrolment",
            );
        }
        moves
    }

    /// A move on the day that the first of the columns tells.
    fn step(&mut self, to: Status, columns: &[String], reason: &str, today: Date) -> Option<Move> {
        let before = self.findings.len();
        let found = columns
            .iter()
            .find_map(|column| Some((column, self.cell(column)?)));
        let Some((column, cell)) = found else {
            if self.findings.len() == before {
                self.find(&columns.join(" or "), "required", "the day of the move");
            }
            return None;
        };
        let date = day(cell).filter(|date| *date <= today);
        if date.is_none() {
            self.find(column, "date", "YYYY-MM-DD, not in the future");
        }
        Some(Move {
            to,
            reason: reason.to_owned(),
            date: date?,
        })
    }

    fn find(&mut self, column: &str, rule: &str, expected: &str) {
        self.findings
            .push(finding(self.place, column, rule, expected));
    }
}

fn finding((row, line): (u64, u64), column: &str, rule: &str, expected: &str) -> Finding {
    Finding {
        row,
        line,
        column: column.to_owned(),
        rule: rule.to_owned(),
        expected: expected.to_owned(),
    }
}

/// A whole day; a time of day after it is left out.
fn day(cell: &str) -> Option<Date> {
    let (day, time) = cell.split_once('T').unwrap_or((cell, "00:00"));
    let known = PartialDate::parse(day).filter(|day| day.is_complete())?;
    let is_time = time
        .bytes()
        .all(|byte| byte.is_ascii_digit() || b":.+-Z".contains(&byte));
    is_time.then(|| known.earliest())
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAP: &str = "subjectNo: NO\nsite: SITE\nsex: SEX\nsexValues: {Male: M}\nbirthDate: BORN\n\
        identityNumber: CARD\nphone: PHONE\nmissing: [\"\", NA]\n\
        status: {column: ARM, values: {Scrnfail: 3, Wait: 0, Out: 2}, otherwise: 1, date: [START, ASKED],\n\
        \x20 enrolled: [START], reason: imported}\n";
    const HEADER: &str = "NO,SITE,SEX,BORN,CARD,PHONE,ARM,START,ASKED\n";

    fn read_rows(lines: &str) -> (Vec<Row>, Vec<(u64, String, String)>) {
        let folder = tempfile::tempdir().unwrap();
        let (map, rows) = (
            folder.path().join("map.yaml"),
            folder.path().join("rows.csv"),
        );
        std::fs::write(&map, MAP).unwrap();
        std::fs::write(&rows, format!("\u{feff}{HEADER}{lines}")).unwrap();
        let sites = [("701".to_owned(), "site-1".to_owned())].into();
        let today = Date::constant(2026, 1, 1);
        let (rows, findings) = read(&rows, &Map::load(&map).unwrap(), &sites, today).unwrap();
        let file = folder.path().join("errors.csv");
        findings.write(&file).unwrap();
        let found = csv::Reader::from_path(&file).unwrap().into_records();
        let found = found.map(|record| {
            let record = record.unwrap();
            (
                record[0].parse().unwrap(),
                record[2].to_owned(),
                record[3].to_owned(),
            )
        });
        (rows, found.collect())
    }

    #[test]
    fn rows_become_subjects_with_their_moves() {
        let (rows, found) = read_rows(
            "1,701,F,1931-08-25,NA,,Pbo,2012-09-07,2012-08-25\n\
             2,701,Male,1949,11010519491231002x,+86 10-1234,Scrnfail,NA,2012-08-25T10:30\n\
             3,701,U,1960-05,,,Wait,NA,NA\n\
             4,701,M,1950,,,Out,2012-01-01,NA\n",
        );
        assert_eq!(found, []);
        let moves: Vec<Vec<(u8, String)>> = rows
            .iter()
            .map(|row| {
                row.moves
                    .iter()
                    .map(|step| (step.to.code(), step.date.to_string()))
                    .collect()
            })
            .collect();
        assert_eq!(
            moves,
            [
                vec![(1, "2012-09-07".to_owned())],
                vec![(3, "2012-08-25".to_owned())],
                vec![],
                vec![(1, "2012-01-01".to_owned()), (2, "2012-01-01".to_owned())],
            ]
        );
        assert_eq!(rows[1].sex, "M");
        assert_eq!(
            rows[1].identity_number.as_deref(),
            Some("11010519491231002X")
        );
    }

    #[test]
    fn every_bad_cell_is_told_at_once_and_without_its_content() {
        let (rows, found) = read_rows(
            "1,999,X,1931-02-30,110105194912310021,abc,Pbo,2099-01-01,\n\
             ,701,F,2030,,,Pbo,NA,NA\n\
             7,701,F,1930,,,Pbo,2012-09,\n\
             8,701,F,1930,,,Pbo,2012-09-07,\n\
             8,701,F,1930,11010519491231002X,,Pbo,2012-09-07,\n",
        );
        assert_eq!(rows.len(), 1);
        let expected = [
            (1, "SITE", "site"),
            (1, "SEX", "options"),
            (1, "BORN", "date"),
            (1, "PHONE", "phone"),
            (1, "CARD", "identity-number"),
            (1, "START", "date"),
            (2, "NO", "required"),
            (2, "BORN", "date"),
            (2, "START or ASKED", "required"),
            (3, "START", "date"),
            (5, "CARD", "birth-date"),
        ];
        let found: Vec<_> = found
            .iter()
            .map(|(row, column, rule)| (*row, column.as_str(), rule.as_str()))
            .collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn a_number_that_stands_twice_is_told() {
        let row = "8,701,F,1930,,,Pbo,2012-09-07,\n";
        let (rows, found) = read_rows(&format!("{row}{row}"));
        assert_eq!(rows.len(), 1);
        assert_eq!(found, [(2, "NO".to_owned(), "unique".to_owned())]);
    }

    #[test]
    fn a_file_that_is_no_table_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let (map, rows) = (
            folder.path().join("map.yaml"),
            folder.path().join("rows.csv"),
        );
        std::fs::write(&map, MAP).unwrap();
        for (text, part) in [
            ("NO,SITE\n1,701\n".to_owned(), "no column \"SEX\""),
            (HEADER.replace("PHONE", "SEX"), "twice"),
            (format!("{HEADER}1,701\n"), "line: 2"),
            (format!("{HEADER}secret,701,F,1,,,Pbo,,,,\n"), "line: 2"),
        ] {
            std::fs::write(&rows, text).unwrap();
            let map = Map::load(&map).unwrap();
            let problem = read(&rows, &map, &BTreeMap::new(), Date::constant(2026, 1, 1));
            let problem = format!("{:#}", problem.err().unwrap());
            assert!(problem.contains(part), "{problem}");
            assert!(!problem.contains("secret"), "{problem}");
        }
    }
}
