-- Lists of refunds: the contract at the top of pages.py. Along the primary key, or along refunds_by_payment.

-- name: older
WITH hit AS MATERIALIZED (
    SELECT seen.id
    FROM (
        SELECT t.id, t.created_at, t.status FROM refunds t
        WHERE t.slot = $1 AND t.merchant_id = $2 AND t.livemode = $3 AND t.id > $4 AND t.id < $5
        ORDER BY t.id DESC LIMIT $8::bigint
    ) AS seen
    WHERE ($9::timestamptz IS NULL OR seen.created_at >= $9) AND ($10::timestamptz IS NULL OR seen.created_at <= $10)
        AND ($11::text IS NULL OR seen.status = $11)
    ORDER BY seen.id DESC LIMIT $7::bigint
)
SELECT $6::uuid IS NULL OR EXISTS (
        SELECT FROM refunds t WHERE t.slot = $1 AND t.merchant_id = $2 AND t.livemode = $3 AND t.id = $6) AS known,
    CASE WHEN (SELECT count(*) FROM hit) < $7::bigint THEN (
        SELECT t.id FROM refunds t
        WHERE t.slot = $1 AND t.merchant_id = $2 AND t.livemode = $3 AND t.id > $4 AND t.id < $5
        ORDER BY t.id DESC OFFSET $8::bigint - 1 LIMIT 1) END AS edge,
    t.id, t.payment_id, t.status, t.version, t.amount, t.currency, t.reason, t.metadata, t.failure_code, t.failure_message,
    t.failure_processor_code, t.processor, t.created_at, t.updated_at
FROM (VALUES (true)) AS always (present)
LEFT JOIN hit ON true
LEFT JOIN refunds t ON t.slot = $1 AND t.merchant_id = $2 AND t.livemode = $3 AND t.id = hit.id
ORDER BY hit.id DESC;

-- name: older_of_payment
WITH hit AS MATERIALIZED (
    SELECT seen.id
    FROM (
        SELECT t.id, t.created_at, t.status FROM refunds t
        WHERE t.slot = $1 AND t.merchant_id = $2 AND t.livemode = $3 AND t.payment_id = $12 AND t.id > $4 AND t.id < $5
        ORDER BY t.id DESC LIMIT $8::bigint
    ) AS seen
    WHERE ($9::timestamptz IS NULL OR seen.created_at >= $9) AND ($10::timestamptz IS NULL OR seen.created_at <= $10)
        AND ($11::text IS NULL OR seen.status = $11)
    ORDER BY seen.id DESC LIMIT $7::bigint
)
SELECT $6::uuid IS NULL OR EXISTS (
        SELECT FROM refunds t WHERE t.slot = $1 AND t.merchant_id = $2 AND t.livemode = $3 AND t.id = $6) AS known,
    CASE WHEN (SELECT count(*) FROM hit) < $7::bigint THEN (
        SELECT t.id FROM refunds t
        WHERE t.slot = $1 AND t.merchant_id = $2 AND t.livemode = $3 AND t.payment_id = $12 AND t.id > $4 AND t.id < $5
        ORDER BY t.id DESC OFFSET $8::bigint - 1 LIMIT 1) END AS edge,
    t.id, t.payment_id, t.status, t.version, t.amount, t.currency, t.reason, t.metadata, t.failure_code, t.failure_message,
    t.failure_processor_code, t.processor, t.created_at, t.updated_at
FROM (VALUES (true)) AS always (present)
LEFT JOIN hit ON true
LEFT JOIN refunds t ON t.slot = $1 AND t.merchant_id = $2 AND t.livemode = $3 AND t.id = hit.id
ORDER BY hit.id DESC;

-- name: newer
WITH hit AS MATERIALIZED (
    SELECT seen.id
    FROM (
        SELECT t.id, t.created_at, t.status FROM refunds t
        WHERE t.slot = $1 AND t.merchant_id = $2 AND t.livemode = $3 AND t.id > $4 AND t.id < $5
        ORDER BY t.id LIMIT $8::bigint
    ) AS seen
    WHERE ($9::timestamptz IS NULL OR seen.created_at >= $9) AND ($10::timestamptz IS NULL OR seen.created_at <= $10)
        AND ($11::text IS NULL OR seen.status = $11)
    ORDER BY seen.id LIMIT $7::bigint
)
SELECT $6::uuid IS NULL OR EXISTS (
        SELECT FROM refunds t WHERE t.slot = $1 AND t.merchant_id = $2 AND t.livemode = $3 AND t.id = $6) AS known,
    CASE WHEN (SELECT count(*) FROM hit) < $7::bigint THEN (
        SELECT t.id FROM refunds t
        WHERE t.slot = $1 AND t.merchant_id = $2 AND t.livemode = $3 AND t.id > $4 AND t.id < $5
        ORDER BY t.id OFFSET $8::bigint - 1 LIMIT 1) END AS edge,
    t.id, t.payment_id, t.status, t.version, t.amount, t.currency, t.reason, t.metadata, t.failure_code, t.failure_message,
    t.failure_processor_code, t.processor, t.created_at, t.updated_at
FROM (VALUES (true)) AS always (present)
LEFT JOIN hit ON true
LEFT JOIN refunds t ON t.slot = $1 AND t.merchant_id = $2 AND t.livemode = $3 AND t.id = hit.id
ORDER BY hit.id;

-- name: newer_of_payment
WITH hit AS MATERIALIZED (
    SELECT seen.id
    FROM (
        SELECT t.id, t.created_at, t.status FROM refunds t
        WHERE t.slot = $1 AND t.merchant_id = $2 AND t.livemode = $3 AND t.payment_id = $12 AND t.id > $4 AND t.id < $5
        ORDER BY t.id LIMIT $8::bigint
    ) AS seen
    WHERE ($9::timestamptz IS NULL OR seen.created_at >= $9) AND ($10::timestamptz IS NULL OR seen.created_at <= $10)
        AND ($11::text IS NULL OR seen.status = $11)
    ORDER BY seen.id LIMIT $7::bigint
)
SELECT $6::uuid IS NULL OR EXISTS (
        SELECT FROM refunds t WHERE t.slot = $1 AND t.merchant_id = $2 AND t.livemode = $3 AND t.id = $6) AS known,
    CASE WHEN (SELECT count(*) FROM hit) < $7::bigint THEN (
        SELECT t.id FROM refunds t
        WHERE t.slot = $1 AND t.merchant_id = $2 AND t.livemode = $3 AND t.payment_id = $12 AND t.id > $4 AND t.id < $5
        ORDER BY t.id OFFSET $8::bigint - 1 LIMIT 1) END AS edge,
    t.id, t.payment_id, t.status, t.version, t.amount, t.currency, t.reason, t.metadata, t.failure_code, t.failure_message,
    t.failure_processor_code, t.processor, t.created_at, t.updated_at
FROM (VALUES (true)) AS always (present)
LEFT JOIN hit ON true
LEFT JOIN refunds t ON t.slot = $1 AND t.merchant_id = $2 AND t.livemode = $3 AND t.id = hit.id
ORDER BY hit.id;
