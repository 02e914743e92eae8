// A migration as all others in schema.ts, which is full.

export const revocationSql = `
  -- The host that made the invite; NULL where that was not noted yet.
  ALTER TABLE invite ADD COLUMN host BLOB;

  -- Invites that the hosts that made them have ended, for other hosts to be told. told_at: to the hosts we know; 0 is never.
  CREATE TABLE revocation (
    host BLOB NOT NULL CHECK (length(host) = 32),
    key BLOB NOT NULL CHECK (length(key) = 32),
    revoked_at INTEGER NOT NULL,
    until_at INTEGER,
    signature BLOB NOT NULL CHECK (length(signature) = 64),
    told_at INTEGER NOT NULL,
    PRIMARY KEY (host, key)
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX revocation_by_telling ON revocation (told_at);
  `
