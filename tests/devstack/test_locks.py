"""Two at once: the second is told so, and a dead holder holds nothing."""

import subprocess
import sys
from pathlib import Path

import pytest
from devstack import locks
from devstack.errors import BusyError

HOLD = """
import sys, time
from pathlib import Path
from devstack import locks
with locks.exclusive(Path(sys.argv[1]), wait_seconds=0, message="busy"):
    print("held", flush=True)
    time.sleep(600)
"""


def test_the_second_is_told_who_is_at_it_and_a_dead_holder_holds_nothing(tmp_path: Path) -> None:
    file = tmp_path / "up.lock"
    with subprocess.Popen([sys.executable, "-c", HOLD, str(file)], stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with (
            pytest.raises(BusyError, match=f"at work here .process {holder.pid}"),
            locks.exclusive(file, wait_seconds=0.2, message="another one is at work here"),
        ):
            raise AssertionError("the lock was held twice")
        holder.kill()
        holder.wait(timeout=10)
        with locks.exclusive(file, wait_seconds=0, message="busy"):
            pass
