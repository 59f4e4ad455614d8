//! CPU and heap profiles in the format of pprof, and flame graphs: the only crate with `unsafe`.
