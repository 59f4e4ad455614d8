//! Migrations: forward only, each in a transaction, each remembered with its checksum.

use std::{fmt::Write, path::Path};

use aws_lc_rs::digest::{SHA256, digest};
use jiff::Timestamp;
use rusqlite::Connection;
use tenon_core::Result;

use crate::{engine::Engine, entries::open_failed};

/// One step of a schema. A step that was released is never changed: the next one corrects it.
///
/// Its text is written for every engine: types `BIGINT`, `TEXT`, `BYTEA`, `BOOLEAN` and
/// `DOUBLE PRECISION`; tables are strict about them. [`crate::migrations`] embeds a folder's files.
#[derive(Debug, Clone, Copy)]
pub struct Migration {
    /// Its number; the first is 1, the next one more.
    pub version: u32,
    /// What it does, for people.
    pub name: &'static str,
    /// Its statements, each ended by a semicolon.
    pub sql: &'static str,
}

/// Embeds migration files as a constant list of [`Migration`]:
/// `migrations! { 1 "create_subject" => "../migrations/0001_create_subject.sql" }`, the paths
/// relative to the file of the call.
#[macro_export]
macro_rules! migrations {
    ($($version:literal $name:literal => $path:literal),* $(,)?) => {
        &[$($crate::Migration {
            version: $version,
            name: $name,
            sql: include_str!($path),
        }),*]
    };
}

/// What the store keeps for itself in each database, in this engine's own words.
const OWN: &[Migration] = &[
    Migration {
        version: 1,
        name: "audit",
        sql: include_str!("../migrations/0001_audit.sql"),
    },
    Migration {
        version: 2,
        name: "outbox",
        sql: include_str!("../migrations/0002_outbox.sql"),
    },
    Migration {
        version: 3,
        name: "data_key",
        sql: include_str!("../migrations/0003_data_key.sql"),
    },
];

/// Brings the database to the newest schema that this program knows, or refuses.
pub(crate) fn run(engine: &mut Engine, path: &Path, migrations: &[Migration]) -> Result<()> {
    const LEDGER: &str = "CREATE TABLE IF NOT EXISTS tenon_migration (
        scope TEXT NOT NULL, version INTEGER NOT NULL, name TEXT NOT NULL,
        checksum BLOB NOT NULL, applied INTEGER NOT NULL, PRIMARY KEY (scope, version)) STRICT";
    let conn = engine.connection();
    conn.execute_batch(LEDGER)
        .map_err(|cause| open_failed(path, cause))?;
    // Both are judged before either is run: a refused database is left as it was.
    let own = pending(conn, "tenon", OWN).map_err(|problem| open_failed(path, problem))?;
    let service =
        pending(conn, "service", migrations).map_err(|problem| open_failed(path, problem))?;
    for (scope, steps) in [("tenon", own), ("service", service)] {
        for step in steps {
            apply(conn, scope, step).map_err(|cause| {
                let Migration { version, name, .. } = step;
                open_failed(
                    path,
                    format!("migration {version} `{name}` failed: {cause}"),
                )
            })?;
        }
    }
    Ok(())
}

/// The steps that are not applied yet, after those that are were found unchanged.
fn pending<'a>(
    conn: &Connection,
    scope: &str,
    known: &'a [Migration],
) -> Result<&'a [Migration], String> {
    for (step, expected) in known.iter().zip(1..) {
        if step.version != expected {
            return Err(format!(
                "migration `{}` has version {} where {expected} was expected; number them 1, 2, 3 without gaps",
                step.name, step.version
            ));
        }
    }
    let applied = applied(conn, scope).map_err(|cause| cause.to_string())?;
    if applied.len() > known.len() {
        return Err(format!(
            "its {scope} schema has version {}, this program knows {}; start a newer program or restore a backup",
            applied.len(),
            known.len()
        ));
    }
    for (step, (version, checksum)) in known.iter().zip(&applied) {
        if i64::from(step.version) != *version || checksum[..] != *sum(step) {
            return Err(format!(
                "migration {} `{}` was changed after it was applied; restore its text and add a new migration",
                step.version, step.name
            ));
        }
    }
    Ok(&known[applied.len()..])
}

fn applied(conn: &Connection, scope: &str) -> rusqlite::Result<Vec<(i64, Vec<u8>)>> {
    const SQL: &str =
        "SELECT version, checksum FROM tenon_migration WHERE scope = ?1 ORDER BY version";
    let mut statement = conn.prepare(SQL)?;
    let rows = statement.query_map([scope], |row| Ok((row.get(0)?, row.get(1)?)))?;
    rows.collect()
}

fn apply(conn: &mut Connection, scope: &str, step: &Migration) -> Result<(), String> {
    const NOTE: &str = "INSERT INTO tenon_migration (scope, version, name, checksum, applied)
        VALUES (?1, ?2, ?3, ?4, ?5)";
    let text = match scope {
        "tenon" => step.sql.to_owned(),
        _ => spell(step.sql),
    };
    let run = |conn: &mut Connection| -> rusqlite::Result<bool> {
        let tx = conn.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
        tx.execute_batch(&text)?;
        if tx.is_autocommit() {
            return Ok(false);
        }
        let now = Timestamp::now().as_microsecond();
        let sum = sum(step);
        tx.execute(NOTE, (scope, step.version, step.name, sum, now))?;
        tx.commit()?;
        Ok(true)
    };
    match run(conn) {
        Ok(true) => Ok(()),
        Ok(false) => Err("it ends its transaction; leave BEGIN and COMMIT to the store".to_owned()),
        Err(cause) => Err(cause.to_string()),
    }
}

fn sum(step: &Migration) -> Vec<u8> {
    digest(&SHA256, step.sql.as_bytes()).as_ref().to_vec()
}

/// Spells a migration as this engine wants it: its names for the types, and `STRICT` on each
/// table, without which it would store text in a number's column.
fn spell(sql: &str) -> String {
    let mut out = String::with_capacity(sql.len() + 16);
    let mut table = Statement::default();
    let mut rest = sql;
    while let Some(first) = rest.chars().next() {
        let length = token_length(rest, first);
        let (token, later) = rest.split_at(length);
        rest = later;
        if first.is_alphabetic() || first == '_' {
            table.word(token);
            let upper = token.to_ascii_uppercase();
            match upper.as_str() {
                "BIGINT" | "BOOLEAN" => out.push_str("INTEGER"),
                "BYTEA" => out.push_str("BLOB"),
                "DOUBLE" => out.push_str("REAL"),
                "PRECISION" => {}
                _ => out.push_str(token),
            }
        } else if first == ';' {
            table.end(&mut out);
            out.push(';');
        } else {
            out.push_str(token);
        }
    }
    table.end(&mut out);
    out
}

/// The words of the statement so far.
#[derive(Default)]
struct Statement {
    words: u32,
    creates: bool,
    is_table: bool,
    last: String,
}

impl Statement {
    fn word(&mut self, word: &str) {
        self.words += 1;
        match self.words {
            1 => self.creates = word.eq_ignore_ascii_case("create"),
            2 => self.is_table = self.creates && word.eq_ignore_ascii_case("table"),
            _ => {}
        }
        word.clone_into(&mut self.last);
    }

    fn end(&mut self, out: &mut String) {
        if self.is_table && !self.last.eq_ignore_ascii_case("strict") {
            let _ = write!(out, " STRICT");
        }
        *self = Self::default();
    }
}

/// The length of the token that `rest` begins with: a word, a string, a comment, or one character.
fn token_length(rest: &str, first: char) -> usize {
    let until = |end: &str, skip: usize| {
        rest.get(skip..)
            .and_then(|text| text.find(end))
            .map_or(rest.len(), |at| skip + at + end.len())
    };
    match first {
        // A doubled quote reads as two strings side by side, which is copied just the same.
        '\'' => until("'", 1),
        '"' => until("\"", 1),
        '-' if rest.starts_with("--") => until("\n", 2),
        '/' if rest.starts_with("/*") => until("*/", 2),
        _ if first.is_alphanumeric() || first == '_' => rest
            .find(|c: char| !c.is_alphanumeric() && c != '_')
            .unwrap_or(rest.len()),
        _ => first.len_utf8(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn migrations_are_spelled_for_the_engine_and_texts_stay_as_they_are() {
        let spelled = spell(concat!(
            "CREATE TABLE a (id BIGINT PRIMARY KEY, b BYTEA, c BOOLEAN, d double precision);\n",
            "-- a BIGINT; in a comment\n",
            "CREATE INDEX a_b ON a (b); INSERT INTO a (id, b) VALUES (1, 'BYTEA; it''s');\n",
            "create table if not exists \"BIGINT\" (x TEXT) STRICT;",
            "CREATE TABLE last (x TEXT)",
        ));
        let expected = concat!(
            "CREATE TABLE a (id INTEGER PRIMARY KEY, b BLOB, c INTEGER, d REAL ) STRICT;\n",
            "-- a BIGINT; in a comment\n",
            "CREATE INDEX a_b ON a (b); INSERT INTO a (id, b) VALUES (1, 'BYTEA; it''s');\n",
            "create table if not exists \"BIGINT\" (x TEXT) STRICT;",
            "CREATE TABLE last (x TEXT) STRICT",
        );
        assert_eq!(spelled, expected);
    }
}
