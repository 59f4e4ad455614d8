//! "Did you mean": the known word that is closest to a written one.

/// The candidate with the fewest edits, when that is at most a third of the word's length
/// (and at least one is always allowed); letter case does not count.
pub(super) fn nearest<'c>(
    word: &str,
    candidates: impl IntoIterator<Item = &'c str>,
) -> Option<&'c str> {
    let word = word.to_lowercase();
    let limit = (word.chars().count() / 3).max(1);
    candidates
        .into_iter()
        .map(|candidate| (distance(&word, &candidate.to_lowercase()), candidate))
        .filter(|(edits, _)| *edits <= limit)
        .min_by_key(|(edits, _)| *edits)
        .map(|(_, candidate)| candidate)
}

/// Edits between two words: insertions, deletions, replacements and swaps of neighbours.
pub(super) fn distance(left: &str, right: &str) -> usize {
    // Longer words are no typing slips; the limit keeps hostile input cheap.
    const LONGEST: usize = 64;
    let left: Vec<char> = left.chars().collect();
    let right: Vec<char> = right.chars().collect();
    if left.len() > LONGEST || right.len() > LONGEST {
        return usize::MAX;
    }
    let width = right.len() + 1;
    let mut table = vec![0; (left.len() + 1) * width];
    for row in 0..=left.len() {
        for column in 0..=right.len() {
            let at = row * width + column;
            if row == 0 || column == 0 {
                table[at] = row + column;
                continue;
            }
            let changed = usize::from(left[row - 1] != right[column - 1]);
            let mut best = (table[at - width] + 1)
                .min(table[at - 1] + 1)
                .min(table[at - width - 1] + changed);
            let swapped = row > 1
                && column > 1
                && left[row - 1] == right[column - 2]
                && left[row - 2] == right[column - 1];
            if swapped {
                best = best.min(table[at - 2 * width - 2] + 1);
            }
            table[at] = best;
        }
    }
    table[left.len() * width + right.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_are_found_and_strangers_are_not() {
        assert_eq!(
            nearest("optinal", ["optional", "options"]),
            Some("optional")
        );
        assert_eq!(nearest("Optoins", ["optional", "options"]), Some("options"));
        assert_eq!(nearest("gte", ["get", "post"]), Some("get"));
        assert_eq!(nearest("required", ["optional", "options"]), None);
        assert_eq!(distance("", "abc"), 3);
    }
}
