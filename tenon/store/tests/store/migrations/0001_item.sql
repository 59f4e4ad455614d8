CREATE TABLE item (
  id BIGINT PRIMARY KEY,
  body TEXT NOT NULL CHECK (body <> 'bad')
);
