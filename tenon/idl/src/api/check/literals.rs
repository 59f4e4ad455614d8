//! `default`, `options` and `range`: values in tags, read as the field's type.

use super::Checker;
use crate::model::{Bound, Field, Literal, Place, Range, Type};

impl Checker<'_> {
    pub(super) fn apply_default(&mut self, field: &mut Field, text: &str, place: Place) {
        match literal(&field.ty, text) {
            Ok(value) => field.default = Some(value),
            Err(reason) => self.report(place, format!("default `{text}` {reason}")),
        }
    }

    /// `a|b` or `[a,b]`.
    pub(super) fn apply_options(&mut self, field: &mut Field, text: &str, place: Place) {
        if !matches!(
            field.ty,
            Type::String | Type::Int { .. } | Type::Float { .. }
        ) {
            let message = format!("option `options` does not fit type `{}`", field.ty);
            self.report_with(place, message, "it is for strings and numbers");
            return;
        }
        let listed = text
            .trim()
            .strip_prefix('[')
            .and_then(|text| text.strip_suffix(']'));
        let values: Vec<&str> = match listed {
            Some(inner) => inner.split([',', '|']).map(str::trim).collect(),
            None => text.split('|').map(str::trim).collect(),
        };
        for value in values {
            if value.is_empty() {
                self.report(place, "`options` has an empty value");
                continue;
            }
            match literal(&field.ty, value) {
                Ok(value) if field.options.contains(&value) => {
                    self.report(place, format!("`options` has {value} twice"));
                }
                Ok(value) => field.options.push(value),
                Err(reason) => self.report(place, format!("option value `{value}` {reason}")),
            }
        }
    }

    pub(super) fn apply_range(&mut self, field: &mut Field, text: &str, place: Place) {
        if !matches!(field.ty, Type::Int { .. } | Type::Float { .. }) {
            let message = format!("option `range` does not fit type `{}`", field.ty);
            self.report_with(place, message, "it is for numbers");
            return;
        }
        match range(&field.ty, text) {
            Ok(range) if holds_nothing(&field.ty, &range) => {
                self.report(place, format!("no value lies in the range `{text}`"));
            }
            Ok(range) => field.range = Some(range),
            Err(reason) if reason.contains("does not fit") => self.report(place, reason),
            Err(reason) => {
                self.report_with(
                    place,
                    reason,
                    "a range is `[low:high]`, with `(` or `)` where the end is left out",
                );
            }
        }
    }

    /// Whether the rules of one field agree with each other.
    pub(super) fn check_rules(&mut self, field: &Field, place: Place) {
        if let Some(default) = &field.default {
            if !field.options.is_empty() && !field.options.contains(default) {
                self.report(
                    place,
                    format!("default {default} is not one of the options"),
                );
            }
            if let Some(range) = &field.range
                && !contains(range, default)
            {
                self.report(
                    place,
                    format!("default {default} is outside the range {range}"),
                );
            }
        }
        if let Some(range) = &field.range
            && let Some(option) = field.options.iter().find(|option| !contains(range, option))
        {
            self.report(
                place,
                format!("option value {option} is outside the range {range}"),
            );
        }
    }
}

/// `text` as a value of the type; the error goes on after the quoted text.
fn literal(ty: &Type, text: &str) -> Result<Literal, String> {
    match ty {
        Type::String => Ok(Literal::String(text.to_owned())),
        Type::Bool => match text.trim() {
            "true" => Ok(Literal::Bool(true)),
            "false" => Ok(Literal::Bool(false)),
            _ => Err("is neither `true` nor `false`".to_owned()),
        },
        Type::Int { .. } => integer(ty, text.trim()).map(Literal::Int),
        Type::Float { .. } => float(ty, text.trim()).map(Literal::Float),
        other => Err(format!(
            "cannot be given for type `{other}`; only strings, numbers and booleans have one"
        )),
    }
}

fn integer(ty: &Type, text: &str) -> Result<i128, String> {
    let value: i128 = text.parse().map_err(|_| "is no integer".to_owned())?;
    let (low, high) = limits(ty);
    if value < low || value > high {
        return Err(format!("does not fit `{ty}`, which holds {low} to {high}"));
    }
    Ok(value)
}

/// The least and greatest value of an integer type.
fn limits(ty: &Type) -> (i128, i128) {
    match ty {
        Type::Int { bits, signed: true } => (-(1 << (bits - 1)), (1 << (bits - 1)) - 1),
        Type::Int {
            bits,
            signed: false,
        } => (0, (1 << bits) - 1),
        _ => (i128::MIN, i128::MAX),
    }
}

fn float(ty: &Type, text: &str) -> Result<f64, String> {
    let value: f64 = text.parse().map_err(|_| "is no number".to_owned())?;
    let fits = match ty {
        Type::Float { bits: 32 } => value.abs() <= f64::from(f32::MAX),
        _ => true,
    };
    if value.is_finite() && fits {
        Ok(value)
    } else {
        Err(format!("does not fit `{ty}`"))
    }
}

fn range(ty: &Type, text: &str) -> Result<Range, String> {
    let malformed = || format!("`{text}` is no range");
    let low_inclusive = match text.chars().next() {
        Some('[') => true,
        Some('(') => false,
        _ => return Err(malformed()),
    };
    let high_inclusive = match text.chars().next_back() {
        Some(']') => true,
        Some(')') => false,
        _ => return Err(malformed()),
    };
    let (low, high) = text
        .get(1..text.len() - 1)
        .and_then(|inner| inner.split_once(':'))
        .ok_or_else(malformed)?;
    let bound = |text: &str, inclusive: bool| -> Result<Option<Bound>, String> {
        let text = text.trim();
        if text.is_empty() {
            return Ok(None);
        }
        let value = literal(ty, text).map_err(|reason| format!("range end `{text}` {reason}"))?;
        Ok(Some(Bound { value, inclusive }))
    };
    let range = Range {
        low: bound(low, low_inclusive)?,
        high: bound(high, high_inclusive)?,
    };
    if range.low.is_none() && range.high.is_none() {
        return Err("the range has no end".to_owned());
    }
    Ok(range)
}

fn holds_nothing(ty: &Type, range: &Range) -> bool {
    let whole = limits(ty);
    let end = |bound: &Option<Bound>, open: i128, inward: i128| match bound {
        Some(Bound {
            value: Literal::Int(value),
            inclusive,
        }) => value + if *inclusive { 0 } else { inward },
        _ => open,
    };
    if matches!(ty, Type::Int { .. }) {
        return end(&range.low, whole.0, 1) > end(&range.high, whole.1, -1);
    }
    match (&range.low, &range.high) {
        (Some(low), Some(high)) => match (&low.value, &high.value) {
            (Literal::Float(bottom), Literal::Float(top)) => {
                bottom > top || (bottom >= top && !(low.inclusive && high.inclusive))
            }
            _ => false,
        },
        _ => false,
    }
}

fn contains(range: &Range, value: &Literal) -> bool {
    let above = range
        .low
        .as_ref()
        .is_none_or(|low| ordered(&low.value, value, low.inclusive));
    let below = range
        .high
        .as_ref()
        .is_none_or(|high| ordered(value, &high.value, high.inclusive));
    above && below
}

fn ordered(small: &Literal, large: &Literal, or_equal: bool) -> bool {
    match (small, large) {
        (Literal::Int(small), Literal::Int(large)) => small < large || (or_equal && small == large),
        (Literal::Float(small), Literal::Float(large)) => {
            small < large || (or_equal && small <= large)
        }
        _ => true,
    }
}
