//! The published questionnaires.

use tenon::{
    Context, Result, Timestamp,
    store::{Db, FromRow, Row, Tx, args},
};

/// A questionnaire to be published.
pub(crate) struct NewQuestionnaire {
    pub(crate) id: String,
    pub(crate) url: String,
    pub(crate) version: String,
    pub(crate) title: String,
    pub(crate) digest: [u8; 32],
    pub(crate) resource: String,
    pub(crate) published_at: Timestamp,
    pub(crate) published_by: String,
}

/// What lists show of a questionnaire.
#[derive(Debug, Clone)]
pub(crate) struct Summary {
    pub(crate) id: String,
    pub(crate) url: String,
    pub(crate) version: String,
    pub(crate) title: String,
    pub(crate) digest: [u8; 32],
    pub(crate) published_at: Timestamp,
}

impl FromRow for Summary {
    fn from_row(row: &Row<'_>) -> Result<Self> {
        Ok(Self {
            id: row.get(0)?,
            url: row.get(1)?,
            version: row.get(2)?,
            title: row.get(3)?,
            digest: row.get(4)?,
            published_at: row.get(5)?,
        })
    }
}

/// Inserts a questionnaire. `false` when its url and version are taken.
pub(crate) async fn insert(tx: &mut Tx, new: &NewQuestionnaire) -> Result<bool> {
    const SQL: &str = "INSERT INTO questionnaire
        (id, url, version, title, digest, resource, published_at, published_by)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (url, version) DO NOTHING";
    let values = args![
        new.id,
        new.url,
        new.version,
        new.title,
        new.digest,
        new.resource,
        new.published_at,
        new.published_by,
    ];
    Ok(tx.execute(SQL, values).await? == 1)
}

/// The questionnaire of a url and version.
pub(crate) async fn by_version(tx: &mut Tx, url: &str, version: &str) -> Result<Option<Summary>> {
    const SQL: &str = "SELECT id, url, version, title, digest, published_at FROM questionnaire
        WHERE url = $1 AND version = $2";
    tx.optional(SQL, args![url, version]).await
}

/// The text of a questionnaire by url and version.
pub(crate) async fn text_of_version(
    db: &Db,
    cx: &Context,
    url: &str,
    version: &str,
) -> Result<Option<String>> {
    const SQL: &str = "SELECT resource FROM questionnaire WHERE url = $1 AND version = $2";
    db.optional(cx, SQL, args![url, version]).await
}

/// The text of a questionnaire by id.
pub(crate) async fn text(db: &Db, cx: &Context, id: &str) -> Result<Option<String>> {
    const SQL: &str = "SELECT resource FROM questionnaire WHERE id = $1";
    db.optional(cx, SQL, args![id]).await
}

/// The questionnaires after the one with the id `after`, oldest first, at most `limit`.
pub(crate) async fn page(db: &Db, cx: &Context, after: &str, limit: i64) -> Result<Vec<Summary>> {
    const SQL: &str = "SELECT id, url, version, title, digest, published_at FROM questionnaire
        WHERE id > $1 ORDER BY id LIMIT $2";
    db.all(cx, SQL, args![after, limit]).await
}
