-- name: store
-- $1 slot, $2 merchant, $3 livemode, $4 operation, $5 processor, $6 processor's id, $7 type, $8 body, $9 now
-- An operation is written before its processor is asked, so one that is not there is not ours: another installation shares the processor's
-- account. A duplicate finds its row.
WITH operation AS (
    SELECT o.slot, o.merchant_id, o.livemode, o.id
    FROM operations o
    WHERE o.slot = $1 AND o.merchant_id = $2 AND o.livemode = $3 AND o.id = $4 AND o.processor = $5
), stored AS (
    INSERT INTO notifications (slot, merchant_id, livemode, processor, processor_id, type, operation_id, body, received_at, next_attempt_at)
    SELECT operation.slot, operation.merchant_id, operation.livemode, $5, $6, $7, operation.id, $8, $9, $9
    FROM operation
    ON CONFLICT DO NOTHING
)
SELECT EXISTS (SELECT FROM operation) AS known
