//! Lists of subjects: each caller sees them through the places that its grants name, and each
//! place is one query that an index serves.

use std::collections::BTreeSet;

use cohort_access::Listing;
use tenon::{
    Result,
    store::{FromRow, Row, Rx, args, seal::Sealed},
};

use super::{SUBJECT, subject};
use crate::{errors::TRIAL_TOO_LARGE, subject::Subject};

/// How many subjects one answer without pages holds at most: some 2 MiB, half of what a message
/// may have.
const LINES_MAX: usize = 20_000;
/// How many are read with one query of them.
const LINES_AT_ONCE: i64 = 2_000;

/// Through what subjects are seen.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Place {
    /// All of them.
    Everywhere,
    /// Those of a study.
    Study(String),
    /// Those of a site of a study.
    Site(String, String),
    /// One subject.
    Own(String),
}

/// The places of a listing, of one study where it is given. No place lies inside another, but an
/// own subject may.
pub(crate) fn places(listing: &Listing<'_>, study: Option<&str>) -> BTreeSet<Place> {
    let Listing::Parts { places, own } = listing else {
        let all = study.map_or(Place::Everywhere, |study| Place::Study(study.to_owned()));
        return BTreeSet::from([all]);
    };
    let wanted = |place: &str| study.is_none_or(|study| study == place);
    let whole: BTreeSet<&str> = places
        .iter()
        .filter(|(_, site)| site.is_none())
        .map(|(place, _)| *place)
        .collect();
    let mut found = BTreeSet::new();
    for (place, site) in places.iter().filter(|(place, _)| wanted(place)) {
        found.insert(match site {
            Some(site) if !whole.contains(place) => {
                Place::Site((*place).to_owned(), (*site).to_owned())
            }
            _ => Place::Study((*place).to_owned()),
        });
    }
    let own = own.iter().filter(|own| own.study.is_none_or(wanted));
    found.extend(own.map(|own| Place::Own(own.subject.to_owned())));
    found
}

/// The first subjects of a place after an id, oldest first.
pub(crate) async fn page(
    rx: &mut Rx,
    place: &Place,
    after: &str,
    limit: i64,
) -> Result<Vec<Subject>> {
    const ALL: &str = subject!("WHERE id > $1 ORDER BY id LIMIT $2");
    const STUDY: &str = subject!("WHERE study_id = $1 AND id > $2 ORDER BY id LIMIT $3");
    const SITE: &str =
        subject!("WHERE study_id = $1 AND site_id = $2 AND id > $3 ORDER BY id LIMIT $4");
    match place {
        Place::Everywhere => rx.all(ALL, args![after, limit]).await,
        Place::Study(study) => rx.all(STUDY, args![study, after, limit]).await,
        Place::Site(study, site) => rx.all(SITE, args![study, site, after, limit]).await,
        Place::Own(id) if id.as_str() > after => rx.all(SUBJECT, args![id]).await,
        Place::Own(_) => Ok(Vec::new()),
    }
}

/// A subject as a study's list shows it.
pub(crate) struct Line {
    pub(crate) id: String,
    pub(crate) person_id: String,
    pub(crate) study_id: String,
    pub(crate) site_id: String,
    pub(crate) status: i32,
    pub(crate) version: i64,
    pub(crate) name: Option<Sealed>,
}

/// All subjects of a place, oldest first.
///
/// # Errors
/// `TRIAL_TOO_LARGE` when there are more than one answer holds.
pub(crate) async fn lines(rx: &mut Rx, place: &Place) -> Result<Vec<Line>> {
    let mut found: Vec<Line> = Vec::new();
    loop {
        let after = found.last().map_or("", |line| line.id.as_str());
        let next = lines_after(rx, place, after).await?;
        let is_last = next.len() < usize::try_from(LINES_AT_ONCE).unwrap_or(usize::MAX);
        found.extend(next);
        if found.len() > LINES_MAX {
            return Err(TRIAL_TOO_LARGE.error().param("limit", LINES_MAX));
        }
        if is_last {
            return Ok(found);
        }
    }
}

async fn lines_after(rx: &mut Rx, place: &Place, after: &str) -> Result<Vec<Line>> {
    macro_rules! line {
        ($rest:literal) => {
            concat!(
                "SELECT id, person_id, study_id, site_id, status, version, name FROM subject ",
                $rest
            )
        };
    }
    const ALL: &str = line!("WHERE id > $1 ORDER BY id LIMIT $2");
    const STUDY: &str = line!("WHERE study_id = $1 AND id > $2 ORDER BY id LIMIT $3");
    const SITE: &str =
        line!("WHERE study_id = $1 AND site_id = $2 AND id > $3 ORDER BY id LIMIT $4");
    const OWN: &str = line!("WHERE id = $1 AND id > $2");
    let limit = LINES_AT_ONCE;
    match place {
        Place::Everywhere => rx.all(ALL, args![after, limit]).await,
        Place::Study(study) => rx.all(STUDY, args![study, after, limit]).await,
        Place::Site(study, site) => rx.all(SITE, args![study, site, after, limit]).await,
        Place::Own(id) => rx.all(OWN, args![id, after]).await,
    }
}

impl FromRow for Line {
    fn from_row(row: &Row<'_>) -> Result<Self> {
        Ok(Self {
            id: row.get(0)?,
            person_id: row.get(1)?,
            study_id: row.get(2)?,
            site_id: row.get(3)?,
            status: row.get(4)?,
            version: row.get(5)?,
            name: row.get(6)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use cohort_access::Own;

    use super::*;

    fn parts<'a>(places: &[(&'a str, Option<&'a str>)], own: Option<&'a str>) -> Listing<'a> {
        Listing::Parts {
            places: places.to_vec(),
            own: own
                .into_iter()
                .map(|subject| Own {
                    subject,
                    study: None,
                })
                .collect(),
        }
    }

    #[test]
    fn r_15_places_are_those_of_the_grants_and_the_study_asked_for() {
        let site = |study: &str, site: &str| Place::Site(study.to_owned(), site.to_owned());
        let study = |study: &str| Place::Study(study.to_owned());
        let granted = [("T1", Some("S1")), ("T1", Some("S2")), ("T2", None)];
        let listing = parts(&granted, None);
        let all = [study("T2"), site("T1", "S1"), site("T1", "S2")];
        assert_eq!(places(&listing, None), BTreeSet::from(all));
        let one = [site("T1", "S1"), site("T1", "S2")];
        assert_eq!(places(&listing, Some("T1")), BTreeSet::from(one));
        assert_eq!(places(&listing, Some("T3")), BTreeSet::new());
        // A site of a study that is granted as a whole is no place of its own.
        let both = parts(&[("T1", Some("S1")), ("T1", None)], Some("P1"));
        let expected = [study("T1"), Place::Own("P1".to_owned())];
        assert_eq!(places(&both, None), BTreeSet::from(expected));
        let everything = places(&Listing::Everything, None);
        assert_eq!(everything, BTreeSet::from([Place::Everywhere]));
    }
}
