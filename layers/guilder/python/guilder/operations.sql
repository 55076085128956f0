-- name: take_over
-- The operation's row is the lock; a payment that is being authorized gets the new owner too, since its row is what phase 3 guards.
WITH operation AS (
    UPDATE operations SET owner = $5, attempt = least(attempt, 32766) + 1, lease_until = clock_timestamp() + make_interval(secs => $6)
    WHERE slot = $1 AND merchant_id = $2 AND livemode = $3 AND id = $4 AND outcome IS NULL AND lease_until < clock_timestamp()
    RETURNING {columns}
), payment AS (
    UPDATE payments SET owner = $5
    FROM operation
    WHERE payments.slot = $1 AND payments.merchant_id = $2 AND payments.livemode = $3 AND payments.id = operation.payment_id
        AND payments.status = 'processing' AND operation.kind = 'authorize'
)
SELECT {columns}
FROM operation;

-- name: leave_open
-- The key's lease ends with the operation's, and only with it: a late owner, whose operation somebody else has taken over, ends neither.
WITH operation AS (
    UPDATE operations SET lease_until = clock_timestamp(), check_at = clock_timestamp() + make_interval(secs => $6)
    WHERE slot = $1 AND merchant_id = $2 AND livemode = $3 AND id = $4 AND owner = $5 AND outcome IS NULL
    RETURNING id
)
UPDATE idempotency SET lease_until = clock_timestamp()
FROM operation
WHERE slot = $1 AND merchant_id = $2 AND livemode = $3 AND key = $7 AND operation_id = operation.id AND response_body IS NULL;

-- name: close
-- The first statement of a settling transaction: whoever closes the operation settles it. A late owner finds no row.
UPDATE operations SET outcome = $6, processor_reference = $7, processor_code = $8, finished_at = $9
WHERE slot = $1 AND merchant_id = $2 AND livemode = $3 AND id = $4 AND owner = $5 AND outcome IS NULL
RETURNING id;

-- name: get
SELECT {columns},
    outcome
FROM operations
WHERE slot = $1 AND merchant_id = $2 AND livemode = $3 AND id = $4;

-- name: due
-- Across all merchants of the cell: this is the reconciler's work list, and each row is then worked on under its own merchant's name.
SELECT slot, merchant_id, livemode, id
FROM operations
WHERE outcome IS NULL AND check_at < clock_timestamp() AND lease_until < clock_timestamp()
ORDER BY check_at
LIMIT $1;
