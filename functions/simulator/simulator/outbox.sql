-- {notification} stands for the columns of a stored notification: the fields of the class `Stored`.

-- name: claim_due
-- Whoever takes a notification also plans the next attempt, so one that dies in the middle is taken up again.
UPDATE notifications SET attempts = attempts + 1, next_attempt_at = clock_timestamp() + $2::float8 * interval '1 second'
WHERE position IN (
    SELECT position FROM notifications WHERE next_attempt_at <= clock_timestamp()
    ORDER BY position LIMIT $1 FOR UPDATE SKIP LOCKED
)
RETURNING position, id, charge_id, body, copies, attempts

-- name: sent
UPDATE notifications SET sent_at = clock_timestamp(), next_attempt_at = NULL, last_error = NULL WHERE id = $1

-- name: let_go_held_back
-- A later notification of the charge is out: the one that was held back for it may go.
UPDATE notifications SET next_attempt_at = clock_timestamp()
WHERE charge_id = $1 AND attempts = 0 AND next_attempt_at > clock_timestamp() AND position < $2

-- name: failed
-- Without a delay there is no further attempt.
UPDATE notifications
SET last_error = $2, next_attempt_at = clock_timestamp() + $3::float8 * interval '1 second'
WHERE id = $1

-- name: resend
UPDATE notifications SET attempts = 0, sent_at = NULL, last_error = NULL, next_attempt_at = clock_timestamp()
WHERE id = $1
RETURNING {notification}

-- name: notifications_of_reference
SELECT {notification}
FROM notifications WHERE reference = $1
ORDER BY position LIMIT $2
