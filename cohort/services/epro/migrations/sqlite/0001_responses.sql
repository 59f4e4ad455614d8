-- Questionnaires, the responses to them, and what was computed from each response.
--
-- A response, its scores and its discrepancies are written once. A correction will be a record of
-- its own beside them, so nothing here is ever changed but the state of an alert.

CREATE TABLE questionnaire (
    -- UUIDv7 of the server: the order of publication.
    id TEXT PRIMARY KEY,
    url TEXT NOT NULL,
    version TEXT NOT NULL,
    title TEXT NOT NULL,
    -- SHA-256 of the canonical form, which tells the same content from another.
    digest BYTEA NOT NULL,
    -- The FHIR Questionnaire as it was received.
    resource TEXT NOT NULL,
    published_at BIGINT NOT NULL,
    -- The account.
    published_by TEXT NOT NULL,
    UNIQUE (url, version)
);

CREATE TABLE response (
    -- The UUID that the device made, in lower case: the key of idempotent submission.
    id TEXT PRIMARY KEY,
    -- Begins with the time of receipt, so that it orders the responses as well.
    receipt_no TEXT NOT NULL UNIQUE,
    -- The clock of the server. The clocks of the device are only recorded.
    received_at BIGINT NOT NULL,
    study_id TEXT NOT NULL,
    site_id TEXT NOT NULL,
    subject_id TEXT NOT NULL,
    -- The task that asked for the response, if the device named one.
    task_id TEXT,
    -- The version of the study's design under which it was given; filled in once studies have them.
    metadata_version TEXT,
    questionnaire_url TEXT NOT NULL,
    questionnaire_version TEXT NOT NULL,
    -- The language that the person read.
    language TEXT,
    -- Who gave the answers: the patient, or the site for the patient.
    originator TEXT NOT NULL CHECK (originator IN ('patient', 'site')),
    -- The subject, where the site submitted for it.
    on_behalf_of TEXT,
    -- The account.
    submitted_by TEXT NOT NULL,
    -- The clock of the device when the person began and when it ended, as sent.
    device_started TEXT,
    device_completed TEXT,
    -- The time zone of the device by its IANA name.
    time_zone TEXT,
    app_version TEXT,
    -- How the person went through the items, as JSON.
    paradata TEXT,
    -- Items that were answered although they were not enabled, as a JSON list of link ids.
    not_collected TEXT NOT NULL,
    -- SHA-256 of the RFC 8785 form without `meta` and `text`.
    digest BYTEA NOT NULL,
    -- The FHIR QuestionnaireResponse, character by character as it was received.
    resource TEXT NOT NULL
);

CREATE INDEX response_by_study ON response (study_id, receipt_no);
CREATE INDEX response_by_site ON response (study_id, site_id, receipt_no);
CREATE INDEX response_by_subject ON response (subject_id, receipt_no);

CREATE TABLE score (
    response_id TEXT NOT NULL REFERENCES response (id),
    -- From 0, in the order in which the questionnaire declares its scores.
    position BIGINT NOT NULL,
    -- The algorithm and its version, `phq9/1`.
    algorithm TEXT NOT NULL,
    name TEXT NOT NULL,
    -- The version of what was scored: the questionnaire as `url|version`. The answers themselves
    -- have one version, that of the response.
    inputs TEXT NOT NULL,
    -- What became of missing answers, `no-total-if-any-missing`.
    missing_rule TEXT NOT NULL,
    -- The link ids without an answer, as a JSON list.
    missing TEXT NOT NULL,
    value BIGINT,
    band TEXT,
    PRIMARY KEY (response_id, position)
);

CREATE TABLE discrepancy (
    response_id TEXT NOT NULL REFERENCES response (id),
    position BIGINT NOT NULL,
    link_id TEXT NOT NULL,
    claimed BIGINT NOT NULL,
    computed BIGINT,
    PRIMARY KEY (response_id, position)
);

CREATE TABLE alert (
    -- UUIDv7 of the server.
    id TEXT PRIMARY KEY,
    study_id TEXT NOT NULL,
    site_id TEXT NOT NULL,
    subject_id TEXT NOT NULL,
    response_id TEXT NOT NULL REFERENCES response (id),
    -- The rule that raised it, `phq9-item9`, and the algorithm and version that it belongs to.
    rule TEXT NOT NULL,
    algorithm TEXT NOT NULL,
    link_id TEXT NOT NULL,
    value BIGINT NOT NULL,
    status TEXT NOT NULL CHECK (status IN ('open', 'acknowledged')),
    raised_at BIGINT NOT NULL,
    acknowledged_at BIGINT,
    -- The account.
    acknowledged_by TEXT,
    note TEXT
);

-- Each list of alerts is one range of one of these, whatever the caller may see.
CREATE INDEX alert_by_status ON alert (status, id);
CREATE INDEX alert_by_study ON alert (study_id, status, id);
CREATE INDEX alert_by_site ON alert (study_id, site_id, status, id);

CREATE TRIGGER questionnaire_is_kept BEFORE UPDATE ON questionnaire
BEGIN SELECT RAISE(ABORT, 'a published questionnaire is never changed'); END;
CREATE TRIGGER questionnaire_stays BEFORE DELETE ON questionnaire
BEGIN SELECT RAISE(ABORT, 'a published questionnaire is never removed'); END;
CREATE TRIGGER response_is_kept BEFORE UPDATE ON response
BEGIN SELECT RAISE(ABORT, 'a response is never changed'); END;
CREATE TRIGGER response_stays BEFORE DELETE ON response
BEGIN SELECT RAISE(ABORT, 'a response is never removed'); END;
CREATE TRIGGER score_is_kept BEFORE UPDATE ON score
BEGIN SELECT RAISE(ABORT, 'a score is never changed'); END;
CREATE TRIGGER score_stays BEFORE DELETE ON score
BEGIN SELECT RAISE(ABORT, 'a score is never removed'); END;
CREATE TRIGGER discrepancy_is_kept BEFORE UPDATE ON discrepancy
BEGIN SELECT RAISE(ABORT, 'a discrepancy is never changed'); END;
CREATE TRIGGER discrepancy_stays BEFORE DELETE ON discrepancy
BEGIN SELECT RAISE(ABORT, 'a discrepancy is never removed'); END;
CREATE TRIGGER alert_stays BEFORE DELETE ON alert
BEGIN SELECT RAISE(ABORT, 'an alert is never removed'); END;
