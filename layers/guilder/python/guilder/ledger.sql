-- The ledger's reads. Lists keep to the contract at the top of pages.py.

-- name: balances
-- One statement, one snapshot: the roll-up holds exactly the transfers below the watermark, the tail is all others. With $4, what was
-- created later is taken away again.
WITH line AS MATERIALIZED (
    SELECT coalesce(max(r.watermark), '0'::xid8) AS watermark
    FROM rollups r WHERE r.slot = $1 AND r.merchant_id = $2 AND r.livemode = $3
), part AS (
    SELECT b.account, b.currency, b.amount
    FROM balances b WHERE b.slot = $1 AND b.merchant_id = $2 AND b.livemode = $3
    UNION ALL
    SELECT leg.account, t.currency, leg.amount
    FROM transfers t CROSS JOIN LATERAL (VALUES (t.credit_account, t.amount), (t.debit_account, -t.amount)) AS leg (account, amount)
    WHERE t.slot = $1 AND t.merchant_id = $2 AND t.livemode = $3 AND t.xid >= (SELECT watermark FROM line)
    UNION ALL
    SELECT leg.account, t.currency, leg.amount
    FROM transfers t CROSS JOIN LATERAL (VALUES (t.credit_account, -t.amount), (t.debit_account, t.amount)) AS leg (account, amount)
    WHERE t.slot = $1 AND t.merchant_id = $2 AND t.livemode = $3 AND t.created_at > $4::timestamptz
)
SELECT currency,
    coalesce(sum(amount) FILTER (WHERE account = 'merchant:pending'), 0) AS pending,
    coalesce(sum(amount) FILTER (WHERE account = 'merchant:available'), 0) AS available
FROM part
GROUP BY currency
ORDER BY currency;

-- name: older
WITH hit AS MATERIALIZED (
    SELECT seen.id
    FROM (
        SELECT t.id, t.created_at, t.kind, t.debit_account, t.credit_account, t.currency FROM transfers t
        WHERE t.slot = $1 AND t.merchant_id = $2 AND t.livemode = $3 AND t.id > $4 AND t.id < $5
        ORDER BY t.id DESC LIMIT $8::bigint
    ) AS seen
    WHERE ($9::timestamptz IS NULL OR seen.created_at >= $9) AND ($10::timestamptz IS NULL OR seen.created_at <= $10)
        AND ($11::text IS NULL OR seen.debit_account = $11 OR seen.credit_account = $11)
        AND ($12::text IS NULL OR seen.kind = $12) AND ($13::text IS NULL OR seen.currency = $13)
    ORDER BY seen.id DESC LIMIT $7::bigint
)
SELECT $6::uuid IS NULL OR EXISTS (
        SELECT FROM transfers t WHERE t.slot = $1 AND t.merchant_id = $2 AND t.livemode = $3 AND t.id = $6) AS known,
    CASE WHEN (SELECT count(*) FROM hit) < $7::bigint THEN (
        SELECT t.id FROM transfers t
        WHERE t.slot = $1 AND t.merchant_id = $2 AND t.livemode = $3 AND t.id > $4 AND t.id < $5
        ORDER BY t.id DESC OFFSET $8::bigint - 1 LIMIT 1) END AS edge,
    t.id, t.kind, t.debit_account, t.credit_account, t.amount, t.currency, t.payment_id, t.available_on, t.created_at
FROM (VALUES (true)) AS always (present)
LEFT JOIN hit ON true
LEFT JOIN transfers t ON t.slot = $1 AND t.merchant_id = $2 AND t.livemode = $3 AND t.id = hit.id
ORDER BY hit.id DESC;

-- name: older_of_payment
WITH hit AS MATERIALIZED (
    SELECT seen.id
    FROM (
        SELECT t.id, t.created_at, t.kind, t.debit_account, t.credit_account, t.currency FROM transfers t
        WHERE t.slot = $1 AND t.merchant_id = $2 AND t.livemode = $3 AND t.payment_id = $14 AND t.id > $4 AND t.id < $5
        ORDER BY t.id DESC LIMIT $8::bigint
    ) AS seen
    WHERE ($9::timestamptz IS NULL OR seen.created_at >= $9) AND ($10::timestamptz IS NULL OR seen.created_at <= $10)
        AND ($11::text IS NULL OR seen.debit_account = $11 OR seen.credit_account = $11)
        AND ($12::text IS NULL OR seen.kind = $12) AND ($13::text IS NULL OR seen.currency = $13)
    ORDER BY seen.id DESC LIMIT $7::bigint
)
SELECT $6::uuid IS NULL OR EXISTS (
        SELECT FROM transfers t WHERE t.slot = $1 AND t.merchant_id = $2 AND t.livemode = $3 AND t.id = $6) AS known,
    CASE WHEN (SELECT count(*) FROM hit) < $7::bigint THEN (
        SELECT t.id FROM transfers t
        WHERE t.slot = $1 AND t.merchant_id = $2 AND t.livemode = $3 AND t.payment_id = $14 AND t.id > $4 AND t.id < $5
        ORDER BY t.id DESC OFFSET $8::bigint - 1 LIMIT 1) END AS edge,
    t.id, t.kind, t.debit_account, t.credit_account, t.amount, t.currency, t.payment_id, t.available_on, t.created_at
FROM (VALUES (true)) AS always (present)
LEFT JOIN hit ON true
LEFT JOIN transfers t ON t.slot = $1 AND t.merchant_id = $2 AND t.livemode = $3 AND t.id = hit.id
ORDER BY hit.id DESC;

-- name: newer
WITH hit AS MATERIALIZED (
    SELECT seen.id
    FROM (
        SELECT t.id, t.created_at, t.kind, t.debit_account, t.credit_account, t.currency FROM transfers t
        WHERE t.slot = $1 AND t.merchant_id = $2 AND t.livemode = $3 AND t.id > $4 AND t.id < $5
        ORDER BY t.id LIMIT $8::bigint
    ) AS seen
    WHERE ($9::timestamptz IS NULL OR seen.created_at >= $9) AND ($10::timestamptz IS NULL OR seen.created_at <= $10)
        AND ($11::text IS NULL OR seen.debit_account = $11 OR seen.credit_account = $11)
        AND ($12::text IS NULL OR seen.kind = $12) AND ($13::text IS NULL OR seen.currency = $13)
    ORDER BY seen.id LIMIT $7::bigint
)
SELECT $6::uuid IS NULL OR EXISTS (
        SELECT FROM transfers t WHERE t.slot = $1 AND t.merchant_id = $2 AND t.livemode = $3 AND t.id = $6) AS known,
    CASE WHEN (SELECT count(*) FROM hit) < $7::bigint THEN (
        SELECT t.id FROM transfers t
        WHERE t.slot = $1 AND t.merchant_id = $2 AND t.livemode = $3 AND t.id > $4 AND t.id < $5
        ORDER BY t.id OFFSET $8::bigint - 1 LIMIT 1) END AS edge,
    t.id, t.kind, t.debit_account, t.credit_account, t.amount, t.currency, t.payment_id, t.available_on, t.created_at
FROM (VALUES (true)) AS always (present)
LEFT JOIN hit ON true
LEFT JOIN transfers t ON t.slot = $1 AND t.merchant_id = $2 AND t.livemode = $3 AND t.id = hit.id
ORDER BY hit.id;

-- name: newer_of_payment
WITH hit AS MATERIALIZED (
    SELECT seen.id
    FROM (
        SELECT t.id, t.created_at, t.kind, t.debit_account, t.credit_account, t.currency FROM transfers t
        WHERE t.slot = $1 AND t.merchant_id = $2 AND t.livemode = $3 AND t.payment_id = $14 AND t.id > $4 AND t.id < $5
        ORDER BY t.id LIMIT $8::bigint
    ) AS seen
    WHERE ($9::timestamptz IS NULL OR seen.created_at >= $9) AND ($10::timestamptz IS NULL OR seen.created_at <= $10)
        AND ($11::text IS NULL OR seen.debit_account = $11 OR seen.credit_account = $11)
        AND ($12::text IS NULL OR seen.kind = $12) AND ($13::text IS NULL OR seen.currency = $13)
    ORDER BY seen.id LIMIT $7::bigint
)
SELECT $6::uuid IS NULL OR EXISTS (
        SELECT FROM transfers t WHERE t.slot = $1 AND t.merchant_id = $2 AND t.livemode = $3 AND t.id = $6) AS known,
    CASE WHEN (SELECT count(*) FROM hit) < $7::bigint THEN (
        SELECT t.id FROM transfers t
        WHERE t.slot = $1 AND t.merchant_id = $2 AND t.livemode = $3 AND t.payment_id = $14 AND t.id > $4 AND t.id < $5
        ORDER BY t.id OFFSET $8::bigint - 1 LIMIT 1) END AS edge,
    t.id, t.kind, t.debit_account, t.credit_account, t.amount, t.currency, t.payment_id, t.available_on, t.created_at
FROM (VALUES (true)) AS always (present)
LEFT JOIN hit ON true
LEFT JOIN transfers t ON t.slot = $1 AND t.merchant_id = $2 AND t.livemode = $3 AND t.id = hit.id
ORDER BY hit.id;
