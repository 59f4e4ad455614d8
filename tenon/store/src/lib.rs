//! SQL with group commit, migrations, the audit chain, the outbox and sealed columns.
