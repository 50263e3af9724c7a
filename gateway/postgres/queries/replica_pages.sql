-- name: page_head
-- What the replica says it stands on, in the snapshot of the page that follows.
SELECT slot, version, manifest_sha256, as_of_ms, record_count FROM replica.feed_head WHERE feed = $1;

-- name: held_registrations
-- Every column of some registrations that an answer may rest on.
SELECT uscc, reg_no, name, name_key, body FROM replica.subject WHERE slot = $1 AND uscc = ANY ($2::text[]);

-- name: held_records
-- Every column of some records that an answer may rest on.
SELECT record_id, subject_key, kind, body FROM replica.record WHERE slot = $1 AND record_id = ANY ($2::text[]);

-- name: held_unread
-- Every column of some unread lines.
SELECT record_id, subject_key, version, line, reason, line_sha256
FROM replica.quarantine
WHERE slot = $1 AND record_id = ANY ($2::text[]);

-- name: registration_keys
-- The next codes from one on, in the order of the index.
SELECT uscc AS key FROM replica.subject WHERE slot = $1 AND uscc >= $2 ORDER BY uscc LIMIT $3;

-- name: record_keys
-- The next record ids from one on, in the order of the index.
SELECT record_id AS key FROM replica.record WHERE slot = $1 AND record_id >= $2 ORDER BY record_id LIMIT $3;

-- name: unread_keys
-- The next ids of unread lines from one on, in the order of the index.
SELECT record_id AS key FROM replica.quarantine WHERE slot = $1 AND record_id >= $2 ORDER BY record_id LIMIT $3;
