-- Accounts are never deleted: a closed one keeps its id and its user name from being given again.
CREATE TABLE account (
    id TEXT PRIMARY KEY,
    -- Folded: trimmed, lower case.
    username TEXT NOT NULL UNIQUE,
    -- invited, active, suspended or closed; locked follows from login_attempt.
    status TEXT NOT NULL,
    -- Argon2id as a PHC string.
    password TEXT NOT NULL,
    password_set_at BIGINT NOT NULL,
    -- The subject of a patient account.
    subject_id TEXT,
    created_at BIGINT NOT NULL
);

-- Two accounts never stand for one subject at the same time.
CREATE UNIQUE INDEX account_subject ON account (subject_id)
    WHERE subject_id IS NOT NULL AND status <> 'closed';

-- Roles and where they hold. An empty text stands for "all", so that the key has no nulls.
CREATE TABLE account_grant (
    account_id TEXT NOT NULL,
    role TEXT NOT NULL,
    study_id TEXT NOT NULL,
    site_id TEXT NOT NULL,
    granted_at BIGINT NOT NULL,
    PRIMARY KEY (account_id, role, study_id, site_id)
);

CREATE INDEX account_grant_place ON account_grant (study_id, site_id, account_id);
CREATE INDEX account_grant_study ON account_grant (study_id, account_id);

-- A login and all refresh tokens that follow from it.
CREATE TABLE session (
    id TEXT PRIMARY KEY,
    account_id TEXT NOT NULL,
    started_at BIGINT NOT NULL,
    -- The latest end, whatever happens.
    ends_at BIGINT NOT NULL,
    ended_at BIGINT,
    -- logout, reuse, password or status.
    end_reason TEXT
);

CREATE INDEX session_account ON session (account_id, ended_at);
CREATE INDEX session_end ON session (ends_at);

-- Only the SHA-256 of a token is kept. Used ones stay, so that their reuse is noticed.
CREATE TABLE refresh_token (
    digest BYTEA PRIMARY KEY,
    session_id TEXT NOT NULL,
    issued_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    used_at BIGINT
);

CREATE INDEX refresh_token_session ON refresh_token (session_id);

-- Failed logins by a keyed hash of the name that was given, whether or not an account has it.
CREATE TABLE login_attempt (
    name_key BYTEA PRIMARY KEY,
    account_id TEXT,
    failures BIGINT NOT NULL,
    last_at BIGINT NOT NULL,
    blocked_until BIGINT NOT NULL
);

CREATE INDEX login_attempt_account ON login_attempt (account_id);
CREATE INDEX login_attempt_last ON login_attempt (last_at);
