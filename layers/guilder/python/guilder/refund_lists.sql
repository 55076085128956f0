-- Lists of refunds: what pages.sql asks a list for.

-- name: columns
t.id, t.payment_id, t.status, t.version, t.amount, t.currency, t.reason, t.metadata, t.failure_code, t.failure_message,
    t.failure_processor_code, t.processor, t.created_at, t.updated_at

-- name: seen
t.status

-- name: tested
AND ($11::text IS NULL OR seen.status = $11)

-- name: served_of_payment
-- by refunds_by_payment
AND t.payment_id = $12
