//! One field while it is bound: what was read, and the rules of the contract.

use std::{
    fmt::Display,
    ops::{Bound, RangeBounds},
};

use tenon_core::Personal;

use super::{At, Kind};

/// What was read for a field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Slot<T> {
    /// Nothing: the request does not have the field.
    Absent,
    /// JSON's `null`.
    Null,
    /// Something that does not fit; a violation says so.
    Invalid,
    /// A value of the field's type.
    Value(T),
}

impl<T> Slot<T> {
    /// Whether the request has the field, with a fitting value or not. `null` counts as absent.
    pub fn is_given(&self) -> bool {
        matches!(self, Self::Value(_) | Self::Invalid)
    }
}

impl<T> From<Option<T>> for Slot<T> {
    /// `None` stands for a value that did not fit.
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Invalid, Self::Value)
    }
}

/// A field and its place. Rules come first ([`Field::range`] and so on), then one of
/// [`Field::required`], [`Field::optional`], [`Field::or`] and [`Field::or_else`], which give
/// `None` only when a violation was recorded.
#[must_use = "end with `required`, `optional`, `or` or `or_else`"]
pub struct Field<'a, T> {
    at: At<'a>,
    slot: Slot<T>,
}

impl<'a, T> Field<'a, T> {
    #[inline]
    pub(super) fn new(at: At<'a>, slot: Slot<T>) -> Self {
        Self { at, slot }
    }

    /// Whether the request has the field.
    pub fn is_given(&self) -> bool {
        self.slot.is_given()
    }

    /// Any rule: `rule` looks at the value and records what does not fit.
    #[inline]
    pub fn check(self, rule: impl FnOnce(&T, &At<'a>)) -> Self {
        if let Slot::Value(value) = &self.slot {
            rule(value, &self.at);
        }
        self
    }

    /// The value must be in the range; either end may be open.
    #[inline]
    pub fn range<R: RangeBounds<T>>(self, range: R) -> Self
    where
        T: PartialOrd + Display,
    {
        self.check(|value, at| {
            if !range.contains(value) {
                at.refuse("range", describe(&range));
            }
        })
    }

    /// The value must be greater than `low`, and not past the end of `rest`: Rust has no syntax
    /// for a range without its start.
    pub fn above<R: RangeBounds<T>>(self, low: T, rest: R) -> Self
    where
        T: PartialOrd + Display,
    {
        self.check(|value, at| {
            let range = (Bound::Excluded(&low), rest.end_bound());
            if !RangeBounds::<T>::contains(&range, value) {
                at.refuse("range", describe::<T>(&range));
            }
        })
    }

    /// The value must be one of these.
    pub fn one_of<O: Display>(self, options: &[O]) -> Self
    where
        T: PartialEq<O>,
    {
        self.check(|value, at| {
            if !options.iter().any(|option| value == option) {
                at.refuse("options", list(options));
            }
        })
    }

    /// `optional=other`: both fields are given or neither is.
    pub fn with(self, other: &str, given: bool) -> Self {
        if self.is_given() != given {
            self.at
                .refuse("presence", format!("given if and only if {other} is"));
        }
        self
    }

    /// `optional=!other`: exactly one of the two fields is given.
    pub fn without(self, other: &str, given: bool) -> Self {
        if self.is_given() == given {
            self.at
                .refuse("presence", format!("given if and only if {other} is not"));
        }
        self
    }

    /// From here on nothing can print the value. Rules that compare it stand before.
    #[inline]
    pub fn personal(self) -> Field<'a, Personal<T>> {
        let slot = match self.slot {
            Slot::Value(value) => Slot::Value(value.into()),
            Slot::Absent => Slot::Absent,
            Slot::Null => Slot::Null,
            Slot::Invalid => Slot::Invalid,
        };
        Field::new(self.at, slot)
    }

    /// The value, or `None` inside where it is absent or `null`.
    #[inline]
    pub fn optional(self) -> Option<Option<T>> {
        match self.slot {
            Slot::Value(value) => Some(Some(value)),
            Slot::Absent | Slot::Null => Some(None),
            Slot::Invalid => None,
        }
    }

    /// The value, or `default` where it is absent or `null`.
    pub fn or(self, default: T) -> Option<T> {
        self.or_else(|| default)
    }

    /// The value, or `default()` where it is absent or `null`.
    pub fn or_else(self, default: impl FnOnce() -> T) -> Option<T> {
        match self.slot {
            Slot::Value(value) => Some(value),
            Slot::Absent | Slot::Null => Some(default()),
            Slot::Invalid => None,
        }
    }
}

impl<T: Kind> Field<'_, T> {
    /// The value; absent and `null` are violations.
    #[inline]
    pub fn required(self) -> Option<T> {
        match self.slot {
            Slot::Value(value) => Some(value),
            Slot::Invalid => None,
            Slot::Absent => {
                self.at.refuse("required", T::EXPECTED);
                None
            }
            Slot::Null => {
                let value = T::null();
                if value.is_none() {
                    self.at.refuse("type", T::EXPECTED);
                }
                value
            }
        }
    }
}

impl<T> Field<'_, Vec<T>> {
    /// The list must have exactly so many elements.
    pub fn length(self, length: usize) -> Self {
        self.check(|items, at| {
            if items.len() != length {
                at.refuse("length", format!("exactly {length} elements"));
            }
        })
    }

    /// Every element must be in the range.
    pub fn each_range<R: RangeBounds<T>>(self, range: R) -> Self
    where
        T: PartialOrd + Display,
    {
        self.check(|items, at| {
            for (index, item) in items.iter().enumerate() {
                if !range.contains(item) {
                    at.index(index).refuse("range", describe(&range));
                }
            }
        })
    }

    /// Every element must be one of these.
    pub fn each_one_of<O: Display>(self, options: &[O]) -> Self
    where
        T: PartialEq<O>,
    {
        self.check(|items, at| {
            for (index, item) in items.iter().enumerate() {
                if !options.iter().any(|option| item == option) {
                    at.index(index).refuse("options", list(options));
                }
            }
        })
    }
}

/// `at least 1 and at most 200`.
fn describe<T: Display>(range: &impl RangeBounds<T>) -> String {
    let low = match range.start_bound() {
        Bound::Included(low) => Some(format!("at least {low}")),
        Bound::Excluded(low) => Some(format!("above {low}")),
        Bound::Unbounded => None,
    };
    let high = match range.end_bound() {
        Bound::Included(high) => Some(format!("at most {high}")),
        Bound::Excluded(high) => Some(format!("below {high}")),
        Bound::Unbounded => None,
    };
    match (low, high) {
        (Some(low), Some(high)) => format!("{low} and {high}"),
        (Some(one), None) | (None, Some(one)) => one,
        (None, None) => "any number".to_owned(),
    }
}

/// `one of a, b, c`.
fn list<O: Display>(options: &[O]) -> String {
    let names: Vec<String> = options.iter().map(O::to_string).collect();
    format!("one of {}", names.join(", "))
}
