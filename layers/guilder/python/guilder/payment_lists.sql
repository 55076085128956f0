-- Lists of payments: what pages.sql asks a list for. No index has `status` or an amount, so that updates of payments stay cheap; these
-- filters, and metadata, are tested on the rows that one page examines.

-- name: columns
t.id, t.status, t.version, t.owner, t.amount, t.currency, t.capture_method, t.amount_capturable, t.amount_captured, t.amount_refunded,
    t.payment_method, t.customer, t.merchant_reference, t.description, t.metadata, t.failure_code, t.failure_message,
    t.failure_processor_code, t.next_action_url, t.cancellation_reason, t.review, t.authorization_expires_at, t.processor,
    t.processor_reference, t.created_at, t.updated_at

-- name: seen
t.status, t.metadata, t.customer

-- name: tested
AND ($11::text IS NULL OR seen.status = $11) AND ($12::jsonb IS NULL OR seen.metadata @> $12)
        AND ($13::text IS NULL OR seen.customer = $13)

-- name: served_of_customer
-- by payments_by_customer
AND t.customer = $13

-- name: served_of_reference
-- by payments_by_merchant_reference: one row at most
AND t.merchant_reference = $14
