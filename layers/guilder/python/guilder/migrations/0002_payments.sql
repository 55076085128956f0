-- The ground that cannot be changed later.
--
-- Every tenant table's primary key starts with (slot, merchant_id, livemode): rows route by slot, every query names its merchant, and test
-- and live mode are separate worlds. Ids are UUIDv7s from the application: no sequences and no identity columns, so that a slot can move to
-- another cell by logical replication. The replica identity is the primary key, which holds the slot that a row filter needs.
-- No foreign keys on the request path: their share locks would make every payment of a merchant write to the same row. `make verify` and the
-- statements themselves (one per step, all or nothing) keep the rows together.

CREATE TABLE merchants (
    slot        smallint    NOT NULL CHECK (slot BETWEEN 0 AND 1023),
    id          uuid        NOT NULL,
    name        text        NOT NULL CHECK (name <> ''),
    processor   text        NOT NULL DEFAULT 'simulator',
    created_at  timestamptz NOT NULL,
    PRIMARY KEY (slot, id)
);

CREATE TABLE api_keys (
    slot        smallint    NOT NULL,
    merchant_id uuid        NOT NULL,
    livemode    boolean     NOT NULL,
    id          uuid        NOT NULL,
    key_hash    bytea       NOT NULL CHECK (octet_length(key_hash) = 32),
    scopes      text[]      NOT NULL,
    created_at  timestamptz NOT NULL,
    expires_at  timestamptz,
    revoked_at  timestamptz,
    PRIMARY KEY (slot, merchant_id, livemode, id),
    FOREIGN KEY (slot, merchant_id) REFERENCES merchants (slot, id)
);
-- The one look-up that cannot name its merchant, since it is how the merchant is found.
CREATE UNIQUE INDEX api_keys_by_hash ON api_keys (slot, key_hash);

CREATE TABLE payments (
    slot                smallint    NOT NULL,
    merchant_id         uuid        NOT NULL,
    livemode            boolean     NOT NULL,
    id                  uuid        NOT NULL,
    status              text        NOT NULL,
    version             integer     NOT NULL CHECK (version >= 1),
    owner               uuid        NOT NULL,  -- the fence: whoever works on the payment; an update by anybody else finds no row
    amount              bigint      NOT NULL CHECK (amount BETWEEN 1 AND 999999999999),
    currency            text        NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
    capture_method      text        NOT NULL CHECK (capture_method IN ('automatic', 'manual')),
    amount_capturable   bigint      NOT NULL DEFAULT 0,
    amount_captured     bigint      NOT NULL DEFAULT 0,
    amount_refunded     bigint      NOT NULL DEFAULT 0,
    capture_pending     bigint      NOT NULL DEFAULT 0,
    refund_pending      bigint      NOT NULL DEFAULT 0,
    payment_method      text        NOT NULL,
    customer            text,
    merchant_reference  text,
    description         text,
    metadata            jsonb       NOT NULL DEFAULT '{}',
    failure_code        text,
    failure_message     text,
    failure_processor_code text,
    next_action_url     text,
    cancellation_reason text        CHECK (cancellation_reason IN ('requested', 'authorization_expired')),
    review              text        CHECK (review IN ('late_success_reversed')),  -- a person should look at this payment, and why
    authorization_expires_at timestamptz,
    processor           text        NOT NULL,
    processor_reference text,
    created_at          timestamptz NOT NULL,
    updated_at          timestamptz NOT NULL,
    PRIMARY KEY (slot, merchant_id, livemode, id),
    CONSTRAINT payments_status_known CHECK (status IN
        ('requires_confirmation', 'processing', 'requires_action', 'requires_capture', 'succeeded', 'failed', 'canceled')),
    CONSTRAINT payments_amounts_bounded CHECK (
        amount_capturable >= 0 AND amount_captured >= 0 AND amount_refunded >= 0 AND capture_pending >= 0 AND refund_pending >= 0
        AND amount_captured + amount_capturable <= amount
        AND capture_pending <= amount_capturable
        AND amount_refunded + refund_pending <= amount_captured),
    CONSTRAINT payments_captured_by_status CHECK (CASE status
        WHEN 'requires_capture' THEN amount_capturable > 0
        WHEN 'succeeded' THEN amount_captured > 0 AND amount_capturable = 0
        WHEN 'canceled' THEN amount_capturable = 0 AND amount_captured = 0
        ELSE amount_capturable = 0 AND amount_captured = 0 END),
    CONSTRAINT payments_canceled_with_reason CHECK (status <> 'canceled' OR cancellation_reason IS NOT NULL),
    CONSTRAINT payments_failed_with_reason CHECK ((status = 'failed') = (failure_code IS NOT NULL)),
    CONSTRAINT payments_action_with_url CHECK ((status = 'requires_action') = (next_action_url IS NOT NULL)),
    CONSTRAINT payments_updated_after_created CHECK (updated_at >= created_at)
) WITH (fillfactor = 80);  -- room for the second version of a row on its own page: the update of phase 3 touches no index
CREATE UNIQUE INDEX payments_by_merchant_reference ON payments (slot, merchant_id, livemode, merchant_reference)
    WHERE merchant_reference IS NOT NULL;

-- One row per call to a processor. Its id is the processor's idempotency key: two equal partial captures are two operations.
CREATE TABLE operations (
    slot                smallint    NOT NULL,
    merchant_id         uuid        NOT NULL,
    livemode            boolean     NOT NULL,
    id                  uuid        NOT NULL,
    payment_id          uuid        NOT NULL,
    refund_id           uuid,
    kind                text        NOT NULL CHECK (kind IN ('authorize', 'capture', 'cancel', 'refund', 'reverse')),
    amount              bigint      NOT NULL CHECK (amount > 0),
    currency            text        NOT NULL,
    processor           text        NOT NULL,
    attempt             smallint    NOT NULL DEFAULT 1 CHECK (attempt >= 1),
    owner               uuid        NOT NULL,
    lease_until         timestamptz NOT NULL,
    check_at            timestamptz NOT NULL,   -- when the reconciler may look at it
    answer_status       smallint    NOT NULL DEFAULT 200,
    idempotency_key     text,                   -- whose stored answer this operation decides; none for those that a worker began
    charge_reference    text,                   -- the processor's id of the charge that this operation changes
    reason              text,
    outcome             text        CHECK (outcome IN ('approved', 'declined', 'not_processed')),
    processor_reference text,
    processor_code      text,
    authorization_expires_at timestamptz,
    created_at          timestamptz NOT NULL,
    finished_at         timestamptz,
    PRIMARY KEY (slot, merchant_id, livemode, id),
    CONSTRAINT operations_finished_with_outcome CHECK ((outcome IS NULL) = (finished_at IS NULL))
) WITH (fillfactor = 80);
CREATE INDEX operations_by_payment ON operations (slot, merchant_id, livemode, payment_id);
-- What the reconciler looks at: operations without an outcome, by the time at which it may ask.
CREATE INDEX operations_open ON operations (check_at) WHERE outcome IS NULL;
-- Authorizations that run out: set when an authorize operation is approved and not captured, cleared when the authorization has ended.
CREATE INDEX operations_expiring ON operations (authorization_expires_at) WHERE authorization_expires_at IS NOT NULL;

CREATE TABLE idempotency (
    slot            smallint    NOT NULL,
    merchant_id     uuid        NOT NULL,
    livemode        boolean     NOT NULL,
    key             text        NOT NULL CHECK (octet_length(key) BETWEEN 1 AND 255),
    fingerprint     bytea       NOT NULL CHECK (octet_length(fingerprint) = 32),
    object_id       uuid        NOT NULL,
    operation_id    uuid        NOT NULL,
    owner           uuid        NOT NULL,
    lease_until     timestamptz NOT NULL,
    response_status smallint,
    response_body   bytea,
    created_at      timestamptz NOT NULL,
    expires_at      timestamptz NOT NULL,
    PRIMARY KEY (slot, merchant_id, livemode, key),
    CONSTRAINT idempotency_answered_whole CHECK ((response_status IS NULL) = (response_body IS NULL)),
    -- 202 and errors that a retry can resolve are never stored
    CONSTRAINT idempotency_answer_final CHECK (response_status IS NULL OR (response_status BETWEEN 200 AND 499 AND response_status <> 202))
) WITH (fillfactor = 80);
CREATE INDEX idempotency_by_expiry ON idempotency (expires_at);

-- The ledger: each row moves an amount from one account to another, so it is balanced by construction. Append-only by privilege.
CREATE TABLE transfers (
    slot            smallint    NOT NULL,
    merchant_id     uuid        NOT NULL,
    livemode        boolean     NOT NULL,
    id              uuid        NOT NULL,
    kind            text        NOT NULL CHECK (kind IN ('capture', 'refund')),
    debit_account   text        NOT NULL,
    credit_account  text        NOT NULL,
    amount          bigint      NOT NULL CHECK (amount > 0),
    currency        text        NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
    payment_id      uuid        NOT NULL,
    operation_id    uuid        NOT NULL,
    xid             xid8        NOT NULL DEFAULT pg_current_xact_id(),  -- lets a roll-up tell which rows it may count
    available_on    timestamptz NOT NULL,
    created_at      timestamptz NOT NULL,
    PRIMARY KEY (slot, merchant_id, livemode, id),
    CHECK (debit_account <> credit_account)
);
CREATE INDEX transfers_by_payment ON transfers (slot, merchant_id, livemode, payment_id);
-- the second lock against booking one operation twice
CREATE UNIQUE INDEX transfers_by_operation ON transfers (slot, merchant_id, livemode, operation_id, kind);

-- One row per change of an object, with the object as the API shows it at that version. Partitioned by time, so that retention drops tables.
CREATE TABLE events (
    slot        smallint    NOT NULL,
    merchant_id uuid        NOT NULL,
    livemode    boolean     NOT NULL,
    id          uuid        NOT NULL,
    created_at  timestamptz NOT NULL,
    type        text        NOT NULL,
    object_id   uuid        NOT NULL,
    version     integer     NOT NULL,       -- the object's version: a sequence without gaps per object
    data        json        NOT NULL,
    position    bigint,                     -- the place in the merchant's feed; the relay assigns it
    PRIMARY KEY (slot, merchant_id, livemode, id, created_at)
) PARTITION BY RANGE (created_at);
CREATE INDEX events_by_object ON events (slot, merchant_id, livemode, object_id, version);
CREATE INDEX events_without_position ON events (slot, id) WHERE position IS NULL;
CREATE TABLE events_default PARTITION OF events DEFAULT;

-- Makes the weekly partitions that cover [first, last]; those that exist, or whose rows already lie in the default partition, are left alone.
CREATE FUNCTION make_event_partitions(first date, last date) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public AS $$
DECLARE
    week date := date_trunc('week', first)::date;
    name text;
    made integer := 0;
BEGIN
    WHILE week <= last LOOP
        name := 'events_' || to_char(week, 'IYYY"w"IW');
        IF to_regclass(name) IS NULL
            AND NOT EXISTS (SELECT FROM events_default WHERE created_at >= week AND created_at < week + 7) THEN
            EXECUTE format('CREATE TABLE %I PARTITION OF events FOR VALUES FROM (%L) TO (%L)',
                name, week::text || ' 00:00:00+00', (week + 7)::text || ' 00:00:00+00');
            made := made + 1;
        END IF;
        week := week + 7;
    END LOOP;
    RETURN made;
END $$;
REVOKE EXECUTE ON FUNCTION make_event_partitions FROM PUBLIC;
GRANT EXECUTE ON FUNCTION make_event_partitions TO guilder_app;

-- The functions' role: what it may not do is the second lock. No UPDATE and no DELETE on the ledger; events may only be given a position.
GRANT SELECT ON merchants, api_keys TO guilder_app;
GRANT SELECT, INSERT, UPDATE ON payments, operations, idempotency TO guilder_app;
GRANT DELETE ON idempotency TO guilder_app;
GRANT SELECT, INSERT ON transfers, events TO guilder_app;
GRANT UPDATE (position) ON events TO guilder_app;
GRANT SELECT ON merchants, api_keys, payments, operations, idempotency, transfers, events TO guilder_mover;
