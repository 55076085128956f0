"""Functions called by others than a waiting caller: a queue, a schedule, an event."""

import json
import time
from pathlib import Path

import pytest

from tests.e2e.executor.conftest import Schedule
from tests.e2e.executor.stage import FUNCTIONS, Stage, wait_for


def test_a_queue_gets_back_only_the_messages_that_failed(stage: Stage, tmp_path: Path) -> None:
    queues = stage.client("sqs")
    url = queues.create_queue(QueueName="partial", Attributes={"VisibilityTimeout": "5"})["QueueUrl"]
    arn = queues.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    for name, fails_once in (("good", False), ("poison", True), ("fine", False)):
        queues.send_message(QueueUrl=url, MessageBody=json.dumps({"name": name, "fails_once": fails_once}))
    function = stage.deploy(
        FUNCTIONS / "consumer.py", Timeout=5, Environment={"Variables": {"DELIVERIES": str(tmp_path)}}
    )
    stage.client("lambda").create_event_source_mapping(
        FunctionName=function,
        EventSourceArn=arn,
        BatchSize=10,
        MaximumBatchingWindowInSeconds=1,
        FunctionResponseTypes=["ReportBatchItemFailures"],
    )

    def deliveries() -> dict[str, int]:
        return {file.name: len(file.read_text().splitlines()) for file in tmp_path.iterdir()}

    wait_for(lambda: deliveries().get("poison") == 2, seconds=60)
    wait_for(lambda: waiting(queues, url) == 0)
    assert deliveries() == {"good": 1, "poison": 2, "fine": 1}


def waiting(queues: object, url: str) -> int:
    """How many messages the queue holds, those in hand included."""
    names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    attributes = queues.get_queue_attributes(QueueUrl=url, AttributeNames=names)["Attributes"]  # type: ignore[attr-defined]
    return sum(int(attributes[name]) for name in names)


def test_an_event_is_handled_after_its_caller_has_gone(stage: Stage, probe: str, tmp_path: Path) -> None:
    assert stage.send(probe, touch=str(tmp_path / "touched")) == 202
    wait_for((tmp_path / "touched").exists)


@pytest.mark.timeout(180)
def test_a_rule_calls_its_function_on_schedule(schedule: Schedule) -> None:
    remaining = schedule.made + 90 - time.monotonic()
    wait_for(schedule.touched.exists, seconds=max(remaining, 15))
