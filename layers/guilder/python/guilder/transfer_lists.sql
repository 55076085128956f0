-- Lists of transfers: what pages.sql asks a list for.

-- name: columns
t.id, t.kind, t.debit_account, t.credit_account, t.amount, t.currency, t.payment_id, t.available_on, t.created_at

-- name: seen
t.kind, t.debit_account, t.credit_account, t.currency

-- name: tested
AND ($11::text IS NULL OR seen.debit_account = $11 OR seen.credit_account = $11)
        AND ($12::text IS NULL OR seen.kind = $12) AND ($13::text IS NULL OR seen.currency = $13)

-- name: served_of_payment
-- by transfers_by_payment
AND t.payment_id = $14
