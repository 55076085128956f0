"""What a function prints is in its log group, between Lambda's own lines."""

import json
import re

from tests.e2e.executor.stage import FUNCTIONS, Stage, wait_for

REPORT = re.compile(
    r"REPORT RequestId: (?P<id>\S+)\tDuration: [\d.]+ ms\tBilled Duration: \d+ ms\tMemory Size: 192 MB"
    r"\tMax Memory Used: (?P<memory>\d+) MB(\tInit Duration: (?P<init>[\d.]+) ms)?\tExecutor Duration: [\d.]+ ms"
)


def test_output_lies_between_start_and_report(stage: Stage) -> None:
    function = stage.deploy(FUNCTIONS / "probe.py", MemorySize=192)
    stage.call(function, print="first ✓\nsecond")
    stage.call(function, print="third")
    lines = wait_for(lambda: complete(stage.log(function), reports=2))
    kinds = [line if line in {"first ✓", "second", "third"} else line.split()[0] for line in lines]
    assert kinds == [
        *("INIT_START", "START", "first ✓", "second", "END", "REPORT"),
        *("START", "third", "END", "REPORT"),
    ]
    cold, warm = (REPORT.fullmatch(lines[index]) for index in (5, 9))
    assert cold is not None
    assert warm is not None
    assert f"START RequestId: {cold['id']} Version: $LATEST" == lines[1]
    assert f"END RequestId: {warm['id']}" == lines[8]
    assert float(cold["init"]) > 0
    assert warm["init"] is None
    assert int(warm["memory"]) > 0


def complete(lines: list[str], reports: int) -> list[str]:
    """The lines, once as many reports have arrived."""
    return lines if sum(line.startswith("REPORT") for line in lines) >= reports else []


def test_the_end_of_the_log_comes_with_the_answer(stage: Stage, probe: str) -> None:
    log = stage.call(probe, print="told at once").log
    assert re.search(r"START RequestId: \S+ Version: \$LATEST\ntold at once\nEND RequestId: ", log)


def test_log_records_carry_the_request(stage: Stage) -> None:
    text = """
import logging
def handler(event, context):
    logging.getLogger().warning("slow")
    return context.aws_request_id
"""
    answer = stage.call(stage.deploy(text))
    assert re.search(rf"\[WARNING\]\t\S+\t{answer.payload}\tslow\n", answer.log)


def test_more_output_than_a_pipe_holds_arrives_whole(stage: Stage) -> None:
    function = stage.deploy(FUNCTIONS / "probe.py")
    expected = [f"{number:06}" + "." * 90 for number in range(3000)]
    assert stage.call(function, print="\n".join(expected)).error is None
    lines = wait_for(lambda: complete(stage.log(function), reports=1))
    assert [line for line in lines if line.endswith("...")] == expected


def test_a_killed_process_leaves_its_last_words(stage: Stage) -> None:
    function = stage.deploy(FUNCTIONS / "probe.py", Timeout=1)
    stage.call(function, print="last words", sleep=60)
    lines = wait_for(lambda: complete(stage.log(function), reports=1))
    assert "last words" in lines
    assert any(line.endswith("Task timed out after 1.00 seconds") for line in lines)


def test_log_records_are_json_where_the_function_asks_for_it(stage: Stage) -> None:
    text = """
import logging
def handler(event, context):
    logging.getLogger("payments").info("charged")
    return context.aws_request_id
"""
    function = stage.deploy(text, LoggingConfig={"LogFormat": "JSON", "ApplicationLogLevel": "INFO"})
    answer = stage.call(function)
    (record,) = [json.loads(line) for line in answer.log.splitlines() if line.startswith("{")]
    assert record["level"] == "INFO"
    assert record["logger"] == "payments"
    assert record["message"] == "charged"
    assert record["requestId"] == answer.payload
