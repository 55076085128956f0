-- {charge} and {refund} stand for the columns of a charge and of a refund: the fields of the classes of those names.

-- name: claim
-- Take the key for an attempt that cannot decide at once. A row comes back to the one that has it now, and to nobody else.
INSERT INTO operations AS o (idempotency_key, kind, fingerprint, tries, owner, lease_until)
VALUES ($1, $2, $3, 1, $4, clock_timestamp() + $5::float8 * interval '1 second')
ON CONFLICT (idempotency_key) DO UPDATE
    SET tries = o.tries + 1, owner = excluded.owner, lease_until = excluded.lease_until
    WHERE o.fingerprint = excluded.fingerprint
      AND o.status_code IS NULL
      AND (o.owner IS NULL OR o.lease_until < clock_timestamp())
RETURNING tries

-- name: release
-- Give the key back: nothing was done under it.
UPDATE operations SET owner = NULL, lease_until = NULL
WHERE idempotency_key = $1 AND owner = $2 AND status_code IS NULL

-- name: open_charge
-- Decide, charge, store the answer and tell: all or nothing. Without an owner ($6) the key must be free, with one it must
-- still be that owner's, so that an attempt which was given up in the meantime charges nobody.
WITH operation AS (
    INSERT INTO operations AS o (idempotency_key, kind, fingerprint, tries, charge_id, status_code, answer)
    VALUES ($1, 'charge', $2, 1, $3, $4, $5)
    ON CONFLICT (idempotency_key) DO UPDATE
        SET charge_id = excluded.charge_id, status_code = excluded.status_code, answer = excluded.answer,
            owner = NULL, lease_until = NULL
        WHERE o.fingerprint = excluded.fingerprint
          AND o.status_code IS NULL
          AND CASE WHEN $6::text IS NULL THEN o.owner IS NULL OR o.lease_until < clock_timestamp() ELSE o.owner = $6 END
    RETURNING idempotency_key
), charge AS (
    INSERT INTO charges (id, reference, amount, currency, source, capture, idempotency_key, created_at, status,
                         amount_captured, amount_voided, amount_refunded, amount_refund_pending,
                         failure_code, failure_message, settles_at, version)
    SELECT $3, $7, $8, $9, $10, $11, idempotency_key, $12, $13, $14, 0, 0, 0, $15, $16, $17, 1
    FROM operation
    RETURNING id
), outbox AS (
    INSERT INTO notifications (id, type, reference, charge_id, body, copies, created_at, next_attempt_at)
    SELECT n.id, n.type, $7, charge.id, n.body, n.copies, n.created_at, clock_timestamp() + n.delay * interval '1 second'
    FROM charge, unnest($18::text[], $19::text[], $20::text[], $21::timestamptz[], $22::int[], $23::float8[])
        WITH ORDINALITY AS n (id, type, body, created_at, copies, delay, nth)
    ORDER BY n.nth
)
SELECT id FROM charge

-- name: begin_change
-- Take the key inside the transaction that makes the change. A second caller waits here for the first one's commit,
-- and then gets no row.
INSERT INTO operations (idempotency_key, kind, fingerprint, tries, charge_id)
SELECT $1, $2, $3, 1, id FROM charges WHERE id = $4
ON CONFLICT (idempotency_key) DO NOTHING
RETURNING idempotency_key

-- name: finish_change
UPDATE operations SET status_code = $2, answer = $3, refund_id = $4
WHERE idempotency_key = $1 AND status_code IS NULL

-- name: save_charge
-- The version is the second lock: the state that the change was computed from must still be there.
UPDATE charges
SET status = $3, amount_captured = $4, amount_voided = $5, amount_refunded = $6, amount_refund_pending = $7,
    failure_code = $8, failure_message = $9, settles_at = $10, version = version + 1
WHERE id = $1 AND version = $2
RETURNING version

-- name: save_refund
INSERT INTO refunds AS r (id, charge_id, amount, status, idempotency_key, created_at, settles_at, settles_as)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
ON CONFLICT (id) DO UPDATE
    SET status = excluded.status, settles_at = excluded.settles_at, settles_as = excluded.settles_as
    WHERE r.status = 'pending'
RETURNING id

-- name: save_notifications
INSERT INTO notifications (id, type, reference, charge_id, body, copies, created_at, next_attempt_at)
SELECT n.id, n.type, $1, $2, n.body, n.copies, n.created_at, clock_timestamp() + n.delay * interval '1 second'
FROM unnest($3::text[], $4::text[], $5::text[], $6::timestamptz[], $7::int[], $8::float8[])
    WITH ORDINALITY AS n (id, type, body, created_at, copies, delay, nth)
ORDER BY n.nth

-- name: operation
SELECT idempotency_key, kind, fingerprint, charge_id, refund_id, status_code, answer,
       status_code IS NULL AND owner IS NOT NULL AND lease_until >= clock_timestamp() AS in_progress
FROM operations WHERE idempotency_key = $1

-- name: abandon
-- Before anyone is told that nothing was done, make sure that an attempt whose lease ran out cannot do it any more.
UPDATE operations SET owner = NULL, lease_until = NULL
WHERE idempotency_key = $1 AND status_code IS NULL AND (owner IS NULL OR lease_until < clock_timestamp())
RETURNING idempotency_key

-- name: probe
-- Rolled back at once. The unique index makes this wait for a transaction that is doing something under the key right now;
-- a row comes back only if there is none.
INSERT INTO operations (idempotency_key, kind, fingerprint, tries) VALUES ($1, 'charge', '', 0)
ON CONFLICT (idempotency_key) DO NOTHING
RETURNING idempotency_key

-- name: charge
SELECT {charge}
FROM charges WHERE id = $1

-- name: charges
SELECT {charge}
FROM charges
WHERE created_at >= $1 AND created_at <= $2 AND (created_at, id) < ($3, $4)
ORDER BY created_at DESC, id DESC
LIMIT $5

-- name: charges_of_reference
SELECT {charge}
FROM charges
WHERE reference = $6 AND created_at >= $1 AND created_at <= $2 AND (created_at, id) < ($3, $4)
ORDER BY created_at DESC, id DESC
LIMIT $5

-- name: refund
SELECT {refund}
FROM refunds WHERE id = $1

-- name: refunds
SELECT {refund}
FROM refunds WHERE charge_id = $1
ORDER BY created_at, id

-- name: charges_to_settle
SELECT id FROM charges WHERE settles_at <= clock_timestamp() ORDER BY settles_at LIMIT $1

-- name: refunds_to_settle
SELECT id, charge_id FROM refunds WHERE settles_at <= clock_timestamp() ORDER BY settles_at LIMIT $1
