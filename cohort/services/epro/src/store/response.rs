//! The stored responses with their scores and discrepancies.

use cohort_access::Scope;
use tenon::{
    OrInternal, Result, Timestamp,
    store::{FromRow, Row, Rx, args},
};

use crate::places::Place;

/// What decides about a second submission under the same id, and is answered to it.
#[derive(Debug, Clone)]
pub(crate) struct First {
    pub(crate) id: String,
    pub(crate) receipt_no: String,
    pub(crate) received_at: Timestamp,
    pub(crate) study_id: String,
    pub(crate) site_id: String,
    pub(crate) subject_id: String,
    pub(crate) digest: [u8; 32],
}

impl First {
    /// Where it belongs.
    pub(crate) fn scope(&self) -> Scope<'_> {
        Scope {
            study: Some(&self.study_id),
            site: Some(&self.site_id),
            subject: Some(&self.subject_id),
        }
    }
}

impl FromRow for First {
    fn from_row(row: &Row<'_>) -> Result<Self> {
        Ok(Self {
            id: row.get(0)?,
            receipt_no: row.get(1)?,
            received_at: row.get(2)?,
            study_id: row.get(3)?,
            site_id: row.get(4)?,
            subject_id: row.get(5)?,
            digest: row.get(6)?,
        })
    }
}

/// The statement of [`first`], for a read without a closure.
pub(crate) const FIRST: &str =
    "SELECT id, receipt_no, received_at, study_id, site_id, subject_id, digest
    FROM response WHERE id = $1";

/// The response that is stored under an id.
pub(crate) async fn first(rx: &mut Rx, id: &str) -> Result<Option<First>> {
    rx.optional(FIRST, args![id]).await
}

/// A response as it is shown.
#[derive(Debug, Clone)]
pub(crate) struct Stored {
    pub(crate) id: String,
    pub(crate) receipt_no: String,
    pub(crate) received_at: Timestamp,
    pub(crate) study_id: String,
    pub(crate) site_id: String,
    pub(crate) subject_id: String,
    pub(crate) questionnaire_url: String,
    pub(crate) questionnaire_version: String,
    pub(crate) originator: String,
    pub(crate) not_collected: Vec<String>,
    pub(crate) resource: String,
}

impl Stored {
    /// Where it belongs.
    pub(crate) fn scope(&self) -> Scope<'_> {
        Scope {
            study: Some(&self.study_id),
            site: Some(&self.site_id),
            subject: Some(&self.subject_id),
        }
    }
}

impl FromRow for Stored {
    fn from_row(row: &Row<'_>) -> Result<Self> {
        Ok(Self {
            id: row.get(0)?,
            receipt_no: row.get(1)?,
            received_at: row.get(2)?,
            study_id: row.get(3)?,
            site_id: row.get(4)?,
            subject_id: row.get(5)?,
            questionnaire_url: row.get(6)?,
            questionnaire_version: row.get(7)?,
            originator: row.get(8)?,
            not_collected: link_ids(&row.get::<String>(9)?)?,
            resource: row.get(10)?,
        })
    }
}

/// The columns of [`Stored`], so that every statement is one literal.
macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT id, receipt_no, received_at, study_id, site_id, subject_id, ",
            "questionnaire_url, questionnaire_version, originator, not_collected, resource ",
            "FROM response ",
            $rest
        )
    };
}

/// A response by its id.
pub(crate) async fn find(rx: &mut Rx, id: &str) -> Result<Option<Stored>> {
    rx.optional(select!("WHERE id = $1"), args![id]).await
}

/// The responses of a place after the receipt number `after`, oldest first, at most `limit`.
pub(crate) async fn page(
    rx: &mut Rx,
    place: &Place,
    after: &str,
    limit: i64,
) -> Result<Vec<Stored>> {
    const ALL: &str = select!("WHERE receipt_no > $1 ORDER BY receipt_no LIMIT $2");
    const STUDY: &str =
        select!("WHERE study_id = $3 AND receipt_no > $1 ORDER BY receipt_no LIMIT $2");
    const SITE: &str = select!(
        "WHERE study_id = $3 AND site_id = $4 AND receipt_no > $1 ORDER BY receipt_no LIMIT $2"
    );
    // A subject has few responses; looking at each of them costs less than two more indexes.
    const SUBJECT: &str = select!(
        "WHERE subject_id = $3 AND (CAST($4 AS TEXT) IS NULL OR study_id = $4)
        AND (CAST($5 AS TEXT) IS NULL OR site_id = $5)
        AND receipt_no > $1 ORDER BY receipt_no LIMIT $2"
    );
    match (&place.subject, &place.study, &place.site) {
        (Some(subject), study, site) => {
            let values = args![after, limit, subject, study, site];
            rx.all(SUBJECT, values).await
        }
        (None, Some(study), Some(site)) => rx.all(SITE, args![after, limit, study, site]).await,
        (None, Some(study), None) => rx.all(STUDY, args![after, limit, study]).await,
        // A site without its study covers nothing.
        (None, None, Some(_)) => Ok(Vec::new()),
        (None, None, None) => rx.all(ALL, args![after, limit]).await,
    }
}

/// The newest responses of a subject in a place, at most `limit`.
pub(crate) async fn newest(
    rx: &mut Rx,
    subject: &str,
    place: &Place,
    limit: i64,
) -> Result<Vec<Stored>> {
    const SQL: &str = select!(
        "WHERE subject_id = $2 AND (CAST($3 AS TEXT) IS NULL OR study_id = $3)
        AND (CAST($4 AS TEXT) IS NULL OR site_id = $4) ORDER BY receipt_no DESC LIMIT $1"
    );
    rx.all(SQL, args![limit, subject, place.study, place.site])
        .await
}

/// A computed score.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Score {
    pub(crate) name: String,
    pub(crate) value: Option<i64>,
    pub(crate) band: Option<String>,
    pub(crate) algorithm: String,
    pub(crate) missing: Vec<String>,
}

impl FromRow for Score {
    fn from_row(row: &Row<'_>) -> Result<Self> {
        Ok(Self {
            name: row.get(0)?,
            value: row.get(1)?,
            band: row.get(2)?,
            algorithm: row.get(3)?,
            missing: link_ids(&row.get::<String>(4)?)?,
        })
    }
}

/// A claimed total that the answers do not add up to.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Discrepancy {
    pub(crate) link_id: String,
    pub(crate) claimed: i64,
    pub(crate) computed: Option<i64>,
}

impl FromRow for Discrepancy {
    fn from_row(row: &Row<'_>) -> Result<Self> {
        Ok(Self {
            link_id: row.get(0)?,
            claimed: row.get(1)?,
            computed: row.get(2)?,
        })
    }
}

/// What was computed from a response.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Computed {
    pub(crate) scores: Vec<Score>,
    pub(crate) discrepancies: Vec<Discrepancy>,
}

/// What was computed from a response when it came.
pub(crate) async fn computed(rx: &mut Rx, id: &str) -> Result<Computed> {
    const DISCREPANCIES: &str = "SELECT link_id, claimed, computed FROM discrepancy
        WHERE response_id = $1 ORDER BY position";
    Ok(Computed {
        scores: scores(rx, id).await?,
        discrepancies: rx.all(DISCREPANCIES, args![id]).await?,
    })
}

/// The scores of a response.
pub(crate) async fn scores(rx: &mut Rx, id: &str) -> Result<Vec<Score>> {
    const SQL: &str = "SELECT name, value, band, algorithm, missing FROM score
        WHERE response_id = $1 ORDER BY position";
    rx.all(SQL, args![id]).await
}

fn link_ids(json: &str) -> Result<Vec<String>> {
    serde_json::from_str(json).or_internal("read a list of link ids")
}
