"""The composition root: what one Lambda environment keeps between calls.

Everything is opened lazily, in the one event loop that Mangum keeps per process. The clock and the id source come from here: shadow
comparison and tests replace these two.
"""

import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from uuid import UUID

from guilder import log, processor_secrets, reconcile
from guilder.cache import Cache
from guilder.config import Cell, Settings
from guilder.db import CellDatabase
from guilder.idempotency import Desk
from guilder.ids import IdSource, Tenant
from guilder.keys import Caller, KeyRing, slot_of
from guilder.phases import Context
from guilder.processors import Processor
from guilder.reconcile import Report

if TYPE_CHECKING:
    from guilder.verify import Options
    from guilder.verify import Report as Findings

CELLS_HELD = 4
"""Cells whose connections one environment keeps; the least recently used is closed first. A thousand environments share each cell."""


def utc_now() -> datetime:
    """Tell the time."""
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class OpenCell:
    """The connections to one cell."""

    database: CellDatabase
    cache: Cache
    desk: Desk

    async def close(self) -> None:
        """Close them."""
        await self.database.close()
        await self.cache.close()


class Runtime:
    """Settings, clock, ids, cells, processors and known API keys of one environment."""

    def __init__(
        self, settings: Settings, clock: Callable[[], datetime] = utc_now, new_id: Callable[[], UUID] | None = None
    ) -> None:
        self.settings = settings
        self.clock = clock
        self.new_id = new_id or IdSource(clock).new
        self._keys = KeyRing(clock)
        self._cells: OrderedDict[str, OpenCell] = OrderedDict()
        self._processors: dict[str, Processor] | None = None
        log.set_level(settings.log_level)

    async def identify(self, api_key: str) -> Caller:
        """Find the caller behind an API key.

        Raises:
            Unauthenticated: no such key, or not any more.
        """
        slot = slot_of(api_key)
        cell = await self._cell(slot)
        return await self._keys.identify(api_key, cell.database)

    async def context(self, tenant: Tenant) -> Context:
        """Put together what a piece of work for this merchant needs."""
        cell = await self._cell(tenant.slot)
        return Context(
            tenant=tenant,
            database=cell.database,
            desk=cell.desk,
            processors=self.processors,
            clock=self.clock,
            new_id=self.new_id,
            budgets=self.settings.budgets,
        )

    async def reconcile(self, seconds: float) -> Report:
        """Run the reconciler over every cell for about ``seconds``."""
        cells = [(await self._cell(cell.first_slot)).database for cell in self.settings.cells]
        return await reconcile.run(cells, self.context, self.clock, seconds)

    async def roll_up(self, seconds: float) -> int:
        """Advance the ledger's roll-ups of every cell for about ``seconds``; the number of transfers that were added."""
        from guilder import rollup  # one function needs it, and each import is a part of every function's cold start

        end, added = time.monotonic() + seconds, 0
        for cell in self.settings.cells:
            database = (await self._cell(cell.first_slot)).database
            done = await rollup.advance(database.writer, limit_s=max(end - time.monotonic(), 0))
            added += done.transfers
        return added

    async def verify(self, options: "Options") -> "Findings":
        """Check the books of every cell, and the processors' against them. Reads only."""
        from guilder import verify  # as above

        opened = [CellDatabase(cell, self.settings) for cell in self.settings.cells]
        cells = [verify.OpenCell(*each) for each in zip(self.settings.cells, opened, strict=True)]
        try:
            return await verify.run(cells, self.processors, self.clock, options)
        finally:
            for database in opened:
                await database.close()

    async def database(self, slot: int) -> CellDatabase:
        """Give the database that serves a slot."""
        return (await self._cell(slot)).database

    @property
    def processors(self) -> dict[str, Processor]:
        """The processors by name, as far as this environment has them."""
        if self._processors is None:
            self._processors = self._make_processors()
        return self._processors

    async def close(self) -> None:
        """Close every connection, before a snapshot is taken or a test ends. The next use opens new ones."""
        while self._cells:
            await self._cells.popitem()[1].close()
        for processor in (self._processors or {}).values():
            await processor.close()
        self._processors = None

    def _make_processors(self) -> dict[str, Processor]:
        processors: dict[str, Processor] = {}
        if self.settings.simulator_url is not None:
            from guilder.processors.simulator import Simulator  # httpx is dear to import, and reads need no processor

            processors["simulator"] = Simulator(
                self.settings.simulator_url,
                self.settings.budgets.processor,
                processor_secrets.load(self.settings).notification_secret("simulator"),
            )
        return processors

    async def _cell(self, slot: int) -> OpenCell:
        cell = self.settings.cell_of(slot)
        found = self._cells.get(cell.name)
        if found is None:
            found = self._cells[cell.name] = self._open(cell)
            if len(self._cells) > CELLS_HELD:
                _, oldest = self._cells.popitem(last=False)
                await oldest.close()
        self._cells.move_to_end(cell.name)
        return found

    def _open(self, cell: Cell) -> OpenCell:
        cache = Cache(cell, self.settings)
        return OpenCell(CellDatabase(cell, self.settings), cache, Desk(cache, self.settings.budgets.lease))
