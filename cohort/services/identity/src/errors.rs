//! The failures that are this service's own, with their stable codes.

use tenon::{Code, Entry};

/// The user name or the password is wrong, or the account may not log in. One answer for all, so
/// that it does not tell which names exist.
pub static LOGIN_FAILED: Entry = Entry::new(
    "LOGIN_FAILED",
    Code::Unauthenticated,
    "the user name or the password is not right",
    "用户名或密码错误",
);

/// Too many logins under this name failed; it does not matter whether an account has it.
pub static LOGIN_DELAYED: Entry = Entry::new(
    "LOGIN_DELAYED",
    Code::ResourceExhausted,
    "too many logins under this name failed; try again after the time in retry-after",
    "该用户名登录失败次数过多，请在 Retry-After 所示时间后重试",
);

/// The refresh token is unknown, expired or used, or its session or account has ended.
pub static REFRESH_INVALID: Entry = Entry::new(
    "REFRESH_INVALID",
    Code::Unauthenticated,
    "the refresh token is not valid any more; log in again",
    "刷新令牌已失效，请重新登录",
);

/// The session of the access token has ended, or its account is not active.
pub static SESSION_ENDED: Entry = Entry::new(
    "SESSION_ENDED",
    Code::Unauthenticated,
    "the session has ended; log in again",
    "会话已结束，请重新登录",
);

/// An account has this user name, or had it before it was closed.
pub static USERNAME_TAKEN: Entry = Entry::new(
    "USERNAME_TAKEN",
    Code::AlreadyExists,
    "another account has this user name; choose another one",
    "用户名已被使用",
);

/// The subject has an account that is not closed.
pub static SUBJECT_TAKEN: Entry = Entry::new(
    "SUBJECT_TAKEN",
    Code::AlreadyExists,
    "the subject has an account already; close that one first",
    "该受试者已有账号",
);

/// No such account, or none that the caller may know of.
pub static ACCOUNT_NOT_FOUND: Entry = Entry::new(
    "ACCOUNT_NOT_FOUND",
    Code::NotFound,
    "no such account",
    "账号不存在",
);

/// No such study or site, or none that the caller may grant roles in.
pub static TRIAL_NOT_FOUND: Entry = Entry::new(
    "TRIAL_NOT_FOUND",
    Code::NotFound,
    "no such trial",
    "试验不存在",
);

/// Staff roles and the role of a patient never meet in one account.
pub static ROLE_CONFLICT: Entry = Entry::new(
    "ROLE_CONFLICT",
    Code::FailedPrecondition,
    "an account with a subject has the role patient and no other; create a second account",
    "受试者账号只能拥有 patient 角色，请另建账号",
);

/// [`ROLE_CONFLICT`]: one of the roles runs the trial, the other writes the data of its subjects.
pub static DUTIES_CONFLICT: Entry = Entry::new(
    ROLE_CONFLICT.code,
    Code::FailedPrecondition,
    "who administers or sponsors a trial does not write its subjects' data; create a second account for somebody else",
    "管理或申办试验的账号不能录入其受试者数据，请为他人另建账号",
);

/// The account has as many grants as a token can carry.
pub static GRANTS_FULL: Entry = Entry::new(
    "GRANTS_FULL",
    Code::FailedPrecondition,
    "the account has {limit} grants, the most that are possible; grant the whole trial instead",
    "账号已有 {limit} 个授权，达到上限，请改为授予整个试验",
);

/// The account cannot move from its status to the one that was asked for.
pub static STATUS_CONFLICT: Entry = Entry::new(
    "STATUS_CONFLICT",
    Code::FailedPrecondition,
    "an account that is {status} does not allow this",
    "账号处于 {status} 状态，不允许此操作",
);

/// The installation would be left without anybody who can create accounts.
pub static LAST_ADMINISTRATOR: Entry = Entry::new(
    "LAST_ADMINISTRATOR",
    Code::FailedPrecondition,
    "this is the last active administrator; make another one first",
    "这是最后一个可用的管理员，请先添加其他管理员",
);

/// Every entry of this service.
pub static ALL: &[&Entry] = &[
    &LOGIN_FAILED,
    &LOGIN_DELAYED,
    &REFRESH_INVALID,
    &SESSION_ENDED,
    &USERNAME_TAKEN,
    &SUBJECT_TAKEN,
    &ACCOUNT_NOT_FOUND,
    &TRIAL_NOT_FOUND,
    &ROLE_CONFLICT,
    &DUTIES_CONFLICT,
    &GRANTS_FULL,
    &STATUS_CONFLICT,
    &LAST_ADMINISTRATOR,
];
