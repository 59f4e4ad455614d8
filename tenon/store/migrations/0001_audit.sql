-- One row a record. The columns beside `canonical` are there to be searched; verification
-- compares them with it.
CREATE TABLE audit_record (
  stream TEXT NOT NULL,
  sequence INTEGER NOT NULL,
  time INTEGER NOT NULL,
  action TEXT NOT NULL,
  entity TEXT NOT NULL,
  entity_id TEXT NOT NULL,
  actor TEXT NOT NULL,
  canonical BLOB NOT NULL,
  previous BLOB NOT NULL,
  hash BLOB NOT NULL,
  PRIMARY KEY (stream, sequence)
) STRICT;
CREATE INDEX audit_record_entity ON audit_record (entity, entity_id);
-- The last record of each stream, by which a cut-off tail is noticed.
CREATE TABLE audit_head (
  stream TEXT NOT NULL PRIMARY KEY,
  sequence INTEGER NOT NULL,
  hash BLOB NOT NULL
) STRICT;
CREATE TRIGGER audit_record_update BEFORE UPDATE ON audit_record
BEGIN SELECT RAISE(ABORT, 'audit records are never changed'); END;
CREATE TRIGGER audit_record_delete BEFORE DELETE ON audit_record
BEGIN SELECT RAISE(ABORT, 'audit records are never deleted'); END;
CREATE TRIGGER audit_head_delete BEFORE DELETE ON audit_head
BEGIN SELECT RAISE(ABORT, 'audit heads are never deleted'); END;
