-- name: claim_notifications
-- Across all merchants of the cell: each is then worked on under its own merchant's name. Those that fail come again, later each time.
WITH due AS (
    SELECT slot, merchant_id, livemode, processor, processor_id
    FROM notifications
    WHERE processed_at IS NULL AND next_attempt_at < clock_timestamp()
    ORDER BY next_attempt_at
    LIMIT $1
    FOR UPDATE SKIP LOCKED
)
UPDATE notifications AS n SET attempts = least(n.attempts, 32766) + 1,
    next_attempt_at = clock_timestamp() + make_interval(secs => least(power(2, least(n.attempts, 5) + 1), 60))
FROM due
WHERE n.slot = due.slot AND n.merchant_id = due.merchant_id AND n.livemode = due.livemode AND n.processor = due.processor
    AND n.processor_id = due.processor_id
RETURNING n.slot, n.merchant_id, n.livemode, n.processor, n.processor_id, n.operation_id;

-- name: finish_notification
UPDATE notifications SET processed_at = $6, result = $7
WHERE slot = $1 AND merchant_id = $2 AND livemode = $3 AND processor = $4 AND processor_id = $5;

-- name: forget_keys
-- Across all merchants of the cell: keys whose time is over, a bounded batch at a time. A key's answer was published to be kept until then.
WITH expired AS (
    SELECT slot, merchant_id, livemode, key
    FROM idempotency
    WHERE expires_at < $2
    ORDER BY expires_at
    LIMIT $1
    FOR UPDATE SKIP LOCKED
), forgotten AS (
    DELETE FROM idempotency AS i
    USING expired AS e
    WHERE i.slot = e.slot AND i.merchant_id = e.merchant_id AND i.livemode = e.livemode AND i.key = e.key
    RETURNING i.key
)
SELECT count(*) AS forgotten FROM forgotten;
