-- The roles of the gateway and what each may do. Least privilege: what is not granted here is refused by the server.
--
-- Idempotent. Run it as a superuser before the first migration (it creates the roles) and after every migration (it grants rights
-- on what now exists). `credit-gateway migrate --roles` does both. It sets no passwords: give each role its own with
-- `ALTER ROLE gateway_api PASSWORD ...` or a line in pg_hba.conf that needs none.
--
--   gateway_owner   owns the schema; runs migrations; not used while serving
--   gateway_api     workers: append to the log, read partners and the replica
--   gateway_feed    feed process: write the replica, make partitions, forget one-time ids and idempotency keys that are over
--   gateway_admin   operators: change partners and keys, each change with its leaf in the log
--   gateway_audit   regulators: read the log

DO $roles$
DECLARE
    wanted text;
BEGIN
    FOREACH wanted IN ARRAY ARRAY['gateway_owner', 'gateway_api', 'gateway_feed', 'gateway_admin', 'gateway_audit'] LOOP
        IF NOT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = wanted) THEN
            EXECUTE format('CREATE ROLE %I LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS', wanted);
        END IF;
    END LOOP;
    EXECUTE format('REVOKE ALL ON DATABASE %I FROM PUBLIC', current_database());
    EXECUTE format('GRANT CONNECT, CREATE ON DATABASE %I TO gateway_owner', current_database());
    EXECUTE format('GRANT CONNECT ON DATABASE %I TO gateway_api, gateway_feed, gateway_admin, gateway_audit',
        current_database());
    REVOKE ALL ON SCHEMA public FROM PUBLIC;
END $roles$;

DO $grants$
DECLARE
    slot text;
BEGIN
    IF to_regclass('audit.log') IS NULL THEN
        RETURN;  -- before the first migration there is nothing to grant on
    END IF;

    REVOKE ALL ON ALL TABLES IN SCHEMA identity, audit, replica, migration
        FROM gateway_api, gateway_feed, gateway_admin, gateway_audit;
    REVOKE ALL ON ALL FUNCTIONS IN SCHEMA audit FROM PUBLIC;
    GRANT USAGE ON SCHEMA audit, identity, replica, migration TO gateway_api, gateway_feed, gateway_admin;
    GRANT USAGE ON SCHEMA audit, migration TO gateway_audit;
    GRANT SELECT ON migration.alembic_version TO gateway_api, gateway_feed, gateway_admin, gateway_audit;
    -- The function runs as its owner, makes nothing but the partitions of the log, and bounds its argument.
    GRANT EXECUTE ON FUNCTION audit.ensure_partitions(date, integer) TO gateway_api, gateway_feed, gateway_admin;

    -- Runs with the caller's own rights: it only saves a round trip under the lock.
    GRANT EXECUTE ON FUNCTION audit.enter(smallint, date[], bytea[], text[], text[], text[], bytea[], bytea[], text[],
        bigint[], bytea[], text[]) TO gateway_api, gateway_admin;

    -- The log: append, move the head. Rows of the log are never changed; the head only grows (a trigger holds it).
    GRANT SELECT, INSERT ON audit.batch, audit.entry, audit.secret, audit.request, audit.tile, audit.idempotency
        TO gateway_api, gateway_admin;
    GRANT SELECT ON audit.log TO gateway_api, gateway_admin;
    GRANT SELECT, UPDATE ON audit.head TO gateway_api, gateway_admin;
    GRANT UPDATE ON audit.idempotency TO gateway_api, gateway_admin;
    GRANT SELECT ON audit.log, audit.head, audit.batch, audit.entry, audit.tile, audit.request TO gateway_audit;

    -- Housekeeping of the feed process: what is over is forgotten. The functions run as their owner and decide what is over from more
    -- than the instant they are given; nobody who serves may drop or delete anything by itself.
    GRANT EXECUTE ON FUNCTION audit.forget_requests(bigint), audit.forget_idempotency(bigint, integer) TO gateway_feed;

    GRANT SELECT ON identity.partner, identity.partner_key TO gateway_api;
    GRANT SELECT, INSERT, UPDATE ON identity.partner, identity.partner_key TO gateway_admin;  -- no DELETE: keys never come back

    GRANT SELECT ON replica.feed_head, replica.subject, replica.record, replica.quarantine, replica.feed_event
        TO gateway_api, gateway_admin;
    GRANT SELECT, INSERT, UPDATE, DELETE ON replica.feed_head, replica.subject, replica.record, replica.quarantine
        TO gateway_feed;
    GRANT SELECT, INSERT ON replica.feed_event TO gateway_feed;
    FOREACH slot IN ARRAY ARRAY['0', '1'] LOOP
        -- A snapshot is loaded into the idle slot by name: emptied with TRUNCATE, filled with COPY.
        EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE, TRUNCATE ON replica.subject_%1$s, replica.record_%1$s, '
            'replica.quarantine_%1$s TO gateway_feed', slot);
        IF current_setting('server_version_num')::integer >= 170000 THEN  -- ANALYZE after a load, without ownership
            EXECUTE format('GRANT MAINTAIN ON replica.subject_%1$s, replica.record_%1$s, replica.quarantine_%1$s '
                'TO gateway_feed', slot);
        END IF;
    END LOOP;
END $grants$;
