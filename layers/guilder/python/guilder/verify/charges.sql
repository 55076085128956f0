-- name: booked
-- What Guilder's books say of charges: each is asked for by its place, its merchant, the payment that it names and the operation that made it.
-- `at_work`: an operation of the payment is open or a notification about one waits, so the two sides may differ for a moment.
SELECT w.place, m.id IS NOT NULL AS merchant_known, p.id AS payment_id, p.status, p.version, p.amount, p.currency, p.amount_captured,
    p.amount_refunded, p.processor_reference, o.kind = 'authorize' AND o.outcome = 'approved' AND o.payment_id = p.id AS authorized,
    EXISTS (SELECT FROM operations x
        WHERE x.slot = w.slot AND x.merchant_id = w.merchant_id AND x.livemode = w.livemode AND x.payment_id = p.id AND x.outcome IS NULL)
    OR EXISTS (SELECT FROM notifications n
        WHERE n.slot = w.slot AND n.merchant_id = w.merchant_id AND n.livemode = w.livemode AND n.operation_id = w.operation_id
            AND n.processed_at IS NULL) AS at_work
FROM unnest($1::integer[], $2::smallint[], $3::uuid[], $4::boolean[], $5::uuid[], $6::uuid[])
    AS w (place, slot, merchant_id, livemode, payment_id, operation_id)
LEFT JOIN merchants m ON m.slot = w.slot AND m.id = w.merchant_id
LEFT JOIN payments p ON p.slot = w.slot AND p.merchant_id = w.merchant_id AND p.livemode = w.livemode AND p.id = w.payment_id
LEFT JOIN operations o ON o.slot = w.slot AND o.merchant_id = w.merchant_id AND o.livemode = w.livemode AND o.id = w.operation_id;

-- name: authorized
-- Of a page of operations: those that made a charge.
SELECT id, payment_id, processor
FROM operations
WHERE slot = $1 AND merchant_id = $2 AND livemode = $3 AND id > $4 AND id <= $5 AND kind = 'authorize' AND outcome = 'approved';

-- name: charge_of_payment
SELECT processor_reference
FROM payments
WHERE slot = $1 AND merchant_id = $2 AND livemode = $3 AND id = $4;
