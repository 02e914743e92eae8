// The tables, and how a file made by an older version becomes one of this version. A migration that has been
// released is never edited; a change is a new one at the end.

import { revocationSql } from './revocation-schema.ts'

/** `PRAGMA application_id`: "ppst". Tells our file from any other SQLite file. */
export const applicationId = 0x70707374

/** `migrations[n]` leads from `user_version` n to n + 1. */
export const migrations: readonly string[] = [
  `
  CREATE TABLE room (
    room_id INTEGER PRIMARY KEY,
    tag BLOB NOT NULL UNIQUE CHECK (length(tag) = 32)
  ) STRICT;

  -- entry_order grows with every letter taken: the smallest is the one to go when the table is full.
  CREATE TABLE entry (
    entry_order INTEGER PRIMARY KEY,
    room_id INTEGER NOT NULL REFERENCES room (room_id),
    user_id BLOB NOT NULL CHECK (length(user_id) = 32),
    nickname TEXT NOT NULL,
    session_id BLOB NOT NULL CHECK (length(session_id) = 16),
    session_key BLOB NOT NULL CHECK (length(session_key) = 32),
    return_address TEXT NOT NULL,
    candidates TEXT NOT NULL,
    nat TEXT NOT NULL,
    flagged INTEGER NOT NULL CHECK (flagged IN (0, 1)),
    sent_at INTEGER NOT NULL,
    accepted_at INTEGER NOT NULL
  ) STRICT;
  CREATE UNIQUE INDEX entry_by_user ON entry (room_id, user_id);
  CREATE INDEX entry_by_room ON entry (room_id, accepted_at);
  CREATE INDEX entry_by_age ON entry (accepted_at);

  CREATE TABLE seen_letter (
    sender BLOB NOT NULL,
    letter_id BLOB NOT NULL,
    sent_at INTEGER NOT NULL,
    PRIMARY KEY (sender, letter_id)
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX seen_letter_by_age ON seen_letter (sent_at);

  -- lane 0 goes before lane 1; times are Unix milliseconds.
  CREATE TABLE mail (
    mail_order INTEGER PRIMARY KEY,
    message_id TEXT NOT NULL UNIQUE,
    kind TEXT NOT NULL CHECK (kind IN ('reply', 'introduction', 'signal')),
    lane INTEGER NOT NULL CHECK (lane IN (0, 1)),
    recipient TEXT NOT NULL,
    raw BLOB NOT NULL,
    attempts INTEGER NOT NULL,
    added_at INTEGER NOT NULL,
    next_attempt_at INTEGER NOT NULL
  ) STRICT;
  CREATE INDEX mail_due ON mail (lane, next_attempt_at);
  CREATE INDEX mail_by_age ON mail (added_at);

  -- The asker is to be made known to the recipient. By users, not entries: each side's latest request counts.
  CREATE TABLE introduction (
    room_id INTEGER NOT NULL REFERENCES room (room_id),
    recipient BLOB NOT NULL,
    asker BLOB NOT NULL,
    noted_at INTEGER NOT NULL,
    PRIMARY KEY (room_id, recipient, asker)
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX introduction_by_age ON introduction (noted_at);

  -- Counts kept by triggers, because COUNT(*) would read whole tables.
  CREATE TABLE tally (
    tally_id INTEGER PRIMARY KEY CHECK (tally_id = 1),
    entries INTEGER NOT NULL,
    seen_letters INTEGER NOT NULL,
    mails INTEGER NOT NULL,
    introductions INTEGER NOT NULL,
    -- Letters signed at this time or before may have been forgotten, so they count as stale.
    forgotten_until INTEGER NOT NULL
  ) STRICT;
  INSERT INTO tally (tally_id, entries, seen_letters, mails, introductions, forgotten_until) VALUES (1, 0, 0, 0, 0, 0);

  CREATE TRIGGER entry_added AFTER INSERT ON entry BEGIN UPDATE tally SET entries = entries + 1; END;
  CREATE TRIGGER entry_gone AFTER DELETE ON entry BEGIN UPDATE tally SET entries = entries - 1; END;
  CREATE TRIGGER seen_letter_added AFTER INSERT ON seen_letter
    BEGIN UPDATE tally SET seen_letters = seen_letters + 1; END;
  CREATE TRIGGER seen_letter_gone AFTER DELETE ON seen_letter
    BEGIN UPDATE tally SET seen_letters = seen_letters - 1; END;
  CREATE TRIGGER mail_added AFTER INSERT ON mail BEGIN UPDATE tally SET mails = mails + 1; END;
  CREATE TRIGGER mail_gone AFTER DELETE ON mail BEGIN UPDATE tally SET mails = mails - 1; END;
  CREATE TRIGGER introduction_added AFTER INSERT ON introduction
    BEGIN UPDATE tally SET introductions = introductions + 1; END;
  CREATE TRIGGER introduction_gone AFTER DELETE ON introduction
    BEGIN UPDATE tally SET introductions = introductions - 1; END;
  `,
  `
  -- Invites that were made here. The key is the public half of what the invite holds, so that nobody who reads this
  -- file can use one. Times are Unix milliseconds; NULL is no end, no limit, not revoked.
  CREATE TABLE invite (
    invite_id INTEGER PRIMARY KEY,
    key BLOB NOT NULL UNIQUE CHECK (length(key) = 32),
    room_id INTEGER NOT NULL REFERENCES room (room_id),
    name TEXT NOT NULL,
    made_at INTEGER NOT NULL,
    until_at INTEGER,
    uses INTEGER CHECK (uses > 0),
    revoked_at INTEGER
  ) STRICT;
  CREATE INDEX invite_by_end ON invite (until_at) WHERE until_at IS NOT NULL;

  -- Who came by an invite, each once.
  CREATE TABLE invite_user (
    invite_id INTEGER NOT NULL REFERENCES invite (invite_id) ON DELETE CASCADE,
    user_id BLOB NOT NULL CHECK (length(user_id) = 32),
    first_at INTEGER NOT NULL,
    PRIMARY KEY (invite_id, user_id)
  ) STRICT, WITHOUT ROWID;

  -- NULL: by the room's own secret.
  ALTER TABLE entry ADD COLUMN invite_id INTEGER REFERENCES invite (invite_id);
  CREATE INDEX entry_by_invite ON entry (invite_id) WHERE invite_id IS NOT NULL;

  -- Who left a room, and when by the signature: an older request that comes later brings nobody back.
  CREATE TABLE departure (
    room_id INTEGER NOT NULL REFERENCES room (room_id),
    user_id BLOB NOT NULL CHECK (length(user_id) = 32),
    sent_at INTEGER NOT NULL,
    PRIMARY KEY (room_id, user_id)
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX departure_by_age ON departure (sent_at);
  ALTER TABLE tally ADD COLUMN departures INTEGER NOT NULL DEFAULT 0;
  CREATE TRIGGER departure_added AFTER INSERT ON departure BEGIN UPDATE tally SET departures = departures + 1; END;
  CREATE TRIGGER departure_gone AFTER DELETE ON departure BEGIN UPDATE tally SET departures = departures - 1; END;

  -- Keys that are let in nowhere; the name is what the person who blocked them saw.
  CREATE TABLE blocked (
    user_id BLOB NOT NULL PRIMARY KEY CHECK (length(user_id) = 32),
    name TEXT NOT NULL,
    blocked_at INTEGER NOT NULL
  ) STRICT, WITHOUT ROWID;

  -- Mails sent in each hour since 1970, of the last day.
  CREATE TABLE sent_hour (
    hour INTEGER PRIMARY KEY,
    mails INTEGER NOT NULL
  ) STRICT;

  -- Whom a reply is for: while none can be sent, a newer one takes its place.
  ALTER TABLE mail ADD COLUMN user_id BLOB;
  CREATE INDEX mail_by_user ON mail (user_id) WHERE user_id IS NOT NULL;
  `,
  `
  -- Mail addresses, in lower case, from which our mail came back.
  CREATE TABLE unreachable (
    address TEXT NOT NULL PRIMARY KEY,
    bounces INTEGER NOT NULL,
    paused_until INTEGER NOT NULL
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX unreachable_by_pause ON unreachable (paused_until);
  `,
  `
  -- Where an agent takes TCP.
  ALTER TABLE entry ADD COLUMN tcp_candidates TEXT NOT NULL DEFAULT '[]';
  `,
  `
  -- What agents signed, as it is passed on to other hosts: of those in the table, and nobody else. A host that knows no
  -- other host keeps none.
  CREATE TABLE statement (
    item_key TEXT NOT NULL PRIMARY KEY,
    room_id INTEGER NOT NULL REFERENCES room (room_id),
    user_id BLOB NOT NULL CHECK (length(user_id) = 32),
    version TEXT NOT NULL,
    flagged INTEGER NOT NULL CHECK (flagged IN (0, 1)),
    leaf INTEGER NOT NULL,
    print INTEGER NOT NULL,
    signed BLOB NOT NULL,
    -- The host that told of it; NULL: the agent itself, so that it knows us.
    told_by BLOB
  ) STRICT, WITHOUT ROWID;
  CREATE UNIQUE INDEX statement_by_user ON statement (room_id, user_id);
  CREATE INDEX statement_by_leaf ON statement (leaf);
  CREATE TRIGGER entry_and_statement_gone AFTER DELETE ON entry
    BEGIN DELETE FROM statement WHERE room_id = OLD.room_id AND user_id = OLD.user_id; END;

  -- What their agents signed when they left.
  ALTER TABLE departure ADD COLUMN item_key TEXT;
  ALTER TABLE departure ADD COLUMN signed BLOB;
  CREATE INDEX departure_by_item ON departure (item_key) WHERE item_key IS NOT NULL;

  -- Prints of all statements at a leaf of the tree in which hosts compare, joined by XOR, which SQLite writes like this.
  CREATE TABLE leaf (
    leaf INTEGER PRIMARY KEY,
    items INTEGER NOT NULL,
    print INTEGER NOT NULL
  ) STRICT;
  CREATE TRIGGER statement_added AFTER INSERT ON statement BEGIN
    INSERT INTO leaf (leaf, items, print) VALUES (NEW.leaf, 1, NEW.print)
      ON CONFLICT (leaf) DO UPDATE SET items = items + 1, print = (print | NEW.print) - (print & NEW.print);
  END;
  CREATE TRIGGER statement_gone AFTER DELETE ON statement BEGIN
    UPDATE leaf SET items = items - 1, print = (print | OLD.print) - (print & OLD.print) WHERE leaf = OLD.leaf;
  END;

  -- Letters to other hosts may wait to be sent, too.
  ALTER TABLE mail RENAME TO former_mail;
  DROP TRIGGER mail_added;
  DROP TRIGGER mail_gone;
  CREATE TABLE mail (
    mail_order INTEGER PRIMARY KEY,
    message_id TEXT NOT NULL UNIQUE,
    kind TEXT NOT NULL CHECK (kind IN ('reply', 'introduction', 'signal', 'table', 'table-request')),
    lane INTEGER NOT NULL CHECK (lane IN (0, 1)),
    recipient TEXT NOT NULL,
    raw BLOB NOT NULL,
    attempts INTEGER NOT NULL,
    added_at INTEGER NOT NULL,
    next_attempt_at INTEGER NOT NULL,
    user_id BLOB
  ) STRICT;
  INSERT INTO mail SELECT mail_order, message_id, kind, lane, recipient, raw, attempts, added_at, next_attempt_at,
    user_id FROM former_mail;
  DROP TABLE former_mail;
  CREATE INDEX mail_due ON mail (lane, next_attempt_at);
  CREATE INDEX mail_by_age ON mail (added_at);
  CREATE INDEX mail_by_user ON mail (user_id) WHERE user_id IS NOT NULL;
  CREATE TRIGGER mail_added AFTER INSERT ON mail BEGIN UPDATE tally SET mails = mails + 1; END;
  CREATE TRIGGER mail_gone AFTER DELETE ON mail BEGIN UPDATE tally SET mails = mails - 1; END;
  `,
  `
  -- Of a representative host: which worker has a sender's letters. The sender is a keyed hash of a mail address.
  CREATE TABLE worker_choice (
    sender BLOB NOT NULL PRIMARY KEY CHECK (length(sender) = 16),
    worker BLOB NOT NULL CHECK (length(worker) = 32),
    used_at INTEGER NOT NULL
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX worker_choice_by_age ON worker_choice (used_at);

  -- Letters that no worker has taken yet, as far as we know; the boxes are a CBOR array. message_id is of the mail that
  -- carries them.
  CREATE TABLE forward (
    forward_id BLOB NOT NULL PRIMARY KEY CHECK (length(forward_id) = 16),
    sender BLOB NOT NULL CHECK (length(sender) = 16),
    worker BLOB NOT NULL CHECK (length(worker) = 32),
    mail_from TEXT NOT NULL,
    mail_date INTEGER,
    mail_id TEXT,
    boxes BLOB NOT NULL,
    message_id TEXT NOT NULL,
    tries INTEGER NOT NULL,
    forwarded_at INTEGER NOT NULL
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX forward_by_worker ON forward (worker, forwarded_at);
  ALTER TABLE tally ADD COLUMN choices INTEGER NOT NULL DEFAULT 0;
  ALTER TABLE tally ADD COLUMN forwards INTEGER NOT NULL DEFAULT 0;
  CREATE TRIGGER choice_added AFTER INSERT ON worker_choice BEGIN UPDATE tally SET choices = choices + 1; END;
  CREATE TRIGGER choice_gone AFTER DELETE ON worker_choice BEGIN UPDATE tally SET choices = choices - 1; END;
  CREATE TRIGGER forward_added AFTER INSERT ON forward BEGIN UPDATE tally SET forwards = forwards + 1; END;
  CREATE TRIGGER forward_gone AFTER DELETE ON forward BEGIN UPDATE tally SET forwards = forwards - 1; END;

  -- What kinds of mail there are is the program's to say: each new one would mean a new table.
  ALTER TABLE mail RENAME TO former_mail;
  DROP TRIGGER mail_added;
  DROP TRIGGER mail_gone;
  CREATE TABLE mail (
    mail_order INTEGER PRIMARY KEY,
    message_id TEXT NOT NULL UNIQUE,
    kind TEXT NOT NULL,
    lane INTEGER NOT NULL CHECK (lane IN (0, 1)),
    recipient TEXT NOT NULL,
    raw BLOB NOT NULL,
    attempts INTEGER NOT NULL,
    added_at INTEGER NOT NULL,
    next_attempt_at INTEGER NOT NULL,
    user_id BLOB
  ) STRICT;
  INSERT INTO mail SELECT mail_order, message_id, kind, lane, recipient, raw, attempts, added_at, next_attempt_at,
    user_id FROM former_mail;
  DROP TABLE former_mail;
  CREATE INDEX mail_due ON mail (lane, next_attempt_at);
  CREATE INDEX mail_by_age ON mail (added_at);
  CREATE INDEX mail_by_user ON mail (user_id) WHERE user_id IS NOT NULL;
  CREATE TRIGGER mail_added AFTER INSERT ON mail BEGIN UPDATE tally SET mails = mails + 1; END;
  CREATE TRIGGER mail_gone AFTER DELETE ON mail BEGIN UPDATE tally SET mails = mails - 1; END;
  `,
  revocationSql,
]

/** Makes the counts true again, in case somebody changed the file by hand. */
export const recountSql = `
  UPDATE tally SET
    entries = (SELECT COUNT(*) FROM entry),
    seen_letters = (SELECT COUNT(*) FROM seen_letter),
    mails = (SELECT COUNT(*) FROM mail),
    introductions = (SELECT COUNT(*) FROM introduction),
    departures = (SELECT COUNT(*) FROM departure),
    choices = (SELECT COUNT(*) FROM worker_choice),
    forwards = (SELECT COUNT(*) FROM forward)
`
