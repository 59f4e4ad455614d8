//! How much a request matters when not all can be served.

use std::fmt;

/// Whom overload hits first. After the criticality of the Google SRE book, in three steps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum Criticality {
    /// Shed first: what can be asked again later, such as reports and lists.
    Sheddable,
    /// What a contract says nothing about.
    #[default]
    Normal,
    /// Shed last: what is lost when it is not taken now, such as a patient's answers.
    Critical,
}

impl Criticality {
    /// All of them, the first to be shed first.
    pub const ALL: [Self; 3] = [Self::Sheddable, Self::Normal, Self::Critical];

    /// As contracts and metrics write it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Sheddable => "sheddable",
            Self::Normal => "normal",
            Self::Critical => "critical",
        }
    }

    /// Reads what [`Criticality::as_str`] writes.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|known| known.as_str() == text)
    }

    /// The place in [`Criticality::ALL`].
    pub(crate) const fn index(self) -> usize {
        self as usize
    }
}

impl fmt::Display for Criticality {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
