-- name: page_payments
-- The end of the page that begins after $4 (none: it reaches to $5), and whether there is anything in it.
SELECT (SELECT id FROM payments WHERE slot = $1 AND merchant_id = $2 AND livemode = $3 AND id > $4 AND id <= $5
        ORDER BY id OFFSET $6 LIMIT 1) AS last,
    (SELECT count(*) FROM (SELECT FROM payments WHERE slot = $1 AND merchant_id = $2 AND livemode = $3 AND id > $4 AND id <= $5
        ORDER BY id LIMIT $6 + 1) AS page) AS rows;

-- name: page_refunds
SELECT (SELECT id FROM refunds WHERE slot = $1 AND merchant_id = $2 AND livemode = $3 AND id > $4 AND id <= $5
        ORDER BY id OFFSET $6 LIMIT 1) AS last,
    (SELECT count(*) FROM (SELECT FROM refunds WHERE slot = $1 AND merchant_id = $2 AND livemode = $3 AND id > $4 AND id <= $5
        ORDER BY id LIMIT $6 + 1) AS page) AS rows;

-- name: page_operations
SELECT (SELECT id FROM operations WHERE slot = $1 AND merchant_id = $2 AND livemode = $3 AND id > $4 AND id <= $5
        ORDER BY id OFFSET $6 LIMIT 1) AS last,
    (SELECT count(*) FROM (SELECT FROM operations WHERE slot = $1 AND merchant_id = $2 AND livemode = $3 AND id > $4 AND id <= $5
        ORDER BY id LIMIT $6 + 1) AS page) AS rows;

-- name: page_transfers
SELECT (SELECT id FROM transfers WHERE slot = $1 AND merchant_id = $2 AND livemode = $3 AND id > $4 AND id <= $5
        ORDER BY id OFFSET $6 LIMIT 1) AS last,
    (SELECT count(*) FROM (SELECT FROM transfers WHERE slot = $1 AND merchant_id = $2 AND livemode = $3 AND id > $4 AND id <= $5
        ORDER BY id LIMIT $6 + 1) AS page) AS rows;

-- name: page_keys
SELECT (SELECT key FROM idempotency WHERE slot = $1 AND merchant_id = $2 AND livemode = $3 AND key > $4 AND ($5::text IS NULL OR key <= $5)
        ORDER BY key OFFSET $6 LIMIT 1) AS last,
    (SELECT count(*) FROM (SELECT FROM idempotency WHERE slot = $1 AND merchant_id = $2 AND livemode = $3 AND key > $4
        AND ($5::text IS NULL OR key <= $5) ORDER BY key LIMIT $6 + 1) AS page) AS rows;

-- name: merchants
SELECT slot, id FROM merchants WHERE (slot, id) > ($1, $2) ORDER BY slot, id LIMIT $3;

-- name: payment_transfers
SELECT p.id, format('captured %s and refunded %s, its transfers %s and %s', p.amount_captured, p.amount_refunded, t.captured, t.refunded)
    AS detail
FROM payments p CROSS JOIN LATERAL (
    SELECT coalesce(sum(x.amount) FILTER (WHERE x.kind = 'capture'), 0) AS captured,
        coalesce(sum(x.amount) FILTER (WHERE x.kind = 'refund'), 0) AS refunded,
        coalesce(bool_or(x.currency <> p.currency), false) AS mixed
    FROM transfers x
    WHERE x.slot = p.slot AND x.merchant_id = p.merchant_id AND x.livemode = p.livemode AND x.payment_id = p.id) AS t
WHERE p.slot = $1 AND p.merchant_id = $2 AND p.livemode = $3 AND p.id > $4 AND p.id <= $5
    AND (p.amount_captured <> t.captured OR p.amount_refunded <> t.refunded OR t.mixed)
LIMIT 100;

-- name: payment_bounds
-- The CHECKs of the table say the same. This finds rows that got past them: a constraint dropped, NOT VALID, or a restored copy.
SELECT id, format('%s of %s: capturable %s (%s reserved), captured %s, refunded %s (%s reserved)', status, amount, amount_capturable,
    capture_pending, amount_captured, amount_refunded, refund_pending) AS detail
FROM payments
WHERE slot = $1 AND merchant_id = $2 AND livemode = $3 AND id > $4 AND id <= $5
    AND (least(amount_capturable, amount_captured, amount_refunded, capture_pending, refund_pending) < 0
        OR amount_captured + amount_capturable > amount OR capture_pending > amount_capturable
        OR amount_refunded + refund_pending > amount_captured)
LIMIT 100;

-- name: payment_reservations
-- A cancellation of a payment that waits for its payer reserves nothing, and its payer may still act: so its amount may be in or not.
SELECT p.id, format('reserves %s and %s, its open captures are of %s, cancellations of %s, refunds of %s', p.capture_pending,
    p.refund_pending, o.captures, o.cancels, o.refunds) AS detail
FROM payments p CROSS JOIN LATERAL (
    SELECT coalesce(sum(x.amount) FILTER (WHERE x.kind = 'capture'), 0) AS captures,
        coalesce(sum(x.amount) FILTER (WHERE x.kind = 'cancel'), 0) AS cancels,
        coalesce(sum(x.amount) FILTER (WHERE x.kind = 'refund'), 0) AS refunds
    FROM operations x
    WHERE x.slot = p.slot AND x.merchant_id = p.merchant_id AND x.livemode = p.livemode AND x.payment_id = p.id
        AND x.outcome IS NULL) AS o
WHERE p.slot = $1 AND p.merchant_id = $2 AND p.livemode = $3 AND p.id > $4 AND p.id <= $5
    AND (p.capture_pending NOT IN (o.captures, o.captures + o.cancels) OR p.refund_pending <> o.refunds)
LIMIT 100;

-- name: payment_authorizations
SELECT p.id, format('%s, with %s authorizations, %s of them approved', p.status, o.begun, o.approved) AS detail
FROM payments p CROSS JOIN LATERAL (
    SELECT count(*) AS begun, count(*) FILTER (WHERE x.outcome = 'approved') AS approved
    FROM operations x
    WHERE x.slot = p.slot AND x.merchant_id = p.merchant_id AND x.livemode = p.livemode AND x.payment_id = p.id
        AND x.kind = 'authorize') AS o
WHERE p.slot = $1 AND p.merchant_id = $2 AND p.livemode = $3 AND p.id > $4 AND p.id <= $5
    AND (o.begun > 1 OR CASE p.status WHEN 'succeeded' THEN o.approved <> 1 WHEN 'requires_capture' THEN o.approved <> 1
        WHEN 'canceled' THEN false ELSE o.approved > 0 END)
LIMIT 100;

-- name: payment_overdue
SELECT id, format('processing since %s', updated_at) AS detail
FROM payments
WHERE slot = $1 AND merchant_id = $2 AND livemode = $3 AND id > $4 AND id <= $5 AND status = 'processing' AND updated_at < $6
LIMIT 100;

-- name: payment_events
SELECT p.id, format('version %s, with %s events from %s to %s', p.version, e.events, e.lowest, e.highest) AS detail
FROM payments p CROSS JOIN LATERAL (
    SELECT count(*) AS events, count(DISTINCT x.version) AS versions, min(x.version) AS lowest, max(x.version) AS highest
    FROM events x
    WHERE x.slot = p.slot AND x.merchant_id = p.merchant_id AND x.livemode = p.livemode AND x.object_id = p.id) AS e
WHERE p.slot = $1 AND p.merchant_id = $2 AND p.livemode = $3 AND p.id > $4 AND p.id <= $5
    AND (e.events <> p.version OR e.versions <> p.version OR e.lowest <> 1 OR e.highest <> p.version)
LIMIT 100;

-- name: payment_as_told
SELECT p.id, p.status, p.version, p.owner, p.amount, p.currency, p.capture_method, p.amount_capturable, p.amount_captured, p.amount_refunded,
    p.payment_method, p.customer, p.merchant_reference, p.description, p.metadata, p.failure_code, p.failure_message,
    p.failure_processor_code, p.next_action_url, p.cancellation_reason, p.review, p.authorization_expires_at, p.processor,
    p.processor_reference, p.created_at, p.updated_at,
    (SELECT x.data FROM events x
        WHERE x.slot = p.slot AND x.merchant_id = p.merchant_id AND x.livemode = p.livemode AND x.object_id = p.id AND x.version = p.version
        LIMIT 1) AS event
FROM payments p
WHERE p.slot = $1 AND p.merchant_id = $2 AND p.livemode = $3 AND p.id > $4 AND p.id <= $5;

-- name: refund_events
SELECT r.id, format('version %s, with %s events from %s to %s', r.version, e.events, e.lowest, e.highest) AS detail
FROM refunds r CROSS JOIN LATERAL (
    SELECT count(*) AS events, count(DISTINCT x.version) AS versions, min(x.version) AS lowest, max(x.version) AS highest
    FROM events x
    WHERE x.slot = r.slot AND x.merchant_id = r.merchant_id AND x.livemode = r.livemode AND x.object_id = r.id) AS e
WHERE r.slot = $1 AND r.merchant_id = $2 AND r.livemode = $3 AND r.id > $4 AND r.id <= $5
    AND (e.events <> r.version OR e.versions <> r.version OR e.lowest <> 1 OR e.highest <> r.version)
LIMIT 100;

-- name: refund_as_told
SELECT r.id, r.payment_id, r.status, r.version, r.amount, r.currency, r.reason, r.metadata, r.failure_code, r.failure_message,
    r.failure_processor_code, r.processor, r.created_at, r.updated_at,
    (SELECT x.data FROM events x
        WHERE x.slot = r.slot AND x.merchant_id = r.merchant_id AND x.livemode = r.livemode AND x.object_id = r.id AND x.version = r.version
        LIMIT 1) AS event
FROM refunds r
WHERE r.slot = $1 AND r.merchant_id = $2 AND r.livemode = $3 AND r.id > $4 AND r.id <= $5;

-- name: refund_operation
SELECT r.id, format('%s of %s, its operation %s of %s', r.status, r.amount, CASE WHEN o.id IS NULL THEN 'is missing'
    ELSE coalesce(o.outcome, 'open') END, o.amount) AS detail
FROM refunds r
LEFT JOIN operations o ON o.slot = r.slot AND o.merchant_id = r.merchant_id AND o.livemode = r.livemode AND o.id = r.operation_id
WHERE r.slot = $1 AND r.merchant_id = $2 AND r.livemode = $3 AND r.id > $4 AND r.id <= $5
    AND (o.id IS NULL OR o.kind <> 'refund' OR o.refund_id IS DISTINCT FROM r.id OR o.payment_id <> r.payment_id OR o.amount <> r.amount
        OR o.currency <> r.currency OR r.status <> CASE o.outcome WHEN 'approved' THEN 'succeeded' WHEN 'declined' THEN 'failed'
            WHEN 'not_processed' THEN 'failed' ELSE 'pending' END)
LIMIT 100;

-- name: operation_transfer
SELECT o.id, format('%s of %s is %s, with %s transfers, %s of them its own', o.kind, o.amount, coalesce(o.outcome, 'open'), t.booked,
    t.fitting) AS detail
FROM operations o
LEFT JOIN payments p ON p.slot = o.slot AND p.merchant_id = o.merchant_id AND p.livemode = o.livemode AND p.id = o.payment_id
CROSS JOIN LATERAL (
    SELECT count(*) AS booked, count(*) FILTER (WHERE x.kind = CASE o.kind WHEN 'refund' THEN 'refund' ELSE 'capture' END
        AND x.amount = o.amount AND x.currency = o.currency AND x.payment_id = o.payment_id) AS fitting
    FROM transfers x
    WHERE x.slot = o.slot AND x.merchant_id = o.merchant_id AND x.livemode = o.livemode AND x.operation_id = o.id) AS t
WHERE o.slot = $1 AND o.merchant_id = $2 AND o.livemode = $3 AND o.id > $4 AND o.id <= $5
    AND (p.id IS NULL OR t.booked <> t.fitting OR t.fitting <> CASE
        WHEN o.outcome = 'approved' AND (o.kind IN ('capture', 'refund') OR o.kind = 'authorize' AND p.capture_method = 'automatic') THEN 1
        ELSE 0 END)
LIMIT 100;

-- name: transfer_operation
SELECT t.id, format('%s of %s %s, its operation %s', t.kind, t.amount, t.currency, CASE WHEN o.id IS NULL THEN 'is missing'
    ELSE coalesce(o.outcome, 'open') END) AS detail
FROM transfers t
LEFT JOIN operations o ON o.slot = t.slot AND o.merchant_id = t.merchant_id AND o.livemode = t.livemode AND o.id = t.operation_id
LEFT JOIN payments p ON p.slot = t.slot AND p.merchant_id = t.merchant_id AND p.livemode = t.livemode AND p.id = t.payment_id
WHERE t.slot = $1 AND t.merchant_id = $2 AND t.livemode = $3 AND t.id > $4 AND t.id <= $5
    AND (o.id IS NULL OR p.id IS NULL OR o.outcome IS DISTINCT FROM 'approved' OR o.payment_id <> t.payment_id OR o.amount <> t.amount
        OR p.currency <> t.currency)
LIMIT 100;

-- name: key_of_operation
-- A key lives for seven days and may be used anew after that: a later claim of the same key is no contradiction.
SELECT o.id, format('claimed by key %s, which belongs to another operation', o.idempotency_key) AS detail
FROM operations o
JOIN idempotency i ON i.slot = o.slot AND i.merchant_id = o.merchant_id AND i.livemode = o.livemode AND i.key = o.idempotency_key
WHERE o.slot = $1 AND o.merchant_id = $2 AND o.livemode = $3 AND o.id > $4 AND o.id <= $5
    AND i.operation_id <> o.id AND i.created_at < o.created_at + (i.expires_at - i.created_at)
LIMIT 100;

-- name: operation_of_key
SELECT i.key AS id, 'its operation has another key or another object' AS detail
FROM idempotency i
JOIN operations o ON o.slot = i.slot AND o.merchant_id = i.merchant_id AND o.livemode = i.livemode AND o.id = i.operation_id
WHERE i.slot = $1 AND i.merchant_id = $2 AND i.livemode = $3 AND i.key > $4 AND ($5::text IS NULL OR i.key <= $5)
    AND (o.idempotency_key IS DISTINCT FROM i.key OR i.object_id <> coalesce(o.refund_id, o.payment_id))
LIMIT 100;

-- name: answer_of_key
-- Only answers that show an object: a refusal shows none.
SELECT i.key AS id, i.object_id, i.response_body
FROM idempotency i
WHERE i.slot = $1 AND i.merchant_id = $2 AND i.livemode = $3 AND i.key > $4 AND ($5::text IS NULL OR i.key <= $5)
    AND i.response_status < 300;

-- name: key_answered
SELECT i.key AS id, format('its operation is over (%s), and no answer is stored', o.outcome) AS detail
FROM idempotency i
JOIN operations o ON o.slot = i.slot AND o.merchant_id = i.merchant_id AND o.livemode = i.livemode AND o.id = i.operation_id
WHERE i.slot = $1 AND i.merchant_id = $2 AND i.livemode = $3 AND i.key > $4 AND ($5::text IS NULL OR i.key <= $5)
    AND o.outcome IS NOT NULL AND i.response_body IS NULL
LIMIT 100;

-- name: operation_overdue
-- Of a whole cell: the index holds open operations only. A payer who has not acted and a refund that the processor has taken on are no fault.
SELECT o.slot, o.merchant_id, o.livemode, o.id, format('%s of %s open since %s, %s attempts', o.kind, o.amount, o.created_at, o.attempt) AS detail
FROM operations o
LEFT JOIN payments p ON p.slot = o.slot AND p.merchant_id = o.merchant_id AND p.livemode = o.livemode AND p.id = o.payment_id
WHERE o.outcome IS NULL AND o.created_at < $1
    AND NOT (o.kind = 'authorize' AND p.status IS NOT DISTINCT FROM 'requires_action')
    AND NOT (o.kind = 'refund' AND o.processor_reference IS NOT NULL)
LIMIT 100;

-- name: notification_overdue
SELECT n.slot, n.merchant_id, n.livemode, n.processor || ' ' || n.processor_id AS id, format('%s received %s, %s attempts', n.type,
    n.received_at, n.attempts) AS detail
FROM notifications n
WHERE n.processed_at IS NULL AND n.received_at < $1
LIMIT 100;

-- name: rolled_up
-- What the roll-up claims to hold: each account's sum of the transfers below the watermark, which is never moved back.
SELECT r.watermark::text AS watermark, b.account, b.currency, b.amount
FROM (VALUES (true)) AS always (present)
LEFT JOIN rollups r ON r.slot = $1 AND r.merchant_id = $2 AND r.livemode = $3
LEFT JOIN balances b ON b.slot = $1 AND b.merchant_id = $2 AND b.livemode = $3;

-- name: transferred
-- Of one page, what lies below a watermark. Transfers are never changed and those below a watermark are all there: pages may be read one
-- after the other, while others write.
SELECT leg.account, t.currency, sum(leg.amount) AS amount
FROM transfers t CROSS JOIN LATERAL (VALUES (t.credit_account, t.amount), (t.debit_account, -t.amount)) AS leg (account, amount)
WHERE t.slot = $1 AND t.merchant_id = $2 AND t.livemode = $3 AND t.id > $4 AND t.id <= $5 AND t.xid < $6::text::xid8
GROUP BY leg.account, t.currency;
