-- Events that wait for their delivery, in the order of their commits.
CREATE TABLE outbox_event (
  position INTEGER PRIMARY KEY AUTOINCREMENT,
  id BLOB NOT NULL UNIQUE,
  topic TEXT NOT NULL,
  key TEXT NOT NULL,
  payload TEXT NOT NULL
) STRICT;
-- Events of other services that were handled here.
CREATE TABLE inbox_event (
  id BLOB NOT NULL PRIMARY KEY,
  time INTEGER NOT NULL
) STRICT;
