//! What is planted where people write about themselves, and the search for it. Every value begins
//! with a mark or holds one, so that a search for few marks finds all of them, and ends with a
//! number, so that what was found tells which request it came from.

use std::{collections::BTreeMap, sync::LazyLock};

use regex::bytes::{Regex, RegexBuilder};

use crate::secrets;

/// How many bytes around a mark are told.
const AROUND: usize = 160;

/// Something that must not be found where it was not sent to.
pub(crate) struct Canary {
    /// The member of a body that it belongs in.
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    /// Makes the value with a number below 1000 from its own head.
    make: fn(&str, u32) -> String,
    /// Begins values that are sent to where they belong, or to where nothing is kept.
    head: &'static str,
    /// Begins values that are sent into members that are kept as free text: a title, a reason.
    stray: &'static str,
}

/// What the platform promises of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Marked `personal` in a contract, and sealed before it is stored.
    Sealed,
    /// Marked `personal` in a contract, and stored as it is.
    Personal,
    /// Marked `personal` in a contract, and stored as a digest or not at all.
    Secret,
    /// Stored as it is.
    Stored,
}

/// All of them.
pub(crate) const ALL: [Canary; 8] = [
    Canary {
        name: "name",
        kind: Kind::Sealed,
        make: |head, number| format!("{head} {number}"),
        head: "Thistledown 蓟花绒",
        stray: "Thornapple 曼陀罗",
    },
    Canary {
        name: "identityNumber",
        kind: Kind::Sealed,
        make: secrets::checked,
        head: "11010519070319",
        stray: "11010519080420",
    },
    Canary {
        name: "phone",
        kind: Kind::Sealed,
        make: |head, _| format!("+86{head}"),
        head: "13987650421",
        stray: "13987650532",
    },
    Canary {
        name: "birthDate",
        kind: Kind::Personal,
        make: |head, _| head.to_owned(),
        head: "1907-03-19",
        stray: "1908-04-20",
    },
    Canary {
        name: "username",
        kind: Kind::Stored,
        make: |head, number| format!("{head}.{number}"),
        head: "hollyhock.meadow",
        stray: "honesty.meadow",
    },
    Canary {
        name: "password",
        kind: Kind::Secret,
        make: |head, number| format!("{head}-{number}-lantern"),
        head: "juniper-otter",
        stray: "jasmine-otter",
    },
    Canary {
        name: "refreshToken",
        kind: Kind::Secret,
        make: |head, number| format!("{head}_{number}"),
        head: "larkspurTokenOfNobody",
        stray: "lavenderTokenOfNobody",
    },
    Canary {
        name: "answer",
        kind: Kind::Stored,
        make: |head, number| format!("{head} {number}"),
        head: "marigold keeps me awake",
        stray: "mayflower keeps me awake",
    },
];

impl Canary {
    /// The value with this number, sent to where it belongs or to where nothing is kept.
    pub(crate) fn value(&self, number: u32) -> String {
        (self.make)(self.head, number % 1000)
    }

    /// The value with this number, sent to where it is kept as any other text.
    pub(crate) fn stray(&self, number: u32) -> String {
        (self.make)(self.stray, number % 1000)
    }

    /// What is searched for to find values that begin with a head: of two scripts, each by itself.
    fn marks(head: &'static str) -> impl Iterator<Item = &'static str> {
        let whole = head.is_ascii().then_some(head);
        let parts = head.split(' ').filter(|_| !head.is_ascii());
        whole.into_iter().chain(parts)
    }

    /// A word of an alphabet that is allowed in the names of methods and headers.
    pub(crate) fn word(&self) -> String {
        self.head
            .chars()
            .filter(char::is_ascii_alphanumeric)
            .collect()
    }

    /// Whether a value that was sent to where it belongs is in an answer.
    pub(crate) fn is_in(&self, bytes: &[u8]) -> bool {
        Self::marks(self.head).any(|mark| secrets::contains(bytes, mark.as_bytes()))
    }

    /// Whether its member is marked `personal`, so that nothing prints it.
    pub(crate) fn is_marked(&self) -> bool {
        self.kind != Kind::Stored
    }

    /// Whether it is something about the person.
    pub(crate) fn is_personal(&self) -> bool {
        matches!(self.kind, Kind::Sealed | Kind::Personal)
    }
}

/// The person whom all canaries belong to: members of the body that creates a subject.
pub(crate) fn person(number: u32) -> serde_json::Value {
    let members = ALL.iter().filter(|canary| canary.is_personal());
    let value = |canary: &Canary| (canary.name.to_owned(), canary.value(number).into());
    serde_json::Value::Object(members.map(value).collect())
}

/// A search for some of the canaries, in all forms in which a text could be written down.
pub(crate) struct Search {
    pattern: Regex,
    /// What each of the texts that are searched for is: the canary, and its form.
    known: BTreeMap<Vec<u8>, (&'static str, String)>,
}

/// A canary that was found.
pub(crate) struct Hit {
    pub(crate) canary: &'static str,
    /// Its form, and what stands around it.
    pub(crate) around: String,
}

/// For all of them, wherever they were sent.
pub(crate) static EVERYTHING: LazyLock<Search> = LazyLock::new(|| {
    let marks = |canary: &'static Canary| {
        let heads = [canary.head, canary.stray].into_iter();
        let marks = heads.flat_map(Canary::marks).map(str::to_owned);
        marks.chain([canary.word()]).map(|mark| (canary.name, mark))
    };
    Search::new(ALL.iter().flat_map(marks))
});

/// For those that were sent to where they belong and must not be there as they are.
pub(crate) static UNSEALED: LazyLock<Search> = LazyLock::new(|| {
    let hidden = ALL
        .iter()
        .filter(|canary| matches!(canary.kind, Kind::Sealed | Kind::Secret));
    let marks = |canary: &'static Canary| {
        let marks = Canary::marks(canary.head);
        marks.map(|mark| (canary.name, mark.to_owned()))
    };
    Search::new(hidden.flat_map(marks))
});

impl Search {
    fn new(marks: impl Iterator<Item = (&'static str, String)>) -> Self {
        let mut known = BTreeMap::new();
        for (name, mark) in marks {
            for (form, bytes) in secrets::forms(&mark) {
                known.insert(bytes, (name, format!("{mark} ({form})")));
            }
        }
        let literal = |bytes: &Vec<u8>| -> String {
            bytes.iter().map(|byte| format!("\\x{byte:02x}")).collect()
        };
        let pattern = known.keys().map(literal).collect::<Vec<_>>().join("|");
        let pattern = RegexBuilder::new(&pattern).unicode(false).build().unwrap();
        Self { pattern, known }
    }

    /// All that is found.
    pub(crate) fn hits(&self, bytes: &[u8]) -> Vec<Hit> {
        let tell = |found: regex::bytes::Match<'_>| {
            let from = found.start().saturating_sub(AROUND);
            let to = (found.end() + AROUND).min(bytes.len());
            let around = String::from_utf8_lossy(&bytes[from..to]);
            let (canary, form) = &self.known[found.as_bytes()];
            Hit {
                canary,
                around: format!("{form}: {}", around.escape_debug()),
            }
        };
        self.pattern.find_iter(bytes).map(tell).collect()
    }

    /// Fails unless each text is found in each of its forms, wherever it stands.
    pub(crate) fn assert_sighted(&self) {
        for (bytes, (canary, form)) in &self.known {
            let text = [b"\"before\":", bytes.as_slice(), b",after"].concat();
            let hits = self.hits(&text);
            let is_found = hits.len() == 1 && hits[0].canary == *canary;
            assert!(is_found, "{canary} is not found as {form}");
        }
    }

    /// How many texts are searched for.
    pub(crate) fn size(&self) -> usize {
        self.known.len()
    }
}
