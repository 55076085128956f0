-- name: begin
-- Phase 1: reserves the amount on the payment, so that refunds done and under way never exceed what was captured, whoever asks at the same
-- time. The relative update sees each other refund's reservation; reading a sum beforehand would not.
WITH claim AS (
    {claim}
), payment AS (
    UPDATE payments SET refund_pending = refund_pending + $15
    WHERE slot = $1 AND merchant_id = $2 AND livemode = $3 AND id = $14
        AND amount_captured - amount_refunded - refund_pending >= $15 AND (SELECT claim.operation_id FROM claim) = $7
    RETURNING id, currency, processor, processor_reference
), refund AS (
    INSERT INTO refunds (slot, merchant_id, livemode, id, payment_id, operation_id, status, version, amount, currency, reason, metadata,
        processor, created_at, updated_at)
    SELECT $1, $2, $3, $6, payment.id, $7, 'pending', 1, $15, payment.currency, $16, $17, payment.processor, $10, $10
    FROM payment
), operation AS (
    INSERT INTO operations (slot, merchant_id, livemode, id, payment_id, refund_id, kind, amount, currency, processor, charge_reference,
        owner, lease_until, check_at, answer_status, idempotency_key, created_at)
    SELECT $1, $2, $3, $7, payment.id, $6, 'refund', $15, payment.currency, payment.processor, payment.processor_reference, $8,
        clock_timestamp() + make_interval(secs => $9), clock_timestamp() + make_interval(secs => $9), $18, $4, $10
    FROM payment
), event AS (
    INSERT INTO events (slot, merchant_id, livemode, id, created_at, type, object_id, version, data)
    SELECT $1, $2, $3, $19, $10, $20, $6, 1, $21
    FROM payment
)
SELECT fingerprint, object_id, operation_id, owner, response_status, response_body, expires_at,
    CASE WHEN operation_id = $7 AND NOT EXISTS (SELECT FROM payment) THEN refuse('payment') END AS refused
FROM claim;

-- name: pending
-- The processor has taken the refund on and decides later: its own reference is known, the operation stays open. The guard stands on the
-- operation's row: a late owner stores no answer.
WITH operation AS (
    UPDATE operations SET lease_until = clock_timestamp(), check_at = clock_timestamp() + make_interval(secs => $7),
        processor_reference = $8
    WHERE slot = $1 AND merchant_id = $2 AND livemode = $3 AND id = $4 AND owner = $5 AND outcome IS NULL
    RETURNING id
), answer AS (
    UPDATE idempotency SET response_status = $9, response_body = $10
    FROM operation
    WHERE idempotency.slot = $1 AND idempotency.merchant_id = $2 AND idempotency.livemode = $3 AND idempotency.key = $6
        AND idempotency.operation_id = $4 AND idempotency.response_body IS NULL
)
SELECT id FROM operation;

-- name: refunded
UPDATE payments SET amount_refunded = amount_refunded + $5, refund_pending = refund_pending - $5, version = version + 1,
    updated_at = greatest(updated_at, $6)
WHERE slot = $1 AND merchant_id = $2 AND livemode = $3 AND id = $4 AND refund_pending >= $5
RETURNING {payment_columns};

-- name: released
UPDATE payments SET refund_pending = refund_pending - $5
WHERE slot = $1 AND merchant_id = $2 AND livemode = $3 AND id = $4 AND refund_pending >= $5;

-- name: finished
-- The refund and its event, within the settling transaction.
UPDATE refunds SET status = $5, version = version + 1, processor_reference = $6, failure_code = $7, failure_message = $8,
    failure_processor_code = $9, updated_at = greatest(updated_at, $10)
WHERE slot = $1 AND merchant_id = $2 AND livemode = $3 AND id = $4 AND status = 'pending'
RETURNING {columns};

-- name: finished_event
INSERT INTO events (slot, merchant_id, livemode, id, created_at, type, object_id, version, data)
VALUES ($1, $2, $3, $5, $6, $7, $4, $8, $9);

-- name: get
SELECT {columns}
FROM refunds
WHERE slot = $1 AND merchant_id = $2 AND livemode = $3 AND id = $4;
