//! Contestants that take turns, and what their turns amount to.

use crate::load::Sample;

/// A row is marked where its rounds differ by more than this part of their median.
const NOISY: f64 = 0.25;

/// The turns of several contestants, in rounds.
pub(crate) struct Contest {
    turns: Vec<Vec<Sample>>,
}

impl Contest {
    /// No turns yet.
    pub(crate) fn new(contestants: usize) -> Self {
        Self {
            turns: (0..contestants).map(|_| Vec::new()).collect(),
        }
    }

    /// One more turn of a contestant.
    pub(crate) fn add(&mut self, contestant: usize, sample: Sample) {
        if let Some(turns) = self.turns.get_mut(contestant) {
            turns.push(sample);
        }
    }

    /// Something of each turn of a contestant.
    pub(crate) fn spread(&self, contestant: usize, of: impl Fn(&Sample) -> f64) -> Spread {
        let turns = self.turns.get(contestant).map_or(&[][..], Vec::as_slice);
        Spread::of(turns.iter().map(of).collect())
    }

    /// `of` of one contestant divided by that of another, in the same round each time.
    pub(crate) fn ratio(&self, over: usize, under: usize, of: impl Fn(&Sample) -> f64) -> Spread {
        let none = Vec::new();
        let over = self.turns.get(over).unwrap_or(&none);
        let under = self.turns.get(under).unwrap_or(&none);
        let rounds = over.iter().zip(under);
        Spread::of(rounds.map(|(over, under)| of(over) / of(under)).collect())
    }
}

/// The median of some rounds, the lowest and the highest.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Spread {
    pub(crate) median: f64,
    low: f64,
    high: f64,
}

impl Spread {
    /// Of the figures of all rounds.
    pub(crate) fn of(mut rounds: Vec<f64>) -> Self {
        rounds.sort_unstable_by(f64::total_cmp);
        let at = |index: usize| rounds.get(index).copied().unwrap_or(f64::NAN);
        let last = rounds.len().saturating_sub(1);
        Self {
            median: f64::midpoint(at(last / 2), at(rounds.len() / 2)),
            low: at(0),
            high: at(last),
        }
    }

    /// `0.83 [0.80-0.86]`, with a mark where the rounds do not agree.
    pub(crate) fn ratio(&self) -> String {
        let Self { median, low, high } = self;
        let mark = if high - low > NOISY * median {
            "  NOISY"
        } else {
            ""
        };
        format!("{median:.2} [{low:.2}-{high:.2}]{mark}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_of_an_even_number_of_rounds_lies_between() {
        assert_eq!(Spread::of(vec![3.0, 1.0, 2.0]).median, 2.0);
        assert_eq!(Spread::of(vec![4.0, 1.0, 2.0, 3.0]).median, 2.5);
        assert!(Spread::of(Vec::new()).median.is_nan());
    }

    #[test]
    fn rounds_that_do_not_agree_are_marked() {
        let steady = Spread::of(vec![1.0, 1.1, 1.2]).ratio();
        assert_eq!(steady, "1.10 [1.00-1.20]");
        let noisy = Spread::of(vec![1.0, 1.1, 1.3]).ratio();
        assert_eq!(noisy, "1.10 [1.00-1.30]  NOISY");
    }
}
