//! The median of paired turns, with how well it is known: for differences that are smaller than
//! those between one turn and the next.

use std::fmt;

/// A median with its interval of at least 95 % confidence, by order statistics (the sign test):
/// it assumes nothing of how turns differ but that each falls above and below alike.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Median {
    value: f64,
    low: f64,
    high: f64,
}

impl Median {
    /// Of the figures of all turns. Of fewer than six the interval is all there is, and known
    /// less well.
    pub(crate) fn of(mut turns: Vec<f64>) -> Self {
        turns.sort_unstable_by(f64::total_cmp);
        let at = |index: usize| turns.get(index).copied().unwrap_or(f64::NAN);
        let last = turns.len().saturating_sub(1);
        let outside = outside(turns.len());
        Self {
            value: f64::midpoint(at(last / 2), at(turns.len() / 2)),
            low: at(outside),
            high: at(last - outside.min(last)),
        }
    }

    /// The median.
    pub(crate) fn value(self) -> f64 {
        self.value
    }
}

/// `0.4 [-0.1 to 0.9]`.
impl fmt::Display for Median {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { value, low, high } = self;
        write!(f, "{value:.2} [{low:.2} to {high:.2}]")
    }
}

/// How many figures lie outside the interval on each side: the most for which a fair coin, thrown
/// once for each figure, shows so few heads in at most 2.5 % of all cases.
fn outside(count: usize) -> usize {
    let count = i32::try_from(count).unwrap_or(i32::MAX);
    let mut exactly = 0.5_f64.powi(count);
    let mut at_most = exactly;
    let mut heads = 0;
    while at_most <= 0.025 && heads < count {
        exactly *= f64::from(count - heads) / f64::from(heads + 1);
        at_most += exactly;
        heads += 1;
    }
    // `heads` is the first number that is not rare: the order statistic with that many below it
    // bounds the interval, one further out than it.
    usize::try_from(heads).unwrap_or(0).saturating_sub(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The table of the sign test: 6 figures are the fewest with an interval at all.
    #[test]
    fn the_interval_is_that_of_the_tables() {
        for (count, position) in [(6, 1), (10, 2), (15, 4), (20, 6), (30, 10), (40, 14)] {
            let turns = (1..=count).map(f64::from).rev().collect();
            let median = Median::of(turns);
            let expected = f64::from(count + 1) / 2.0;
            assert_eq!(median.value(), expected);
            let interval = (f64::from(position), f64::from(count + 1 - position));
            assert_eq!((median.low, median.high), interval, "of {count}");
        }
    }

    #[test]
    fn few_turns_show_all_there_is() {
        let median = Median::of(vec![0.25, 0.75]);
        assert_eq!(median.to_string(), "0.50 [0.25 to 0.75]");
        assert!(Median::of(Vec::new()).value().is_nan());
    }
}
