-- Version 1. Times are milliseconds since 1970, durations milliseconds, ids and owners 16 bytes big-endian.
-- state: 0 waiting, 1 pending, 2 running, 3 succeeded, 4 dead, 5 cancelled.
CREATE TABLE job (
    n           INTEGER PRIMARY KEY,
    id          BLOB    NOT NULL,
    state       INTEGER NOT NULL,
    queue       TEXT    NOT NULL,
    band        INTEGER NOT NULL,            -- the one it waits in: 255 after a crash
    kind        TEXT    NOT NULL,
    grp         TEXT,
    run_at      INTEGER NOT NULL,
    parked      INTEGER NOT NULL DEFAULT 0,  -- pending, but out of its lane while a limit blocks its group
    links       INTEGER NOT NULL,            -- what an end must look for: 1 unique key, 2 waiters, 4 group, 8 body
    token       INTEGER NOT NULL DEFAULT 0,
    owner       BLOB,
    seq         INTEGER NOT NULL DEFAULT 0,
    lease_until INTEGER NOT NULL DEFAULT 0,
    lease       INTEGER NOT NULL DEFAULT 0,
    attempt     INTEGER NOT NULL DEFAULT 0,
    failures    INTEGER NOT NULL DEFAULT 0,
    crashes     INTEGER NOT NULL DEFAULT 0,
    strikes     INTEGER NOT NULL DEFAULT 0,
    snoozes     INTEGER NOT NULL DEFAULT 0,
    returns     INTEGER NOT NULL DEFAULT 0,
    delay       INTEGER NOT NULL DEFAULT 0,
    settled     INTEGER,                     -- how the last lease ended: see `row.rs`
    flags       INTEGER NOT NULL DEFAULT 0,  -- 1 cancel, 2 abandoned, 4 moved
    digest      INTEGER NOT NULL,
    enqueued_at INTEGER NOT NULL,
    started_at  INTEGER,
    ended_at    INTEGER,
    keep        INTEGER NOT NULL,            -- after success
    prune_at    INTEGER,                     -- ended: when the record may go
    expires_at  INTEGER,
    reason      TEXT,                        -- JSON
    errors      TEXT,                        -- JSON
    waits       BLOB,                        -- what it still waits for, one id after the other
    spec        BLOB    NOT NULL,            -- packed: see `packed.rs` of the engine's jobs
    payload     BLOB,                        -- NULL: in `body`
    progress    BLOB,
    result      BLOB
);
CREATE UNIQUE INDEX job_id ON job (id);
CREATE INDEX job_lane ON job (queue, band, run_at, id) WHERE state = 1 AND parked = 0;
CREATE INDEX job_parked ON job (queue, grp, band, run_at, id) WHERE state = 1 AND parked = 1;
CREATE INDEX job_running ON job (owner, lease_until, lease, id) WHERE state = 2;
CREATE INDEX job_grouped ON job (queue, grp) WHERE state = 2 AND grp IS NOT NULL;
CREATE INDEX job_suspect ON job (owner) WHERE state = 1 AND crashes > 0;
CREATE INDEX job_ended ON job (prune_at, id) WHERE state >= 3;
CREATE INDEX job_expiry ON job (expires_at, id) WHERE state < 2 AND expires_at IS NOT NULL;

-- Payloads that would not fit a page beside the rest of their row: a claim or settle does not write them again.
CREATE TABLE body (
    n INTEGER PRIMARY KEY, payload BLOB NOT NULL
);

-- Deleted jobs whose ids an enqueue must still find.
CREATE TABLE deleted (
    id BLOB PRIMARY KEY, digest INTEGER NOT NULL, until INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX deleted_until ON deleted (until);

-- Jobs per queue and state.
CREATE TABLE tally (
    queue TEXT NOT NULL, state INTEGER NOT NULL, n INTEGER NOT NULL,
    PRIMARY KEY (queue, state)
) WITHOUT ROWID;

-- Held unique keys. hold: 0 until start, 1 until done, 2 until a time.
CREATE TABLE hold (
    queue TEXT NOT NULL, key TEXT NOT NULL, id BLOB NOT NULL, hold INTEGER NOT NULL, until INTEGER,
    PRIMARY KEY (queue, key)
) WITHOUT ROWID;
CREATE INDEX hold_id ON hold (id);
CREATE INDEX hold_until ON hold (until) WHERE until IS NOT NULL;

-- Who waits for a job that has not ended.
CREATE TABLE waiter (
    awaited BLOB NOT NULL, id BLOB NOT NULL,
    PRIMARY KEY (awaited, id)
) WITHOUT ROWID;

-- The newest claim of each owner, for repeats.
CREATE TABLE claimer (
    owner BLOB PRIMARY KEY, seq INTEGER NOT NULL, at INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX claimer_at ON claimer (at);

CREATE TABLE cron (
    key TEXT PRIMARY KEY, slot INTEGER NOT NULL, rev INTEGER NOT NULL, spec TEXT NOT NULL, last_job BLOB
) WITHOUT ROWID;

CREATE TABLE paused (queue TEXT PRIMARY KEY) WITHOUT ROWID;

-- scope: 0 the queue, 1 each group of it, 2 this group. A grp of '' is none.
CREATE TABLE lim (
    queue TEXT NOT NULL, scope INTEGER NOT NULL, grp TEXT NOT NULL,
    running INTEGER, rate INTEGER, every INTEGER,
    PRIMARY KEY (queue, scope, grp)
) WITHOUT ROWID;

-- Claims that count against a rate.
CREATE TABLE taken (
    queue TEXT NOT NULL, grp TEXT NOT NULL, at INTEGER NOT NULL, n INTEGER NOT NULL,
    PRIMARY KEY (queue, grp, at)
) WITHOUT ROWID;

-- Groups with parked jobs; until: when their rate has room again, if that is all that blocks them;
-- at: when this was found.
CREATE TABLE blocked (
    queue TEXT NOT NULL, grp TEXT NOT NULL, until INTEGER, at INTEGER NOT NULL,
    PRIMARY KEY (queue, grp)
) WITHOUT ROWID;
CREATE INDEX blocked_until ON blocked (queue, until) WHERE until IS NOT NULL;
CREATE INDEX blocked_at ON blocked (queue, at) WHERE until IS NOT NULL;
