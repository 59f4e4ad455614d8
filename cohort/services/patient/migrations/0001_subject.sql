-- Persons, their subjects in studies, and every stay of a subject in a status.
--
-- What tells who somebody is stands here sealed or not at all: name, identity number and phone
-- are sealed with the data key of the person, blind indexes find equal ones.

CREATE TABLE person (
    id TEXT PRIMARY KEY,
    -- Where the identity number is known: the person is found again by it.
    identity_index BYTEA UNIQUE,
    created_at BIGINT NOT NULL
);

-- Sealed values stand with the subject and not with the person: what one study's site entered is
-- never shown to another's.
CREATE TABLE subject (
    id TEXT PRIMARY KEY,
    person_id TEXT NOT NULL REFERENCES person (id),
    study_id TEXT NOT NULL,
    site_id TEXT NOT NULL,
    subject_no TEXT NOT NULL,
    sex TEXT NOT NULL,
    -- ISO 8601, may be partial.
    birth_date TEXT NOT NULL,
    name BYTEA,
    identity_number BYTEA,
    phone BYTEA,
    phone_index BYTEA,
    -- What was given when it was created, as a blind index: the same request is known again.
    content_index BYTEA NOT NULL,
    -- The zone of the site, in whose calendar the days of moves are.
    time_zone TEXT NOT NULL,
    status BIGINT NOT NULL CHECK (status BETWEEN 0 AND 6),
    -- The day on which the status began; not known for screening.
    status_since TEXT,
    ever_enrolled BOOLEAN NOT NULL,
    -- Counts the changes of the row.
    version BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    created_by TEXT NOT NULL,
    updated_at BIGINT NOT NULL,
    UNIQUE (study_id, subject_no)
);

-- The subjects of a study and of a site, oldest first.
CREATE INDEX subject_by_study ON subject (study_id, id);
CREATE INDEX subject_by_site ON subject (study_id, site_id, id);
CREATE INDEX subject_by_person ON subject (person_id);
CREATE INDEX subject_by_phone ON subject (phone_index) WHERE phone_index IS NOT NULL;

-- Each stay of a subject in a status. The last one is open.
CREATE TABLE episode (
    subject_id TEXT NOT NULL REFERENCES subject (id),
    -- From 1.
    number BIGINT NOT NULL,
    status BIGINT NOT NULL CHECK (status BETWEEN 0 AND 6),
    -- Days in the site's calendar.
    from_day TEXT,
    to_day TEXT,
    -- When it was told to this service.
    began_at BIGINT NOT NULL,
    ended_at BIGINT,
    -- Why and by whom it began.
    reason TEXT,
    moved_by TEXT NOT NULL,
    moved_by_role TEXT NOT NULL,
    PRIMARY KEY (subject_id, number)
);

-- How many subjects of a study were ever enrolled; kept with every first enrolment, so that
-- asking does not count rows.
CREATE TABLE study_enrolment (
    study_id TEXT PRIMARY KEY,
    enrolled BIGINT NOT NULL CHECK (enrolled >= 0)
);
