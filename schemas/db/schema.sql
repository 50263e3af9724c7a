-- Made by python -m gateway.postgres.dump with PostgreSQL 18.

CREATE SCHEMA audit;

CREATE SCHEMA identity;

CREATE SCHEMA migration;

CREATE SCHEMA replica;

CREATE FUNCTION audit.ensure_partitions(today date, days integer) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog', 'audit'
    AS $_$
DECLARE
    floor_day date;
    d date;
    m date;
    part text;
BEGIN
    IF today IS NULL OR days IS NULL OR days NOT BETWEEN 1 AND 62 THEN
        RAISE EXCEPTION 'days must be between 1 and 62';
    END IF;
    PERFORM pg_advisory_xact_lock(7203, 1);  -- two processes that start at once must not both create
    SELECT day INTO STRICT floor_day FROM audit.request_floor;
    FOR d IN SELECT generate_series(today - 2, today + days, interval '1 day')::date LOOP
        part := format('request_%s', to_char(d, 'YYYYMMDD'));
        IF d > floor_day AND to_regclass('audit.' || part) IS NULL THEN
            EXECUTE format('CREATE TABLE audit.%I (LIKE audit.request INCLUDING ALL)', part);
            EXECUTE format('ALTER TABLE audit.request ATTACH PARTITION audit.%I FOR VALUES FROM (%L) TO (%L)', part, d, d + 1);
        END IF;
    END LOOP;
    FOR m IN SELECT generate_series(date_trunc('month', today - 2), today + days + 31, interval '1 month')::date LOOP
        FOREACH part IN ARRAY ARRAY['entry', 'secret'] LOOP
            IF to_regclass(format('audit.%s_%s', part, to_char(m, 'YYYYMM'))) IS NULL THEN
                EXECUTE format('CREATE TABLE audit.%1$s_%2$s (LIKE audit.%1$s INCLUDING ALL)', part, to_char(m, 'YYYYMM'));
                EXECUTE format('ALTER TABLE audit.%1$s ATTACH PARTITION audit.%1$s_%2$s FOR VALUES FROM (%3$L) TO (%4$L)',
                    part, to_char(m, 'YYYYMM'), m::timestamp AT TIME ZONE 'UTC', (m + interval '1 month') AT TIME ZONE 'UTC');
            END IF;
        END LOOP;
    END LOOP;
END $_$;

CREATE FUNCTION audit.enter(log smallint, days date[], digests bytea[], credentials text[], key_partners text[], key_ops text[], key_hashes bytea[], key_bodies bytea[], key_answers text[], key_times bigint[], key_claims bytea[], key_credentials text[]) RETURNS TABLE(size bigint, root bytea, frontier bytea, moment timestamp with time zone, claimed bytea[], live text[], reserved text[], prev_size bigint, prev_root bytea, mac bytea)
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog'
    AS $$
DECLARE
    head_size bigint;
BEGIN
    -- The moment of a batch is never before that of the previous one, whatever the clock does.
    SELECT h.size, h.root, h.frontier, greatest(clock_timestamp(), h.ts) INTO size, root, frontier, moment
    FROM audit.head AS h
    WHERE h.log_id = log
    FOR UPDATE;
    IF NOT FOUND THEN
        RETURN;
    END IF;
    head_size := size;

    WITH alive AS (
        SELECT k.thumbprint
        FROM identity.partner_key AS k
        JOIN identity.partner AS p USING (partner_id)
        WHERE k.thumbprint = ANY (credentials) AND k.state IN ('active', 'retiring') AND p.state = 'active'
            AND (k.retire_at_ms IS NULL OR k.retire_at_ms > extract(epoch FROM clock_timestamp()) * 1000)
    ), taken AS (
        -- The credentials run along the claims; those that follow belong to entries without one.
        INSERT INTO audit.request (log_id, req_day, req_id)
        SELECT log, t.day, t.digest
        FROM unnest(days, digests, credentials) AS t (day, digest, credential)
        WHERE t.digest IS NOT NULL AND (t.credential IS NULL OR t.credential IN (SELECT alive.thumbprint FROM alive))
        ON CONFLICT DO NOTHING
        RETURNING req_id
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
    ), newest AS (
        SELECT b.prev_size AS before_size, p.root AS before_root, b.mac AS batch_mac
        FROM audit.batch AS b
        LEFT JOIN audit.batch AS p ON p.log_id = b.log_id AND p.size = b.prev_size
        WHERE b.log_id = log AND b.size = head_size
    )
    SELECT
        ARRAY(SELECT taken.req_id FROM taken),
        ARRAY(SELECT alive.thumbprint FROM alive),
        ARRAY(SELECT kept.verification_id FROM kept),
        (SELECT newest.before_size FROM newest),
        (SELECT newest.before_root FROM newest),
        (SELECT newest.batch_mac FROM newest)
    INTO claimed, live, reserved, prev_size, prev_root, mac;
    RETURN NEXT;
END $$;

CREATE FUNCTION audit.forget_idempotency(asked_ms bigint, at_most integer) RETURNS integer
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog'
    SET lock_timeout TO '50ms'
    AS $$
DECLARE
    over_ms bigint := floor(extract(epoch FROM audit.settled_now(asked_ms) - interval '1 day' - interval '2 days') * 1000);
    forgotten integer;
BEGIN
    IF at_most IS NULL OR at_most NOT BETWEEN 1 AND 10000 THEN
        RAISE EXCEPTION 'at most 10000 keys at once';
    END IF;
    DELETE FROM audit.idempotency WHERE ctid = ANY (ARRAY(
        SELECT i.ctid FROM audit.idempotency AS i
        WHERE i.created_ms < over_ms
        ORDER BY i.created_ms
        LIMIT at_most
        FOR UPDATE SKIP LOCKED
    ));
    GET DIAGNOSTICS forgotten = ROW_COUNT;
    RETURN forgotten;
END $$;

CREATE FUNCTION audit.forget_requests(asked_ms bigint) RETURNS date
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'pg_catalog'
    SET lock_timeout TO '50ms'
    AS $_$
DECLARE
    due date := audit.last_replayable_day_over(audit.settled_now(asked_ms));
    oldest date;
BEGIN
    IF NOT pg_try_advisory_xact_lock(7203, 1) THEN  -- somebody makes or drops partitions at this moment
        RETURN NULL;
    END IF;
    SELECT min(to_date(right(c.relname, 8), 'YYYYMMDD')) INTO oldest
    FROM pg_inherits AS i
    JOIN pg_class AS c ON c.oid = i.inhrelid
    WHERE i.inhparent = 'audit.request'::regclass AND c.relname ~ '^request_[0-9]{8}$';
    IF oldest > due OR oldest IS NULL OR due IS NULL THEN
        RETURN NULL;
    END IF;
    UPDATE audit.request_floor SET day = greatest(day, oldest);
    EXECUTE format('DROP TABLE audit.request_%s', to_char(oldest, 'YYYYMMDD'));
    RETURN oldest;
END $_$;

CREATE FUNCTION audit.head_only_grows() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
    IF NEW.size < OLD.size OR NEW.log_id <> OLD.log_id THEN
        RAISE EXCEPTION 'the head of a log only grows' USING ERRCODE = 'insufficient_privilege';
    END IF;
    RETURN NEW;
END $$;

CREATE FUNCTION audit.last_replayable_day_over(settled timestamp with time zone) RETURNS date
    LANGUAGE sql IMMUTABLE
    SET search_path TO 'pg_catalog'
    AS $$
    SELECT ((settled - interval '5 minutes' - interval '2 days') AT TIME ZONE 'UTC')::date - 1
$$;

CREATE FUNCTION audit.refuse_change() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
    RAISE EXCEPTION 'audit rows are inserted, never changed (%)', TG_TABLE_NAME USING ERRCODE = 'insufficient_privilege';
END $$;

CREATE FUNCTION audit.request_floor_rises() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
    IF TG_OP = 'UPDATE' AND NEW.day >= OLD.day THEN
        RETURN NEW;
    END IF;
    RAISE EXCEPTION 'what was forgotten stays forgotten' USING ERRCODE = 'insufficient_privilege';
END $$;

CREATE FUNCTION audit.settled(asked timestamp with time zone, clock timestamp with time zone, logged timestamp with time zone, signed date) RETURNS timestamp with time zone
    LANGUAGE sql IMMUTABLE
    SET search_path TO 'pg_catalog'
    AS $$
    SELECT CASE WHEN num_nulls(asked, clock, logged, signed) = 0
        THEN least(asked, clock, logged, (signed + 1)::timestamp AT TIME ZONE 'UTC') END
$$;

CREATE FUNCTION audit.settled_now(asked_ms bigint) RETURNS timestamp with time zone
    LANGUAGE plpgsql
    SET search_path TO 'pg_catalog'
    AS $$
DECLARE
    logged timestamptz;
    signed date;
BEGIN
    IF asked_ms IS NULL OR asked_ms NOT BETWEEN 0 AND 253402300799999 THEN
        RAISE EXCEPTION 'the instant must be in milliseconds and before the year 10000';
    END IF;
    SELECT max(b.ts) INTO logged
    FROM audit.head AS h
    JOIN audit.batch AS b USING (log_id, size);
    SELECT max(newest.req_day) INTO signed
    FROM audit.log AS l
    CROSS JOIN LATERAL (
        SELECT r.req_day FROM audit.request AS r WHERE r.log_id = l.log_id ORDER BY r.req_day DESC LIMIT 1
    ) AS newest;
    RETURN audit.settled(to_timestamp(asked_ms / 1000.0), clock_timestamp(), logged, signed);
END $$;

CREATE TABLE audit.batch (
    log_id smallint NOT NULL,
    size bigint NOT NULL,
    prev_size bigint,
    root bytea NOT NULL,
    ts timestamp with time zone NOT NULL,
    writer text NOT NULL,
    mac bytea,
    CONSTRAINT batch_check CHECK ((((prev_size IS NULL) AND (size = 0)) OR (prev_size < size))),
    CONSTRAINT batch_mac_check CHECK ((octet_length(mac) = 32)),
    CONSTRAINT batch_root_check CHECK ((octet_length(root) = 32))
);

CREATE TABLE audit.entry (
    log_id smallint NOT NULL,
    leaf_index bigint NOT NULL,
    logged_at timestamp with time zone NOT NULL,
    leaf_hash bytea NOT NULL,
    leaf bytea NOT NULL,
    kind text NOT NULL,
    partner_id text,
    op text NOT NULL,
    purpose text,
    decision text NOT NULL,
    subject_bidx bytea,
    verification_id text,
    CONSTRAINT entry_leaf_check CHECK ((octet_length(leaf) <= 65535)),
    CONSTRAINT entry_leaf_hash_check CHECK ((octet_length(leaf_hash) = 32))
)
PARTITION BY RANGE (logged_at);

CREATE TABLE audit.head (
    log_id smallint NOT NULL,
    size bigint NOT NULL,
    root bytea NOT NULL,
    frontier bytea NOT NULL,
    ts timestamp with time zone NOT NULL,
    CONSTRAINT head_check CHECK ((octet_length(frontier) = (32 * bit_count((size)::bit(64))))),
    CONSTRAINT head_root_check CHECK ((octet_length(root) = 32)),
    CONSTRAINT head_size_check CHECK ((size >= 0))
)
WITH (fillfactor='10', autovacuum_vacuum_threshold='1000', autovacuum_vacuum_scale_factor='0');

CREATE TABLE audit.idempotency (
    log_id smallint NOT NULL,
    partner_id text NOT NULL,
    op text NOT NULL,
    key_hash bytea NOT NULL,
    body_hash bytea NOT NULL,
    verification_id text NOT NULL,
    created_ms bigint NOT NULL,
    CONSTRAINT idempotency_body_hash_check CHECK ((octet_length(body_hash) = 32)),
    CONSTRAINT idempotency_key_hash_check CHECK ((octet_length(key_hash) = 32))
);

CREATE TABLE audit.log (
    log_id smallint NOT NULL,
    origin text NOT NULL,
    created_ms bigint NOT NULL,
    frozen_ms bigint
);

CREATE TABLE audit.request (
    log_id smallint NOT NULL,
    req_day date NOT NULL,
    req_id bytea NOT NULL,
    CONSTRAINT request_req_id_check CHECK ((octet_length(req_id) = 16))
)
PARTITION BY RANGE (req_day);

CREATE TABLE audit.request_floor (
    one boolean DEFAULT true NOT NULL,
    day date NOT NULL,
    CONSTRAINT request_floor_one_check CHECK (one)
);

CREATE TABLE audit.secret (
    log_id smallint NOT NULL,
    leaf_index bigint NOT NULL,
    logged_at timestamp with time zone NOT NULL,
    salt bytea NOT NULL,
    key_id smallint NOT NULL,
    sealed bytea NOT NULL,
    CONSTRAINT secret_salt_check CHECK ((octet_length(salt) = 32))
)
PARTITION BY RANGE (logged_at);

CREATE TABLE audit.tile (
    log_id smallint NOT NULL,
    level smallint NOT NULL,
    idx bigint NOT NULL,
    hashes bytea NOT NULL,
    root bytea NOT NULL,
    CONSTRAINT tile_hashes_check CHECK ((octet_length(hashes) = 8192)),
    CONSTRAINT tile_idx_check CHECK ((idx >= 0)),
    CONSTRAINT tile_level_check CHECK (((level >= 0) AND (level <= 7))),
    CONSTRAINT tile_root_check CHECK ((octet_length(root) = 32))
);
ALTER TABLE ONLY audit.tile ALTER COLUMN hashes SET STORAGE EXTERNAL;

CREATE TABLE identity.partner (
    partner_id text NOT NULL,
    client_id text NOT NULL,
    name text NOT NULL,
    sector text NOT NULL,
    scopes text[] NOT NULL,
    purposes text[] NOT NULL,
    state text NOT NULL,
    created_ms bigint NOT NULL,
    CONSTRAINT partner_client_id_check CHECK ((client_id ~ '^[a-z0-9][a-z0-9-]{2,62}$'::text)),
    CONSTRAINT partner_partner_id_check CHECK ((partner_id ~ '^prt_[0-9A-Z]{26}$'::text)),
    CONSTRAINT partner_purposes_check CHECK ((cardinality(purposes) > 0)),
    CONSTRAINT partner_scopes_check CHECK ((cardinality(scopes) > 0)),
    CONSTRAINT partner_state_check CHECK ((state = ANY (ARRAY['active'::text, 'suspended'::text, 'closed'::text])))
);

CREATE TABLE identity.partner_key (
    thumbprint text NOT NULL,
    partner_id text NOT NULL,
    kid text NOT NULL,
    alg text NOT NULL,
    jwk text NOT NULL,
    purpose text NOT NULL,
    state text NOT NULL,
    not_before_ms bigint NOT NULL,
    retire_at_ms bigint,
    created_ms bigint NOT NULL,
    revoked_ms bigint,
    CONSTRAINT partner_key_alg_check CHECK ((alg = ANY (ARRAY['ES256'::text, 'PS256'::text, 'EdDSA'::text]))),
    CONSTRAINT partner_key_kid_check CHECK (((length(kid) >= 1) AND (length(kid) <= 128))),
    CONSTRAINT partner_key_purpose_check CHECK ((purpose = 'client-auth'::text)),
    CONSTRAINT partner_key_state_check CHECK ((state = ANY (ARRAY['pending'::text, 'active'::text, 'retiring'::text, 'retired'::text, 'suspended'::text, 'compromised'::text]))),
    CONSTRAINT partner_key_thumbprint_check CHECK ((length(thumbprint) = 43))
);

CREATE TABLE migration.alembic_version (
    version_num character varying(32) NOT NULL
);

CREATE TABLE migration.applied (
    file text NOT NULL,
    sha256 bytea NOT NULL,
    applied_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    CONSTRAINT applied_sha256_check CHECK ((octet_length(sha256) = 32))
);

CREATE TABLE replica.feed_event (
    event_id bigint NOT NULL,
    feed text NOT NULL,
    at_ms bigint NOT NULL,
    version bigint,
    result text NOT NULL,
    reason text,
    records bigint,
    quarantined bigint,
    CONSTRAINT feed_event_result_check CHECK ((result = ANY (ARRAY['applied'::text, 'refused'::text, 'unreachable'::text])))
);

ALTER TABLE replica.feed_event ALTER COLUMN event_id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME replica.feed_event_event_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE replica.feed_head (
    feed text NOT NULL,
    slot smallint NOT NULL,
    version bigint NOT NULL,
    manifest_sha256 bytea NOT NULL,
    as_of_ms bigint NOT NULL,
    record_count bigint NOT NULL,
    applied_ms bigint NOT NULL,
    CONSTRAINT feed_head_slot_check CHECK ((slot = ANY (ARRAY[0, 1]))),
    CONSTRAINT feed_head_version_check CHECK ((version >= 0))
);

CREATE TABLE replica.quarantine (
    slot smallint NOT NULL,
    record_id text NOT NULL,
    subject_key text,
    version bigint NOT NULL,
    line bigint NOT NULL,
    reason text NOT NULL,
    line_sha256 bytea NOT NULL
)
PARTITION BY LIST (slot);

CREATE TABLE replica.quarantine_0 (
    slot smallint CONSTRAINT quarantine_slot_not_null NOT NULL,
    record_id text CONSTRAINT quarantine_record_id_not_null NOT NULL,
    subject_key text,
    version bigint CONSTRAINT quarantine_version_not_null NOT NULL,
    line bigint CONSTRAINT quarantine_line_not_null NOT NULL,
    reason text CONSTRAINT quarantine_reason_not_null NOT NULL,
    line_sha256 bytea CONSTRAINT quarantine_line_sha256_not_null NOT NULL
);

CREATE TABLE replica.quarantine_1 (
    slot smallint CONSTRAINT quarantine_slot_not_null NOT NULL,
    record_id text CONSTRAINT quarantine_record_id_not_null NOT NULL,
    subject_key text,
    version bigint CONSTRAINT quarantine_version_not_null NOT NULL,
    line bigint CONSTRAINT quarantine_line_not_null NOT NULL,
    reason text CONSTRAINT quarantine_reason_not_null NOT NULL,
    line_sha256 bytea CONSTRAINT quarantine_line_sha256_not_null NOT NULL
);

CREATE TABLE replica.record (
    slot smallint NOT NULL,
    record_id text NOT NULL,
    subject_key text NOT NULL,
    kind text NOT NULL,
    body bytea NOT NULL,
    CONSTRAINT record_kind_check CHECK ((kind = ANY (ARRAY['penalty'::text, 'list_entry'::text])))
)
PARTITION BY LIST (slot);

CREATE TABLE replica.record_0 (
    slot smallint CONSTRAINT record_slot_not_null NOT NULL,
    record_id text CONSTRAINT record_record_id_not_null NOT NULL,
    subject_key text CONSTRAINT record_subject_key_not_null NOT NULL,
    kind text CONSTRAINT record_kind_not_null NOT NULL,
    body bytea CONSTRAINT record_body_not_null NOT NULL,
    CONSTRAINT record_kind_check CHECK ((kind = ANY (ARRAY['penalty'::text, 'list_entry'::text])))
);

CREATE TABLE replica.record_1 (
    slot smallint CONSTRAINT record_slot_not_null NOT NULL,
    record_id text CONSTRAINT record_record_id_not_null NOT NULL,
    subject_key text CONSTRAINT record_subject_key_not_null NOT NULL,
    kind text CONSTRAINT record_kind_not_null NOT NULL,
    body bytea CONSTRAINT record_body_not_null NOT NULL,
    CONSTRAINT record_kind_check CHECK ((kind = ANY (ARRAY['penalty'::text, 'list_entry'::text])))
);

CREATE TABLE replica.subject (
    slot smallint NOT NULL,
    uscc text NOT NULL,
    reg_no text,
    name text NOT NULL,
    name_key text NOT NULL,
    body bytea NOT NULL
)
PARTITION BY LIST (slot);

CREATE TABLE replica.subject_0 (
    slot smallint CONSTRAINT subject_slot_not_null NOT NULL,
    uscc text CONSTRAINT subject_uscc_not_null NOT NULL,
    reg_no text,
    name text CONSTRAINT subject_name_not_null NOT NULL,
    name_key text CONSTRAINT subject_name_key_not_null NOT NULL,
    body bytea CONSTRAINT subject_body_not_null NOT NULL
);

CREATE TABLE replica.subject_1 (
    slot smallint CONSTRAINT subject_slot_not_null NOT NULL,
    uscc text CONSTRAINT subject_uscc_not_null NOT NULL,
    reg_no text,
    name text CONSTRAINT subject_name_not_null NOT NULL,
    name_key text CONSTRAINT subject_name_key_not_null NOT NULL,
    body bytea CONSTRAINT subject_body_not_null NOT NULL
);

ALTER TABLE ONLY replica.quarantine ATTACH PARTITION replica.quarantine_0 FOR VALUES IN ('0');

ALTER TABLE ONLY replica.quarantine ATTACH PARTITION replica.quarantine_1 FOR VALUES IN ('1');

ALTER TABLE ONLY replica.record ATTACH PARTITION replica.record_0 FOR VALUES IN ('0');

ALTER TABLE ONLY replica.record ATTACH PARTITION replica.record_1 FOR VALUES IN ('1');

ALTER TABLE ONLY replica.subject ATTACH PARTITION replica.subject_0 FOR VALUES IN ('0');

ALTER TABLE ONLY replica.subject ATTACH PARTITION replica.subject_1 FOR VALUES IN ('1');

ALTER TABLE ONLY audit.batch
    ADD CONSTRAINT batch_log_id_prev_size_key UNIQUE (log_id, prev_size);

ALTER TABLE ONLY audit.batch
    ADD CONSTRAINT batch_pkey PRIMARY KEY (log_id, size);

ALTER TABLE ONLY audit.entry
    ADD CONSTRAINT entry_pkey PRIMARY KEY (log_id, leaf_index, logged_at);

ALTER TABLE ONLY audit.head
    ADD CONSTRAINT head_pkey PRIMARY KEY (log_id);

ALTER TABLE ONLY audit.idempotency
    ADD CONSTRAINT idempotency_pkey PRIMARY KEY (log_id, partner_id, op, key_hash);

ALTER TABLE ONLY audit.log
    ADD CONSTRAINT log_origin_key UNIQUE (origin);

ALTER TABLE ONLY audit.log
    ADD CONSTRAINT log_pkey PRIMARY KEY (log_id);

ALTER TABLE ONLY audit.request_floor
    ADD CONSTRAINT request_floor_pkey PRIMARY KEY (one);

ALTER TABLE ONLY audit.request
    ADD CONSTRAINT request_pkey PRIMARY KEY (log_id, req_day, req_id);

ALTER TABLE ONLY audit.secret
    ADD CONSTRAINT secret_pkey PRIMARY KEY (log_id, leaf_index, logged_at);

ALTER TABLE ONLY audit.tile
    ADD CONSTRAINT tile_pkey PRIMARY KEY (log_id, level, idx);

ALTER TABLE ONLY identity.partner
    ADD CONSTRAINT partner_client_id_key UNIQUE (client_id);

ALTER TABLE ONLY identity.partner_key
    ADD CONSTRAINT partner_key_partner_id_kid_key UNIQUE (partner_id, kid);

ALTER TABLE ONLY identity.partner_key
    ADD CONSTRAINT partner_key_pkey PRIMARY KEY (thumbprint);

ALTER TABLE ONLY identity.partner
    ADD CONSTRAINT partner_pkey PRIMARY KEY (partner_id);

ALTER TABLE ONLY migration.alembic_version
    ADD CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num);

ALTER TABLE ONLY migration.applied
    ADD CONSTRAINT applied_pkey PRIMARY KEY (file);

ALTER TABLE ONLY replica.feed_event
    ADD CONSTRAINT feed_event_pkey PRIMARY KEY (event_id);

ALTER TABLE ONLY replica.feed_head
    ADD CONSTRAINT feed_head_pkey PRIMARY KEY (feed);

ALTER TABLE ONLY replica.quarantine
    ADD CONSTRAINT quarantine_pkey PRIMARY KEY (slot, record_id);

ALTER TABLE ONLY replica.quarantine_0
    ADD CONSTRAINT quarantine_0_pkey PRIMARY KEY (slot, record_id);

ALTER TABLE ONLY replica.quarantine_1
    ADD CONSTRAINT quarantine_1_pkey PRIMARY KEY (slot, record_id);

ALTER TABLE ONLY replica.record
    ADD CONSTRAINT record_pkey PRIMARY KEY (slot, record_id);

ALTER TABLE ONLY replica.record_0
    ADD CONSTRAINT record_0_pkey PRIMARY KEY (slot, record_id);

ALTER TABLE ONLY replica.record_1
    ADD CONSTRAINT record_1_pkey PRIMARY KEY (slot, record_id);

ALTER TABLE ONLY replica.subject
    ADD CONSTRAINT subject_pkey PRIMARY KEY (slot, uscc);

ALTER TABLE ONLY replica.subject_0
    ADD CONSTRAINT subject_0_pkey PRIMARY KEY (slot, uscc);

ALTER TABLE ONLY replica.subject_1
    ADD CONSTRAINT subject_1_pkey PRIMARY KEY (slot, uscc);

CREATE INDEX entry_logged_at ON ONLY audit.entry USING brin (logged_at);

CREATE INDEX entry_partner ON ONLY audit.entry USING btree (partner_id, logged_at);

CREATE INDEX entry_registration ON ONLY audit.entry USING btree (partner_id) WHERE (kind = ANY (ARRAY['key'::text, 'partner'::text]));

CREATE INDEX entry_subject ON ONLY audit.entry USING btree (subject_bidx, logged_at) WHERE (subject_bidx IS NOT NULL);

CREATE INDEX entry_verification ON ONLY audit.entry USING btree (verification_id) WHERE (verification_id IS NOT NULL);

CREATE INDEX idempotency_created ON audit.idempotency USING btree (created_ms);

CREATE INDEX feed_event_at ON replica.feed_event USING btree (feed, at_ms DESC);

CREATE INDEX quarantine_subject ON ONLY replica.quarantine USING btree (slot, subject_key) WHERE (subject_key IS NOT NULL);

CREATE INDEX quarantine_0_slot_subject_key_idx ON replica.quarantine_0 USING btree (slot, subject_key) WHERE (subject_key IS NOT NULL);

CREATE INDEX quarantine_1_slot_subject_key_idx ON replica.quarantine_1 USING btree (slot, subject_key) WHERE (subject_key IS NOT NULL);

CREATE INDEX record_subject ON ONLY replica.record USING btree (slot, subject_key);

CREATE INDEX record_0_slot_subject_key_idx ON replica.record_0 USING btree (slot, subject_key);

CREATE INDEX record_1_slot_subject_key_idx ON replica.record_1 USING btree (slot, subject_key);

CREATE INDEX subject_name ON ONLY replica.subject USING btree (slot, name_key text_pattern_ops);

CREATE INDEX subject_0_slot_name_key_idx ON replica.subject_0 USING btree (slot, name_key text_pattern_ops);

CREATE INDEX subject_1_slot_name_key_idx ON replica.subject_1 USING btree (slot, name_key text_pattern_ops);

ALTER INDEX replica.quarantine_pkey ATTACH PARTITION replica.quarantine_0_pkey;

ALTER INDEX replica.quarantine_subject ATTACH PARTITION replica.quarantine_0_slot_subject_key_idx;

ALTER INDEX replica.quarantine_pkey ATTACH PARTITION replica.quarantine_1_pkey;

ALTER INDEX replica.quarantine_subject ATTACH PARTITION replica.quarantine_1_slot_subject_key_idx;

ALTER INDEX replica.record_pkey ATTACH PARTITION replica.record_0_pkey;

ALTER INDEX replica.record_subject ATTACH PARTITION replica.record_0_slot_subject_key_idx;

ALTER INDEX replica.record_pkey ATTACH PARTITION replica.record_1_pkey;

ALTER INDEX replica.record_subject ATTACH PARTITION replica.record_1_slot_subject_key_idx;

ALTER INDEX replica.subject_pkey ATTACH PARTITION replica.subject_0_pkey;

ALTER INDEX replica.subject_name ATTACH PARTITION replica.subject_0_slot_name_key_idx;

ALTER INDEX replica.subject_pkey ATTACH PARTITION replica.subject_1_pkey;

ALTER INDEX replica.subject_name ATTACH PARTITION replica.subject_1_slot_name_key_idx;

CREATE TRIGGER batch_append_only BEFORE DELETE OR UPDATE OR TRUNCATE ON audit.batch FOR EACH STATEMENT EXECUTE FUNCTION audit.refuse_change();

CREATE TRIGGER entry_append_only BEFORE DELETE OR UPDATE ON audit.entry FOR EACH STATEMENT EXECUTE FUNCTION audit.refuse_change();

CREATE TRIGGER head_only_grows BEFORE UPDATE ON audit.head FOR EACH ROW EXECUTE FUNCTION audit.head_only_grows();

CREATE TRIGGER head_stays BEFORE DELETE OR TRUNCATE ON audit.head FOR EACH STATEMENT EXECUTE FUNCTION audit.refuse_change();

CREATE TRIGGER request_append_only BEFORE DELETE OR UPDATE ON audit.request FOR EACH STATEMENT EXECUTE FUNCTION audit.refuse_change();

CREATE TRIGGER request_floor_rises BEFORE DELETE OR UPDATE ON audit.request_floor FOR EACH ROW EXECUTE FUNCTION audit.request_floor_rises();

CREATE TRIGGER request_floor_stays BEFORE TRUNCATE ON audit.request_floor FOR EACH STATEMENT EXECUTE FUNCTION audit.refuse_change();

CREATE TRIGGER tile_append_only BEFORE DELETE OR UPDATE OR TRUNCATE ON audit.tile FOR EACH STATEMENT EXECUTE FUNCTION audit.refuse_change();

ALTER TABLE ONLY audit.batch
    ADD CONSTRAINT batch_log_id_fkey FOREIGN KEY (log_id) REFERENCES audit.log(log_id);

ALTER TABLE ONLY audit.batch
    ADD CONSTRAINT batch_log_id_prev_size_fkey FOREIGN KEY (log_id, prev_size) REFERENCES audit.batch(log_id, size);

ALTER TABLE ONLY audit.head
    ADD CONSTRAINT head_log_id_fkey FOREIGN KEY (log_id) REFERENCES audit.log(log_id);

ALTER TABLE ONLY audit.tile
    ADD CONSTRAINT tile_log_id_fkey FOREIGN KEY (log_id) REFERENCES audit.log(log_id);

ALTER TABLE ONLY identity.partner_key
    ADD CONSTRAINT partner_key_partner_id_fkey FOREIGN KEY (partner_id) REFERENCES identity.partner(partner_id);
