-- name: create
-- Phase 1, one statement in a transaction of its own: claim the key; where the claim is fresh, write payment, operation and event.
-- The answer is always one row: what stands under the key now. idempotency.read_claim reads it.
WITH claim AS (
    INSERT INTO idempotency AS i (slot, merchant_id, livemode, key, fingerprint, object_id, operation_id, owner, lease_until,
        created_at, expires_at)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, clock_timestamp() + make_interval(secs => $9), $10, $11)
    ON CONFLICT (slot, merchant_id, livemode, key) DO UPDATE SET
        owner = CASE WHEN i.fingerprint = excluded.fingerprint AND i.response_body IS NULL AND i.lease_until < clock_timestamp()
            THEN excluded.owner ELSE i.owner END,
        lease_until = CASE WHEN i.fingerprint = excluded.fingerprint AND i.response_body IS NULL AND i.lease_until < clock_timestamp()
            THEN excluded.lease_until ELSE i.lease_until END
    RETURNING i.fingerprint, i.object_id, i.operation_id, i.owner, i.lease_until, i.response_status, i.response_body, i.expires_at
), payment AS (
    INSERT INTO payments (slot, merchant_id, livemode, id, status, version, owner, amount, currency, capture_method, payment_method,
        customer, merchant_reference, description, metadata, processor, created_at, updated_at)
    SELECT $1, $2, $3, $6, 'processing', 1, $8, $12, $13, $14, $15, $16, $17, $18, $19, $20, $10, $10
    FROM claim WHERE claim.object_id = $6
    RETURNING id
), operation AS (
    INSERT INTO operations (slot, merchant_id, livemode, id, payment_id, kind, amount, currency, processor, owner, lease_until,
        idempotency_key, created_at)
    SELECT $1, $2, $3, $7, payment.id, 'authorize', $12, $13, $20, $8, clock_timestamp() + make_interval(secs => $9), $4, $10
    FROM payment
), event AS (
    INSERT INTO events (slot, merchant_id, livemode, id, created_at, type, object_id, version, data)
    SELECT $1, $2, $3, $21, $10, $22, payment.id, 1, $23
    FROM payment
)
SELECT fingerprint, object_id, operation_id, owner, response_status, response_body, expires_at FROM claim;

-- name: settle
-- Phase 3, one statement: the guarded update of the payment, and everything that hangs off it. The guard (status, version, owner) stands on
-- the row that is updated: a late owner, whose lease was taken over, finds no row and writes nothing. Returns 1 or 0.
WITH payment AS (
    UPDATE payments SET
        status = $7, version = version + 1, updated_at = $8, amount_capturable = $9, amount_captured = $10,
        failure_code = $11, failure_message = $12, failure_processor_code = $13, next_action_url = $14, processor_reference = $15
    WHERE slot = $1 AND merchant_id = $2 AND livemode = $3 AND id = $4 AND status = 'processing' AND version = $5 AND owner = $6
    RETURNING id
), operation AS (
    UPDATE operations SET outcome = $17, processor_reference = $15, processor_code = $13, finished_at = $8
    FROM payment
    WHERE operations.slot = $1 AND operations.merchant_id = $2 AND operations.livemode = $3 AND operations.id = $16
), transfer AS (
    INSERT INTO transfers (slot, merchant_id, livemode, id, kind, debit_account, credit_account, amount, currency, payment_id,
        operation_id, available_on, created_at)
    SELECT $1, $2, $3, $18, $19, $20, $21, $22, $23, payment.id, $16, $24, $8
    FROM payment WHERE $18::uuid IS NOT NULL
), event AS (
    INSERT INTO events (slot, merchant_id, livemode, id, created_at, type, object_id, version, data)
    SELECT $1, $2, $3, $25, $8, $26, payment.id, $5 + 1, $27
    FROM payment
), answer AS (
    UPDATE idempotency SET response_status = $29, response_body = $30
    FROM payment
    WHERE idempotency.slot = $1 AND idempotency.merchant_id = $2 AND idempotency.livemode = $3 AND idempotency.key = $28
)
SELECT count(*) AS settled FROM payment;

-- name: end_lease
-- The outcome is unknown: let the next caller, or the reconciler, take over at once. Does nothing where somebody else has taken over.
WITH key AS (
    UPDATE idempotency SET lease_until = clock_timestamp()
    WHERE slot = $1 AND merchant_id = $2 AND livemode = $3 AND key = $4 AND owner = $6 AND response_body IS NULL
)
UPDATE operations SET lease_until = clock_timestamp()
WHERE slot = $1 AND merchant_id = $2 AND livemode = $3 AND id = $5 AND owner = $6 AND outcome IS NULL;

-- name: take_over
-- Become the owner of a payment whose owner's lease ran out. No row: it was settled in the meantime.
WITH payment AS (
    UPDATE payments SET owner = $5
    WHERE slot = $1 AND merchant_id = $2 AND livemode = $3 AND id = $4 AND status = 'processing'
    RETURNING id, status, version, amount, currency, capture_method, amount_capturable, amount_captured, amount_refunded, payment_method,
        customer, merchant_reference, description, metadata, failure_code, failure_message, failure_processor_code, next_action_url,
        processor, processor_reference, created_at, updated_at
), operation AS (
    UPDATE operations SET owner = $5, attempt = attempt + 1, lease_until = clock_timestamp() + make_interval(secs => $7)
    FROM payment
    WHERE operations.slot = $1 AND operations.merchant_id = $2 AND operations.livemode = $3 AND operations.id = $6
    RETURNING operations.id AS operation_id, operations.kind AS operation_kind, operations.created_at AS operation_created_at
)
SELECT id, status, version, amount, currency, capture_method, amount_capturable, amount_captured, amount_refunded, payment_method,
    customer, merchant_reference, description, metadata, failure_code, failure_message, failure_processor_code, next_action_url,
    processor, processor_reference, created_at, updated_at, operation_id, operation_kind, operation_created_at
FROM payment, operation;

-- name: stored_answer
SELECT response_status, response_body, expires_at
FROM idempotency
WHERE slot = $1 AND merchant_id = $2 AND livemode = $3 AND key = $4 AND response_body IS NOT NULL;

-- name: get
SELECT id, status, version, amount, currency, capture_method, amount_capturable, amount_captured, amount_refunded, payment_method,
    customer, merchant_reference, description, metadata, failure_code, failure_message, failure_processor_code, next_action_url,
    processor, processor_reference, created_at, updated_at
FROM payments
WHERE slot = $1 AND merchant_id = $2 AND livemode = $3 AND id = $4;
