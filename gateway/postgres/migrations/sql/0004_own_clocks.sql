-- 0004 What is remembered for a time only ends by its own clock: one-time ids by the day, idempotency keys by the row.
--
-- Forgetting a one-time id too early lets a captured request be answered twice, so nothing here trusts one clock: see audit.settled.

-- Every day up to this one has been forgotten. No partition is made for it again: an empty one would take its ids a second time, from
-- a worker whose clock is days behind. Without a partition such a worker's commits fail.
CREATE TABLE audit.request_floor (
    one boolean PRIMARY KEY DEFAULT true CHECK (one),
    day date NOT NULL
);
INSERT INTO audit.request_floor (day) VALUES ('-infinity');

CREATE FUNCTION audit.request_floor_rises() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'UPDATE' AND NEW.day >= OLD.day THEN
        RETURN NEW;
    END IF;
    RAISE EXCEPTION 'what was forgotten stays forgotten' USING ERRCODE = 'insufficient_privilege';
END $$;
CREATE TRIGGER request_floor_rises BEFORE UPDATE OR DELETE ON audit.request_floor
    FOR EACH ROW EXECUTE FUNCTION audit.request_floor_rises();
CREATE TRIGGER request_floor_stays BEFORE TRUNCATE ON audit.request_floor
    FOR EACH STATEMENT EXECUTE FUNCTION audit.refuse_change();

-- The latest instant of which nobody doubts that it is over; null if anybody has said nothing. It is the earliest of
--   asked   what the caller's clock says,
--   clock   what the database's clock says,
--   logged  the moment of the newest batch,
--   signed  the end of the newest day for which a one-time id was taken. That day stands in a proof that a partner signed by its own
--           clock and that a worker found to be at most minutes away from its own.
-- The first three are ours and may all leap together: a host of its own, or a database that leaps and commits once. The fourth does
-- not leap with them: after a leap no partner's proof is accepted, so no id of a new day is taken.
CREATE FUNCTION audit.settled(asked timestamptz, clock timestamptz, logged timestamptz, signed date) RETURNS timestamptz
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog AS $$
    SELECT CASE WHEN num_nulls(asked, clock, logged, signed) = 0
        THEN least(asked, clock, logged, (signed + 1)::timestamp AT TIME ZONE 'UTC') END
$$;

-- The last day whose ids may be forgotten. Nothing signed for a day can be used five minutes after it: a proof serves 300 s after its
-- `iat`, an assertion until its end, whose day it is filed under. Two days more, for clocks that disagree and for people who look.
CREATE FUNCTION audit.last_replayable_day_over(settled timestamptz) RETURNS date
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog AS $$
    SELECT ((settled - interval '5 minutes' - interval '2 days') AT TIME ZONE 'UTC')::date - 1
$$;

CREATE FUNCTION audit.settled_now(asked_ms bigint) RETURNS timestamptz
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog AS $$
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

-- Forgets the oldest day of one-time ids that may be forgotten, and returns it, or null if there is none. One day a call, so that the
-- lock is held for one entry of the catalogue; the files go after the locks. Dropping a partition needs audit.request for itself: it
-- waits for that no longer than a commit may be held up, and gives up with lock_not_available.
CREATE FUNCTION audit.forget_requests(asked_ms bigint) RETURNS date
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog SET lock_timeout = '50ms' AS $$
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
END $$;

-- Forgets idempotency keys, oldest first, at most so many, and returns how many. A key is a promise for a day; two days more, as
-- above. Keys that somebody else holds at this moment are left for the next time.
CREATE FUNCTION audit.forget_idempotency(asked_ms bigint, at_most integer) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog SET lock_timeout = '50ms' AS $$
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

-- As in 0001, but: a day that was forgotten is not made again; and a partition is made first and attached then, which holds up no
-- commit. CREATE TABLE ... PARTITION OF would wait for every reader of the log, a backup for instance, and let nobody append meanwhile.
CREATE OR REPLACE FUNCTION audit.ensure_partitions(today date, days integer) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, audit AS $$
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
END $$;

-- New functions are everybody's until somebody says otherwise; as in 0002, the order of `migrate` and `migrate --roles` does not matter.
REVOKE ALL ON FUNCTION audit.forget_requests(bigint), audit.forget_idempotency(bigint, integer), audit.settled_now(bigint) FROM PUBLIC;
DO $grants$
BEGIN
    IF EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = 'gateway_feed') THEN
        GRANT EXECUTE ON FUNCTION audit.forget_requests(bigint), audit.forget_idempotency(bigint, integer) TO gateway_feed;
    END IF;
END $grants$;
