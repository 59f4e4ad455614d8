//! Pages of a list that a caller sees in parts.
//!
//! A caller with several grants sees a list through several places (studies or sites). Each place
//! is one query that an index serves, from the cursor on; the page is what comes first of all of
//! them. So no query has to name a varying number of places, and none scans what is not shown.

use std::collections::BTreeMap;

use tenon::{Error, Result, Violation};
use uuid::Uuid;

/// The id after which a page begins, from the `cursor` of a request: empty for the first page.
///
/// # Errors
/// `REQUEST_INVALID` when it is no cursor that a page gave.
pub fn after(cursor: Option<&str>) -> Result<String> {
    let Some(cursor) = cursor.filter(|cursor| !cursor.is_empty()) else {
        return Ok(String::new());
    };
    let id = Uuid::try_parse(cursor).map_err(|_| {
        let expected = "the nextCursor of the page before, unchanged";
        Error::invalid(vec![Violation::at("query", "cursor", "cursor", expected)])
    })?;
    Ok(id.hyphenated().to_string())
}

/// The first `limit` rows of several lists that are each sorted by key, without doubles, and the
/// cursor of the next page when there is one. Each list must hold `limit + 1` rows where it has
/// that many.
pub fn merge<T>(
    lists: impl IntoIterator<Item = Vec<T>>,
    limit: usize,
    key: impl Fn(&T) -> String,
) -> (Vec<T>, Option<String>) {
    let mut rows: BTreeMap<String, T> = BTreeMap::new();
    for row in lists.into_iter().flatten() {
        rows.entry(key(&row)).or_insert(row);
    }
    let more = rows.len() > limit;
    let page: Vec<T> = rows.into_values().take(limit).collect();
    let cursor = if more { page.last().map(&key) } else { None };
    (page, cursor)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_is_what_a_page_gave_or_nothing() {
        assert_eq!(after(None).unwrap(), "");
        assert_eq!(after(Some("")).unwrap(), "");
        let id = "01890a5d-ac96-774b-bcce-b302099a8057";
        assert_eq!(after(Some(id)).unwrap(), id);
        for bad in ["1", "01890a5d-ac96-774b-bcce-b302099a805", "' OR 1=1 --"] {
            let error = after(Some(bad)).unwrap_err();
            assert_eq!(error.all_violations()[0].path, "cursor");
        }
    }

    #[test]
    fn pages_follow_each_other_without_gaps_or_doubles() {
        let places = [vec![1, 4, 7, 9], vec![2, 4, 5], vec![]];
        let (mut seen, mut cursor) = (Vec::new(), String::new());
        loop {
            let after: Vec<Vec<i32>> = places
                .iter()
                .map(|place| {
                    let later = place.iter().copied().filter(|row| row.to_string() > cursor);
                    later.take(3).collect()
                })
                .collect();
            let (page, next) = merge(after, 2, i32::to_string);
            seen.extend(page);
            match next {
                Some(next) => cursor = next,
                None => break,
            }
        }
        assert_eq!(seen, [1, 2, 4, 5, 7, 9]);
    }
}
