//! Which rows a caller's list is made of: its grants and its filters as ranges that an index
//! serves.

use cohort_access::Listing;

/// One range of a list. What is absent is not limited.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) study: Option<String>,
    pub(crate) site: Option<String>,
    pub(crate) subject: Option<String>,
}

/// The ranges of what the caller may list, within one study or one subject where a filter says so.
pub(crate) fn places(
    listing: &Listing<'_>,
    study: Option<&str>,
    subject: Option<&str>,
) -> Vec<Place> {
    let owned = |text: Option<&str>| text.map(str::to_owned);
    let Listing::Parts { places, own } = listing else {
        return vec![Place {
            study: owned(study),
            site: None,
            subject: owned(subject),
        }];
    };
    let wanted = |granted: &str| study.is_none_or(|study| study == granted);
    let granted = places
        .iter()
        .filter(|(granted, _)| wanted(granted))
        .map(|(granted, site)| Place {
            study: Some((*granted).to_owned()),
            site: owned(*site),
            subject: owned(subject),
        });
    let own = own
        .iter()
        .filter(|own| subject.is_none_or(|subject| subject == own.subject))
        .filter(|own| own.study.is_none_or(wanted))
        .map(|own| Place {
            study: owned(own.study.or(study)),
            site: None,
            subject: Some(own.subject.to_owned()),
        });
    granted.chain(own).collect()
}

/// Whether a text is an id as this service makes them.
pub(crate) fn is_id(text: &str) -> bool {
    text.len() == 36 && uuid::Uuid::try_parse(text).is_ok()
}

#[cfg(test)]
mod tests {
    use cohort_access::Own;

    use super::*;

    fn place(study: Option<&str>, site: Option<&str>, subject: Option<&str>) -> Place {
        Place {
            study: study.map(str::to_owned),
            site: site.map(str::to_owned),
            subject: subject.map(str::to_owned),
        }
    }

    #[test]
    fn filters_narrow_what_the_caller_may_list_and_never_widen_it() {
        let parts = Listing::Parts {
            places: vec![("T1", None), ("T2", Some("S1"))],
            own: vec![
                Own {
                    subject: "P1",
                    study: None,
                },
                Own {
                    subject: "P1",
                    study: Some("T4"),
                },
            ],
        };
        assert_eq!(
            places(&parts, None, None),
            [
                place(Some("T1"), None, None),
                place(Some("T2"), Some("S1"), None),
                place(None, None, Some("P1")),
                place(Some("T4"), None, Some("P1")),
            ]
        );
        assert_eq!(
            places(&parts, Some("T2"), Some("P2")),
            [place(Some("T2"), Some("S1"), Some("P2"))]
        );
        assert_eq!(
            places(&parts, Some("T3"), None),
            [place(Some("T3"), None, Some("P1"))]
        );
        assert_eq!(places(&parts, Some("T3"), Some("P2")), []);
        assert_eq!(
            places(&Listing::Everything, Some("T3"), None),
            [place(Some("T3"), None, None)]
        );
    }
}
