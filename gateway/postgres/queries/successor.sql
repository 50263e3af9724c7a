-- name: serving_workers
-- Workers connected to this database.
SELECT count(*)
FROM pg_catalog.pg_stat_activity
WHERE datname = current_database() AND application_name LIKE 'credit-gateway worker%';

-- name: head_size
-- How many leaves a log has.
SELECT size FROM audit.head WHERE log_id = $1;

-- name: take_one_time_ids
-- Take the one-time ids of the last $3 days along into log $2: a proof used in log $1 must not be good once more.
INSERT INTO audit.request (log_id, req_day, req_id)
SELECT $2, req_day, req_id
FROM audit.request
WHERE log_id = $1 AND req_day >= (now() AT TIME ZONE 'UTC')::date - $3::integer
ON CONFLICT DO NOTHING;

-- name: close_log
-- Say that a log has a successor.
UPDATE audit.log
SET frozen_ms = (extract(epoch FROM now()) * 1000)::bigint
WHERE log_id = $1 AND frozen_ms IS NULL;
