// The tables in SQLite, and the migrations from older versions. All times are Unix milliseconds.

/** `PRAGMA application_id`: "ppst". Identifies our files among other SQLite files. */
export const applicationId = 0x70707374

const version1 = `
  CREATE TABLE room (
    room_id INTEGER PRIMARY KEY,
    tag BLOB NOT NULL UNIQUE CHECK (length(tag) = 32)
  ) STRICT;

  -- Invites to our rooms. The key is the public key of the invite, so nobody can use the invite who reads this file.
  CREATE TABLE invite (
    invite_id INTEGER PRIMARY KEY,
    key BLOB NOT NULL UNIQUE CHECK (length(key) = 32),
    room_id INTEGER NOT NULL REFERENCES room (room_id),
    name TEXT NOT NULL,
    made_at INTEGER NOT NULL,
    until_at INTEGER,             -- NULL: it does not expire
    uses INTEGER CHECK (uses > 0), -- NULL: for any number of agents
    revoked_at INTEGER,           -- NULL: not revoked
    host BLOB                     -- the host that made it; NULL: unknown
  ) STRICT;
  CREATE INDEX invite_by_end ON invite (until_at) WHERE until_at IS NOT NULL;

  -- The agents that used an invite, one row each.
  CREATE TABLE invite_user (
    invite_id INTEGER NOT NULL REFERENCES invite (invite_id) ON DELETE CASCADE,
    user_id BLOB NOT NULL CHECK (length(user_id) = 32),
    first_at INTEGER NOT NULL,
    PRIMARY KEY (invite_id, user_id)
  ) STRICT, WITHOUT ROWID;

  -- Revocations of invites, each signed by the host that made the invite. They are sent to other hosts.
  CREATE TABLE revocation (
    host BLOB NOT NULL CHECK (length(host) = 32),
    key BLOB NOT NULL CHECK (length(key) = 32),
    revoked_at INTEGER NOT NULL,
    until_at INTEGER,
    signature BLOB NOT NULL CHECK (length(signature) = 64),
    told_at INTEGER NOT NULL,     -- when it was last sent to the other hosts; 0: never
    PRIMARY KEY (host, key)
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX revocation_by_telling ON revocation (told_at);

  -- The peer table. entry_order grows with every request: when the table is full, the entry with the smallest is deleted.
  CREATE TABLE entry (
    entry_order INTEGER PRIMARY KEY,
    room_id INTEGER NOT NULL REFERENCES room (room_id),
    user_id BLOB NOT NULL CHECK (length(user_id) = 32),
    nickname TEXT NOT NULL,
    session_id BLOB NOT NULL CHECK (length(session_id) = 16),
    session_key BLOB NOT NULL CHECK (length(session_key) = 32),
    return_address TEXT NOT NULL,
    candidates TEXT NOT NULL,     -- JSON, as tcp_candidates and nat
    tcp_candidates TEXT NOT NULL DEFAULT '[]',
    nat TEXT NOT NULL,
    flagged INTEGER NOT NULL CHECK (flagged IN (0, 1)),
    sent_at INTEGER NOT NULL,     -- by the agent's clock, as signed
    accepted_at INTEGER NOT NULL, -- by our clock
    invite_id INTEGER REFERENCES invite (invite_id) -- NULL: the agent has the secret of the room
  ) STRICT;
  CREATE UNIQUE INDEX entry_by_user ON entry (room_id, user_id);
  CREATE INDEX entry_by_room ON entry (room_id, accepted_at);
  CREATE INDEX entry_by_age ON entry (accepted_at);
  CREATE INDEX entry_by_invite ON entry (invite_id) WHERE invite_id IS NOT NULL;

  -- Agents that left a room. A request that was signed before sent_at and comes later does not bring them back.
  CREATE TABLE departure (
    room_id INTEGER NOT NULL REFERENCES room (room_id),
    user_id BLOB NOT NULL CHECK (length(user_id) = 32),
    sent_at INTEGER NOT NULL,
    item_key TEXT,                -- for other hosts, as in statement
    signed BLOB,                  -- the signed leave letter
    PRIMARY KEY (room_id, user_id)
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX departure_by_age ON departure (sent_at);
  CREATE INDEX departure_by_item ON departure (item_key) WHERE item_key IS NOT NULL;

  -- User IDs that are refused in every room. The name is the nickname at the time of the block.
  CREATE TABLE blocked (
    user_id BLOB NOT NULL PRIMARY KEY CHECK (length(user_id) = 32),
    name TEXT NOT NULL,
    blocked_at INTEGER NOT NULL
  ) STRICT, WITHOUT ROWID;

  -- Letters that were handled. A second copy is recognised by its row here.
  CREATE TABLE seen_letter (
    sender BLOB NOT NULL,
    letter_id BLOB NOT NULL,
    sent_at INTEGER NOT NULL,
    PRIMARY KEY (sender, letter_id)
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX seen_letter_by_age ON seen_letter (sent_at);

  -- The asker was offered the recipient and must be introduced to it.
  CREATE TABLE introduction (
    room_id INTEGER NOT NULL REFERENCES room (room_id),
    recipient BLOB NOT NULL,
    asker BLOB NOT NULL,
    noted_at INTEGER NOT NULL,
    PRIMARY KEY (room_id, recipient, asker)
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX introduction_by_age ON introduction (noted_at);

  -- The outbox. The program checks the kind of mail, so a new kind needs no new table.
  CREATE TABLE mail (
    mail_order INTEGER PRIMARY KEY,
    message_id TEXT NOT NULL UNIQUE,
    kind TEXT NOT NULL,
    lane INTEGER NOT NULL CHECK (lane IN (0, 1)), -- lane 0 is sent before lane 1
    recipient TEXT NOT NULL,
    raw BLOB NOT NULL,
    attempts INTEGER NOT NULL,
    added_at INTEGER NOT NULL,
    next_attempt_at INTEGER NOT NULL,
    user_id BLOB                  -- for a reply: the agent, so that a newer reply can replace it
  ) STRICT;
  CREATE INDEX mail_due ON mail (lane, next_attempt_at);
  CREATE INDEX mail_by_age ON mail (added_at);
  CREATE INDEX mail_by_user ON mail (user_id) WHERE user_id IS NOT NULL;

  -- How many mails were sent in each hour since 1970. Hours older than a day are deleted.
  CREATE TABLE sent_hour (
    hour INTEGER PRIMARY KEY,
    mails INTEGER NOT NULL
  ) STRICT;

  -- Mail addresses, in lower case, from which our mail bounced.
  CREATE TABLE unreachable (
    address TEXT NOT NULL PRIMARY KEY,
    bounces INTEGER NOT NULL,
    paused_until INTEGER NOT NULL
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX unreachable_by_pause ON unreachable (paused_until);

  -- The signed request behind each entry, for other hosts. A host that knows no other host has none.
  CREATE TABLE statement (
    item_key TEXT NOT NULL PRIMARY KEY,
    room_id INTEGER NOT NULL REFERENCES room (room_id),
    user_id BLOB NOT NULL CHECK (length(user_id) = 32),
    version TEXT NOT NULL,
    flagged INTEGER NOT NULL CHECK (flagged IN (0, 1)),
    leaf INTEGER NOT NULL,
    print INTEGER NOT NULL,
    signed BLOB NOT NULL,
    told_by BLOB,                 -- the host that sent it; NULL: the agent itself, so the agent knows us
    offered BLOB NOT NULL DEFAULT x'' -- items of the peers that the agent was offered, by reply and introductions
  ) STRICT, WITHOUT ROWID;
  CREATE UNIQUE INDEX statement_by_user ON statement (room_id, user_id);
  CREATE INDEX statement_by_leaf ON statement (leaf);
  CREATE TRIGGER entry_and_statement_gone AFTER DELETE ON entry
    BEGIN DELETE FROM statement WHERE room_id = OLD.room_id AND user_id = OLD.user_id; END;

  -- Hosts compare their statements by a hash tree. The column print is the hash of a statement, or the XOR of the hashes of
  -- all statements of a leaf. SQLite has no operator for XOR.
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

  -- For a representative host: the worker that gets the letters of a sender. The sender is a keyed hash of a mail address.
  CREATE TABLE worker_choice (
    sender BLOB NOT NULL PRIMARY KEY CHECK (length(sender) = 16),
    worker BLOB NOT NULL CHECK (length(worker) = 32),
    used_at INTEGER NOT NULL
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX worker_choice_by_age ON worker_choice (used_at);

  -- For a representative host: letters that no worker has confirmed yet.
  CREATE TABLE forward (
    forward_id BLOB NOT NULL PRIMARY KEY CHECK (length(forward_id) = 16),
    sender BLOB NOT NULL CHECK (length(sender) = 16),
    worker BLOB NOT NULL CHECK (length(worker) = 32),
    mail_from TEXT NOT NULL,
    mail_date INTEGER,
    mail_id TEXT,
    boxes BLOB NOT NULL,          -- a CBOR array
    message_id TEXT NOT NULL,     -- of the mail that carries it to the worker
    tries INTEGER NOT NULL,
    forwarded_at INTEGER NOT NULL
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX forward_by_worker ON forward (worker, forwarded_at);

  -- One row. Triggers keep the counts, because COUNT(*) would read whole tables.
  CREATE TABLE tally (
    tally_id INTEGER PRIMARY KEY CHECK (tally_id = 1),
    entries INTEGER NOT NULL DEFAULT 0,
    seen_letters INTEGER NOT NULL DEFAULT 0,
    mails INTEGER NOT NULL DEFAULT 0,
    introductions INTEGER NOT NULL DEFAULT 0,
    departures INTEGER NOT NULL DEFAULT 0,
    choices INTEGER NOT NULL DEFAULT 0,
    forwards INTEGER NOT NULL DEFAULT 0,
    -- Rows of seen_letter up to this sent_at may have been deleted, so letters signed at that time or before are stale.
    forgotten_until INTEGER NOT NULL DEFAULT 0
  ) STRICT;
  INSERT INTO tally (tally_id) VALUES (1);

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
  CREATE TRIGGER departure_added AFTER INSERT ON departure BEGIN UPDATE tally SET departures = departures + 1; END;
  CREATE TRIGGER departure_gone AFTER DELETE ON departure BEGIN UPDATE tally SET departures = departures - 1; END;
  CREATE TRIGGER choice_added AFTER INSERT ON worker_choice BEGIN UPDATE tally SET choices = choices + 1; END;
  CREATE TRIGGER choice_gone AFTER DELETE ON worker_choice BEGIN UPDATE tally SET choices = choices - 1; END;
  CREATE TRIGGER forward_added AFTER INSERT ON forward BEGIN UPDATE tally SET forwards = forwards + 1; END;
  CREATE TRIGGER forward_gone AFTER DELETE ON forward BEGIN UPDATE tally SET forwards = forwards - 1; END;
`

/** `migrations[n]` migrates from `user_version` n to n + 1. A new file runs all of them. Never change a released migration: to
 *  change the tables, append a new one. */
export const migrations: readonly string[] = [version1]

/** Corrects the counts, in case the file was changed by hand. */
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
