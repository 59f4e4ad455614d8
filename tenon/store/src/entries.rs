//! The catalogue entries that the store raises, beside those of `tenon_core::catalogue`.

use tenon_core::{Code, Entry};

/// The disk, or the size that the options allow, is full. Nothing of the write was kept; the
/// store goes on when space returns.
pub static STORE_FULL: Entry = Entry::new(
    "STORE_FULL",
    Code::ResourceExhausted,
    "the storage is full and the change was not kept; try again later",
    "存储空间已满，更改未保存，请稍后重试",
)
.http(507);

/// The disk failed under a commit. The store takes no more writes until the process starts anew;
/// whether the write that met the failure is kept is not known.
pub static STORE_FAILED: Entry = Entry::new(
    "STORE_FAILED",
    Code::Unavailable,
    "the storage failed and takes no changes until the service was restarted",
    "存储发生故障，服务重启前不接受更改",
);

/// A row with the same key exists. Statements that expect this use `ON CONFLICT` instead.
pub static DUPLICATE: Entry = Entry::new(
    "DUPLICATE",
    Code::AlreadyExists,
    "a record with the same key exists",
    "相同标识的记录已存在",
);

/// A query gave more rows than [`crate::ROWS_MAX`].
pub static ROWS_EXCEEDED: Entry = Entry::new(
    "ROWS_EXCEEDED",
    Code::Internal,
    "the query found more than {limit} rows; ask for fewer at a time",
    "查询结果超过 {limit} 行，请缩小范围",
);

/// A database could not be opened, migrated, copied or checked. Raised at start and by operators'
/// commands, so its text names the file.
pub static OPEN_FAILED: Entry = Entry::new(
    "OPEN_FAILED",
    Code::FailedPrecondition,
    "database {path}: {problem}",
    "数据库 {path}：{problem}",
)
.http(500);

/// Every entry of this crate.
pub static ALL: &[&Entry] = &[
    &STORE_FULL,
    &STORE_FAILED,
    &DUPLICATE,
    &ROWS_EXCEEDED,
    &OPEN_FAILED,
];

/// [`OPEN_FAILED`] for the file at `path`.
pub(crate) fn open_failed(
    path: &std::path::Path,
    problem: impl std::fmt::Display,
) -> tenon_core::Error {
    OPEN_FAILED
        .error()
        .param("path", path.display())
        .param("problem", problem)
}
