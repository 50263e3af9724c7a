-- name: look_up
-- Everything about some codes in one snapshot. part 0: the head; 1: registrations; 2: records; 3: unread lines.
-- Slot and keys are InitPlans: the other slot's partition is pruned before it is touched, and whatever the planner believes about
-- sizes, each table is read through its index by all keys at once; a join with the old numbers it turned into a hash of everything.
WITH head AS MATERIALIZED (
    SELECT slot, version, as_of_ms FROM replica.feed_head WHERE feed = $2 AND version > 0
), known AS MATERIALIZED (
    SELECT uscc, reg_no, body FROM replica.subject WHERE slot = (SELECT slot FROM head) AND uscc = ANY ($1::text[])
), keys AS MATERIALIZED (
    SELECT $1::text[] || ARRAY(SELECT DISTINCT 'R:' || reg_no FROM known WHERE reg_no IS NOT NULL) AS wanted
)
SELECT 0 AS part, slot || ':' || version || ':' || as_of_ms AS key, NULL::bytea AS body FROM head
UNION ALL
SELECT 1, uscc, body FROM known
UNION ALL
SELECT 2, subject_key, body
FROM replica.record
WHERE slot = (SELECT slot FROM head) AND subject_key = ANY ((SELECT wanted FROM keys)::text[])
UNION ALL
SELECT 3, subject_key, NULL
FROM replica.quarantine
WHERE slot = (SELECT slot FROM head) AND subject_key = ANY ((SELECT wanted FROM keys)::text[]);

-- name: candidates
-- Registrations whose name key begins with $2, in the order of the index: the exact name is the first of its prefix.
WITH head AS MATERIALIZED (
    SELECT slot, version, as_of_ms FROM replica.feed_head WHERE feed = $1 AND version > 0
), found AS (
    SELECT uscc, name_key, body
    FROM replica.subject
    WHERE slot = (SELECT slot FROM head) AND name_key ~>=~ $2 AND name_key ~<~ $3
    ORDER BY name_key USING ~<~, uscc
    LIMIT $4
)
SELECT head.slot, head.version, head.as_of_ms, found.body
FROM head
LEFT JOIN found ON true
ORDER BY found.name_key USING ~<~, found.uscc;

-- name: feed_state
-- What the replica stands on, for readers and for the writer's first look.
SELECT slot, version, manifest_sha256, as_of_ms, record_count, applied_ms,
    (SELECT count(*) FROM replica.quarantine AS q WHERE q.slot = h.slot) AS quarantined
FROM replica.feed_head AS h
WHERE feed = $1;

-- name: open_feed
-- The head of a feed that nothing was applied from, so that there is a row to lock. Version 0 means: no source yet.
INSERT INTO replica.feed_head (feed, slot, version, manifest_sha256, as_of_ms, record_count, applied_ms)
VALUES ($1, 0, 0, '', 0, 0, 0)
ON CONFLICT (feed) DO NOTHING;

-- name: lock_feed
-- Become the one writer until the end of the transaction; no row if another process is.
SELECT slot, version, manifest_sha256 FROM replica.feed_head WHERE feed = $1 FOR UPDATE SKIP LOCKED;

-- name: move_feed
-- Make a version visible. Compare-and-swap beside the row lock: a lock that was lost with its connection moves nothing.
UPDATE replica.feed_head
SET slot = $3, version = $4, manifest_sha256 = $5, as_of_ms = $6, record_count = $7, applied_ms = $8
WHERE feed = $1 AND version = $2
RETURNING version;

-- name: advance_feed
-- The version still was the newest at a later instant; never earlier than what stands.
UPDATE replica.feed_head SET as_of_ms = greatest(as_of_ms, $4)
WHERE feed = $1 AND version = $2 AND manifest_sha256 = $3
RETURNING as_of_ms;

-- name: truncate_slot_0
-- Empty a slot that no reader uses.
TRUNCATE replica.subject_0, replica.record_0, replica.quarantine_0;

-- name: truncate_slot_1
-- Empty a slot that no reader uses.
TRUNCATE replica.subject_1, replica.record_1, replica.quarantine_1;

-- name: analyze_slot_0
-- Tell the planner what a slot holds before anyone reads it; without the right to, this is a warning and nothing more.
ANALYZE replica.subject_0, replica.record_0, replica.quarantine_0;

-- name: analyze_slot_1
-- Tell the planner what a slot holds before anyone reads it; without the right to, this is a warning and nothing more.
ANALYZE replica.subject_1, replica.record_1, replica.quarantine_1;

-- name: put_registrations
-- Insert or replace registrations in the current slot; returns how many are new.
WITH held AS (
    SELECT count(*) AS n FROM replica.subject WHERE slot = $1 AND uscc = ANY ($2::text[])
), put AS (
    INSERT INTO replica.subject (slot, uscc, reg_no, name, name_key, body)
    SELECT $1, t.uscc, t.reg_no, t.name, t.name_key, t.body
    FROM unnest($2::text[], $3::text[], $4::text[], $5::text[], $6::bytea[]) AS t (uscc, reg_no, name, name_key, body)
    ON CONFLICT (slot, uscc) DO UPDATE
        SET reg_no = excluded.reg_no, name = excluded.name, name_key = excluded.name_key, body = excluded.body
    RETURNING 1
)
SELECT (SELECT count(*) FROM put) - held.n AS added FROM held;

-- name: put_records
-- Insert or replace records in the current slot; returns how many are new.
WITH held AS (
    SELECT count(*) AS n FROM replica.record WHERE slot = $1 AND record_id = ANY ($2::text[])
), put AS (
    INSERT INTO replica.record (slot, record_id, subject_key, kind, body)
    SELECT $1, t.record_id, t.subject_key, t.kind, t.body
    FROM unnest($2::text[], $3::text[], $4::text[], $5::bytea[]) AS t (record_id, subject_key, kind, body)
    ON CONFLICT (slot, record_id) DO UPDATE
        SET subject_key = excluded.subject_key, kind = excluded.kind, body = excluded.body
    RETURNING 1
)
SELECT (SELECT count(*) FROM put) - held.n AS added FROM held;

-- name: delete_registrations
-- Remove registrations from the current slot; returns how many there were.
WITH gone AS (DELETE FROM replica.subject WHERE slot = $1 AND uscc = ANY ($2::text[]) RETURNING 1)
SELECT 'registration' AS kind, count(*) AS removed FROM gone;

-- name: delete_records
-- Remove records from the current slot; returns how many there were of each kind.
WITH gone AS (DELETE FROM replica.record WHERE slot = $1 AND record_id = ANY ($2::text[]) RETURNING kind)
SELECT kind, count(*) AS removed FROM gone GROUP BY kind;

-- name: release_lines
-- A good line, or a deletion, replaces what could not be read under its id.
DELETE FROM replica.quarantine WHERE slot = $1 AND record_id = ANY ($2::text[]);

-- name: quarantine_lines
-- Keep what could not be read, under the subject it names, or else the subject that its record id has in slot $8, as a record or as
-- a line that could not be read there either: a second snapshot with the same bad line must not make its subject clear.
INSERT INTO replica.quarantine AS q (slot, record_id, subject_key, version, line, reason, line_sha256)
SELECT $1, t.record_id,
    coalesce(
        t.subject_key,
        (SELECT r.subject_key FROM replica.record AS r WHERE r.slot = $8 AND r.record_id = t.record_id),
        (SELECT u.subject_key FROM replica.quarantine AS u WHERE u.slot = $8 AND u.record_id = t.record_id)
    ),
    $2, t.line, t.reason, t.line_sha256
FROM unnest($3::text[], $4::text[], $5::bigint[], $6::text[], $7::bytea[])
    AS t (record_id, subject_key, line, reason, line_sha256)
ON CONFLICT (slot, record_id) DO UPDATE
    SET subject_key = coalesce(excluded.subject_key, q.subject_key), version = excluded.version, line = excluded.line,
        reason = excluded.reason, line_sha256 = excluded.line_sha256
RETURNING subject_key IS NULL AS unattributed;

-- name: count_held
-- How many rows of each kind a slot holds: the measure for deletions.
SELECT 'registration' AS kind, count(*) AS held FROM replica.subject WHERE slot = $1
UNION ALL
SELECT kind, count(*) FROM replica.record WHERE slot = $1 GROUP BY kind;

-- name: count_lost
-- How many rows of each kind slot $1 holds, and how many of them slot $2 lacks, unread lines not counted as lost.
SELECT 'registration' AS kind, count(*) AS held, count(*) FILTER (WHERE n.uscc IS NULL AND q.record_id IS NULL) AS lost
FROM replica.subject AS o
LEFT JOIN replica.subject AS n ON n.slot = $2 AND n.uscc = o.uscc
LEFT JOIN replica.quarantine AS q ON q.slot = $2 AND q.record_id = o.uscc
WHERE o.slot = $1
UNION ALL
SELECT o.kind, count(*), count(*) FILTER (WHERE n.record_id IS NULL AND q.record_id IS NULL)
FROM replica.record AS o
LEFT JOIN replica.record AS n ON n.slot = $2 AND n.record_id = o.record_id
LEFT JOIN replica.quarantine AS q ON q.slot = $2 AND q.record_id = o.record_id
WHERE o.slot = $1
GROUP BY o.kind;

-- name: record_feed_event
-- One row for operators: a version was applied, refused, or could not be reached.
INSERT INTO replica.feed_event (feed, at_ms, version, result, reason, records, quarantined)
VALUES ($1, $2, $3, $4, $5, $6, $7);

-- name: recent_feed_events
-- The newest events of a feed, newest first.
SELECT at_ms, version, result, reason, records, quarantined
FROM replica.feed_event
WHERE feed = $1
ORDER BY at_ms DESC, event_id DESC
LIMIT $2;
