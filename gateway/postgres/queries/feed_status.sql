-- name: feed_head_of
-- Read which version of a feed is answered from, for operators.
SELECT h.version, h.as_of_ms, h.record_count, h.applied_ms,
    (SELECT count(*) FROM replica.quarantine AS q WHERE q.slot = h.slot) AS quarantined
FROM replica.feed_head AS h
WHERE h.feed = $1;

-- name: feed_events_of
-- Read what happened lately to versions of a feed, newest first.
SELECT at_ms, version, result, reason, records, quarantined
FROM replica.feed_event
WHERE feed = $1
ORDER BY at_ms DESC, event_id DESC
LIMIT $2;
