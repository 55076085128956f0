-- name: page
-- The statement of every list, in one place: a list says in braces what is its own, and pages.statements puts it in. The parameters are
-- described at the top of pages.py.
WITH hit AS MATERIALIZED (
    SELECT seen.id
    FROM (
        SELECT t.id, t.created_at, {seen} FROM {table} t
        WHERE t.slot = $1 AND t.merchant_id = $2 AND t.livemode = $3 {served} AND t.id > $4 AND t.id < $5
        ORDER BY t.id {order} LIMIT $8::bigint
    ) AS seen
    WHERE ($9::timestamptz IS NULL OR seen.created_at >= $9) AND ($10::timestamptz IS NULL OR seen.created_at <= $10)
        {tested}
    ORDER BY seen.id {order} LIMIT $7::bigint
)
SELECT $6::uuid IS NULL OR EXISTS (
        SELECT FROM {table} t WHERE t.slot = $1 AND t.merchant_id = $2 AND t.livemode = $3 AND t.id = $6) AS known,
    CASE WHEN (SELECT count(*) FROM hit) < $7::bigint THEN (
        SELECT t.id FROM {table} t
        WHERE t.slot = $1 AND t.merchant_id = $2 AND t.livemode = $3 {served} AND t.id > $4 AND t.id < $5
        ORDER BY t.id {order} OFFSET $8::bigint - 1 LIMIT 1) END AS edge,
    {columns}
FROM (VALUES (true)) AS always (present)
LEFT JOIN hit ON true
LEFT JOIN {table} t ON t.slot = $1 AND t.merchant_id = $2 AND t.livemode = $3 AND t.id = hit.id
ORDER BY hit.id {order};
