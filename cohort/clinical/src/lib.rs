//! Instruments, subjects, schedules and access rules; no transport, SQL or clock of its own.
//!
//! Everything here is a pure function of its arguments: time comes in as a value, JSON comes in parsed, and
//! nothing is read or written. A submission passes through four modules: [`instrument`] checks it against the
//! compiled questionnaire, [`scoring`] computes the scores, [`canonical`] makes the digest under which it is
//! stored once, and [`access`] with [`subject`] says who may send it.

pub mod access;
pub mod canonical;
pub mod identity_number;
pub mod instrument;
pub mod schedule;
pub mod scoring;
pub mod subject;
