-- The simulator's tables. Applied as a whole, in one transaction, whenever this file differs from what was applied last:
-- every statement must therefore be safe to run again, and a later change is an ALTER with IF NOT EXISTS at the end.

CREATE TABLE IF NOT EXISTS charges (
    id text PRIMARY KEY,
    reference text NOT NULL,
    amount bigint NOT NULL CHECK (amount > 0),
    currency text NOT NULL,
    source text NOT NULL,
    capture boolean NOT NULL,
    idempotency_key text NOT NULL,
    created_at timestamptz NOT NULL,
    status text NOT NULL,
    amount_captured bigint NOT NULL CHECK (amount_captured >= 0),
    amount_voided bigint NOT NULL CHECK (amount_voided >= 0),
    amount_refunded bigint NOT NULL CHECK (amount_refunded >= 0),
    amount_refund_pending bigint NOT NULL CHECK (amount_refund_pending >= 0),
    failure_code text,
    failure_message text,
    settles_at timestamptz,
    version integer NOT NULL,
    CONSTRAINT never_more_than_authorized CHECK (amount_captured + amount_voided <= amount),
    CONSTRAINT never_more_than_captured CHECK (amount_refunded + amount_refund_pending <= amount_captured),
    CONSTRAINT status_tells_the_amounts CHECK (
        CASE status
            WHEN 'authorized' THEN amount_captured = 0 AND amount_voided = 0
            WHEN 'captured' THEN amount_captured > 0
            WHEN 'voided' THEN amount_captured = 0 AND amount_voided = amount
            WHEN 'failed' THEN amount_captured = 0 AND amount_voided = 0
            WHEN 'requires_action' THEN amount_captured = 0 AND amount_voided = 0
            ELSE false
        END
    ),
    CONSTRAINT only_a_failure_has_a_reason CHECK ((status = 'failed') = (failure_code IS NOT NULL)),
    CONSTRAINT only_a_failure_succeeds_late CHECK (settles_at IS NULL OR status = 'failed')
);

-- One charge for one idempotency key, whatever the code above believes.
CREATE UNIQUE INDEX IF NOT EXISTS charges_idempotency_key ON charges (idempotency_key);
CREATE INDEX IF NOT EXISTS charges_reference ON charges (reference, created_at, id);
CREATE INDEX IF NOT EXISTS charges_created_at ON charges (created_at, id);
CREATE INDEX IF NOT EXISTS charges_settling ON charges (settles_at) WHERE settles_at IS NOT NULL;

CREATE TABLE IF NOT EXISTS refunds (
    id text PRIMARY KEY,
    charge_id text NOT NULL REFERENCES charges,
    amount bigint NOT NULL CHECK (amount > 0),
    status text NOT NULL CHECK (status IN ('pending', 'succeeded', 'failed')),
    idempotency_key text NOT NULL UNIQUE,
    created_at timestamptz NOT NULL,
    settles_at timestamptz,
    settles_as text CHECK (settles_as IN ('succeeded', 'failed')),
    CONSTRAINT pending_will_be_decided CHECK ((status = 'pending') = (settles_at IS NOT NULL AND settles_as IS NOT NULL))
);

CREATE INDEX IF NOT EXISTS refunds_charge ON refunds (charge_id);
CREATE INDEX IF NOT EXISTS refunds_settling ON refunds (settles_at) WHERE settles_at IS NOT NULL;

-- What was done under each idempotency key, and the answer that was given. While `status_code` is NULL nothing is decided:
-- `owner` is then the attempt that works on it, until `lease_until`; without an owner nobody does and nothing was done.
CREATE TABLE IF NOT EXISTS operations (
    idempotency_key text PRIMARY KEY,
    kind text NOT NULL CHECK (kind IN ('charge', 'capture', 'void', 'refund')),
    fingerprint text NOT NULL,
    tries integer NOT NULL,
    owner text,
    lease_until timestamptz,
    charge_id text REFERENCES charges,
    refund_id text REFERENCES refunds,
    status_code smallint,
    answer text,
    CHECK ((status_code IS NULL) = (answer IS NULL)),
    CHECK ((owner IS NULL) = (lease_until IS NULL))
);

-- The outbox. `next_attempt_at` is NULL when nothing is planned: sent, given up, or nowhere to send to.
CREATE TABLE IF NOT EXISTS notifications (
    position bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    id text NOT NULL UNIQUE,
    type text NOT NULL,
    reference text NOT NULL,
    charge_id text NOT NULL REFERENCES charges,
    body text NOT NULL,
    copies smallint NOT NULL,
    created_at timestamptz NOT NULL,
    attempts integer NOT NULL DEFAULT 0,
    next_attempt_at timestamptz,
    sent_at timestamptz,
    last_error text
);

CREATE INDEX IF NOT EXISTS notifications_reference ON notifications (reference, position);
CREATE INDEX IF NOT EXISTS notifications_due ON notifications (next_attempt_at) WHERE next_attempt_at IS NOT NULL;
