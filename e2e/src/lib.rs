//! One end-to-end suite, run against one process and against separate ones.
