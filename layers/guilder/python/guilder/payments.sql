-- name: create
-- Phase 1: claim the key; where the claim is fresh, write payment, operation and event. The answer is always one row: what stands under
-- the key now.
WITH claim AS (
    {claim}
), payment AS (
    INSERT INTO payments (slot, merchant_id, livemode, id, status, version, owner, amount, currency, capture_method, payment_method,
        customer, merchant_reference, description, metadata, processor, created_at, updated_at)
    SELECT $1, $2, $3, $6, $27, 1, $8, $14, $15, $16, $17, $18, $19, $20, $21, $22, $10, $10
    FROM claim WHERE claim.operation_id = $7
    RETURNING id
), operation AS (
    INSERT INTO operations (slot, merchant_id, livemode, id, payment_id, kind, amount, currency, processor, owner, lease_until, check_at,
        answer_status, idempotency_key, created_at)
    SELECT $1, $2, $3, $7, payment.id, 'authorize', $14, $15, $22, $8, clock_timestamp() + make_interval(secs => $9),
        clock_timestamp() + make_interval(secs => $9), $26, $4, $10
    FROM payment WHERE $27 = 'processing'
), event AS (
    INSERT INTO events (slot, merchant_id, livemode, id, created_at, type, object_id, version, data)
    SELECT $1, $2, $3, $23, $10, $24, payment.id, 1, $25
    FROM payment
)
SELECT fingerprint, object_id, operation_id, owner, response_status, response_body, expires_at FROM claim;

-- name: confirm
-- Phase 1 of a confirmation: the payment, at the version that the caller saw, becomes `processing`.
WITH claim AS (
    {claim}
), payment AS (
    UPDATE payments SET status = 'processing', version = version + 1, owner = $8, updated_at = $15
    WHERE slot = $1 AND merchant_id = $2 AND livemode = $3 AND id = $6 AND status = 'requires_confirmation' AND version = $14
        AND (SELECT claim.operation_id FROM claim) = $7
    RETURNING id, amount, currency, processor
), operation AS (
    INSERT INTO operations (slot, merchant_id, livemode, id, payment_id, kind, amount, currency, processor, owner, lease_until, check_at,
        answer_status, idempotency_key, created_at)
    SELECT $1, $2, $3, $7, payment.id, 'authorize', payment.amount, payment.currency, payment.processor, $8,
        clock_timestamp() + make_interval(secs => $9), clock_timestamp() + make_interval(secs => $9), $19, $4, $10
    FROM payment
), event AS (
    INSERT INTO events (slot, merchant_id, livemode, id, created_at, type, object_id, version, data)
    SELECT $1, $2, $3, $16, $15, $17, payment.id, $14 + 1, $18
    FROM payment
)
SELECT fingerprint, object_id, operation_id, owner, response_status, response_body, expires_at,
    CASE WHEN operation_id = $7 AND NOT EXISTS (SELECT FROM payment) THEN refuse('payment') END AS refused
FROM claim;

-- name: settle
-- Phase 3 of an authorization, one statement: the guarded update of the payment, and everything that hangs off it. The guard (status,
-- version, owner) stands on the row that is updated: a late owner, whose lease was taken over, finds no row and writes nothing.
WITH payment AS (
    UPDATE payments SET
        status = $7, version = version + 1, updated_at = $8, amount_capturable = $9, amount_captured = $10,
        failure_code = $11, failure_message = $12, failure_processor_code = $13, next_action_url = $14, processor_reference = $15,
        authorization_expires_at = $30
    WHERE slot = $1 AND merchant_id = $2 AND livemode = $3 AND id = $4 AND status = $31 AND version = $5 AND owner = $6
    RETURNING id
), operation AS (
    UPDATE operations SET outcome = $17, processor_reference = $15, processor_code = $13, authorization_expires_at = $30,
        finished_at = CASE WHEN $17::text IS NULL THEN NULL ELSE $8 END,
        lease_until = clock_timestamp(), check_at = clock_timestamp() + make_interval(secs => $33)
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
    UPDATE idempotency SET response_status = $29, response_body = $32
    FROM payment
    WHERE idempotency.slot = $1 AND idempotency.merchant_id = $2 AND idempotency.livemode = $3 AND idempotency.key = $28
        AND idempotency.operation_id = $16 AND idempotency.response_body IS NULL
)
SELECT count(*) AS settled FROM payment;

-- name: cancel_unconfirmed
-- A payment that no processor knows of is canceled in one statement, its answer stored by the claim.
WITH claim AS (
    {claim}
), payment AS (
    UPDATE payments SET status = 'canceled', version = version + 1, cancellation_reason = 'requested', updated_at = $15
    WHERE slot = $1 AND merchant_id = $2 AND livemode = $3 AND id = $6 AND status = 'requires_confirmation' AND version = $14
        AND (SELECT claim.operation_id FROM claim) = $7
    RETURNING id
), event AS (
    INSERT INTO events (slot, merchant_id, livemode, id, created_at, type, object_id, version, data)
    SELECT $1, $2, $3, $16, $15, $17, payment.id, $14 + 1, $18
    FROM payment
)
SELECT fingerprint, object_id, operation_id, owner, response_status, response_body, expires_at,
    CASE WHEN operation_id = $7 AND NOT EXISTS (SELECT FROM payment) THEN refuse('payment') END AS refused
FROM claim;

-- name: begin_capture
-- Reserves the amount: captures under way and done never exceed what is authorized, whoever asks at the same time. A cancellation that
-- began while the payer had not acted reserved nothing, so it is looked for: it began before the payment could be captured.
WITH claim AS (
    {claim}
), payment AS (
    UPDATE payments SET capture_pending = capture_pending + $14
    WHERE slot = $1 AND merchant_id = $2 AND livemode = $3 AND id = $6 AND status = 'requires_capture'
        AND amount_capturable - capture_pending >= $14 AND (SELECT claim.operation_id FROM claim) = $7
        AND NOT EXISTS (
            SELECT FROM operations AS o
            WHERE o.slot = $1 AND o.merchant_id = $2 AND o.livemode = $3 AND o.payment_id = payments.id
                AND o.kind = 'cancel' AND o.outcome IS NULL)
    RETURNING id, currency, processor, processor_reference
), operation AS (
    INSERT INTO operations (slot, merchant_id, livemode, id, payment_id, kind, amount, currency, processor, charge_reference, owner,
        lease_until, check_at, answer_status, idempotency_key, created_at)
    SELECT $1, $2, $3, $7, payment.id, 'capture', $14, payment.currency, payment.processor, payment.processor_reference, $8,
        clock_timestamp() + make_interval(secs => $9), clock_timestamp() + make_interval(secs => $9), $15, $4, $10
    FROM payment
)
SELECT fingerprint, object_id, operation_id, owner, response_status, response_body, expires_at,
    CASE WHEN operation_id = $7 AND NOT EXISTS (SELECT FROM payment) THEN refuse('payment') END AS refused
FROM claim;

-- name: begin_cancel
-- Reserves all that is not captured, if no capture is under way. A payment that waits for its payer has nothing to reserve.
WITH claim AS (
    {claim}
), payment AS (
    UPDATE payments SET capture_pending = amount_capturable
    WHERE slot = $1 AND merchant_id = $2 AND livemode = $3 AND id = $6 AND status IN ('requires_capture', 'requires_action')
        AND capture_pending = 0 AND (SELECT claim.operation_id FROM claim) = $7
    RETURNING id, amount, amount_capturable, currency, processor, processor_reference
), operation AS (
    INSERT INTO operations (slot, merchant_id, livemode, id, payment_id, kind, amount, currency, processor, charge_reference, reason, owner,
        lease_until, check_at, answer_status, idempotency_key, created_at)
    SELECT $1, $2, $3, $7, payment.id, 'cancel', $14, payment.currency, payment.processor,
        payment.processor_reference, 'requested', $8, clock_timestamp() + make_interval(secs => $9),
        clock_timestamp() + make_interval(secs => $9), $15, $4, $10
    FROM payment WHERE $14 = CASE WHEN amount_capturable > 0 THEN amount_capturable ELSE amount END
    RETURNING id
)
SELECT fingerprint, object_id, operation_id, owner, response_status, response_body, expires_at,
    CASE WHEN operation_id = $7 AND NOT EXISTS (SELECT FROM operation) THEN refuse('payment') END AS refused
FROM claim;

-- name: begin_expiry
-- As begin_cancel, begun by the worker for an authorization that ran out. The date is cleared once the cancellation has begun, or there is
-- nothing left to cancel; while a capture is under way it stays, and the worker comes back.
WITH payment AS (
    UPDATE payments SET capture_pending = amount_capturable
    FROM operations
    WHERE operations.slot = $1 AND operations.merchant_id = $2 AND operations.livemode = $3 AND operations.id = $4
        AND operations.authorization_expires_at <= $8
        AND payments.slot = $1 AND payments.merchant_id = $2 AND payments.livemode = $3 AND payments.id = operations.payment_id
        AND payments.status = 'requires_capture' AND payments.capture_pending = 0
    RETURNING payments.id, payments.amount_capturable, payments.currency, payments.processor, payments.processor_reference
), cleared AS (
    UPDATE operations SET authorization_expires_at = NULL
    WHERE slot = $1 AND merchant_id = $2 AND livemode = $3 AND id = $4
        AND (EXISTS (SELECT FROM payment) OR NOT EXISTS (
            SELECT FROM payments AS p
            WHERE p.slot = $1 AND p.merchant_id = $2 AND p.livemode = $3 AND p.id = operations.payment_id AND p.status = 'requires_capture'))
)
INSERT INTO operations (slot, merchant_id, livemode, id, payment_id, kind, amount, currency, processor, charge_reference, reason, owner,
    lease_until, check_at, created_at)
SELECT $1, $2, $3, $5, payment.id, 'cancel', payment.amount_capturable, payment.currency, payment.processor, payment.processor_reference,
    'authorization_expired', $6, clock_timestamp() + make_interval(secs => $7), clock_timestamp() + make_interval(secs => $7), $8
FROM payment
RETURNING {operation_columns};

-- name: expiring
-- Across all merchants of the cell: the worker's list.
SELECT slot, merchant_id, livemode, id
FROM operations
WHERE authorization_expires_at <= $2
ORDER BY authorization_expires_at
LIMIT $1;

-- name: captured
UPDATE payments SET
    amount_captured = amount_captured + $5, amount_capturable = amount_capturable - $5, capture_pending = capture_pending - $5,
    status = CASE WHEN amount_capturable = $5 THEN 'succeeded' ELSE status END, version = version + 1, updated_at = greatest(updated_at, $6)
WHERE slot = $1 AND merchant_id = $2 AND livemode = $3 AND id = $4 AND status = 'requires_capture' AND capture_pending >= $5
RETURNING {columns};

-- name: canceled
-- A payment that waited for its payer has its authorization open: it ends with the payment, so that nobody asks about it any more.
WITH payment AS (
    UPDATE payments SET
    amount_capturable = 0, capture_pending = 0, next_action_url = NULL, cancellation_reason = $5,
    status = CASE WHEN amount_captured > 0 THEN 'succeeded' ELSE 'canceled' END, version = version + 1, updated_at = greatest(updated_at, $6)
WHERE slot = $1 AND merchant_id = $2 AND livemode = $3 AND id = $4 AND status IN ('requires_capture', 'requires_action')
RETURNING {columns}
), ended AS (
    UPDATE operations SET outcome = 'declined', finished_at = $6
    FROM payment
    WHERE operations.slot = $1 AND operations.merchant_id = $2 AND operations.livemode = $3 AND operations.payment_id = payment.id
        AND operations.kind = 'authorize' AND operations.outcome IS NULL
)
SELECT {columns}
FROM payment;

-- name: released
-- A capture or cancellation that was not done gives its reservation back. Nothing that the API shows has changed.
UPDATE payments SET capture_pending = capture_pending - least(capture_pending, $5)
WHERE slot = $1 AND merchant_id = $2 AND livemode = $3 AND id = $4
RETURNING {columns};

-- name: flag_late_success
-- The processor says that a failed payment was charged after all: flag it, once, and begin to undo the charge.
WITH payment AS (
    UPDATE payments SET review = 'late_success_reversed', version = version + 1, updated_at = greatest(updated_at, $9),
        processor_reference = $6
    WHERE slot = $1 AND merchant_id = $2 AND livemode = $3 AND id = $4 AND status = 'failed' AND review IS NULL
    RETURNING {columns}
), operation AS (
    INSERT INTO operations (slot, merchant_id, livemode, id, payment_id, kind, amount, currency, processor, charge_reference, owner,
        lease_until, check_at, created_at)
    SELECT $1, $2, $3, $5, payment.id, 'reverse', payment.amount, payment.currency, payment.processor, $6, $7,
        clock_timestamp() + make_interval(secs => $8), clock_timestamp() + make_interval(secs => $8), $9
    FROM payment
)
SELECT {columns}
FROM payment;

-- name: record
-- What hangs off a settled change, within its transaction: the event, the transfer if money moved, and the answer if a key waits for it.
WITH event AS (
    INSERT INTO events (slot, merchant_id, livemode, id, created_at, type, object_id, version, data)
    SELECT $1, $2, $3, $6, $7, $8, $4, $9, $10
    WHERE $6::uuid IS NOT NULL
), transfer AS (
    INSERT INTO transfers (slot, merchant_id, livemode, id, kind, debit_account, credit_account, amount, currency, payment_id,
        operation_id, available_on, created_at)
    SELECT $1, $2, $3, $11, $12, $13, $14, $15, $16, $4, $5, $17, $7
    WHERE $11::uuid IS NOT NULL
)
UPDATE idempotency SET response_status = $19, response_body = $20
WHERE slot = $1 AND merchant_id = $2 AND livemode = $3 AND key = $18 AND operation_id = $5 AND response_body IS NULL;

-- name: cancel_under_way
SELECT EXISTS (
    SELECT FROM operations
    WHERE slot = $1 AND merchant_id = $2 AND livemode = $3 AND payment_id = $4 AND kind = 'cancel' AND outcome IS NULL) AS under_way;

-- name: get
SELECT {columns}
FROM payments
WHERE slot = $1 AND merchant_id = $2 AND livemode = $3 AND id = $4;
