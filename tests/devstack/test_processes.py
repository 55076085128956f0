"""Servers are started once, known again, and stopped exactly."""

import contextlib
import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from devstack.errors import StackError
from devstack.processes import LOG_LIMIT_BYTES, Processes, Server

from tests.devstack.conftest import alive, server

SLEEP = ("/bin/sleep", "600")
DEAF = (
    sys.executable,
    "-c",
    "import signal, time; signal.signal(15, signal.SIG_IGN); print('deaf', flush=True); time.sleep(600)",
)
PARENT = (
    sys.executable,
    "-c",
    "import subprocess, time; print(subprocess.Popen(['/bin/sleep', '600']).pid, flush=True); time.sleep(600)",
)


def ensure(processes: Processes, wanted: Server) -> bool:
    """Have it running; these are ready at once."""
    return processes.ensure(wanted, lambda: True, seconds=5)


def pid_of(processes: Processes, name: str = "server") -> int:
    record = processes.running(name)
    assert record is not None
    return record.pid


def first_line(log: Path) -> str:
    """What a server printed first; it may take a moment."""
    for _ in range(200):
        if (text := log.read_text()) and text.endswith("\n"):
            return text.splitlines()[0]
        time.sleep(0.05)
    raise AssertionError(f"nothing in {log}")


def test_a_running_server_is_known_again_and_not_started_twice(tmp_path: Path, processes: Processes) -> None:
    assert ensure(processes, server(tmp_path, *SLEEP))
    another = Processes(tmp_path)
    assert not ensure(another, server(tmp_path, *SLEEP))
    assert pid_of(another) == pid_of(processes)


def test_a_server_that_was_described_differently_is_started_anew(tmp_path: Path, processes: Processes) -> None:
    ensure(processes, server(tmp_path, *SLEEP, version="1"))
    old = pid_of(processes)
    assert ensure(processes, server(tmp_path, *SLEEP, version="2"))
    assert not alive(old)
    assert alive(pid_of(processes))


def test_the_starting_shells_own_variables_are_no_reason_for_a_restart(
    tmp_path: Path, processes: Processes, monkeypatch: pytest.MonkeyPatch
) -> None:
    ensure(processes, server(tmp_path, *SLEEP))
    monkeypatch.setenv("PATH", f"/somewhere/else:{psutil.Process().environ().get('PATH', '')}")
    assert not ensure(processes, server(tmp_path, *SLEEP))


def test_a_killed_server_does_not_run_and_is_started_again(tmp_path: Path, processes: Processes) -> None:
    ensure(processes, server(tmp_path, *SLEEP))
    psutil.Process(pid_of(processes)).send_signal(signal.SIGKILL)
    for _ in range(100):
        if processes.running("server") is None:
            break
        time.sleep(0.02)
    assert processes.running("server") is None
    assert ensure(processes, server(tmp_path, *SLEEP))


def test_a_number_that_means_another_process_by_now_is_left_alone(tmp_path: Path, processes: Processes) -> None:
    ensure(processes, server(tmp_path, *SLEEP))
    record = tmp_path / "server.json"
    time.sleep(0.1)  # a number is given out again only after its holder's death, so never in the same tick of the clock
    with subprocess.Popen(SLEEP, start_new_session=True) as stranger, contextlib.ExitStack() as at_end:
        at_end.callback(stranger.kill)
        psutil.Process(pid_of(processes)).kill()
        record.write_text(json.dumps(json.loads(record.read_text()) | {"pid": stranger.pid}))
        assert processes.running("server") is None
        processes.stop("server")
        assert stranger.poll() is None


def test_a_server_that_lost_its_record_is_found_by_its_mark(tmp_path: Path, processes: Processes) -> None:
    ensure(processes, server(tmp_path, *SLEEP))
    lost = pid_of(processes)
    (tmp_path / "server.json").unlink()
    ensure(processes, server(tmp_path, *SLEEP))
    assert not alive(lost)


def test_a_server_that_does_not_listen_is_killed(tmp_path: Path, processes: Processes) -> None:
    deaf = server(tmp_path, *DEAF, stop_seconds=0.3)
    ensure(processes, deaf)
    first_line(deaf.log)
    pid = pid_of(processes)
    assert processes.stop("server")
    assert not alive(pid)


@pytest.mark.parametrize("killed_before", [False, True])
def test_what_a_server_started_ends_with_it(tmp_path: Path, processes: Processes, killed_before: bool) -> None:
    parent = server(tmp_path, *PARENT)
    ensure(processes, parent)
    child = int(first_line(parent.log))
    if killed_before:
        psutil.Process(pid_of(processes)).kill()
    assert processes.stop("server")
    assert not alive(child)


def test_a_stop_without_a_start_stops_nothing(processes: Processes) -> None:
    assert not processes.stop("server")


def test_a_server_that_ends_at_once_is_an_error_that_names_its_log(tmp_path: Path, processes: Processes) -> None:
    failing = server(tmp_path, "/bin/sh", "-c", "echo no such luck; exit 3")
    with pytest.raises(StackError, match="ended right after its start") as caught:
        processes.ensure(failing, lambda: False, seconds=10)
    assert caught.value.log is not None
    assert "no such luck" in caught.value.log.read_text()


def test_a_server_that_is_never_ready_is_an_error(tmp_path: Path, processes: Processes) -> None:
    slow = server(tmp_path, *SLEEP)
    with pytest.raises(StackError, match="not ready within"):
        processes.ensure(slow, lambda: False, seconds=0.2)


def test_a_server_that_runs_but_is_stuck_is_started_anew(
    tmp_path: Path, processes: Processes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("devstack.processes.ANSWER_SECONDS", 0.2)
    ensure(processes, server(tmp_path, *SLEEP))
    stuck = pid_of(processes)
    assert processes.ensure(server(tmp_path, *SLEEP), lambda: pid_of(processes) != stuck, seconds=5)
    assert not alive(stuck)


def test_a_long_log_is_put_aside(tmp_path: Path, processes: Processes) -> None:
    wordy = server(tmp_path, *SLEEP)
    with wordy.log.open("wb") as log:
        log.truncate(LOG_LIMIT_BYTES + 1)
    ensure(processes, wordy)
    assert wordy.log.stat().st_size == 0
    assert wordy.log.with_suffix(".log.1").stat().st_size == LOG_LIMIT_BYTES + 1
