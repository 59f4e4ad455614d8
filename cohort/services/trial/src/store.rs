//! The queries of this service.

use tenon::{
    OrInternal, Result,
    store::{self, FromRow, Migration, Row, Rx, Tx, args, audit},
};

use crate::study::{Site, Study};

/// The schema, step by step.
pub(crate) const MIGRATIONS: &[Migration] =
    store::migrations! { 1 "study" => "../migrations/0001_study.sql" };

macro_rules! study {
    ($rest:literal) => {
        concat!(
            "SELECT id, code, title, status, target, definition, created_at FROM study ",
            $rest
        )
    };
}

macro_rules! site {
    ($rest:literal) => {
        concat!(
            "SELECT id, study_id, code, name, time_zone, status, target, created_at FROM site ",
            $rest
        )
    };
}

/// The query of a study by its id.
pub(crate) const STUDY: &str = study!("WHERE id = $1");

/// The query of a site by its study and its id.
pub(crate) const SITE: &str = site!("WHERE study_id = $1 AND id = $2");

/// Studies after an id, oldest first.
pub(crate) async fn studies(rx: &mut Rx, after: &str, limit: i64) -> Result<Vec<Study>> {
    const SQL: &str = study!("WHERE id > $1 ORDER BY id LIMIT $2");
    rx.all(SQL, args![after, limit]).await
}

/// Sites of a study after an id, oldest first.
pub(crate) async fn sites(rx: &mut Rx, study: &str, after: &str, limit: i64) -> Result<Vec<Site>> {
    const SQL: &str = site!("WHERE study_id = $1 AND id > $2 ORDER BY id LIMIT $3");
    rx.all(SQL, args![study, after, limit]).await
}

/// Keeps a new study with its audit record; whether its code was free.
pub(crate) async fn insert_study(
    tx: &mut Tx,
    study: &Study,
    record: &audit::Record,
) -> Result<bool> {
    const SQL: &str = "INSERT INTO study
        (id, code, title, status, target, definition, created_at, created_by)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (code) DO NOTHING";
    let definition =
        serde_json::to_string(&study.definition).or_internal("write a study's definition")?;
    let row = args![
        study.id,
        study.code,
        study.title,
        study.status,
        study.target,
        definition,
        study.created_at,
        record.actor
    ];
    if tx.execute(SQL, row).await? == 0 {
        return Ok(false);
    }
    audit::append(tx, record).await?;
    Ok(true)
}

/// Keeps a new site with its audit record; whether its code was free in the study.
pub(crate) async fn insert_site(tx: &mut Tx, site: &Site, record: &audit::Record) -> Result<bool> {
    const SQL: &str = "INSERT INTO site
        (id, study_id, code, name, time_zone, status, target, created_at, created_by)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT (study_id, code) DO NOTHING";
    let row = args![
        site.id,
        site.study_id,
        site.code,
        site.name,
        site.time_zone,
        site.status,
        site.target,
        site.created_at,
        record.actor
    ];
    if tx.execute(SQL, row).await? == 0 {
        return Ok(false);
    }
    audit::append(tx, record).await?;
    Ok(true)
}

impl FromRow for Study {
    fn from_row(row: &Row<'_>) -> Result<Self> {
        let definition: String = row.get(5)?;
        Ok(Self {
            id: row.get(0)?,
            code: row.get(1)?,
            title: row.get(2)?,
            status: row.get(3)?,
            target: row.get(4)?,
            definition: serde_json::from_str(&definition)
                .or_internal("read a study's definition")?,
            created_at: row.get(6)?,
        })
    }
}

impl FromRow for Site {
    fn from_row(row: &Row<'_>) -> Result<Self> {
        Ok(Self {
            id: row.get(0)?,
            study_id: row.get(1)?,
            code: row.get(2)?,
            name: row.get(3)?,
            time_zone: row.get(4)?,
            status: row.get(5)?,
            target: row.get(6)?,
            created_at: row.get(7)?,
        })
    }
}
