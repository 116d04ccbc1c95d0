-- Version 1. Times are milliseconds since 1970, durations milliseconds. `{s}` is the schema's quoted name.
-- A later version that changes what the functions here mean drops them and adds others (`…_2`): a worker that
-- still runs then gets "no such function", looks at `migration`, and says that it is too old.
-- state: 0 waiting, 1 pending, 2 running, 3 succeeded, 4 dead, 5 cancelled.
CREATE TABLE {s}.job (
    id          uuid   PRIMARY KEY,
    digest      int8   NOT NULL,
    run_at      int8   NOT NULL,
    token       int8   NOT NULL DEFAULT 0,
    enqueued_at int8   NOT NULL,
    keep        int8   NOT NULL,              -- after success
    seq         int8,
    lease_until int8,
    lease       int8,
    started_at  int8,
    ended_at    int8,
    prune_at    int8,                         -- ended: when the record may go
    expires_at  int8,
    owner       uuid,
    attempt     int4   NOT NULL DEFAULT 0,
    crashes     int4,                         -- NULL is 0, here and in all that most jobs do without
    returns     int4,
    state       int2   NOT NULL,
    band        int2   NOT NULL,              -- the one it waits in: 255 after a crash
    links       int2   NOT NULL,              -- what an end must look for: 1 unique key, 2 waiters, 4 group
    settled     int2,                         -- how the last lease ended: see `row.rs`
    flags       int2,                         -- 1 cancel, 2 abandoned, 4 moved
    parked      bool   NOT NULL DEFAULT false, -- pending, but out of its lane while a limit blocks its group
    queue       text   COLLATE "C" NOT NULL,
    kind        text   COLLATE "C" NOT NULL,
    grp         text   COLLATE "C",
    waits       bytea,                        -- what it still waits for, 16 bytes each
    more        bytea,                        -- what few jobs have: see `row.rs`
    spec        bytea  NOT NULL,              -- packed
    payload     bytea,
    progress    bytea,
    result      bytea
) WITH (fillfactor = 90, autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_threshold = 1000,
        autovacuum_vacuum_insert_scale_factor = 0.05, autovacuum_analyze_scale_factor = 0.02,
        autovacuum_vacuum_cost_delay = 1);
-- Never compressed: it costs more than it saves at the sizes that are in the row.
ALTER TABLE {s}.job ALTER spec SET STORAGE EXTERNAL, ALTER payload SET STORAGE EXTERNAL,
    ALTER progress SET STORAGE EXTERNAL, ALTER result SET STORAGE EXTERNAL;
CREATE INDEX job_lane ON {s}.job (queue, band, run_at, id) WHERE state = 1 AND NOT parked;
CREATE INDEX job_parked ON {s}.job (queue, grp, band, run_at, id) WHERE state = 1 AND parked;
-- No time of the lease is in it, so that a beat leaves the indexes alone.
CREATE INDEX job_running ON {s}.job (owner) WHERE state = 2;
CREATE INDEX job_grouped ON {s}.job (queue, grp) WHERE state = 2 AND grp IS NOT NULL;
CREATE INDEX job_suspect ON {s}.job (owner) WHERE state = 1 AND crashes > 0;
CREATE INDEX job_ended ON {s}.job (prune_at, id) WHERE state >= 3;
CREATE INDEX job_expiry ON {s}.job (expires_at, id) WHERE state < 2 AND expires_at IS NOT NULL;

-- Changes of the numbers of a queue, one row a call, so that no two calls write the same one. A prune
-- adds them up.
CREATE TABLE {s}.tally (
    queue text COLLATE "C" NOT NULL,
    waiting int8 NOT NULL DEFAULT 0, pending int8 NOT NULL DEFAULT 0, running int8 NOT NULL DEFAULT 0,
    succeeded int8 NOT NULL DEFAULT 0, dead int8 NOT NULL DEFAULT 0, cancelled int8 NOT NULL DEFAULT 0
) WITH (autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_threshold = 1000);

-- Held unique keys. hold: 0 until start, 1 until done, 2 until a time.
CREATE TABLE {s}.hold (
    queue text COLLATE "C", key text COLLATE "C", id uuid NOT NULL, hold int2 NOT NULL, until int8,
    PRIMARY KEY (queue, key)
) WITH (fillfactor = 80, autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_threshold = 1000);
CREATE INDEX hold_id ON {s}.hold (id);
CREATE INDEX hold_until ON {s}.hold (until) WHERE until IS NOT NULL;

-- Who waits for a job that has not ended.
CREATE TABLE {s}.waiter (
    awaited uuid, id uuid, PRIMARY KEY (awaited, id)
) WITH (autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_threshold = 1000);

-- Deleted jobs whose ids an enqueue must still find.
CREATE TABLE {s}.deleted (id uuid PRIMARY KEY, digest int8 NOT NULL, until int8 NOT NULL);
CREATE INDEX deleted_until ON {s}.deleted (until);

-- The newest claim of each owner, for repeats. Only its own claims write a row, and no index has what they write.
CREATE TABLE {s}.claimer (
    owner uuid PRIMARY KEY, seq int8 NOT NULL, at int8 NOT NULL
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_threshold = 100);

CREATE TABLE {s}.cron (
    key text COLLATE "C" PRIMARY KEY, slot int8 NOT NULL, rev int8 NOT NULL, spec text NOT NULL, last_job uuid
);

-- `paused` and `lim` are read by every claim and locked whole by who changes them: so a claim is either before
-- the change and seen by it, or behind it and sees it.
CREATE TABLE {s}.paused (queue text COLLATE "C" PRIMARY KEY);

-- scope: 0 the queue, 1 each group of it, 2 this group. A grp of '' is none.
CREATE TABLE {s}.lim (
    queue text COLLATE "C", scope int2, grp text COLLATE "C", running int8, rate int8, every int8,
    PRIMARY KEY (queue, scope, grp)
);

-- Claims that count against a rate.
CREATE TABLE {s}.taken (
    queue text COLLATE "C", grp text COLLATE "C", at int8, n int8 NOT NULL, PRIMARY KEY (queue, grp, at)
) WITH (autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_threshold = 1000);

-- Groups with parked jobs; until: when their rate has room again, if that is all that blocks them;
-- at: when this was found.
CREATE TABLE {s}.blocked (
    queue text COLLATE "C", grp text COLLATE "C", until int8, at int8 NOT NULL, PRIMARY KEY (queue, grp)
) WITH (autovacuum_vacuum_scale_factor = 0.01, autovacuum_vacuum_threshold = 1000);

-- The functions below are the calls that must be fast: a round trip each, and their plans are kept by the
-- server's session, whoever uses it next. Every plan looks rows up by an index, whatever the statistics say:
-- hence the settings, which last for the call. `TW001` says that the call needs more than is here; nothing
-- was changed then.

CREATE FUNCTION {s}.now_1(clock int8) RETURNS int8 LANGUAGE sql VOLATILE AS $$
    SELECT coalesce(clock, floor(extract(epoch FROM clock_timestamp()) * 1000)::int8)
$$;

-- `d` after `t`, at most the last moment there is.
CREATE FUNCTION {s}.after_1(t int8, d int8) RETURNS int8 LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE WHEN d IS NOT NULL THEN t + least(d, 9223372036854775807 - greatest(t, 0)) END
$$;

-- Jobs without unique keys or waits. Returns those not inserted, and the digest of what is there instead.
CREATE FUNCTION {s}.enqueue_1(
    ids uuid[], queues text[], kinds text[], grps text[], bands int2[], ats int8[], delays int8[],
    digests int8[], keeps int8[], expiries int8[], specs bytea[], payloads bytea[], clock int8
) RETURNS TABLE (id uuid, digest int8) LANGUAGE plpgsql
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off
SET plan_cache_mode = force_generic_plan SET jit = off AS $$
#variable_conflict use_column
DECLARE
    t    int8 := {s}.now_1(clock);
    gone bool := EXISTS (SELECT FROM {s}.deleted);
    done uuid[];
BEGIN
    WITH added AS (
        INSERT INTO {s}.job (id, digest, run_at, enqueued_at, keep, expires_at, state, band, links, queue, kind,
                             grp, spec, payload)
        SELECT n.id, n.digest, coalesce(n.at, {s}.after_1(t, n.delay)), t, n.keep, {s}.after_1(t, n.expiry), 1, n.band,
               CASE WHEN n.grp IS NULL THEN 0 ELSE 4 END, n.queue, n.kind, n.grp, n.spec, n.payload
          FROM unnest(ids, queues, kinds, grps, bands, ats, delays, digests, keeps, expiries, specs, payloads)
               AS n (id, queue, kind, grp, band, at, delay, digest, keep, expiry, spec, payload)
         WHERE NOT gone OR NOT EXISTS (SELECT FROM {s}.deleted d WHERE d.id = n.id AND d.until > t)
        ON CONFLICT (id) DO NOTHING
        RETURNING id, queue
    ), counted AS (
        INSERT INTO {s}.tally (queue, pending) SELECT queue, count(*) FROM added GROUP BY queue
    )
    SELECT array_agg(id) INTO done FROM added;
    IF cardinality(done) = cardinality(ids) THEN
        RETURN;
    END IF;
    RETURN QUERY SELECT n.id, coalesce(j.digest, d.digest) FROM unnest(ids) AS n (id)
                   LEFT JOIN {s}.job j ON j.id = n.id LEFT JOIN {s}.deleted d ON d.id = n.id AND d.until > t
                  WHERE done IS NULL OR n.id <> ALL (done);
END $$;

-- Locks the first `want` jobs of a lane that are due at `t`. The predicate and the lock are at one level, and so is
-- the limit. Either it waits for those that others have locked, or it takes none of them.
CREATE FUNCTION {s}.heads_1(q text, b int2, t int8, want int8, wait bool)
RETURNS TABLE (id uuid, run_at int8, expires_at int8, links int2, size int8) LANGUAGE plpgsql
SET enable_seqscan = off SET plan_cache_mode = force_generic_plan SET jit = off AS $$
#variable_conflict use_column
BEGIN
    IF wait THEN
        RETURN QUERY SELECT j.id, j.run_at, j.expires_at, j.links,
               (coalesce(octet_length(j.payload), 0) + coalesce(octet_length(j.progress), 0))::int8
          FROM {s}.job j WHERE j.state = 1 AND NOT j.parked AND j.queue = q AND j.band = b AND j.run_at <= t
           AND NOT EXISTS (SELECT FROM {s}.paused p WHERE p.queue = q)
         ORDER BY j.run_at, j.id LIMIT want FOR NO KEY UPDATE;
    ELSE
        RETURN QUERY SELECT j.id, j.run_at, j.expires_at, j.links,
               (coalesce(octet_length(j.payload), 0) + coalesce(octet_length(j.progress), 0))::int8
          FROM {s}.job j WHERE j.state = 1 AND NOT j.parked AND j.queue = q AND j.band = b AND j.run_at <= t
           AND NOT EXISTS (SELECT FROM {s}.paused p WHERE p.queue = q)
         ORDER BY j.run_at, j.id LIMIT want FOR NO KEY UPDATE SKIP LOCKED;
    END IF;
END $$;

-- What `heads_1` would lock, were nothing locked.
CREATE FUNCTION {s}.due_1(q text, b int2, t int8, want int8) RETURNS uuid[] LANGUAGE sql VOLATILE
SET enable_seqscan = off SET jit = off AS $$
    SELECT array_agg(h.id ORDER BY h.run_at, h.id) FROM (
        SELECT j.id, j.run_at FROM {s}.job j WHERE j.state = 1 AND NOT j.parked AND j.queue = q AND j.band = b
           AND j.run_at <= t AND NOT EXISTS (SELECT FROM {s}.paused p WHERE p.queue = q)
         ORDER BY j.run_at, j.id LIMIT want) h
$$;

-- As `claim_1` looks at a lane, for claims that take a transaction: waits for others a short time at most.
CREATE FUNCTION {s}.lane_1(q text, b int2, t int8, want int8) RETURNS uuid[] LANGUAGE plpgsql AS $$
DECLARE
    before text := current_setting('lock_timeout');
    ids    uuid[];
BEGIN
    BEGIN
        PERFORM set_config('lock_timeout', '200ms', true);
        FOR again IN 1 .. 5 LOOP
            SELECT coalesce(array_agg(h.id ORDER BY h.run_at, h.id), '{}') INTO ids FROM {s}.heads_1(q, b, t, want, true) h;
            EXIT WHEN ids = coalesce({s}.due_1(q, b, t, want), '{}');
        END LOOP;
    EXCEPTION WHEN lock_not_available THEN
        SELECT coalesce(array_agg(h.id ORDER BY h.run_at, h.id), '{}') INTO ids FROM {s}.heads_1(q, b, t, want, false) h;
    END;
    PERFORM set_config('lock_timeout', before, true);
    RETURN ids;
END $$;

-- The last row is no job: its `run_at` is the time, its `lease_until` the next due time, its `state` 0 for a
-- new claim, 1 for a repeat, 2 for an older one.
--
-- What it asks is written out, and with few aggregates and windows: a function in SQL would be planned at every call,
-- and to begin and end a statement costs more than to find one job.
CREATE FUNCTION {s}.claim_1(
    who uuid, number int8, queues text[], bands int2[], maxes int8[], most int8, room int8, lasts int8, clock int8
) RETURNS SETOF {s}.job LANGUAGE plpgsql
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off
SET plan_cache_mode = force_generic_plan SET jit = off AS $$
#variable_conflict use_column
DECLARE
    t      int8 := {s}.now_1(clock);
    head   {s}.job%ROWTYPE;
    newest int8;
    -- Of what was asked, by place: the lanes in which something is due. Of each: what was not claimed of it falls due
    -- at this time at the earliest.
    turns  int8[];
    floors int8[];
    i      int8;
    after  int8;
    asked  int8 := 0;
    want   int8;
    left_  int8 := most;
    due    uuid[];
    wait   bool;
    first  bool := true;
    -- The lane's first jobs, locked.
    ids    uuid[];
    ats    int8[];
    sizes  int8[];
    used   int8;
    late   bool;
    keyed  bool;
    found_ int8;
    -- How many of them fit into `room`.
    fit    int8;
BEGIN
    IF EXISTS (SELECT FROM {s}.lim WHERE queue = ANY (queues)) THEN
        RAISE EXCEPTION 'limited' USING ERRCODE = 'TW001';
    END IF;
    head.run_at := t;
    head.state := 0;
    UPDATE {s}.claimer SET seq = number, at = t WHERE owner = who AND (seq < number OR at <= t - 86400000);
    IF NOT FOUND THEN
        -- Its first, a repeat, or an older one.
        INSERT INTO {s}.claimer VALUES (who, 0, t) ON CONFLICT DO NOTHING;
        SELECT c.seq INTO newest FROM {s}.claimer c WHERE c.owner = who FOR UPDATE;
        UPDATE {s}.claimer SET seq = greatest(number, newest), at = t WHERE owner = who;
        head.state := CASE WHEN number > newest THEN 0 WHEN number = newest THEN 1 ELSE 2 END;
    END IF;
    IF head.state = 1 THEN
        RETURN QUERY SELECT * FROM {s}.job WHERE state = 2 AND owner = who AND seq = number;
    END IF;
    -- Most lanes are empty: one look at all of them. That `lim` was read keeps `paused` as it is until the end.
    SELECT array_agg(l.n ORDER BY l.n) FILTER (WHERE d.run_at <= t), min(d.run_at) FILTER (WHERE d.run_at > t)
      INTO turns, head.lease_until
      FROM unnest(queues, bands) WITH ORDINALITY AS l (queue, band, n), LATERAL (
               SELECT j.run_at FROM {s}.job j WHERE j.state = 1 AND NOT j.parked AND j.queue = l.queue AND j.band = l.band
                ORDER BY j.run_at, j.id LIMIT 1) d
     WHERE l.queue <> ALL (ARRAY(SELECT p.queue FROM {s}.paused p));
    IF turns IS NULL THEN
        RETURN NEXT head;
        RETURN;
    END IF;
    floors := array_fill((-9223372036854775808)::int8, ARRAY[cardinality(turns)]);
    FOR turn IN 1 .. cardinality(turns) LOOP
        EXIT WHEN head.state <> 0;
        i := turns[turn];
        after := turns[turn + 1];
        asked := asked + maxes[i];
        -- Turns of one lane with nothing between them are one.
        CONTINUE WHEN queues[i] = queues[after] AND bands[i] = bands[after];
        want := least(asked, left_);
        asked := 0;
        CONTINUE WHEN want <= 0;
        due := ARRAY(
            SELECT j.id FROM {s}.job j WHERE j.state = 1 AND NOT j.parked AND j.queue = queues[i] AND j.band = bands[i]
               AND j.run_at <= t
             ORDER BY j.run_at, j.id LIMIT want + 16);
        -- With more than enough to choose from, what others have locked is left to them. With less, a job that was
        -- locked and left as it was would be missed by everyone: so all wait for each other, in the lane's order.
        wait := cardinality(due) < want + 16;
        IF wait THEN
            BEGIN
                PERFORM set_config('lock_timeout', '200ms', true);
                -- While it waited, others may have come before. In the end the first that are there are ours.
                FOR again IN 1 .. 5 LOOP
                    SELECT array_agg(h.id), array_agg(h.run_at), array_agg(h.size), sum(h.size), bool_or(h.expires_at <= t),
                           bool_or(h.links & 1 = 1)
                      INTO ids, ats, sizes, used, late, keyed
                      FROM (SELECT j.id, j.run_at, j.expires_at, j.links,
                                   (coalesce(octet_length(j.payload), 0) + coalesce(octet_length(j.progress), 0))::int8 AS size
                              FROM {s}.job j WHERE j.state = 1 AND NOT j.parked AND j.queue = queues[i] AND j.band = bands[i]
                               AND j.run_at <= t
                             ORDER BY j.run_at, j.id LIMIT want FOR NO KEY UPDATE) h;
                    due := ARRAY(
                        SELECT j.id FROM {s}.job j WHERE j.state = 1 AND NOT j.parked AND j.queue = queues[i]
                           AND j.band = bands[i] AND j.run_at <= t
                         ORDER BY j.run_at, j.id LIMIT want);
                    EXIT WHEN coalesce(ids, '{}') = due;
                END LOOP;
            EXCEPTION WHEN lock_not_available THEN
                wait := false;
            END;
        END IF;
        IF NOT wait THEN
            SELECT array_agg(h.id), array_agg(h.run_at), array_agg(h.size), sum(h.size), bool_or(h.expires_at <= t),
                   bool_or(h.links & 1 = 1)
              INTO ids, ats, sizes, used, late, keyed
              FROM (SELECT j.id, j.run_at, j.expires_at, j.links,
                           (coalesce(octet_length(j.payload), 0) + coalesce(octet_length(j.progress), 0))::int8 AS size
                      FROM {s}.job j WHERE j.state = 1 AND NOT j.parked AND j.queue = queues[i] AND j.band = bands[i]
                       AND j.run_at <= t
                     ORDER BY j.run_at, j.id LIMIT want FOR NO KEY UPDATE SKIP LOCKED) h;
        END IF;
        IF late THEN
            RAISE EXCEPTION 'one has expired' USING ERRCODE = 'TW001';
        END IF;
        found_ := coalesce(cardinality(ids), 0);
        fit := found_;
        IF used > room THEN
            -- The first of all is given whatever its size.
            fit := CASE WHEN first THEN 1 ELSE 0 END;
            used := CASE WHEN first THEN least(sizes[1], room) ELSE 0 END;
            WHILE used + sizes[fit + 1] <= room LOOP
                fit := fit + 1;
                used := used + sizes[fit];
            END LOOP;
            ids := ids[:fit];
        END IF;
        -- What came into the lane since it was dry is behind this claim.
        floors[turn] := CASE WHEN wait AND fit < want AND fit = found_ THEN t + 1 ELSE coalesce(ats[fit], floors[turn]) END;
        CONTINUE WHEN found_ = 0;
        EXIT WHEN fit = 0;
        RETURN QUERY UPDATE {s}.job j SET state = 2, attempt = j.attempt + 1, token = j.token + 1, owner = who,
                            seq = number, lease = lasts, lease_until = {s}.after_1(t, lasts), settled = NULL, started_at = t
                      WHERE j.id = ANY (ids) RETURNING j.*;
        IF keyed THEN
            DELETE FROM {s}.hold h USING unnest(ids) AS d (id) WHERE h.id = d.id AND h.hold = 0;
        END IF;
        INSERT INTO {s}.tally (queue, pending, running) VALUES (queues[i], -fit, fit);
        first := false;
        left_ := left_ - fit;
        room := room - used;
        EXIT WHEN fit < found_;
    END LOOP;
    SELECT least(head.lease_until, min(d.run_at)) INTO head.lease_until
      FROM (SELECT queues[f.i] AS queue, bands[f.i] AS band, max(f.at) AS at
              FROM unnest(turns, floors) AS f (i, at) GROUP BY 1, 2) l, LATERAL (
               SELECT j.run_at FROM {s}.job j WHERE j.state = 1 AND NOT j.parked AND j.queue = l.queue AND j.band = l.band
                  AND j.run_at >= l.at
                ORDER BY j.run_at, j.id LIMIT 1) d;
    RETURN NEXT head;
END $$;

-- Successes of different jobs, by id. `codes` is NULL if all were applied, else one each: -1 applied, -2 not found,
-- -3 fenced, -4 refused, or how it was settled before. `hints`: queues in which another may start.
CREATE FUNCTION {s}.succeed_1(
    ids uuid[], tokens int8[], owners uuid[], results bytea[], forget bool, clock int8,
    OUT codes int2[], OUT hints text[]
) LANGUAGE plpgsql
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off
SET plan_cache_mode = force_generic_plan SET jit = off AS $$
DECLARE
    t       int8 := {s}.now_1(clock);
    limited bool := EXISTS (SELECT FROM {s}.lim);
    mask    int2 := CASE WHEN limited THEN 6 ELSE 2 END;
    done    uuid[];
    keyed   bool;
BEGIN
    -- Cheaper than to find out half-way.
    IF (limited OR EXISTS (SELECT FROM {s}.waiter)) AND EXISTS (
        SELECT FROM unnest(ids) AS s (id) JOIN {s}.job j ON j.id = s.id WHERE j.links & mask <> 0) THEN
        RAISE EXCEPTION 'tied to others' USING ERRCODE = 'TW001';
    END IF;
    -- `state + 0` keeps the planner from walking all jobs of the owner for each.
    IF forget THEN
        WITH gone AS (
            DELETE FROM {s}.job j USING unnest(ids, tokens, owners) AS s (id, token, owner)
             WHERE j.id = s.id AND j.token = s.token AND j.owner = s.owner AND j.state + 0 = 2 AND j.links & mask = 0
            RETURNING j.id, j.queue, j.links
        ), counted AS (
            INSERT INTO {s}.tally (queue, running) SELECT queue, -count(*) FROM gone GROUP BY queue
        )
        SELECT array_agg(id), bool_or(links & 1 = 1), array_agg(DISTINCT queue) FILTER (WHERE limited)
          INTO done, keyed, hints FROM gone;
    ELSE
        WITH ended AS (
            UPDATE {s}.job j SET state = 3, settled = 0, returns = NULL, payload = NULL, result = s.result,
                   ended_at = t, prune_at = {s}.after_1(t, j.keep)
              FROM unnest(ids, tokens, owners, results) AS s (id, token, owner, result)
             WHERE j.id = s.id AND j.token = s.token AND j.owner = s.owner AND j.state + 0 = 2 AND j.links & mask = 0
            RETURNING j.id, j.queue, j.links
        ), counted AS (
            INSERT INTO {s}.tally (queue, running, succeeded) SELECT queue, -count(*), count(*) FROM ended GROUP BY queue
        )
        SELECT array_agg(id), bool_or(links & 1 = 1), array_agg(DISTINCT queue) FILTER (WHERE limited)
          INTO done, keyed, hints FROM ended;
    END IF;
    IF keyed THEN
        DELETE FROM {s}.hold h USING unnest(done) AS d (id) WHERE h.id = d.id AND h.hold <= 1;
    END IF;
    IF cardinality(done) = cardinality(ids) THEN
        RETURN;
    END IF;
    SELECT array_agg((CASE
               WHEN s.id = ANY (done) THEN -1
               WHEN j.id IS NULL THEN -2
               WHEN j.token <> s.token OR j.owner IS DISTINCT FROM s.owner THEN -3
               WHEN j.state = 2 THEN -9
               ELSE coalesce(j.settled, -4) END)::int2 ORDER BY s.n)
      INTO codes
      FROM unnest(ids, tokens, owners) WITH ORDINALITY AS s (id, token, owner, n) LEFT JOIN {s}.job j ON j.id = s.id;
    IF -9 = ANY (codes) THEN
        RAISE EXCEPTION 'tied to others by now' USING ERRCODE = 'TW001';
    END IF;
END $$;

-- Beats of different jobs, by id. Returns those that live.
CREATE FUNCTION {s}.beat_1(
    ids uuid[], tokens int8[], owners uuid[], news bytea[], lasts int8, clock int8
) RETURNS TABLE (id uuid, cancel bool) LANGUAGE plpgsql
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off
SET plan_cache_mode = force_generic_plan SET jit = off AS $$
#variable_conflict use_column
DECLARE
    t int8 := {s}.now_1(clock);
BEGIN
    RETURN QUERY UPDATE {s}.job j
       SET lease = lasts, lease_until = {s}.after_1(t, lasts), progress = coalesce(b.news, j.progress),
           flags = CASE WHEN b.news IS NULL OR b.news = coalesce(j.progress, ''::bytea) THEN j.flags
                        ELSE coalesce(j.flags, 0) | 4 END
      FROM unnest(ids, tokens, owners, news) AS b (id, token, owner, news)
     WHERE j.id = b.id AND j.token = b.token AND j.owner = b.owner AND j.state + 0 = 2
    RETURNING j.id, coalesce(j.flags, 0) & 1 = 1;
END $$;

-- Leases that have run out, by id, at most `most`. The first row is no job: its `run_at` is the time.
CREATE FUNCTION {s}.expired_1(behind uuid, most int8, clock int8) RETURNS SETOF {s}.job LANGUAGE plpgsql
SET enable_seqscan = off SET plan_cache_mode = force_generic_plan SET jit = off AS $$
#variable_conflict use_column
DECLARE
    head {s}.job%ROWTYPE;
    t    int8 := {s}.now_1(clock);
BEGIN
    head.run_at := t;
    RETURN NEXT head;
    RETURN QUERY WITH lapsed AS MATERIALIZED (
        SELECT id FROM {s}.job
         WHERE state = 2 AND (lease_until <= t OR lease_until > {s}.after_1(t, lease)) AND (behind IS NULL OR id > behind)
    ) SELECT j.* FROM (SELECT id FROM lapsed ORDER BY id LIMIT most) l JOIN {s}.job j ON j.id = l.id ORDER BY j.id;
END $$;

-- The numbers of every queue, in one look: `n` by state, the earliest `run_at` of a pending job. One row without a
-- queue if there is none.
CREATE FUNCTION {s}.stats_1(clock int8) RETURNS TABLE (
    queue text, n0 int8, n1 int8, n2 int8, n3 int8, n4 int8, n5 int8, paused bool, oldest int8, at int8
) LANGUAGE sql VOLATILE SET enable_seqscan = off SET jit = off AS $$
    WITH counts AS (
        SELECT t.queue, sum(waiting)::int8 AS n0, sum(pending)::int8 AS n1, sum(running)::int8 AS n2,
               sum(succeeded)::int8 AS n3, sum(dead)::int8 AS n4, sum(cancelled)::int8 AS n5
          FROM {s}.tally t GROUP BY t.queue
    ), every AS (SELECT c.queue FROM counts c UNION SELECT p.queue FROM {s}.paused p)
    SELECT e.queue, n0, n1, n2, n3, n4, n5, p.queue IS NOT NULL, least(
               (SELECT min(lane.first) FROM unnest('{0,1,2,3,4,5,6,7,255}'::int2[]) AS band (n), LATERAL (
                    SELECT j.run_at AS first FROM {s}.job j WHERE j.state = 1 AND NOT j.parked AND j.queue = e.queue
                       AND j.band = band.n ORDER BY j.run_at, j.id LIMIT 1) AS lane),
               (SELECT min(j.run_at) FROM {s}.job j WHERE j.state = 1 AND j.parked AND j.queue = e.queue)), {s}.now_1(clock)
      FROM (SELECT) AS one LEFT JOIN every e ON true LEFT JOIN counts c ON c.queue = e.queue
           LEFT JOIN {s}.paused p ON p.queue = e.queue
$$;
