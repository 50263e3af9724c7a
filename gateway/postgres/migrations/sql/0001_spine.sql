-- 0001 The spine: partners and their keys, the audit log, the replica of the municipal platform.
--
-- Every hot table carries log_id, and every hot unique key contains it, so that logs can be spread over clusters later.
-- Times are bigint milliseconds UTC where a program compares them, timestamptz where PostgreSQL partitions by them.

CREATE SCHEMA identity;
CREATE SCHEMA audit;
CREATE SCHEMA replica;

-- identity ------------------------------------------------------------------------------------------------------

CREATE TABLE identity.partner (
    partner_id   text PRIMARY KEY CHECK (partner_id ~ '^prt_[0-9A-Z]{26}$'),
    client_id    text NOT NULL UNIQUE CHECK (client_id ~ '^[a-z0-9][a-z0-9-]{2,62}$'),
    name         text NOT NULL,
    sector       text NOT NULL,
    scopes       text[] NOT NULL CHECK (cardinality(scopes) > 0),
    purposes     text[] NOT NULL CHECK (cardinality(purposes) > 0),
    state        text NOT NULL CHECK (state IN ('active', 'suspended', 'closed')),
    created_ms   bigint NOT NULL
);

-- A thumbprint is unique over all partners and states: a key once retired or compromised never comes back.
CREATE TABLE identity.partner_key (
    thumbprint    text PRIMARY KEY CHECK (length(thumbprint) = 43),
    partner_id    text NOT NULL REFERENCES identity.partner,
    kid           text NOT NULL CHECK (length(kid) BETWEEN 1 AND 128),
    alg           text NOT NULL CHECK (alg IN ('ES256', 'PS256', 'EdDSA')),
    jwk           text NOT NULL,
    purpose       text NOT NULL CHECK (purpose IN ('client-auth')),
    state         text NOT NULL CHECK (state IN ('pending', 'active', 'retiring', 'retired', 'suspended', 'compromised')),
    not_before_ms bigint NOT NULL,
    retire_at_ms  bigint,
    created_ms    bigint NOT NULL,
    revoked_ms    bigint,
    UNIQUE (partner_id, kid)
);

-- audit ---------------------------------------------------------------------------------------------------------

CREATE TABLE audit.log (
    log_id     smallint PRIMARY KEY,
    origin     text NOT NULL UNIQUE,
    created_ms bigint NOT NULL,
    frozen_ms  bigint
);

CREATE TABLE audit.head (
    log_id   smallint PRIMARY KEY REFERENCES audit.log,
    size     bigint NOT NULL CHECK (size >= 0),
    root     bytea NOT NULL CHECK (octet_length(root) = 32),
    frontier bytea NOT NULL CHECK (octet_length(frontier) = 32 * bit_count(size::bit(64))),
    ts       timestamptz NOT NULL
) WITH (fillfactor = 10, autovacuum_vacuum_threshold = 1000, autovacuum_vacuum_scale_factor = 0);

CREATE TABLE audit.batch (
    log_id    smallint NOT NULL REFERENCES audit.log,
    size      bigint NOT NULL,
    prev_size bigint,
    root      bytea NOT NULL CHECK (octet_length(root) = 32),
    ts        timestamptz NOT NULL,
    writer    text NOT NULL,
    PRIMARY KEY (log_id, size),
    UNIQUE (log_id, prev_size),
    FOREIGN KEY (log_id, prev_size) REFERENCES audit.batch (log_id, size),
    CHECK (prev_size IS NULL AND size = 0 OR prev_size < size)
);

CREATE TABLE audit.entry (
    log_id          smallint NOT NULL,
    leaf_index      bigint NOT NULL,
    logged_at       timestamptz NOT NULL,
    leaf_hash       bytea NOT NULL CHECK (octet_length(leaf_hash) = 32),
    leaf            bytea NOT NULL CHECK (octet_length(leaf) <= 65535),
    kind            text NOT NULL,
    partner_id      text,
    op              text NOT NULL,
    purpose         text,
    decision        text NOT NULL,
    subject_bidx    bytea,
    verification_id text,
    PRIMARY KEY (log_id, leaf_index, logged_at)
) PARTITION BY RANGE (logged_at);
CREATE INDEX entry_subject ON audit.entry (subject_bidx, logged_at) WHERE subject_bidx IS NOT NULL;
CREATE INDEX entry_partner ON audit.entry (partner_id, logged_at);
CREATE INDEX entry_verification ON audit.entry (verification_id) WHERE verification_id IS NOT NULL;
CREATE INDEX entry_logged_at ON audit.entry USING brin (logged_at);

-- What an erasure removes: the salt that ties a leaf to its plaintext, and the sealed plaintext itself.
CREATE TABLE audit.secret (
    log_id     smallint NOT NULL,
    leaf_index bigint NOT NULL,
    logged_at  timestamptz NOT NULL,
    salt       bytea NOT NULL CHECK (octet_length(salt) = 32),
    key_id     smallint NOT NULL,
    sealed     bytea NOT NULL,
    PRIMARY KEY (log_id, leaf_index, logged_at)
) PARTITION BY RANGE (logged_at);

-- One row per proof of possession, client assertion or other one-time id. The day comes from the signed proof, never from
-- the arrival clock: with an arrival-clock partition the same id could be accepted once per partition.
CREATE TABLE audit.request (
    log_id  smallint NOT NULL,
    req_day date NOT NULL,
    req_id  bytea NOT NULL CHECK (octet_length(req_id) = 16),
    PRIMARY KEY (log_id, req_day, req_id)
) PARTITION BY RANGE (req_day);

CREATE TABLE audit.tile (
    log_id smallint NOT NULL REFERENCES audit.log,
    level  smallint NOT NULL CHECK (level BETWEEN 0 AND 7),
    idx    bigint NOT NULL CHECK (idx >= 0),
    hashes bytea NOT NULL CHECK (octet_length(hashes) = 8192),
    root   bytea NOT NULL CHECK (octet_length(root) = 32),
    PRIMARY KEY (log_id, level, idx)
);
ALTER TABLE audit.tile ALTER COLUMN hashes SET STORAGE EXTERNAL;

-- Key scope: (partner, operation). An answer is rebuilt from its entry, so only its identifier is kept here.
CREATE TABLE audit.idempotency (
    log_id          smallint NOT NULL,
    partner_id      text NOT NULL,
    op              text NOT NULL,
    key_hash        bytea NOT NULL CHECK (octet_length(key_hash) = 32),
    body_hash       bytea NOT NULL CHECK (octet_length(body_hash) = 32),
    verification_id text NOT NULL,
    created_ms      bigint NOT NULL,
    PRIMARY KEY (log_id, partner_id, op, key_hash)
);
CREATE INDEX idempotency_created ON audit.idempotency (created_ms);

CREATE FUNCTION audit.refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'audit rows are inserted, never changed (%)', TG_TABLE_NAME USING ERRCODE = 'insufficient_privilege';
END $$;
CREATE TRIGGER batch_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON audit.batch
    FOR EACH STATEMENT EXECUTE FUNCTION audit.refuse_change();
CREATE TRIGGER tile_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON audit.tile
    FOR EACH STATEMENT EXECUTE FUNCTION audit.refuse_change();
CREATE TRIGGER entry_append_only BEFORE UPDATE OR DELETE ON audit.entry
    FOR EACH STATEMENT EXECUTE FUNCTION audit.refuse_change();
CREATE TRIGGER request_append_only BEFORE UPDATE OR DELETE ON audit.request
    FOR EACH STATEMENT EXECUTE FUNCTION audit.refuse_change();

CREATE FUNCTION audit.head_only_grows() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.size < OLD.size OR NEW.log_id <> OLD.log_id THEN
        RAISE EXCEPTION 'the head of a log only grows' USING ERRCODE = 'insufficient_privilege';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER head_only_grows BEFORE UPDATE ON audit.head FOR EACH ROW EXECUTE FUNCTION audit.head_only_grows();
CREATE TRIGGER head_stays BEFORE DELETE OR TRUNCATE ON audit.head
    FOR EACH STATEMENT EXECUTE FUNCTION audit.refuse_change();

-- Creates the month partitions of entry and secret and the day partitions of request, from yesterday to `days` ahead.
-- A missing partition aborts a batch, so every process calls this at start and the feed process once an hour.
CREATE FUNCTION audit.ensure_partitions(today date, days integer) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, audit AS $$
DECLARE
    d date;
    m date;
BEGIN
    IF days NOT BETWEEN 1 AND 62 THEN
        RAISE EXCEPTION 'days must be between 1 and 62';
    END IF;
    PERFORM pg_catalog.pg_advisory_xact_lock(7203, 1);  -- two processes that start at once must not both create
    FOR d IN SELECT generate_series(today - 2, today + days, interval '1 day')::date LOOP
        IF to_regclass(format('audit.request_%s', to_char(d, 'YYYYMMDD'))) IS NULL THEN
            EXECUTE format('CREATE TABLE audit.request_%s PARTITION OF audit.request FOR VALUES FROM (%L) TO (%L)',
                to_char(d, 'YYYYMMDD'), d, d + 1);
        END IF;
    END LOOP;
    FOR m IN SELECT generate_series(date_trunc('month', today - 2), today + days + 31, interval '1 month')::date LOOP
        IF to_regclass(format('audit.entry_%s', to_char(m, 'YYYYMM'))) IS NULL THEN
            EXECUTE format('CREATE TABLE audit.entry_%s PARTITION OF audit.entry FOR VALUES FROM (%L) TO (%L)',
                to_char(m, 'YYYYMM'), m::timestamp AT TIME ZONE 'UTC', (m + interval '1 month') AT TIME ZONE 'UTC');
            EXECUTE format('CREATE TABLE audit.secret_%s PARTITION OF audit.secret FOR VALUES FROM (%L) TO (%L)',
                to_char(m, 'YYYYMM'), m::timestamp AT TIME ZONE 'UTC', (m + interval '1 month') AT TIME ZONE 'UTC');
        END IF;
    END LOOP;
END $$;

-- The beginning of every audit commit, in one round trip because the lock is held meanwhile: lock the head, claim one-time ids,
-- reserve idempotency keys (only with a claim of this batch and a live credential), list the live credentials.
-- Two statements on purpose. Under READ COMMITTED each statement of a volatile function has its own snapshot, so the second
-- one sees every revocation and claim that committed before the lock was granted; a single statement would not.
CREATE FUNCTION audit.enter(
    log smallint, days date[], digests bytea[], credentials text[],
    key_partners text[], key_ops text[], key_hashes bytea[], key_bodies bytea[], key_answers text[], key_times bigint[],
    key_claims bytea[], key_credentials text[]
) RETURNS TABLE (
    size bigint, root bytea, frontier bytea, moment timestamptz, claimed bytea[], live text[], reserved text[]
) LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog AS $$
BEGIN
    -- The moment of a batch is never before that of the previous one, whatever the clock does.
    SELECT h.size, h.root, h.frontier, greatest(clock_timestamp(), h.ts) INTO size, root, frontier, moment
    FROM audit.head AS h
    WHERE h.log_id = log
    FOR UPDATE;
    IF NOT FOUND THEN
        RETURN;
    END IF;

    WITH taken AS (
        INSERT INTO audit.request (log_id, req_day, req_id)
        SELECT log, t.day, t.digest FROM unnest(days, digests) AS t (day, digest)
        ON CONFLICT DO NOTHING
        RETURNING req_id
    ), alive AS (
        SELECT k.thumbprint
        FROM identity.partner_key AS k
        JOIN identity.partner AS p USING (partner_id)
        WHERE k.thumbprint = ANY (credentials) AND k.state IN ('active', 'retiring') AND p.state = 'active'
            AND (k.retire_at_ms IS NULL OR k.retire_at_ms > extract(epoch FROM clock_timestamp()) * 1000)
    ), kept AS (
        INSERT INTO audit.idempotency AS i
            (log_id, partner_id, op, key_hash, body_hash, verification_id, created_ms)
        SELECT log, t.partner_id, t.op, t.key_hash, t.body_hash, t.verification_id, t.created_ms
        FROM unnest(key_partners, key_ops, key_hashes, key_bodies, key_answers, key_times, key_claims, key_credentials)
            AS t (partner_id, op, key_hash, body_hash, verification_id, created_ms, req_id, thumbprint)
        JOIN taken USING (req_id)
        JOIN alive USING (thumbprint)
        ON CONFLICT (log_id, partner_id, op, key_hash) DO UPDATE
            SET body_hash = excluded.body_hash, verification_id = excluded.verification_id,
                created_ms = excluded.created_ms
            WHERE i.created_ms < excluded.created_ms - 86400000
        RETURNING i.verification_id
    )
    SELECT
        ARRAY(SELECT taken.req_id FROM taken),
        ARRAY(SELECT alive.thumbprint FROM alive),
        ARRAY(SELECT kept.verification_id FROM kept)
    INTO claimed, live, reserved;
    RETURN NEXT;
END $$;

-- replica -------------------------------------------------------------------------------------------------------

-- One row: which version of the feed the answers rest on. A snapshot is loaded into the idle slot and becomes visible by
-- changing `slot` here, in the same transaction; a delta changes the rows of the current slot in one transaction.
CREATE TABLE replica.feed_head (
    feed            text PRIMARY KEY,
    slot            smallint NOT NULL CHECK (slot IN (0, 1)),
    version         bigint NOT NULL CHECK (version >= 0),
    manifest_sha256 bytea NOT NULL,
    as_of_ms        bigint NOT NULL,
    record_count    bigint NOT NULL,
    applied_ms      bigint NOT NULL
);

-- subject_key: a unified social credit code, or 'R:' and an old 15-digit registration number for records that carry only that.
CREATE TABLE replica.subject (
    slot     smallint NOT NULL,
    uscc     text NOT NULL,
    reg_no   text,
    name     text NOT NULL,
    name_key text NOT NULL,
    body     bytea NOT NULL,
    PRIMARY KEY (slot, uscc)
) PARTITION BY LIST (slot);
CREATE TABLE replica.subject_0 PARTITION OF replica.subject FOR VALUES IN (0);
CREATE TABLE replica.subject_1 PARTITION OF replica.subject FOR VALUES IN (1);
CREATE INDEX subject_name ON replica.subject (slot, name_key text_pattern_ops);

CREATE TABLE replica.record (
    slot        smallint NOT NULL,
    record_id   text NOT NULL,
    subject_key text NOT NULL,
    kind        text NOT NULL CHECK (kind IN ('penalty', 'list_entry')),
    body        bytea NOT NULL,
    PRIMARY KEY (slot, record_id)
) PARTITION BY LIST (slot);
CREATE TABLE replica.record_0 PARTITION OF replica.record FOR VALUES IN (0);
CREATE TABLE replica.record_1 PARTITION OF replica.record FOR VALUES IN (1);
CREATE INDEX record_subject ON replica.record (slot, subject_key);

-- Lines of the feed that could not be read. Their subject is answered `partial` until a good line replaces them.
CREATE TABLE replica.quarantine (
    slot        smallint NOT NULL,
    record_id   text NOT NULL,
    subject_key text,
    version     bigint NOT NULL,
    line        bigint NOT NULL,
    reason      text NOT NULL,
    line_sha256 bytea NOT NULL,
    PRIMARY KEY (slot, record_id)
) PARTITION BY LIST (slot);
CREATE TABLE replica.quarantine_0 PARTITION OF replica.quarantine FOR VALUES IN (0);
CREATE TABLE replica.quarantine_1 PARTITION OF replica.quarantine FOR VALUES IN (1);
CREATE INDEX quarantine_subject ON replica.quarantine (slot, subject_key) WHERE subject_key IS NOT NULL;

-- What happened to each version we looked at: applied, or refused and why. For operators and the alarm metric.
CREATE TABLE replica.feed_event (
    event_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    feed     text NOT NULL,
    at_ms    bigint NOT NULL,
    version  bigint,
    result   text NOT NULL CHECK (result IN ('applied', 'refused', 'unreachable')),
    reason   text,
    records  bigint,
    quarantined bigint
);
CREATE INDEX feed_event_at ON replica.feed_event (feed, at_ms DESC);
