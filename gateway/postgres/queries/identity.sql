-- name: find_client
-- Read a client with all its keys; one row without key columns for a partner that has none, no row for nobody.
SELECT p.partner_id, p.client_id, p.name, p.sector, p.scopes, p.purposes, p.state,
    k.thumbprint, k.kid, k.alg, k.jwk, k.purpose AS key_purpose, k.state AS key_state, k.not_before_ms, k.retire_at_ms,
    k.created_ms AS key_created_ms, k.revoked_ms
FROM identity.partner AS p
LEFT JOIN identity.partner_key AS k USING (partner_id)
WHERE p.client_id = $1
ORDER BY k.created_ms, k.thumbprint;

-- name: find_candidates
-- Read a client with its keys of one name, or with all. For nobody the same is done with whichever client comes first, so that nobody
-- costs the same, and rows of constants come back: is_client and is_key say what of them is true.
SELECT asked.found IS NOT NULL AS is_client,
    CASE WHEN asked.found IS NULL THEN 'prt_00000000000000000000000000' ELSE p.partner_id END AS partner_id,
    $1::text AS client_id,
    CASE WHEN asked.found IS NULL THEN 'nobody' ELSE p.name END AS name,
    CASE WHEN asked.found IS NULL THEN 'nothing' ELSE p.sector END AS sector,
    CASE WHEN asked.found IS NULL THEN '{verifications}' ELSE p.scopes END AS scopes,
    CASE WHEN asked.found IS NULL THEN '{onboarding,risk}' ELSE p.purposes END AS purposes,
    CASE WHEN asked.found IS NULL THEN 'closed' ELSE p.state END AS state,
    asked.found IS NOT NULL AND k.kid IS NOT NULL AS is_key,
    CASE WHEN asked.found IS NULL OR k.kid IS NULL THEN 'decoy' ELSE k.kid END AS kid,
    CASE WHEN asked.found IS NULL OR k.kid IS NULL THEN 'ES256' ELSE k.alg END AS alg,
    CASE WHEN asked.found IS NULL OR k.kid IS NULL THEN repeat('x', 130) ELSE k.jwk END AS jwk,
    CASE WHEN asked.found IS NULL OR k.kid IS NULL THEN 'client-auth' ELSE k.purpose END AS key_purpose,
    CASE WHEN asked.found IS NULL OR k.kid IS NULL THEN 'retired' ELSE k.state END AS key_state,
    CASE WHEN asked.found IS NULL OR k.kid IS NULL THEN 0 ELSE k.not_before_ms END AS not_before_ms,
    CASE WHEN asked.found IS NULL THEN NULL ELSE k.retire_at_ms END AS retire_at_ms,
    CASE WHEN asked.found IS NULL OR k.kid IS NULL THEN 0 ELSE k.created_ms END AS key_created_ms,
    CASE WHEN asked.found IS NULL THEN NULL ELSE k.revoked_ms END AS revoked_ms
FROM (
    SELECT (SELECT client_id FROM identity.partner WHERE client_id = $1) AS found,
        (SELECT client_id FROM identity.partner ORDER BY client_id LIMIT 1) AS first
) AS asked
LEFT JOIN identity.partner AS p ON p.client_id = coalesce(asked.found, asked.first)
LEFT JOIN identity.partner_key AS k ON k.partner_id = p.partner_id AND ($2::text IS NULL OR k.kid = $2);

-- name: list_partners
-- Read all partners with the number of their live keys, for operators.
SELECT p.partner_id, p.client_id, p.name, p.sector, p.scopes, p.purposes, p.state,
    (SELECT count(*) FROM identity.partner_key AS k WHERE k.partner_id = p.partner_id AND k.state IN ('active', 'retiring'))
        AS live_keys
FROM identity.partner AS p
ORDER BY p.client_id;

-- name: add_partner
-- Bring a partner on; nothing is inserted if the client identifier is taken.
INSERT INTO identity.partner (partner_id, client_id, name, sector, scopes, purposes, state, created_ms)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
ON CONFLICT DO NOTHING
RETURNING partner_id;

-- name: lock_partner
-- Lock a partner while one of its keys changes, so that two operators cannot both add the last allowed key.
SELECT partner_id, state FROM identity.partner WHERE client_id = $1 FOR UPDATE;

-- name: thumbprint_known
-- Tell whether a key is known under any partner, in any state.
SELECT EXISTS (SELECT FROM identity.partner_key WHERE thumbprint = $1) AS known;

-- name: add_key
-- Register a public key; nothing is inserted if its thumbprint or its name is taken.
INSERT INTO identity.partner_key
    (thumbprint, partner_id, kid, alg, jwk, purpose, state, not_before_ms, retire_at_ms, created_ms, revoked_ms)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, NULL)
ON CONFLICT DO NOTHING
RETURNING thumbprint;

-- name: owner_of_key
-- Find whose key a thumbprint is.
SELECT p.client_id
FROM identity.partner_key AS k
JOIN identity.partner AS p USING (partner_id)
WHERE k.thumbprint = $1;

-- name: end_key
-- Take a key out of use.
UPDATE identity.partner_key
SET state = $2, revoked_ms = $3
WHERE thumbprint = $1 AND state <> 'compromised'
RETURNING thumbprint;
