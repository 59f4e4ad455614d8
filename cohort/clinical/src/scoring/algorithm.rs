//! The registry of scoring algorithms: published sums with bands, by name and version.

use serde::{Deserialize, Serialize};

/// A sum of equally scored items with bands. Once released, an algorithm of a version never changes.
#[derive(Debug, PartialEq, Eq)]
pub struct Algorithm {
    /// Name and version, as `phq9/1`.
    pub id: &'static str,
    /// The name of the score, as `phq9`.
    pub name: &'static str,
    /// How many items are summed.
    pub item_count: usize,
    /// Each item scores from 0 to this.
    pub item_maximum: i64,
    /// The numbers, from 1, of the items that raise an alert with any score above 0.
    pub alert_items: &'static [usize],
    /// Each band with the lowest total that belongs to it, ascending from 0.
    pub bands: &'static [(i64, Band)],
}

impl Algorithm {
    /// The highest possible total.
    pub fn maximum(&self) -> i64 {
        i64::try_from(self.item_count)
            .unwrap_or(i64::MAX)
            .saturating_mul(self.item_maximum)
    }

    /// What a total means; `None` for one that the algorithm cannot give.
    pub fn band(&self, total: i64) -> Option<Band> {
        if total > self.maximum() {
            return None;
        }
        self.bands
            .iter()
            .rev()
            .find(|(lowest, _)| total >= *lowest)
            .map(|(_, band)| *band)
    }
}

/// What a total means.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Band {
    /// `minimal`.
    #[serde(rename = "minimal")]
    Minimal,
    /// `mild`.
    #[serde(rename = "mild")]
    Mild,
    /// `moderate`.
    #[serde(rename = "moderate")]
    Moderate,
    /// `moderately severe`.
    #[serde(rename = "moderately severe")]
    ModeratelySevere,
    /// `severe`.
    #[serde(rename = "severe")]
    Severe,
}

impl Band {
    /// The band's name on the wire and in the published tables.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Minimal => "minimal",
            Self::Mild => "mild",
            Self::Moderate => "moderate",
            Self::ModeratelySevere => "moderately severe",
            Self::Severe => "severe",
        }
    }
}

const PHQ_BANDS: &[(i64, Band)] = &[
    (0, Band::Minimal),
    (5, Band::Mild),
    (10, Band::Moderate),
    (15, Band::ModeratelySevere),
    (20, Band::Severe),
];

const GAD_BANDS: &[(i64, Band)] = &[
    (0, Band::Minimal),
    (5, Band::Mild),
    (10, Band::Moderate),
    (15, Band::Severe),
];

static ALGORITHMS: [Algorithm; 3] = [
    Algorithm {
        id: "phq9/1",
        name: "phq9",
        item_count: 9,
        item_maximum: 3,
        // Item 9 asks for thoughts of death or self-harm.
        alert_items: &[9],
        bands: PHQ_BANDS,
    },
    Algorithm {
        id: "phq8/1",
        name: "phq8",
        item_count: 8,
        item_maximum: 3,
        alert_items: &[],
        bands: PHQ_BANDS,
    },
    Algorithm {
        id: "gad7/1",
        name: "gad7",
        item_count: 7,
        item_maximum: 3,
        alert_items: &[],
        bands: GAD_BANDS,
    },
];

/// All algorithms.
pub fn algorithms() -> &'static [Algorithm] {
    &ALGORITHMS
}

/// The algorithm with this name and version, as `phq9/1`.
pub fn algorithm(id: &str) -> Option<&'static Algorithm> {
    ALGORITHMS.iter().find(|algorithm| algorithm.id == id)
}
