-- 0005 One-time ids are claimed for live credentials only, so that an id is burnt if and only if a leaf names it.
--
-- Safe beside a process of the schema before: the same arguments, of which `credentials` now runs along the claims. It was a list
-- without repetitions, so a claim may be paired with another's credential: while all are live that changes nothing, and beside a
-- revoked one a claim may be refused.

CREATE OR REPLACE FUNCTION audit.enter(
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
