//! All queries of the service.

pub(crate) mod account;
pub(crate) mod attempt;
pub(crate) mod session;

use tenon::store::{Migration, migrations};

/// The schema of the data.
pub const MIGRATIONS: &[Migration] = migrations! {
    1 "account" => "../migrations/sqlite/0001_account.sql",
};
