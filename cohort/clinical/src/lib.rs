//! Instruments, subjects, schedules and access rules; no transport, SQL or clock of its own.
