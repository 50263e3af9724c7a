-- name: feed_head_of
-- Read which version of a feed is answered from, for operators.
SELECT h.version, h.as_of_ms, h.record_count, h.applied_ms,
    (SELECT count(*) FROM replica.quarantine AS q WHERE q.slot = h.slot) AS quarantined
FROM replica.feed_head AS h
WHERE h.feed = $1;
