//! What this service refuses: its entries of the error catalogue.

use tenon::{Code, Entry};

/// The study does not exist, or the caller may not know that it does.
pub static TRIAL_NOT_FOUND: Entry = Entry::new(
    "TRIAL_NOT_FOUND",
    Code::NotFound,
    "the study does not exist",
    "临床试验不存在",
);

/// The site does not exist in the study, or the caller may not know that it does.
pub static SITE_NOT_FOUND: Entry = Entry::new(
    "SITE_NOT_FOUND",
    Code::NotFound,
    "the site does not exist in the study",
    "研究中心不存在",
);

/// Another study has the code.
pub static TRIAL_CODE_TAKEN: Entry = Entry::new(
    "TRIAL_CODE_TAKEN",
    Code::AlreadyExists,
    "another study has this code; choose one that is free",
    "该试验编号已被使用，请更换",
);

/// Another site of the study has the code.
pub static SITE_CODE_TAKEN: Entry = Entry::new(
    "SITE_CODE_TAKEN",
    Code::AlreadyExists,
    "another site of the study has this code; choose one that is free",
    "该研究中心编号已被使用，请更换",
);

/// All entries, for the reference.
pub static ALL: &[&Entry] = &[
    &TRIAL_NOT_FOUND,
    &SITE_NOT_FOUND,
    &TRIAL_CODE_TAKEN,
    &SITE_CODE_TAKEN,
];
