-- Lists of payments: the contract at the top of pages.py. No index has `status` or an amount, so that updates of payments stay cheap;
-- these filters, and metadata, are tested on the rows that one page examines.

-- name: older
-- Along the primary key.
WITH hit AS MATERIALIZED (
    SELECT seen.id
    FROM (
        SELECT t.id, t.created_at, t.status, t.metadata FROM payments t
        WHERE t.slot = $1 AND t.merchant_id = $2 AND t.livemode = $3 AND t.id > $4 AND t.id < $5
        ORDER BY t.id DESC LIMIT $8::bigint
    ) AS seen
    WHERE ($9::timestamptz IS NULL OR seen.created_at >= $9) AND ($10::timestamptz IS NULL OR seen.created_at <= $10)
        AND ($11::text IS NULL OR seen.status = $11) AND ($12::jsonb IS NULL OR seen.metadata @> $12)
    ORDER BY seen.id DESC LIMIT $7::bigint
)
SELECT $6::uuid IS NULL OR EXISTS (
        SELECT FROM payments t WHERE t.slot = $1 AND t.merchant_id = $2 AND t.livemode = $3 AND t.id = $6) AS known,
    CASE WHEN (SELECT count(*) FROM hit) < $7::bigint THEN (
        SELECT t.id FROM payments t
        WHERE t.slot = $1 AND t.merchant_id = $2 AND t.livemode = $3 AND t.id > $4 AND t.id < $5
        ORDER BY t.id DESC OFFSET $8::bigint - 1 LIMIT 1) END AS edge,
    t.id, t.status, t.version, t.owner, t.amount, t.currency, t.capture_method, t.amount_capturable, t.amount_captured,
    t.amount_refunded, t.payment_method, t.customer, t.merchant_reference, t.description, t.metadata, t.failure_code, t.failure_message,
    t.failure_processor_code, t.next_action_url, t.cancellation_reason, t.review, t.authorization_expires_at, t.processor,
    t.processor_reference, t.created_at, t.updated_at
FROM (VALUES (true)) AS always (present)
LEFT JOIN hit ON true
LEFT JOIN payments t ON t.slot = $1 AND t.merchant_id = $2 AND t.livemode = $3 AND t.id = hit.id
ORDER BY hit.id DESC;

-- name: older_of_customer
-- Along payments_by_customer.
WITH hit AS MATERIALIZED (
    SELECT seen.id
    FROM (
        SELECT t.id, t.created_at, t.status, t.metadata FROM payments t
        WHERE t.slot = $1 AND t.merchant_id = $2 AND t.livemode = $3 AND t.customer = $13 AND t.id > $4 AND t.id < $5
        ORDER BY t.id DESC LIMIT $8::bigint
    ) AS seen
    WHERE ($9::timestamptz IS NULL OR seen.created_at >= $9) AND ($10::timestamptz IS NULL OR seen.created_at <= $10)
        AND ($11::text IS NULL OR seen.status = $11) AND ($12::jsonb IS NULL OR seen.metadata @> $12)
    ORDER BY seen.id DESC LIMIT $7::bigint
)
SELECT $6::uuid IS NULL OR EXISTS (
        SELECT FROM payments t WHERE t.slot = $1 AND t.merchant_id = $2 AND t.livemode = $3 AND t.id = $6) AS known,
    CASE WHEN (SELECT count(*) FROM hit) < $7::bigint THEN (
        SELECT t.id FROM payments t
        WHERE t.slot = $1 AND t.merchant_id = $2 AND t.livemode = $3 AND t.customer = $13 AND t.id > $4 AND t.id < $5
        ORDER BY t.id DESC OFFSET $8::bigint - 1 LIMIT 1) END AS edge,
    t.id, t.status, t.version, t.owner, t.amount, t.currency, t.capture_method, t.amount_capturable, t.amount_captured,
    t.amount_refunded, t.payment_method, t.customer, t.merchant_reference, t.description, t.metadata, t.failure_code, t.failure_message,
    t.failure_processor_code, t.next_action_url, t.cancellation_reason, t.review, t.authorization_expires_at, t.processor,
    t.processor_reference, t.created_at, t.updated_at
FROM (VALUES (true)) AS always (present)
LEFT JOIN hit ON true
LEFT JOIN payments t ON t.slot = $1 AND t.merchant_id = $2 AND t.livemode = $3 AND t.id = hit.id
ORDER BY hit.id DESC;

-- name: newer
-- Along the primary key.
WITH hit AS MATERIALIZED (
    SELECT seen.id
    FROM (
        SELECT t.id, t.created_at, t.status, t.metadata FROM payments t
        WHERE t.slot = $1 AND t.merchant_id = $2 AND t.livemode = $3 AND t.id > $4 AND t.id < $5
        ORDER BY t.id LIMIT $8::bigint
    ) AS seen
    WHERE ($9::timestamptz IS NULL OR seen.created_at >= $9) AND ($10::timestamptz IS NULL OR seen.created_at <= $10)
        AND ($11::text IS NULL OR seen.status = $11) AND ($12::jsonb IS NULL OR seen.metadata @> $12)
    ORDER BY seen.id LIMIT $7::bigint
)
SELECT $6::uuid IS NULL OR EXISTS (
        SELECT FROM payments t WHERE t.slot = $1 AND t.merchant_id = $2 AND t.livemode = $3 AND t.id = $6) AS known,
    CASE WHEN (SELECT count(*) FROM hit) < $7::bigint THEN (
        SELECT t.id FROM payments t
        WHERE t.slot = $1 AND t.merchant_id = $2 AND t.livemode = $3 AND t.id > $4 AND t.id < $5
        ORDER BY t.id OFFSET $8::bigint - 1 LIMIT 1) END AS edge,
    t.id, t.status, t.version, t.owner, t.amount, t.currency, t.capture_method, t.amount_capturable, t.amount_captured,
    t.amount_refunded, t.payment_method, t.customer, t.merchant_reference, t.description, t.metadata, t.failure_code, t.failure_message,
    t.failure_processor_code, t.next_action_url, t.cancellation_reason, t.review, t.authorization_expires_at, t.processor,
    t.processor_reference, t.created_at, t.updated_at
FROM (VALUES (true)) AS always (present)
LEFT JOIN hit ON true
LEFT JOIN payments t ON t.slot = $1 AND t.merchant_id = $2 AND t.livemode = $3 AND t.id = hit.id
ORDER BY hit.id;

-- name: newer_of_customer
-- Along payments_by_customer.
WITH hit AS MATERIALIZED (
    SELECT seen.id
    FROM (
        SELECT t.id, t.created_at, t.status, t.metadata FROM payments t
        WHERE t.slot = $1 AND t.merchant_id = $2 AND t.livemode = $3 AND t.customer = $13 AND t.id > $4 AND t.id < $5
        ORDER BY t.id LIMIT $8::bigint
    ) AS seen
    WHERE ($9::timestamptz IS NULL OR seen.created_at >= $9) AND ($10::timestamptz IS NULL OR seen.created_at <= $10)
        AND ($11::text IS NULL OR seen.status = $11) AND ($12::jsonb IS NULL OR seen.metadata @> $12)
    ORDER BY seen.id LIMIT $7::bigint
)
SELECT $6::uuid IS NULL OR EXISTS (
        SELECT FROM payments t WHERE t.slot = $1 AND t.merchant_id = $2 AND t.livemode = $3 AND t.id = $6) AS known,
    CASE WHEN (SELECT count(*) FROM hit) < $7::bigint THEN (
        SELECT t.id FROM payments t
        WHERE t.slot = $1 AND t.merchant_id = $2 AND t.livemode = $3 AND t.customer = $13 AND t.id > $4 AND t.id < $5
        ORDER BY t.id OFFSET $8::bigint - 1 LIMIT 1) END AS edge,
    t.id, t.status, t.version, t.owner, t.amount, t.currency, t.capture_method, t.amount_capturable, t.amount_captured,
    t.amount_refunded, t.payment_method, t.customer, t.merchant_reference, t.description, t.metadata, t.failure_code, t.failure_message,
    t.failure_processor_code, t.next_action_url, t.cancellation_reason, t.review, t.authorization_expires_at, t.processor,
    t.processor_reference, t.created_at, t.updated_at
FROM (VALUES (true)) AS always (present)
LEFT JOIN hit ON true
LEFT JOIN payments t ON t.slot = $1 AND t.merchant_id = $2 AND t.livemode = $3 AND t.id = hit.id
ORDER BY hit.id;

-- name: of_reference
-- By payments_by_merchant_reference: one row at most, so there is no direction.
WITH hit AS MATERIALIZED (
    SELECT seen.id
    FROM (
        SELECT t.id, t.created_at, t.status, t.metadata, t.customer FROM payments t
        WHERE t.slot = $1 AND t.merchant_id = $2 AND t.livemode = $3 AND t.merchant_reference = $14 AND t.id > $4 AND t.id < $5
        ORDER BY t.id DESC LIMIT $8::bigint
    ) AS seen
    WHERE ($9::timestamptz IS NULL OR seen.created_at >= $9) AND ($10::timestamptz IS NULL OR seen.created_at <= $10)
        AND ($11::text IS NULL OR seen.status = $11) AND ($12::jsonb IS NULL OR seen.metadata @> $12)
        AND ($13::text IS NULL OR seen.customer = $13)
    ORDER BY seen.id DESC LIMIT $7::bigint
)
SELECT $6::uuid IS NULL OR EXISTS (
        SELECT FROM payments t WHERE t.slot = $1 AND t.merchant_id = $2 AND t.livemode = $3 AND t.id = $6) AS known,
    CASE WHEN (SELECT count(*) FROM hit) < $7::bigint THEN (
        SELECT t.id FROM payments t
        WHERE t.slot = $1 AND t.merchant_id = $2 AND t.livemode = $3 AND t.merchant_reference = $14 AND t.id > $4 AND t.id < $5
        ORDER BY t.id DESC OFFSET $8::bigint - 1 LIMIT 1) END AS edge,
    t.id, t.status, t.version, t.owner, t.amount, t.currency, t.capture_method, t.amount_capturable, t.amount_captured,
    t.amount_refunded, t.payment_method, t.customer, t.merchant_reference, t.description, t.metadata, t.failure_code, t.failure_message,
    t.failure_processor_code, t.next_action_url, t.cancellation_reason, t.review, t.authorization_expires_at, t.processor,
    t.processor_reference, t.created_at, t.updated_at
FROM (VALUES (true)) AS always (present)
LEFT JOIN hit ON true
LEFT JOIN payments t ON t.slot = $1 AND t.merchant_id = $2 AND t.livemode = $3 AND t.id = hit.id
ORDER BY hit.id DESC;
