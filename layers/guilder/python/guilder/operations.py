"""Operations: one row per call to a processor. The operation's id is the processor's idempotency key.

A payment's id would not do: two equal partial captures of one payment are two operations. Whoever works on an operation owns it for the
length of a lease. One whose lease ran out is taken over by asking the processor what became of it, never by asking for it again.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from guilder import db, ids
from guilder.ids import Tenant

COLUMNS = """id, kind, payment_id, refund_id, amount, processor, owner, created_at, answer_status, idempotency_key, charge_reference,
    reason, attempt"""
"""What ``read`` needs of a row."""

SQL = db.load_queries(__file__, columns=COLUMNS)

CHECK_FIRST_S = 2.0
CHECK_MOST_S = 30.0
"""The reconciler asks again after 2, 4, 8, 16, then every 30 seconds: a processor that can answer is heard within half a minute."""


class Kind(StrEnum):
    """What the processor is asked to do. ``reverse`` undoes a charge that succeeded after its payment had failed."""

    AUTHORIZE = "authorize"
    CAPTURE = "capture"
    CANCEL = "cancel"
    REFUND = "refund"
    REVERSE = "reverse"


class Result(StrEnum):
    """What came of it. No result yet: nobody knows, or the processor or the payer has not decided."""

    APPROVED = "approved"
    DECLINED = "declined"
    NOT_PROCESSED = "not_processed"


@dataclass(frozen=True, slots=True)
class Operation:
    """One call to a processor. ``created_at`` starts the time after which a processor that has not seen it never will."""

    id: UUID
    kind: Kind
    payment_id: UUID
    amount: int
    processor: str
    owner: UUID
    created_at: datetime
    answer_status: int = 200
    idempotency_key: str | None = None
    refund_id: UUID | None = None
    charge_reference: str | None = None
    reason: str | None = None
    attempt: int = 1


@dataclass(frozen=True, slots=True)
class Address:
    """Where an operation's row is."""

    tenant: Tenant
    operation: UUID


def read(row: db.Row) -> Operation:
    """Read a row of the blocks in ``operations.sql``."""
    return Operation(
        id=row["id"],
        kind=Kind(row["kind"]),
        payment_id=row["payment_id"],
        amount=row["amount"],
        processor=row["processor"],
        owner=row["owner"],
        created_at=row["created_at"],
        answer_status=row["answer_status"],
        idempotency_key=row["idempotency_key"],
        refund_id=row["refund_id"],
        charge_reference=row["charge_reference"],
        reason=row["reason"],
        attempt=row["attempt"],
    )


async def take_over(database: db.CellDatabase, address: Address, owner: UUID, lease_s: float) -> Operation | None:
    """Become the owner of an open operation whose lease ran out. None: it has an outcome, or somebody else is at it."""
    tenant = address.tenant
    row = await database.writer.fetchrow(
        SQL["take_over"], tenant.slot, tenant.merchant, tenant.livemode, address.operation, owner, lease_s
    )
    return None if row is None else read(row)


async def leave_open(
    database: db.CellDatabase, tenant: Tenant, operation: Operation, pause_s: float | None = None
) -> None:
    """End our lease: whoever comes next takes over at once, the reconciler after a while that grows with the attempts."""
    pause = min(CHECK_FIRST_S * 2 ** min(operation.attempt - 1, 10), CHECK_MOST_S) if pause_s is None else pause_s
    await database.writer.fetch(
        SQL["leave_open"],
        tenant.slot, tenant.merchant, tenant.livemode, operation.id, operation.owner, pause, operation.idempotency_key,
    )  # fmt: skip


async def get(database: db.CellDatabase, address: Address) -> tuple[Operation, bool] | None:
    """Read an operation, and whether it is open."""
    tenant = address.tenant
    row = await database.writer.fetchrow(SQL["get"], tenant.slot, tenant.merchant, tenant.livemode, address.operation)
    return None if row is None else (read(row), row["outcome"] is None)


def write_key(address: Address) -> str:
    """Write the idempotency key that the processor gets.

    It names the merchant, so that what a processor tells of its own accord routes without a look-up: ``op_`` + slot + operation + ``_`` +
    merchant + ``_test`` or ``_live``.
    """
    tenant = address.tenant
    mode = "live" if tenant.livemode else "test"
    return f"{ids.encode('op', tenant.slot, address.operation)}_{ids.encode_uuid(tenant.merchant)}_{mode}"


def read_key(key: str) -> Address:
    """Read a key that ``write_key`` wrote.

    Raises:
        ids.InvalidId: it did not.
    """
    prefix, _, rest = key.partition("_")
    operation, _, rest = rest.partition("_")
    merchant, _, mode = rest.partition("_")
    if mode not in {"live", "test"}:
        raise ids.InvalidId("operation key")
    place = ids.decode("op", f"{prefix}_{operation}")
    tenant = Tenant(place.slot, ids.decode("op", f"op_00{merchant}").uuid, mode == "live")
    return Address(tenant, place.uuid)
