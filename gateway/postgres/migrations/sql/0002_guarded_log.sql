-- 0002 A log that its hosts guard: each batch carries a MAC, so that who owns the database cannot append.
--
-- Additive for a process of the schema before: a column without a value for it, a function with the same arguments.

-- HMAC over (log, previous size and root, size, root) under a key that the hosts share and no database holds. Only the batch of
-- size 0 has none, and batches from before this revision: a head that rests on one of those is not extended.
ALTER TABLE audit.batch ADD COLUMN mac bytea CHECK (octet_length(mac) = 32);

-- The beginning of every audit commit, in one round trip because the lock is held meanwhile: lock the head, claim one-time ids,
-- reserve idempotency keys (only with a claim of this batch and a live credential), list the live credentials, and read the batch
-- that the head rests on. Two statements on purpose. Under READ COMMITTED each statement of a volatile function has its own
-- snapshot, so the second one sees every revocation, claim and batch that committed before the lock was granted; a single
-- statement would not.
DROP FUNCTION audit.enter(
    smallint, date[], bytea[], text[], text[], text[], bytea[], bytea[], text[], bigint[], bytea[], text[]);
CREATE FUNCTION audit.enter(
    log smallint, days date[], digests bytea[], credentials text[],
    key_partners text[], key_ops text[], key_hashes bytea[], key_bodies bytea[], key_answers text[], key_times bigint[],
    key_claims bytea[], key_credentials text[]
) RETURNS TABLE (
    size bigint, root bytea, frontier bytea, moment timestamptz, claimed bytea[], live text[], reserved text[],
    prev_size bigint, prev_root bytea, mac bytea
) LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog AS $$
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

-- A function made anew has lost its grants; where the roles exist they get them back at once, so that the order of `migrate` and
-- `migrate --roles` does not matter.
REVOKE ALL ON FUNCTION audit.enter(
    smallint, date[], bytea[], text[], text[], text[], bytea[], bytea[], text[], bigint[], bytea[], text[]) FROM PUBLIC;
DO $grants$
DECLARE
    wanted text;
BEGIN
    FOREACH wanted IN ARRAY ARRAY['gateway_api', 'gateway_admin'] LOOP
        IF EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = wanted) THEN
            EXECUTE format('GRANT EXECUTE ON FUNCTION audit.enter(smallint, date[], bytea[], text[], text[], text[], bytea[], '
                'bytea[], text[], bigint[], bytea[], text[]) TO %I', wanted);
        END IF;
    END LOOP;
END $grants$;
