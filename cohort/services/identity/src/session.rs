//! Sessions: how long they last, and the two tokens of each.
//!
//! An access token names its account, session and grants, and is believed by every service until
//! it expires, [`ACCESS_LIFETIME`] after it was signed. What must not wait for that is checked
//! against the session itself: every operation of this service with a caller, and each refresh.
//!
//! A refresh token is for one use: it is replaced each time. Whoever shows a used one again holds
//! a copy, so its session ends for both. One case is no theft: a phone in a dead spot lost the answer
//! with the new token and asks again. A patient gets the very same new token within
//! [`REFRESH_GRACE`], as long as nobody used it, so there is never a second line of tokens in a
//! session, and nobody has to type a password on the bus. Staff, who sees more, has no such grace.

use cohort_access::{Grant, claim};
use jiff::SignedDuration;
use serde_json::json;
use tenon::{Result, Timestamp, auth::Signer};
use uuid::Uuid;

use crate::config::COHORT;

/// How long an access token lives.
pub const ACCESS_LIFETIME: SignedDuration = SignedDuration::from_mins(15);

/// How long after its use the refresh token of a patient is answered with the same successor.
pub const REFRESH_GRACE: SignedDuration = SignedDuration::from_secs(10);

/// How long a session of staff lives without a refresh: 15 minutes after its access token.
pub const STAFF_IDLE: SignedDuration = SignedDuration::from_mins(30);

/// How long a session of staff lives at most.
pub const STAFF_LIFETIME: SignedDuration = SignedDuration::from_hours(12);

/// How long a session on a patient's phone lives without a refresh.
pub const PATIENT_IDLE: SignedDuration = SignedDuration::from_hours(30 * 24);

/// How long a session on a patient's phone lives at most.
pub const PATIENT_LIFETIME: SignedDuration = SignedDuration::from_hours(180 * 24);

/// How long the first password of an account is good for, unless it is used.
pub const INVITATION_LIFETIME: SignedDuration = SignedDuration::from_hours(30 * 24);

/// When a refresh token expires that is issued at `now` in a session that ends at `end`.
pub(crate) fn refresh_expiry(patient: bool, now: Timestamp, end: Timestamp) -> Timestamp {
    let idle = if patient { PATIENT_IDLE } else { STAFF_IDLE };
    later(now, idle).min(end)
}

/// When a session ends that starts at `now`.
pub(crate) fn session_end(patient: bool, now: Timestamp) -> Timestamp {
    let most = if patient {
        PATIENT_LIFETIME
    } else {
        STAFF_LIFETIME
    };
    later(now, most)
}

/// The time after `by`; the end of time where there is none.
pub(crate) fn later(now: Timestamp, by: SignedDuration) -> Timestamp {
    now.checked_add(by).unwrap_or(Timestamp::MAX)
}

/// An open session with what its tokens say.
#[derive(Debug, Clone)]
pub(crate) struct Session {
    pub(crate) id: String,
    pub(crate) account: String,
    pub(crate) username: String,
    pub(crate) subject: Option<String>,
    pub(crate) grants: Vec<Grant>,
    pub(crate) ends_at: Timestamp,
}

/// A signed access token.
pub(crate) struct AccessToken {
    pub(crate) text: String,
    /// Seconds until it expires.
    pub(crate) expires_in: i64,
}

impl Session {
    /// Signs an access token of the session at `now`.
    pub(crate) fn access_token(&self, signer: &Signer, now: Timestamp) -> Result<AccessToken> {
        let issued = now.as_second();
        let expires = later(now, ACCESS_LIFETIME).min(self.ends_at).as_second();
        let mut claims = json!({
            "iss": COHORT,
            "aud": COHORT,
            "sub": self.account,
            "iat": issued,
            "exp": expires,
            "jti": Uuid::now_v7().to_string(),
            claim::SESSION: self.id,
            claim::USERNAME: self.username,
            claim::GRANTS: self.grants,
        });
        if let Some(subject) = &self.subject {
            claims[claim::SUBJECT_ID] = json!(subject);
        }
        Ok(AccessToken {
            text: signer.sign(&claims)?,
            expires_in: expires - issued,
        })
    }
}
