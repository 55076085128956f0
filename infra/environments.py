"""The environments Guilder runs in: every name, size and limit that differs between them, and nothing else.

`local` is the stack on a laptop (LocalStack, no account); `dev` and `prod` are AWS accounts.
"""

from dataclasses import dataclass
from itertools import pairwise
from typing import Literal, get_args

Name = Literal["local", "dev", "prod"]
NAMES: tuple[Name, ...] = get_args(Name)

SLOTS = 1_024  # logical shards; fixed for ever, ids and API keys carry the slot


@dataclass(frozen=True, slots=True)
class Cell:
    """One Aurora cluster with its proxy and cache, and the slots it serves, both ends included.

    The ranges are written down, not computed: a slot's rows lie in one cell, so a range changes only by moving data.
    """

    name: str
    first_slot: int = 0
    last_slot: int = SLOTS - 1


@dataclass(frozen=True, slots=True)
class DatabaseSize:
    """Aurora Serverless v2: capacity of each instance in ACU (about 2 GB of memory each)."""

    min_acu: float
    max_acu: float
    readers: int  # at least one: the proxy's read-only endpoint needs a target
    backup_days: int


@dataclass(frozen=True, slots=True)
class CacheSize:
    """Node-based Valkey, cluster mode disabled. A replica in another zone is what makes a fail-over possible."""

    node_type: str
    replicas: int


@dataclass(frozen=True, slots=True)
class FunctionSize:
    """What one Lambda environment gets, and how many of them a function may have.

    25 s leaves API Gateway's 29 s to the gateway; the processor's own time-out (15 s) lies within.
    1,024 MB is about 0.6 of a CPU, where a request is bound by the network and not by the processor.
    """

    memory_mb: int = 1_024
    timeout_seconds: int = 25
    reserved_concurrency: int | None = None


@dataclass(frozen=True, slots=True)
class CloudSize:
    """What an AWS account gets around the functions. LocalStack has none of it."""

    cells: tuple[Cell, ...]
    availability_zones: int
    nat_gateways: int
    database: DatabaseSize
    cache: CacheSize

    def __post_init__(self) -> None:
        """Every slot belongs to exactly one cell, or a merchant would have none or two homes."""
        edges = [(-1, -1), *((cell.first_slot, cell.last_slot) for cell in self.cells), (SLOTS, SLOTS)]
        if any(following[0] != previous[1] + 1 for previous, following in pairwise(edges)):
            raise ValueError(f"the cells must cover slots 0 to {SLOTS - 1} once, in order: {self.cells}")


@dataclass(frozen=True, slots=True)
class Environment:
    """One place to run Guilder in. Without an account or region the templates fit any."""

    name: Name
    cloud: CloudSize | None  # None on LocalStack: database, pooler, cache and simulator run beside it
    api_function: FunctionSize
    notifications_function: FunctionSize  # bounded: a processor's burst waits, and is sent again
    migrate_function: FunctionSize
    requests_per_second: int  # the stage's throttle; both API Gateway's and Lambda's quotas must allow for it
    burst: int
    log_days: int
    keeps_data: bool  # whether deleting a stack leaves databases, keys and logs behind
    account: str | None = None
    region: str | None = None

    @property
    def has_simulator(self) -> bool:
        """Whether the processor simulator is deployed. Locally it is a process beside LocalStack; in prod there is none."""
        return self.name == "dev"

    def named(self, part: str) -> str:
        """The name of a stack, function or other part, unique in the account and region."""
        return f"guilder-{self.name}-{part}"


def load(name: str, *, account: str | None = None, region: str | None = None) -> Environment:
    """The environment of this name.

    Raises:
        ValueError: there is none.
    """
    if name == "local":
        return local()
    if name == "dev":
        return dev(account, region)
    if name == "prod":
        return prod(account, region)
    raise ValueError(f"unknown environment {name!r}: one of {', '.join(NAMES)}")


def local() -> Environment:
    """A laptop or CI: LocalStack's account and default region."""
    return Environment(
        name="local",
        cloud=None,
        api_function=FunctionSize(),
        notifications_function=FunctionSize(reserved_concurrency=4),  # each is a process of this machine
        migrate_function=FunctionSize(timeout_seconds=120),
        requests_per_second=10_000,
        burst=5_000,
        log_days=1,
        keeps_data=False,
    )


def dev(account: str | None, region: str | None) -> Environment:
    """An account to try things in: small, and deleted without a trace."""
    return Environment(
        name="dev",
        cloud=CloudSize(
            cells=(Cell("c1"),),
            availability_zones=2,
            nat_gateways=1,
            database=DatabaseSize(min_acu=0.5, max_acu=4, readers=1, backup_days=1),
            cache=CacheSize(node_type="cache.t4g.micro", replicas=1),
        ),
        api_function=FunctionSize(),
        notifications_function=FunctionSize(),
        migrate_function=FunctionSize(timeout_seconds=900),
        requests_per_second=100,
        burst=200,
        log_days=7,
        keeps_data=False,
        account=account,
        region=region,
    )


def prod(account: str | None, region: str | None) -> Environment:
    """Real money, in three zones. The reserved concurrency fits Lambda's default quota of 1,000."""
    return Environment(
        name="prod",
        cloud=CloudSize(
            cells=(Cell("c1"),),
            availability_zones=3,
            nat_gateways=3,
            database=DatabaseSize(min_acu=2, max_acu=64, readers=2, backup_days=35),
            cache=CacheSize(node_type="cache.r7g.large", replicas=2),
        ),
        api_function=FunctionSize(reserved_concurrency=400),
        notifications_function=FunctionSize(reserved_concurrency=50),
        migrate_function=FunctionSize(timeout_seconds=900, reserved_concurrency=1),
        requests_per_second=10_000,
        burst=5_000,
        log_days=365,
        keeps_data=True,
        account=account,
        region=region,
    )
