-- name: safeguards
-- List what guards the tables, each with a digest of what it does, from catalog columns that mean the same in every version.
-- A partition counts wherever it lies: a table is ours by its schema, or by what it inherits from.
WITH RECURSIVE ours AS (
    SELECT c.oid
    FROM pg_catalog.pg_class AS c
    JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
    WHERE n.nspname IN ('audit', 'identity', 'replica')
    UNION
    SELECT i.inhrelid
    FROM ours
    JOIN pg_catalog.pg_inherits AS i ON i.inhparent = ours.oid
)
SELECT 'function ' || n.nspname || '.' || p.proname || '(' || pg_catalog.pg_get_function_identity_arguments(p.oid) || ')' AS name,
    concat_ws(E'\n', l.lanname, p.prokind, p.provolatile, p.prosecdef, p.proleakproof, array_to_string(p.proconfig, ','),
        pg_catalog.pg_get_function_result(p.oid), p.prosrc) AS content
FROM pg_catalog.pg_proc AS p
JOIN pg_catalog.pg_namespace AS n ON n.oid = p.pronamespace
JOIN pg_catalog.pg_language AS l ON l.oid = p.prolang
WHERE n.nspname IN ('audit', 'identity', 'replica')
UNION ALL
SELECT 'trigger ' || n.nspname || '.' || c.relname || '.' || t.tgname,
    concat_ws(E'\n', t.tgtype, fn.nspname || '.' || f.proname, t.tgattr::text, t.tgnargs, t.tgqual IS NULL, t.tgdeferrable)
FROM pg_catalog.pg_trigger AS t
JOIN pg_catalog.pg_class AS c ON c.oid = t.tgrelid
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
JOIN pg_catalog.pg_proc AS f ON f.oid = t.tgfoid
JOIN pg_catalog.pg_namespace AS fn ON fn.oid = f.pronamespace
WHERE c.oid IN (SELECT oid FROM ours) AND NOT t.tgisinternal AND t.tgparentid = 0
UNION ALL
SELECT 'constraint ' || n.nspname || '.' || c.relname || '.' || k.conname,
    concat_ws(E'\n', k.contype, k.convalidated, k.condeferrable, (
            SELECT rn.nspname || '.' || r.relname
            FROM pg_catalog.pg_class AS r
            JOIN pg_catalog.pg_namespace AS rn ON rn.oid = r.relnamespace
            WHERE r.oid = k.confrelid
        ),
        CASE WHEN k.contype <> 'c' THEN (
            SELECT string_agg(a.attname, ',' ORDER BY o.ord)
            FROM unnest(k.conkey) WITH ORDINALITY AS o (attnum, ord)
            JOIN pg_catalog.pg_attribute AS a ON a.attrelid = k.conrelid AND a.attnum = o.attnum
        ) END)
FROM pg_catalog.pg_constraint AS k
JOIN pg_catalog.pg_class AS c ON c.oid = k.conrelid
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
WHERE n.nspname IN ('audit', 'identity', 'replica') AND NOT c.relispartition AND k.contype IN ('p', 'u', 'f', 'c', 'x')
    AND k.conparentid = 0
UNION ALL
SELECT 'rule ' || n.nspname || '.' || c.relname || '.' || r.rulename, concat_ws(E'\n', r.ev_type, r.is_instead)
FROM pg_catalog.pg_rewrite AS r
JOIN pg_catalog.pg_class AS c ON c.oid = r.ev_class
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
WHERE c.oid IN (SELECT oid FROM ours)
UNION ALL
SELECT 'row security ' || n.nspname || '.' || c.relname, c.relforcerowsecurity::text
FROM pg_catalog.pg_class AS c
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
WHERE c.oid IN (SELECT oid FROM ours) AND c.relrowsecurity
UNION ALL
SELECT CASE
        WHEN c.relkind = 'f' THEN 'foreign partition '
        WHEN n.oid <> pn.oid THEN 'partition elsewhere '
        ELSE 'inheritance '
    END || pn.nspname || '.' || p.relname || ': ' || n.nspname || '.' || c.relname, ''
FROM pg_catalog.pg_inherits AS i
JOIN pg_catalog.pg_class AS c ON c.oid = i.inhrelid
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
JOIN pg_catalog.pg_class AS p ON p.oid = i.inhparent
JOIN pg_catalog.pg_namespace AS pn ON pn.oid = p.relnamespace
WHERE i.inhparent IN (SELECT oid FROM ours) AND p.relkind IN ('r', 'p')
    AND (c.relkind = 'f' OR n.oid <> pn.oid OR NOT c.relispartition)
UNION ALL
SELECT 'unlogged ' || n.nspname || '.' || c.relname, c.relpersistence::text
FROM pg_catalog.pg_class AS c
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
WHERE c.oid IN (SELECT oid FROM ours) AND c.relkind IN ('r', 'p') AND c.relpersistence <> 'p'
ORDER BY name;

-- name: triggers_off
-- Name the triggers that do not fire, foreign keys among them, and the settings that keep all of them from firing.
WITH RECURSIVE ours AS (
    SELECT c.oid
    FROM pg_catalog.pg_class AS c
    JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
    WHERE n.nspname IN ('audit', 'identity', 'replica')
    UNION
    SELECT i.inhrelid
    FROM ours
    JOIN pg_catalog.pg_inherits AS i ON i.inhparent = ours.oid
)
SELECT n.nspname || '.' || c.relname || '.' || CASE WHEN t.tgisinternal THEN k.conname ELSE t.tgname END AS name
FROM pg_catalog.pg_trigger AS t
JOIN pg_catalog.pg_class AS c ON c.oid = t.tgrelid
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
LEFT JOIN pg_catalog.pg_constraint AS k ON k.oid = t.tgconstraint
WHERE c.oid IN (SELECT oid FROM ours) AND t.tgenabled <> 'O'
UNION
SELECT 'session_replication_role'
WHERE pg_catalog.current_setting('session_replication_role') <> 'origin'
UNION
SELECT 'session_replication_role of ' || coalesce(s.setrole::regrole::text, 'everybody')
FROM pg_catalog.pg_db_role_setting AS s
CROSS JOIN unnest(s.setconfig) AS one (setting)
WHERE one.setting LIKE 'session_replication_role=%' AND one.setting <> 'session_replication_role=origin'
    AND s.setdatabase IN (0, (SELECT d.oid FROM pg_catalog.pg_database AS d WHERE d.datname = pg_catalog.current_database()))
ORDER BY name;
