-- name: fsck_head
-- Read the head with its time.
SELECT size, root, frontier, ts FROM audit.head WHERE log_id = $1;

-- name: fsck_origin
-- Read what the row of a log calls it.
SELECT origin FROM audit.log WHERE log_id = $1;

-- name: fsck_logs
-- List the names of all logs.
SELECT origin FROM audit.log ORDER BY log_id;

-- name: fsck_log
-- Find a log by its name.
SELECT log_id FROM audit.log WHERE origin = $1;

-- name: fsck_entries
-- Read the entries of some indexes, at most so many.
SELECT leaf_index, leaf_hash, leaf, logged_at, kind, partner_id, op, purpose, decision, subject_bidx, verification_id
FROM audit.entry
WHERE log_id = $1 AND leaf_index >= $2 AND leaf_index < $3
ORDER BY leaf_index, logged_at
LIMIT $4;

-- name: fsck_secrets
-- Read the secrets of some indexes, at most so many.
SELECT leaf_index, logged_at, salt, key_id, sealed
FROM audit.secret
WHERE log_id = $1 AND leaf_index >= $2 AND leaf_index < $3
ORDER BY leaf_index, logged_at
LIMIT $4;

-- name: fsck_strays
-- Find entries and secrets of indexes that the head, as it is in this very snapshot, does not reach.
(SELECT 'entry' AS stray, leaf_index FROM audit.entry
WHERE log_id = $1 AND leaf_index >= (SELECT h.size FROM audit.head AS h WHERE h.log_id = $1) ORDER BY leaf_index LIMIT $2)
UNION ALL
(SELECT 'entry', leaf_index FROM audit.entry WHERE log_id = $1 AND leaf_index < 0 ORDER BY leaf_index LIMIT $2)
UNION ALL
(SELECT 'secret', leaf_index FROM audit.secret
WHERE log_id = $1 AND leaf_index >= (SELECT h.size FROM audit.head AS h WHERE h.log_id = $1) ORDER BY leaf_index LIMIT $2)
UNION ALL
(SELECT 'secret', leaf_index FROM audit.secret WHERE log_id = $1 AND leaf_index < 0 ORDER BY leaf_index LIMIT $2);

-- name: fsck_batches
-- Read batches in order.
SELECT size, prev_size, root, ts, writer, mac
FROM audit.batch
WHERE log_id = $1 AND size > $2
ORDER BY size
LIMIT $3;

-- name: fsck_tiles
-- Read the full tiles of one level in order.
SELECT idx, hashes, root
FROM audit.tile
WHERE log_id = $1 AND level = $2 AND idx >= $3
ORDER BY idx
LIMIT $4;

-- name: fsck_request_days
-- List the days that have a partition for one-time ids, from the bounds of the partitions.
SELECT generate_series(bound[1]::date, bound[2]::date - 1, interval '1 day')::date AS day
FROM pg_catalog.pg_inherits AS i
JOIN pg_catalog.pg_class AS c ON c.oid = i.inhrelid
CROSS JOIN LATERAL regexp_match(
    pg_catalog.pg_get_expr(c.relpartbound, c.oid), 'FROM \(''(\d{4}-\d\d-\d\d)''\) TO \(''(\d{4}-\d\d-\d\d)''\)'
) AS bound
WHERE i.inhparent = 'audit.request'::regclass AND $1::smallint IS NOT NULL
ORDER BY day;

-- name: fsck_requests
-- Read the one-time ids of some days within a range of ids, by an index scan a day; not those that log $6 has too.
SELECT r.req_id, d.day
FROM unnest($2::date[]) AS d (day)
CROSS JOIN LATERAL (
    SELECT req_id
    FROM audit.request
    WHERE log_id = $1 AND req_day = d.day AND req_id >= $3 AND req_id <= $4
) AS r
WHERE NOT EXISTS (
    SELECT
    FROM audit.request AS taken
    WHERE taken.log_id = (SELECT l.log_id FROM audit.log AS l WHERE l.origin = $6::text AND l.log_id <> $1)
        AND taken.req_day = d.day AND taken.req_id = r.req_id
)
LIMIT $5;

-- name: fsck_idempotency
-- Read idempotency keys in order, each with the leaf and the secret of the verification that it names.
SELECT i.partner_id, i.op, i.key_hash, i.body_hash, i.verification_id, i.created_ms, e.leaf, s.salt, s.key_id, s.sealed
FROM audit.idempotency AS i
LEFT JOIN LATERAL (
    SELECT log_id, leaf_index, logged_at, leaf FROM audit.entry
    WHERE log_id = i.log_id AND verification_id = i.verification_id
    LIMIT 1
) AS e ON true
LEFT JOIN audit.secret AS s ON s.log_id = e.log_id AND s.leaf_index = e.leaf_index AND s.logged_at = e.logged_at
WHERE i.log_id = $1 AND (i.partner_id, i.op, i.key_hash) > ($2, $3, $4)
ORDER BY i.partner_id, i.op, i.key_hash
LIMIT $5;

-- name: fsck_partners
-- Read all partners: the columns that decide anything.
SELECT partner_id, client_id, name, sector, scopes, purposes, state FROM identity.partner;

-- name: fsck_keys
-- Read all keys of all partners.
SELECT thumbprint, partner_id, kid, alg, jwk, purpose, state, not_before_ms, retire_at_ms, created_ms, revoked_ms
FROM identity.partner_key;
