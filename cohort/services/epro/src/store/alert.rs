//! The alerts.

use cohort_access::Scope;
use tenon::{
    Result, Timestamp,
    store::{FromRow, Row, Rx, Tx, args},
};

use crate::places::Place;

/// The state of an alert that nobody took responsibility for yet.
pub(crate) const OPEN: &str = "open";
/// The state of an alert that somebody took responsibility for.
pub(crate) const ACKNOWLEDGED: &str = "acknowledged";

/// An alert.
#[derive(Debug, Clone)]
pub(crate) struct Alert {
    pub(crate) id: String,
    pub(crate) study_id: String,
    pub(crate) site_id: String,
    pub(crate) subject_id: String,
    pub(crate) response_id: String,
    pub(crate) rule: String,
    pub(crate) status: String,
    pub(crate) raised_at: Timestamp,
    pub(crate) acknowledged_at: Option<Timestamp>,
    pub(crate) acknowledged_by: Option<String>,
    pub(crate) note: Option<String>,
}

impl Alert {
    /// Where it belongs.
    pub(crate) fn scope(&self) -> Scope<'_> {
        Scope {
            study: Some(&self.study_id),
            site: Some(&self.site_id),
            subject: Some(&self.subject_id),
        }
    }
}

impl FromRow for Alert {
    fn from_row(row: &Row<'_>) -> Result<Self> {
        Ok(Self {
            id: row.get(0)?,
            study_id: row.get(1)?,
            site_id: row.get(2)?,
            subject_id: row.get(3)?,
            response_id: row.get(4)?,
            rule: row.get(5)?,
            status: row.get(6)?,
            raised_at: row.get(7)?,
            acknowledged_at: row.get(8)?,
            acknowledged_by: row.get(9)?,
            note: row.get(10)?,
        })
    }
}

/// The columns of [`Alert`], so that every statement is one literal.
macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT id, study_id, site_id, subject_id, response_id, rule, status, raised_at, ",
            "acknowledged_at, acknowledged_by, note FROM alert ",
            $rest
        )
    };
}

/// An alert by its id.
pub(crate) async fn find(rx: &mut Rx, id: &str) -> Result<Option<Alert>> {
    rx.optional(select!("WHERE id = $1"), args![id]).await
}

/// The alerts of a place in one state after the one with the id `after`, oldest first, at most
/// `limit`.
pub(crate) async fn page(
    rx: &mut Rx,
    place: &Place,
    status: &str,
    after: &str,
    limit: i64,
) -> Result<Vec<Alert>> {
    const ALL: &str = select!("WHERE status = $3 AND id > $1 ORDER BY id LIMIT $2");
    const STUDY: &str =
        select!("WHERE study_id = $4 AND status = $3 AND id > $1 ORDER BY id LIMIT $2");
    const SITE: &str = select!(
        "WHERE study_id = $4 AND site_id = $5 AND status = $3 AND id > $1 ORDER BY id LIMIT $2"
    );
    match (&place.subject, &place.study, &place.site) {
        (None, None, None) => rx.all(ALL, args![after, limit, status]).await,
        (None, Some(study), None) => rx.all(STUDY, args![after, limit, status, study]).await,
        (None, Some(study), Some(site)) => {
            let values = args![after, limit, status, study, site];
            rx.all(SITE, values).await
        }
        // Patients see no alerts, and a site without its study covers nothing.
        (Some(_), ..) | (None, None, Some(_)) => Ok(Vec::new()),
    }
}

/// Marks an open alert as acknowledged. `false` when it was before.
pub(crate) async fn acknowledge(
    tx: &mut Tx,
    id: &str,
    account: &str,
    note: Option<&str>,
    time: Timestamp,
) -> Result<bool> {
    const SQL: &str = "UPDATE alert SET status = 'acknowledged', acknowledged_at = $2,
        acknowledged_by = $3, note = $4 WHERE id = $1 AND status = 'open'";
    let changed = tx.execute(SQL, args![id, time, account, note]).await?;
    Ok(changed == 1)
}
