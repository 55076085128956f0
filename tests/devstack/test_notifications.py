"""The simulator reports to the deployed API, and signs with what the functions check against."""

import json
import stat

import psutil
from devstack import api, services
from devstack.paths import Paths
from devstack.simulator import SIMULATOR
from devstack.stack import Stack


def simulator(stack: Stack) -> tuple[int, dict[str, str]]:
    """The running simulator's number and environment."""
    record = stack.processes.running(SIMULATOR)
    assert record is not None
    return record.pid, psutil.Process(record.pid).environ()


def test_both_sides_have_the_same_secret(stack: Stack, paths: Paths) -> None:
    services.ensure(paths)
    assert stat.S_IMODE(paths.processor_secrets.stat().st_mode) == 0o600
    secret = json.loads(paths.processor_secrets.read_text())["simulator"]["notification_secret"]
    assert len(secret) >= 40
    _, environment = simulator(stack)
    assert environment["SIMULATOR_NOTIFICATION_SECRET"] == secret
    assert environment["SIMULATOR_NOTIFICATION_URL"] == api.notification_url(Stack(paths), SIMULATOR)
    assert environment["SIMULATOR_NOTIFICATION_URL"].endswith(
        "/_aws/execute-api/guilder/local/v1/notifications/simulator"
    )


def test_a_new_secret_is_a_new_simulator_and_nothing_else_is(stack: Stack, paths: Paths) -> None:
    services.ensure(paths)
    before, environment = simulator(stack)
    kept = json.loads(paths.processor_secrets.read_text())
    services.ensure(paths)
    assert simulator(stack)[0] == before
    paths.processor_secrets.unlink()
    services.ensure(paths)
    after, changed = simulator(stack)
    assert after != before
    assert changed["SIMULATOR_NOTIFICATION_SECRET"] != environment["SIMULATOR_NOTIFICATION_SECRET"]
    assert json.loads(paths.processor_secrets.read_text()) != kept


def test_secrets_of_other_processors_stay(stack: Stack, paths: Paths) -> None:
    services.ensure(paths)
    known = json.loads(paths.processor_secrets.read_text()) | {"another": {"notification_secret": "x"}}
    del known["simulator"]
    paths.processor_secrets.write_text(json.dumps(known))
    services.ensure(paths)
    found = json.loads(paths.processor_secrets.read_text())
    assert found["another"] == {"notification_secret": "x"}
    assert found["simulator"]["notification_secret"]
