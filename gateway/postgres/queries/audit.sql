-- name: lock_head
-- Lock the head of a log; whoever holds it waits for nobody else to append.
SELECT size FROM audit.head WHERE log_id = $1 FOR UPDATE;

-- name: enter
-- Lock the head, then claim, reserve and read under the lock: see audit.enter.
SELECT size, root, frontier, moment, claimed, live, reserved, prev_size, prev_root, mac
FROM audit.enter($1, $2::date[], $3::bytea[], $4::text[], $5::text[], $6::text[], $7::bytea[], $8::bytea[], $9::text[],
    $10::bigint[], $11::bytea[], $12::text[]);

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
    INSERT INTO audit.batch (log_id, size, prev_size, root, ts, writer, mac)
    VALUES ($1, $3, $2, $4, $6, $19, $21)
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
-- Read the head of the log with the batch that it rests on.
SELECT h.size, h.root, h.frontier, h.ts, b.mac, p.size AS prev_size, p.root AS prev_root, l.frozen_ms IS NOT NULL AS closed
FROM audit.head AS h
JOIN audit.log AS l USING (log_id)
LEFT JOIN audit.batch AS b USING (log_id, size)
LEFT JOIN audit.batch AS p ON p.log_id = b.log_id AND p.size = b.prev_size
WHERE h.log_id = $1;

-- name: batch_after
-- Find the batch that committed a leaf: the smallest size beyond its index.
SELECT b.size, b.root, b.mac, p.size AS prev_size, p.root AS prev_root
FROM audit.batch AS b
LEFT JOIN audit.batch AS p ON p.log_id = b.log_id AND p.size = b.prev_size
WHERE b.log_id = $1 AND b.size > $2
ORDER BY b.size
LIMIT 1;

-- name: verification
-- Read one answered verification with what is needed to open it, and every column that its leaf must bear out.
SELECT e.leaf_index, e.leaf, e.leaf_hash, e.kind, e.partner_id, e.op, e.purpose, e.decision, e.subject_bidx, e.verification_id,
    s.salt, s.key_id, s.sealed
FROM audit.entry AS e
LEFT JOIN audit.secret AS s USING (log_id, leaf_index, logged_at)
WHERE e.log_id = $1 AND e.verification_id = $2;

-- name: idempotency
-- Look up an idempotency key that is not older than a day.
SELECT body_hash, verification_id
FROM audit.idempotency
WHERE log_id = $1 AND partner_id = $2 AND op = $3 AND key_hash = $4 AND created_ms >= $5;

-- name: registrations
-- The leaves about a partner and about one of its keys ($3, its thumbprint as bytes), found by the index of migration 0003.
SELECT e.leaf_index, e.leaf, s.salt, s.key_id, s.sealed
FROM audit.entry AS e
LEFT JOIN audit.secret AS s USING (log_id, leaf_index, logged_at)
WHERE e.log_id = $1 AND e.partner_id = $2 AND e.kind IN ('key', 'partner')
    AND (e.kind = 'partner' OR position($3::bytea IN e.leaf) > 0)
ORDER BY e.leaf_index
LIMIT $4;

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

-- name: forget_requests
-- Forget the oldest day of one-time ids that is over; returns it, or null.
SELECT audit.forget_requests($1::bigint);

-- name: forget_idempotency
-- Forget idempotency keys that are over, at most so many; returns how many.
SELECT audit.forget_idempotency($1::bigint, $2::integer);

-- name: sealed
-- Read the sealed plaintext of one leaf.
SELECT e.leaf, s.salt, s.key_id, s.sealed
FROM audit.entry AS e
JOIN audit.secret AS s USING (log_id, leaf_index, logged_at)
WHERE e.log_id = $1 AND e.leaf_index = $2;
