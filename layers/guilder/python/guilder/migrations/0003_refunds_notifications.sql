-- Refunds, and what processors tell us.

CREATE TABLE refunds (
    slot                smallint    NOT NULL,
    merchant_id         uuid        NOT NULL,
    livemode            boolean     NOT NULL,
    id                  uuid        NOT NULL,
    payment_id          uuid        NOT NULL,
    operation_id        uuid        NOT NULL,
    status              text        NOT NULL CHECK (status IN ('pending', 'succeeded', 'failed')),
    version             integer     NOT NULL CHECK (version >= 1),
    amount              bigint      NOT NULL CHECK (amount > 0),
    currency            text        NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
    reason              text,
    metadata            jsonb       NOT NULL DEFAULT '{}',
    failure_code        text,
    failure_message     text,
    failure_processor_code text,
    processor           text        NOT NULL,
    processor_reference text,
    created_at          timestamptz NOT NULL,
    updated_at          timestamptz NOT NULL,
    PRIMARY KEY (slot, merchant_id, livemode, id),
    CONSTRAINT refunds_failed_with_reason CHECK ((status = 'failed') = (failure_code IS NOT NULL)),
    CONSTRAINT refunds_updated_after_created CHECK (updated_at >= created_at)
) WITH (fillfactor = 80);
CREATE INDEX refunds_by_payment ON refunds (slot, merchant_id, livemode, payment_id);

-- What processors told us: stored before it is answered, acted on afterwards. A notification is a hint to ask the processor, never a fact.
CREATE TABLE notifications (
    slot                smallint    NOT NULL,
    merchant_id         uuid        NOT NULL,
    livemode            boolean     NOT NULL,
    processor           text        NOT NULL,
    processor_id        text        NOT NULL,   -- the processor's id of the notification: a duplicate finds its row
    type                text        NOT NULL,
    operation_id        uuid        NOT NULL,
    body                text        NOT NULL,
    received_at         timestamptz NOT NULL,
    next_attempt_at     timestamptz NOT NULL,
    attempts            smallint    NOT NULL DEFAULT 0,
    processed_at        timestamptz,
    result              text,
    PRIMARY KEY (slot, merchant_id, livemode, processor, processor_id)
);
CREATE INDEX notifications_due ON notifications (next_attempt_at) WHERE processed_at IS NULL;

-- Aborts the statement it stands in, and with it all that the statement did. Statements of one step claim an idempotency key and change
-- an object: where the object is not in the state that the change needs, nothing may stay, the claim included.
CREATE FUNCTION refuse(reason text) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION USING MESSAGE = reason, ERRCODE = 'GU001';
END $$;

GRANT SELECT, INSERT, UPDATE ON refunds, notifications TO guilder_app;
GRANT SELECT ON refunds, notifications TO guilder_mover;
