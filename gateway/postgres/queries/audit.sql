-- name: lock_head
-- Lock the head of a log; the moment of the next batch is never before the previous one, whatever the clock does.
SELECT size, root, frontier, greatest(clock_timestamp(), ts) AS moment
FROM audit.head
WHERE log_id = $1
FOR UPDATE;

-- name: admit
-- Claim one-time ids, reserve idempotency keys (only with a claim of ours and a live credential), list live credentials.
-- A statement of its own after lock_head: under READ COMMITTED its snapshot then includes all that committed before the lock.
WITH claimed AS (
    INSERT INTO audit.request (log_id, req_day, req_id)
    SELECT $1, day, digest FROM unnest($2::date[], $3::bytea[]) AS t (day, digest)
    ON CONFLICT DO NOTHING
    RETURNING req_id
), live AS (
    SELECT k.thumbprint
    FROM identity.partner_key AS k
    JOIN identity.partner AS p USING (partner_id)
    WHERE k.thumbprint = ANY ($4::text[]) AND k.state IN ('active', 'retiring') AND p.state = 'active'
        AND (k.retire_at_ms IS NULL OR k.retire_at_ms > extract(epoch FROM clock_timestamp()) * 1000)
), reserved AS (
    INSERT INTO audit.idempotency AS i
        (log_id, partner_id, op, key_hash, body_hash, verification_id, created_ms)
    SELECT $1, t.partner_id, t.op, t.key_hash, t.body_hash, t.verification_id, t.created_ms
    FROM unnest($5::text[], $6::text[], $7::bytea[], $8::bytea[], $9::text[], $10::bigint[], $11::bytea[], $12::text[])
        AS t (partner_id, op, key_hash, body_hash, verification_id, created_ms, req_id, thumbprint)
    JOIN claimed USING (req_id)
    JOIN live USING (thumbprint)
    ON CONFLICT (log_id, partner_id, op, key_hash) DO UPDATE
        SET body_hash = excluded.body_hash, verification_id = excluded.verification_id, created_ms = excluded.created_ms
        WHERE i.created_ms < excluded.created_ms - 86400000
    RETURNING i.verification_id
)
SELECT
    ARRAY(SELECT req_id FROM claimed) AS claimed,
    ARRAY(SELECT thumbprint FROM live) AS live,
    ARRAY(SELECT verification_id FROM reserved) AS reserved;

-- name: append_batch
-- Insert the entries, their secrets and the batch, and move the head by compare-and-swap: one statement, one round trip.
WITH fresh AS (
    SELECT $2::bigint + ord - 1 AS leaf_index, t.*
    FROM unnest(
        $7::bytea[], $8::bytea[], $9::text[], $10::text[], $11::text[], $12::text[], $13::text[], $14::bytea[], $15::text[],
        $16::bytea[], $17::smallint[], $18::bytea[]
    ) WITH ORDINALITY AS t (
        leaf_hash, leaf, kind, partner_id, op, purpose, decision, subject_bidx, verification_id, salt, key_id, sealed, ord
    )
), entries AS (
    INSERT INTO audit.entry (log_id, leaf_index, logged_at, leaf_hash, leaf, kind, partner_id, op, purpose, decision,
        subject_bidx, verification_id)
    SELECT $1, leaf_index, $6, leaf_hash, leaf, kind, partner_id, op, purpose, decision, subject_bidx, verification_id
    FROM fresh
), secrets AS (
    INSERT INTO audit.secret (log_id, leaf_index, logged_at, salt, key_id, sealed)
    SELECT $1, leaf_index, $6, salt, key_id, sealed
    FROM fresh
), batches AS (
    INSERT INTO audit.batch (log_id, size, prev_size, root, ts, writer)
    VALUES ($1, $3, $2, $4, $6, $19)
)
UPDATE audit.head
SET size = $3, root = $4, frontier = $5, ts = $6
WHERE log_id = $1 AND size = $2 AND root = $20
RETURNING size;

-- name: append_tiles
-- Insert the full tiles that this batch completed.
INSERT INTO audit.tile (log_id, level, idx, hashes, root)
SELECT $1, level, idx, hashes, root
FROM unnest($2::smallint[], $3::bigint[], $4::bytea[], $5::bytea[]) AS t (level, idx, hashes, root);

-- name: leaf_hashes
-- Read consecutive leaf hashes.
SELECT leaf_hash
FROM audit.entry
WHERE log_id = $1 AND leaf_index >= $2 AND leaf_index < $3
ORDER BY leaf_index;

-- name: tile_roots
-- Read the roots of consecutive full tiles of one level: the hashes of the level above.
SELECT root
FROM audit.tile
WHERE log_id = $1 AND level = $2 AND idx >= $3 AND idx < $4
ORDER BY idx;

-- name: full_tile
-- Read the 256 hashes of one full tile.
SELECT hashes
FROM audit.tile
WHERE log_id = $1 AND level = $2 AND idx = $3;

-- name: touch_head
-- A write of our own, so that what this transaction saw is as durable and as replicated as its COMMIT.
UPDATE audit.head SET ts = ts WHERE log_id = $1 RETURNING size;

-- name: batch_at
-- Read the root of the batch that ended at a size.
SELECT root FROM audit.batch WHERE log_id = $1 AND size = $2;

-- name: head
-- Read the head of the log.
SELECT size, root, frontier FROM audit.head WHERE log_id = $1;

-- name: batch_after
-- Find the batch that committed a leaf: the smallest size beyond its index.
SELECT size, root FROM audit.batch WHERE log_id = $1 AND size > $2 ORDER BY size LIMIT 1;

-- name: verification
-- Read one answered verification with what is needed to open it.
SELECT e.leaf_index, e.leaf, e.partner_id, s.salt, s.key_id, s.sealed
FROM audit.entry AS e
LEFT JOIN audit.secret AS s USING (log_id, leaf_index, logged_at)
WHERE e.log_id = $1 AND e.verification_id = $2;

-- name: idempotency
-- Look up an idempotency key that is not older than a day.
SELECT body_hash, verification_id
FROM audit.idempotency
WHERE log_id = $1 AND partner_id = $2 AND op = $3 AND key_hash = $4 AND created_ms >= $5;

-- name: entries_from
-- Stream entries in order, for fsck.
SELECT leaf_index, leaf_hash, leaf
FROM audit.entry
WHERE log_id = $1 AND leaf_index >= $2
ORDER BY leaf_index
LIMIT $3;

-- name: batches_from
-- Stream batches in order, for fsck.
SELECT size, prev_size, root
FROM audit.batch
WHERE log_id = $1 AND size > $2
ORDER BY size
LIMIT $3;

-- name: tiles_from
-- Stream the full tiles of one level in order, for fsck.
SELECT idx, hashes, root
FROM audit.tile
WHERE log_id = $1 AND level = $2 AND idx >= $3
ORDER BY idx
LIMIT $4;

-- name: repeated_request_ids
-- One-time ids that stand under more than one day: none, if the day always came from the signed proof.
SELECT req_id FROM audit.request WHERE log_id = $1 GROUP BY req_id HAVING count(*) > 1 LIMIT $2;

-- name: recent_entries
-- The latest leaves, newest first, for operators.
SELECT leaf_index, logged_at, kind, partner_id, op, purpose, decision, verification_id, leaf
FROM audit.entry
WHERE log_id = $1 AND leaf_index < $2
ORDER BY leaf_index DESC
LIMIT $3;

-- name: ensure_partitions
-- Create the partitions of the coming days; a missing one would abort a batch.
SELECT audit.ensure_partitions($1::date, $2::integer);

-- name: forget_idempotency
-- Remove idempotency keys whose day is over.
DELETE FROM audit.idempotency WHERE created_ms < $1;

-- name: sealed
-- Read the sealed plaintext of one leaf.
SELECT e.leaf, s.key_id, s.sealed
FROM audit.entry AS e
JOIN audit.secret AS s USING (log_id, leaf_index, logged_at)
WHERE e.log_id = $1 AND e.leaf_index = $2;
