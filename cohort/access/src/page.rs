//! Pages of a list that a caller sees in parts.
//!
//! A caller with several grants sees a list through several places (studies or sites). Each place
//! is one query that an index serves, from the cursor on; the page is what comes first of all of
//! them. So no query has to name a varying number of places, and none scans what is not shown.

use std::collections::BTreeMap;

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
