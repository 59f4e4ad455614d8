-- Studies with their sites.

CREATE TABLE study (
    id TEXT PRIMARY KEY,
    code TEXT NOT NULL UNIQUE,
    title TEXT NOT NULL,
    status TEXT NOT NULL,
    target BIGINT CHECK (target > 0),
    -- Arms and cycles as JSON: written and read as a whole, like the document that they come from.
    definition TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    created_by TEXT NOT NULL
);

CREATE TABLE site (
    id TEXT PRIMARY KEY,
    study_id TEXT NOT NULL REFERENCES study (id),
    code TEXT NOT NULL,
    name TEXT NOT NULL,
    time_zone TEXT NOT NULL,
    status TEXT NOT NULL,
    target BIGINT CHECK (target > 0),
    created_at BIGINT NOT NULL,
    created_by TEXT NOT NULL,
    UNIQUE (study_id, code)
);

-- A study's sites, oldest first.
CREATE INDEX site_by_study ON site (study_id, id);
