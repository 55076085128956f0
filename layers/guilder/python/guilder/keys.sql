-- name: find_key
SELECT k.slot, k.merchant_id, k.livemode, k.id, k.scopes, k.expires_at, m.processor
FROM api_keys k
JOIN merchants m ON m.slot = k.slot AND m.id = k.merchant_id
WHERE k.slot = $1 AND k.key_hash = $2 AND k.revoked_at IS NULL;

-- name: provision
WITH merchant AS (
    INSERT INTO merchants (slot, id, name, created_at) VALUES ($1, $2, $3, $8)
    RETURNING slot, id
)
INSERT INTO api_keys (slot, merchant_id, livemode, id, key_hash, scopes, created_at)
SELECT slot, id, $4, $5, $6, $7, $8 FROM merchant;
