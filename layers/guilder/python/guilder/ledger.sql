-- The ledger's balance.

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
