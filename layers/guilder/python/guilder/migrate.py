"""Migrations: plain SQL files, applied in order, once, under a lock, with checksums.

They go to the cluster directly, past proxy and pooler, as its administrator; each file runs in a transaction of its own, as
``guilder_owner`` unless its first line says ``-- run as: administrator``. An applied file that was changed since is an error: write a new
one instead.
"""

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

import asyncpg

_FOLDER = Path(__file__).with_name("migrations")
_NAME = re.compile(r"(\d{4})_[a-z0-9_]+")
_AS_ADMINISTRATOR = "-- run as: administrator\n"
_LOCK = 0x6775696C646572  # "guilder"; a session lock is right here: nothing pools this connection, and it ends with it
_PARTITION_WEEKS_AHEAD = 12

_LEDGER = """
CREATE TABLE IF NOT EXISTS schema_migrations (
    version    integer     PRIMARY KEY,
    name       text        NOT NULL,
    checksum   text        NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT now()
)"""


class MigrationError(RuntimeError):
    """The files and the database disagree. The message names the file and what to do; nothing was changed."""


@dataclass(frozen=True, slots=True)
class Migration:
    """One file."""

    version: int
    name: str
    sql: str

    @property
    def checksum(self) -> str:
        """SHA-256 of the text, in hex."""
        return hashlib.sha256(self.sql.encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Applied:
    """What a run did: the names it applied, and the version the database stands at."""

    applied: list[str]
    version: int


def load(folder: Path = _FOLDER) -> list[Migration]:
    """Read the files, in order.

    Raises:
        MigrationError: a name is malformed, or the numbers do not run 1, 2, 3 ...
    """
    migrations = []
    for number, path in enumerate(sorted(folder.glob("*.sql")), start=1):
        match = _NAME.fullmatch(path.stem)
        if match is None or int(match[1]) != number:
            raise MigrationError(f"{path.name}: name it {number:04}_<what_it_does>.sql, so that the order has no gap")
        migrations.append(Migration(number, path.stem, path.read_text(encoding="utf-8")))
    return migrations


async def migrate(connection: asyncpg.Connection, migrations: list[Migration]) -> Applied:
    """Apply what is missing, and make the event partitions of the coming weeks.

    Two runs at once: the second waits, then finds nothing to do.

    Raises:
        MigrationError: an applied file was changed since.
        asyncpg.PostgresError: a file failed; it left nothing behind, and those before it stay applied.
    """
    await connection.execute("SELECT pg_advisory_lock($1)", _LOCK)
    try:
        await connection.execute(_LEDGER)
        rows = await connection.fetch("SELECT version, checksum FROM schema_migrations")
        known = {row["version"]: row["checksum"] for row in rows}
        _refuse_changed(migrations, known)
        missing = [migration for migration in migrations if migration.version not in known]
        for migration in missing:
            await _apply(connection, migration)
        await connection.execute(
            "SELECT make_event_partitions(current_date - 7, current_date + 7 * $1::integer)", _PARTITION_WEEKS_AHEAD
        )
    finally:
        await connection.execute("SELECT pg_advisory_unlock($1)", _LOCK)
    return Applied(
        [migration.name for migration in missing],
        max([*known, *(migration.version for migration in missing)], default=0),
    )


def _refuse_changed(migrations: list[Migration], known: dict[int, str]) -> None:
    for migration in migrations:
        if known.get(migration.version, migration.checksum) != migration.checksum:
            raise MigrationError(
                f"{migration.name}.sql was changed after it had been applied: restore it, and put the change into a new file"
            )


async def _apply(connection: asyncpg.Connection, migration: Migration) -> None:
    async with connection.transaction():
        if not migration.sql.startswith(_AS_ADMINISTRATOR):
            await connection.execute("SET LOCAL ROLE guilder_owner")
        await connection.execute(migration.sql)
        await connection.execute("RESET ROLE")
        await connection.execute(
            "INSERT INTO schema_migrations (version, name, checksum) VALUES ($1, $2, $3)",
            migration.version, migration.name, migration.checksum,
        )  # fmt: skip
