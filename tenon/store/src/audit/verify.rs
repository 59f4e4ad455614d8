//! Verifying a whole trail from its file, also beside a running process.

use std::{collections::BTreeMap, fmt, path::Path};

use tenon_core::Result;

use super::{chain, parse};
use crate::{engine::Engine, entries::open_failed};

/// The schema of the trail, which its triggers are compared with.
const SCHEMA: &str = include_str!("../../migrations/0001_audit.sql");

/// What a verification found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// How many chains there are.
    pub streams: u64,
    /// How many records were read.
    pub records: u64,
    /// The first problem of each chain that has one.
    pub problems: Vec<Problem>,
}

impl Report {
    /// Whether nothing was found.
    pub fn is_sound(&self) -> bool {
        self.problems.is_empty()
    }
}

/// The first record of a chain that does not fit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The chain; empty when the trail as a whole is meant.
    pub stream: String,
    /// The record's number.
    pub sequence: i64,
    /// What is wrong with it.
    pub reason: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            stream,
            sequence,
            reason,
        } = self;
        write!(f, "stream {stream:?}, record {sequence}: {reason}")
    }
}

/// Reads every record of the database at `path`, without writing to it. May run beside the
/// process that works on it; the state at the beginning is what is verified.
///
/// # Errors
/// `OPEN_FAILED` when the file cannot be read or holds no trail. Findings are in the report.
pub fn verify_file(path: impl AsRef<Path>) -> Result<Report> {
    let path = path.as_ref();
    if !path.exists() {
        return Err(open_failed(
            path,
            "it does not exist; expected a service's data file",
        ));
    }
    let mut engine = Engine::open_reader(path)?;
    let conn = engine.connection();
    let read = || {
        // Records and heads are of one state.
        conn.execute_batch("BEGIN")?;
        let mut walk = Walk::default();
        read_records(conn, &mut walk)?;
        let heads = read_heads(conn)?;
        let guarded = is_guarded(conn)?;
        Ok(walk.finish(&heads, guarded))
    };
    read().map_err(|cause: rusqlite::Error| {
        open_failed(path, format!("its audit trail cannot be read: {cause}"))
    })
}

/// A row of the trail.
struct Line {
    stream: String,
    sequence: i64,
    searched: (i64, String, String, String, String),
    canonical: Vec<u8>,
    previous: Vec<u8>,
    hash: Vec<u8>,
}

type Heads = BTreeMap<String, (i64, Vec<u8>)>;

fn read_records(conn: &rusqlite::Connection, walk: &mut Walk) -> rusqlite::Result<()> {
    const SQL: &str = "SELECT stream, sequence, time, action, entity, entity_id, actor,
        canonical, previous, hash FROM audit_record ORDER BY stream, sequence";
    let mut statement = conn.prepare(SQL)?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        walk.step(Line {
            stream: row.get(0)?,
            sequence: row.get(1)?,
            searched: (
                row.get(2)?,
                row.get(3)?,
                row.get(4)?,
                row.get(5)?,
                row.get(6)?,
            ),
            canonical: row.get(7)?,
            previous: row.get(8)?,
            hash: row.get(9)?,
        });
    }
    Ok(())
}

fn read_heads(conn: &rusqlite::Connection) -> rusqlite::Result<Heads> {
    let mut statement = conn.prepare("SELECT stream, sequence, hash FROM audit_head")?;
    let rows = statement.query_map([], |row| Ok((row.get(0)?, (row.get(1)?, row.get(2)?))))?;
    rows.collect()
}

/// Whether the triggers on the trail's tables are those that the store made, all of them, word for
/// word, and no other: one that does nothing has the same name.
fn is_guarded(conn: &rusqlite::Connection) -> rusqlite::Result<bool> {
    const SQL: &str = "SELECT sql FROM sqlite_schema
        WHERE type = 'trigger' AND tbl_name IN ('audit_record', 'audit_head')";
    let mut statement = conn.prepare(SQL)?;
    let found: Vec<String> = statement
        .query_map([], |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    let all = found.len() == SCHEMA.matches("CREATE TRIGGER").count();
    Ok(all
        && found
            .iter()
            .all(|text| SCHEMA.contains(&format!("{text};"))))
}

/// The walk along the chains.
#[derive(Default)]
struct Walk {
    report: Report,
    /// How far each chain was followed: its last sequence and hash.
    reached: Heads,
}

impl Walk {
    fn step(&mut self, line: Line) {
        self.report.records += 1;
        let known = self.reached.contains_key(&line.stream);
        if !known {
            self.report.streams += 1;
        }
        let (last, previous) = match self.reached.get(&line.stream) {
            Some((sequence, hash)) => (*sequence, hash.as_slice()),
            None => (0, [0; 32].as_slice()),
        };
        if let Some((sequence, reason)) = line.problem(last, previous) {
            self.note(&line.stream, sequence, reason);
        }
        self.reached.insert(line.stream, (line.sequence, line.hash));
    }

    fn finish(mut self, heads: &Heads, guarded: bool) -> Report {
        for (stream, (sequence, hash)) in heads {
            match self.reached.get(stream) {
                None => self.note(stream, 1, "all its records are missing".to_owned()),
                Some((last, _)) if last < sequence => {
                    let reason = format!("the records after {last} are missing, up to {sequence}");
                    self.note(stream, last + 1, reason);
                }
                Some((last, _)) if last > sequence => {
                    let reason = "it was added after the head of its chain".to_owned();
                    self.note(stream, sequence + 1, reason);
                }
                Some((_, found)) if found != hash => {
                    let reason = "its hash is not that of the chain's head".to_owned();
                    self.note(stream, *sequence, reason);
                }
                Some(_) => {}
            }
        }
        let headless: Vec<String> = self
            .reached
            .keys()
            .filter(|stream| !heads.contains_key(*stream))
            .cloned()
            .collect();
        for stream in headless {
            self.note(&stream, 1, "its chain has no head".to_owned());
        }
        if !guarded {
            let reason =
                "the triggers that refuse changes of the trail are missing or changed".to_owned();
            self.note("", 0, reason);
        }
        self.report
    }

    /// What follows the first problem of a chain follows from it.
    fn note(&mut self, stream: &str, sequence: i64, reason: String) {
        let problems = &mut self.report.problems;
        if problems.iter().all(|problem| problem.stream != stream) {
            problems.push(Problem {
                stream: stream.to_owned(),
                sequence,
                reason,
            });
        }
    }
}

impl Line {
    fn problem(&self, last: i64, previous: &[u8]) -> Option<(i64, String)> {
        if self.sequence != last + 1 {
            return Some((last + 1, "it is missing".to_owned()));
        }
        let reason = |text: &str| Some((self.sequence, text.to_owned()));
        if self.previous != previous {
            return reason("it does not follow the record before it");
        }
        if self.hash != chain(&self.previous, &self.canonical) {
            return reason("its content does not match its hash");
        }
        let read = match parse(&self.canonical) {
            Ok(read) => read,
            Err(problem) => return Some((self.sequence, problem)),
        };
        if (read.sequence, &read.record.stream) != (self.sequence, &self.stream) {
            return reason("it belongs to another place of the trail");
        }
        let record = read.record;
        let said = (
            record.time.as_microsecond(),
            record.action,
            record.entity,
            record.entity_id,
            record.actor,
        );
        if said != self.searched {
            return reason("its searchable columns do not match its content");
        }
        None
    }
}
