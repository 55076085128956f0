-- Balances off the request path, and what lists need.
--
-- A payment inserts a transfer and touches no balance. A worker (rollup.py) adds transfers up per account, and a read adds what the worker
-- has not seen yet. The line between the two is a transaction id: `balances` holds exactly the transfers with `xid < watermark`.
-- Neither table moves with a slot to another cluster: transaction ids count per cluster. There, the roll-up begins anew from nothing.

CREATE TABLE rollups (
    slot        smallint    NOT NULL,
    merchant_id uuid        NOT NULL,
    livemode    boolean     NOT NULL,
    watermark   xid8        NOT NULL,
    PRIMARY KEY (slot, merchant_id, livemode)
) WITH (fillfactor = 80);

CREATE TABLE balances (
    slot        smallint    NOT NULL,
    merchant_id uuid        NOT NULL,
    livemode    boolean     NOT NULL,
    account     text        NOT NULL,
    currency    text        NOT NULL CHECK (currency ~ '^[A-Z]{3}$'),
    amount      numeric(38) NOT NULL,  -- credits minus debits
    PRIMARY KEY (slot, merchant_id, livemode, account, currency)
) WITH (fillfactor = 80);

-- The tail: what the roll-up has not seen.
CREATE INDEX transfers_by_xid ON transfers (slot, merchant_id, livemode, xid);
-- What came after a time that a balance is asked for.
CREATE INDEX transfers_by_time ON transfers (slot, merchant_id, livemode, created_at);
-- A payment's transfers, now in the order of lists as well.
DROP INDEX transfers_by_payment;
CREATE INDEX transfers_by_payment ON transfers (slot, merchant_id, livemode, payment_id, id);
-- A customer's payments, in the order of lists. Neither column ever changes: the updates of a payment still touch no index.
CREATE INDEX payments_by_customer ON payments (slot, merchant_id, livemode, customer, id) WHERE customer IS NOT NULL;

GRANT SELECT, INSERT, UPDATE ON rollups, balances TO guilder_app;
