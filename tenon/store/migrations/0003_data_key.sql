-- The keys of sealed values, one for each owner and generation, wrapped by a key that is not here.
CREATE TABLE data_key (
  owner TEXT NOT NULL,
  generation INTEGER NOT NULL,
  wrapping_version INTEGER NOT NULL,
  wrapped BLOB NOT NULL,
  PRIMARY KEY (owner, generation)
) STRICT;
