-- name: claim
-- A fragment: the CTE with which the statement of every phase 1 begins. Parameters $1 to $13 are those of idempotency.Request.claim_parameters.
INSERT INTO idempotency AS i (slot, merchant_id, livemode, key, fingerprint, object_id, operation_id, owner, lease_until, created_at,
    expires_at, response_status, response_body)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, clock_timestamp() + make_interval(secs => $9), $10, $11, $12, $13)
ON CONFLICT (slot, merchant_id, livemode, key) DO UPDATE SET
    owner = CASE WHEN i.fingerprint = excluded.fingerprint AND i.response_body IS NULL AND i.lease_until < clock_timestamp()
        THEN excluded.owner ELSE i.owner END,
    lease_until = CASE WHEN i.fingerprint = excluded.fingerprint AND i.response_body IS NULL AND i.lease_until < clock_timestamp()
        THEN excluded.lease_until ELSE i.lease_until END
RETURNING i.fingerprint, i.object_id, i.operation_id, i.owner, i.lease_until, i.response_status, i.response_body, i.expires_at;

-- name: stored_answer
SELECT response_status, response_body, expires_at
FROM idempotency
WHERE slot = $1 AND merchant_id = $2 AND livemode = $3 AND key = $4 AND response_body IS NOT NULL;

-- name: own_claim
SELECT fingerprint, object_id, operation_id, owner, response_status, response_body, expires_at
FROM idempotency
WHERE slot = $1 AND merchant_id = $2 AND livemode = $3 AND key = $4 AND operation_id = $5;
