//! Checked model to files in memory; pure.
