"""`make up` and `make down` as a person meets them, in a state directory of their own beside the developer's stack."""

import json
import os
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
from devstack import services, sql
from devstack.identity import session_members
from devstack.localstack_server import LOCALSTACK
from devstack.paths import REPOSITORY, STATE_VARIABLE, Paths
from devstack.stack import Stack

pytestmark = pytest.mark.timeout(300)

FIELDS = {
    *("api_url", "api_key", "merchant_id", "docs_url", "simulator_url", "localstack_url", "log_dir"),
    *("database_url", "replica_url", "pooler_url", "pooler_reader_url", "redis_url"),
}


class Person:
    """Somebody at a terminal, with a state directory."""

    def __init__(self, state: Path) -> None:
        self.state = state
        self.stack = Stack(Paths(state))

    def begin(self, *words: str) -> "subprocess.Popen[str]":
        """Start a command and do not wait for it."""
        return subprocess.Popen(
            [sys.executable, "-m", "devstack", *words],
            cwd=REPOSITORY,
            env=os.environ | {STATE_VARIABLE: str(self.state)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def run(self, *words: str) -> tuple[int, str]:
        """Run a command; its exit code and all it wrote."""
        command = self.begin(*words)
        text, _ = command.communicate(timeout=240)
        return command.returncode, text

    def up(self) -> dict[str, Any]:
        """`make up`, successfully; the outputs."""
        code, text = self.run("up")
        assert code == 0, text
        found: dict[str, Any] = json.loads((self.state / "outputs.json").read_text())
        return found

    def payments(self) -> int:
        """How many payments the database has."""
        url = json.loads((self.state / "outputs.json").read_text())["database_url"]
        return int(sql.fetch(url, "SELECT count(*) FROM payments")[0][0])


@pytest.fixture(scope="module")
def person() -> Iterator[Person]:
    state = Path(tempfile.mkdtemp(prefix="guilder-up-"))
    made = Person(state)
    try:
        made.up()
        yield made
    finally:
        made.run("down")
        shutil.rmtree(state)


def wait_for(condition: str, log: Path) -> None:
    """Return when a log says something; fail if it does not within a minute."""
    for _ in range(1200):
        if log.exists() and condition in log.read_text(errors="replace"):
            return
        time.sleep(0.05)
    raise AssertionError(f"{log} does not say {condition!r}")


def test_it_writes_where_everything_is_for_its_owner_alone(person: Person) -> None:
    file = person.state / "outputs.json"
    outputs = json.loads(file.read_text())
    assert set(outputs) == FIELDS
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert httpx.get(outputs["docs_url"], timeout=30).status_code == httpx.codes.OK


def test_run_again_it_starts_and_deploys_nothing_keeps_the_data_and_shows_a_payment(person: Person) -> None:
    names = (*services.NAMES, LOCALSTACK)
    before = [person.stack.processes.running(name) for name in names]
    payments = person.payments()
    code, text = person.run("up")
    assert code == 0, text
    assert [person.stack.processes.running(name) for name in names] == before
    assert person.payments() == payments + 1
    for shown in ("Request", "Response 201", "Ledger transfers", "merchant:pending", "captured", "/docs", "curl -sS"):
        assert shown in text, shown


def test_the_curl_line_makes_a_payment_as_it_stands(person: Person) -> None:
    code, text = person.run("up")
    assert code == 0, text
    line = text[text.index("curl -sS") :].partition("\n\n")[0]
    answer = subprocess.run(["/bin/sh", "-c", line], capture_output=True, text=True, timeout=60, check=True)
    assert json.loads(answer.stdout)["status"] == "succeeded"


def test_a_key_that_does_not_open_the_door_any_more_is_replaced(person: Person) -> None:
    file = person.state / "outputs.json"
    outputs = json.loads(file.read_text())
    file.write_text(json.dumps(outputs | {"api_key": outputs["api_key"][:-4] + "0000"}))
    assert person.up()["api_key"] != outputs["api_key"]


def test_after_everything_was_killed_it_repairs_all_and_keeps_the_data(person: Person) -> None:
    before = person.up()
    payments = person.payments()
    for name in (*services.NAMES, LOCALSTACK):
        record = person.stack.processes.running(name)
        assert record is not None, name
        psutil.Process(record.pid).kill()
    after = person.up()
    assert after == before, "addresses and the demo merchant must stay"
    assert person.payments() == payments + 1


def test_two_at_once_and_interrupted_in_the_middle_of_deploying(person: Person) -> None:
    record = person.stack.processes.running(LOCALSTACK)
    assert record is not None
    psutil.Process(record.pid).kill()
    log = person.stack.paths.logs / "deploy.log"
    log.unlink()  # it tells of the last deployment
    first = person.begin("up")
    wait_for("creating stack", log)
    code, text = person.run("up")
    assert code == 1
    assert "another `make up` or `make down` is at work here" in text
    assert str(first.pid) in text
    first.send_signal(signal.SIGINT)
    text, _ = first.communicate(timeout=60)
    assert first.returncode == 130, text
    assert "Interrupted" in text
    assert person.up()


def test_a_failing_step_is_named_with_the_end_of_its_log_and_what_to_do(person: Person) -> None:
    for name in services.NAMES:
        person.stack.processes.stop(name)
    control = person.state / "data" / "primary" / "global" / "pg_control"
    control.rename(control.with_name("hidden"))
    code, text = person.run("up")
    control.with_name("hidden").rename(control)
    assert code == 1
    assert "PostgreSQL failed: postgres-primary ended right after its start" in text
    assert "could not find the database system" in text
    assert "What to do:" in text
    assert person.up()


def test_down_leaves_no_process_keeps_the_data_and_deletes_them_when_told(person: Person) -> None:
    person.up()
    records = [person.stack.processes.running(name) for name in (*services.NAMES, LOCALSTACK)]
    members = [member for record in records if record for member in session_members(record.pid)]
    assert len(members) > len(services.NAMES)
    payments = person.payments()
    code, text = person.run("down")
    assert code == 0, text
    assert [member for member in members if member.is_running() and member.status() != psutil.STATUS_ZOMBIE] == []
    person.up()
    assert person.payments() == payments + 1
    code, text = person.run("down", "--clean")
    assert code == 0, text
    assert not (person.state / "data").exists()
    assert not (person.state / "outputs.json").exists()
    assert person.run("down") == (0, "Nothing was running.\n")
