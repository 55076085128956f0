-- name: advance
-- Moves the watermarks of a batch of merchants, and adds what lies between the old one and the new one to their balances.
--
-- Why no transfer is lost: `finished` is the oldest transaction that was still open when this statement's snapshot was taken. Whatever has a
-- smaller id has ended: its transfers are visible to this snapshot, or were rolled back. A transaction that is open now, or begins later,
-- has an id of at least `finished`, so its transfers lie beyond every watermark set here, however late they commit. (A transfer's xid is its
-- own transaction's, by the column's default.) A transaction that stays open holds the watermark back: the tail grows, no sum is wrong.
--
-- Why no transfer counts twice, with any number of workers: the guard stands on the row that is updated, so a worker that was overtaken (its
-- snapshot is older, its `finished` smaller) finds nothing to do, and cannot set the watermark back over transfers that the balances already
-- hold. The sum begins at old.watermark, the version that was locked and replaced, not at the one that the snapshot showed.
--
-- A merchant that is far behind advances by about $4 transfers a statement: to the transaction id of the one after those.
WITH bound AS MATERIALIZED (
    SELECT pg_snapshot_xmin(pg_current_snapshot()) AS finished
), seen AS MATERIALIZED (
    SELECT m.slot, m.id FROM merchants m WHERE (m.slot, m.id) > ($1, $2) ORDER BY m.slot, m.id LIMIT $3
), behind AS MATERIALIZED (
    SELECT seen.slot, seen.id AS merchant_id, mode.livemode, coalesce(step.xid, bound.finished) AS until, step.xid IS NOT NULL AS more
    FROM bound, seen CROSS JOIN (VALUES (false), (true)) AS mode (livemode)
    LEFT JOIN rollups r ON r.slot = seen.slot AND r.merchant_id = seen.id AND r.livemode = mode.livemode
    CROSS JOIN LATERAL (
        SELECT t.xid FROM transfers t
        WHERE t.slot = seen.slot AND t.merchant_id = seen.id AND t.livemode = mode.livemode
            AND t.xid >= coalesce(r.watermark, '0'::xid8) AND t.xid < bound.finished
        ORDER BY t.xid LIMIT 1
    ) AS first
    LEFT JOIN LATERAL (
        SELECT t.xid FROM transfers t
        WHERE t.slot = seen.slot AND t.merchant_id = seen.id AND t.livemode = mode.livemode
            AND t.xid > first.xid AND t.xid < bound.finished
        ORDER BY t.xid OFFSET $4 LIMIT 1
    ) AS step ON true
), advanced AS (
    INSERT INTO rollups AS r (slot, merchant_id, livemode, watermark)
    SELECT slot, merchant_id, livemode, until FROM behind ORDER BY slot, merchant_id, livemode  -- one order of locks for all workers
    ON CONFLICT (slot, merchant_id, livemode) DO UPDATE SET watermark = excluded.watermark
        WHERE r.watermark < excluded.watermark
    RETURNING r.slot, r.merchant_id, r.livemode, coalesce(old.watermark, '0'::xid8) AS since, new.watermark AS until
), moved AS (
    SELECT a.slot, a.merchant_id, a.livemode, leg.account, t.currency, sum(leg.amount) AS amount, count(*) AS legs
    FROM advanced a
    JOIN transfers t ON t.slot = a.slot AND t.merchant_id = a.merchant_id AND t.livemode = a.livemode
        AND t.xid >= a.since AND t.xid < a.until
    CROSS JOIN LATERAL (VALUES (t.credit_account, t.amount), (t.debit_account, -t.amount)) AS leg (account, amount)
    GROUP BY a.slot, a.merchant_id, a.livemode, leg.account, t.currency
), added AS (
    INSERT INTO balances AS b (slot, merchant_id, livemode, account, currency, amount)
    SELECT slot, merchant_id, livemode, account, currency, amount FROM moved
    ON CONFLICT (slot, merchant_id, livemode, account, currency) DO UPDATE SET amount = b.amount + excluded.amount
)
SELECT (SELECT count(*) FROM seen) AS merchants_seen,
    (SELECT count(*) FROM advanced) AS rollups_advanced,
    (SELECT coalesce(sum(legs), 0)::bigint / 2 FROM moved) AS transfers_added,
    EXISTS (SELECT FROM behind WHERE more) AS more,
    last.slot AS last_slot, last.id AS last_merchant
FROM (VALUES (true)) AS always (present)
LEFT JOIN (SELECT slot, id FROM seen ORDER BY slot DESC, id DESC LIMIT 1) AS last ON true;
