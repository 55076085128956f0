"""How long a warm call of a trivial function takes through LocalStack's API Gateway, and what of it is our executor's.

    python tests/load/gateway_latency.py

Writes these records to `.local/bench.json`, where others' records stay as they are:

    gateway.warm_median_ms      one caller on one connection: from the request's first byte to the answer's last
    gateway.plugin_median_ms    `Executor Duration` of the same calls' REPORT lines: from LocalStack's call of our executor
                                to the event in the socket, and from the answer's arrival to our return
    gateway.function_median_ms  `Duration` of these lines: the event's way through AWS's runtime client to the function
                                and back, the executor's waiting included

It has a LocalStack of its own, so that it does not measure what else is deployed.
"""

import http.client
import json
import os
import platform
import re
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

from devstack.paths import Paths

sys.path.insert(0, str(Path(__file__).parents[2]))  # run as a script, it does not see the tests' package
from tests.e2e.executor.stage import Stage, running, wait_for

WARM_UP, CALLS = 100, 400
COMMAND = "python tests/load/gateway_latency.py"
FUNCTION = "def handler(event, context): return {'statusCode': 200, 'body': 'ok'}"
REGION = "us-east-1"


def main() -> None:
    """Measure, write, print."""
    with tempfile.TemporaryDirectory() as state, running(Path(state)) as stage:
        function = stage.deploy(FUNCTION)
        path = publish(stage, function)
        calls = measure(stage.url, path)[WARM_UP:]
        reports = wait_for(lambda: all_reports(stage, function), seconds=60)[WARM_UP:]
    records = [
        record("gateway.warm_median_ms", calls),
        record("gateway.plugin_median_ms", figures(reports, "Executor Duration")),
        record("gateway.function_median_ms", figures(reports, "Duration")),
    ]
    merge(Paths.default().state / "bench.json", records)
    for line in records:
        print(f"{line['name']:28} {line['value']:8.2f} {line['unit']}  ({line['conditions']})")


def publish(stage: Stage, function: str) -> str:
    """Put an alias of the function behind a REST API, as Guilder's functions are; give the URL's path."""
    functions, gateway = stage.client("lambda"), stage.client("apigateway")
    version = functions.publish_version(FunctionName=function)["Version"]
    alias = functions.create_alias(FunctionName=function, Name="live", FunctionVersion=version)["AliasArn"]
    api = gateway.create_rest_api(name=function, tags={"_custom_id_": uuid4().hex[:10]})["id"]
    root = gateway.get_resources(restApiId=api)["items"][0]["id"]
    resource = gateway.create_resource(restApiId=api, parentId=root, pathPart="{proxy+}")["id"]
    method = {"restApiId": api, "resourceId": resource, "httpMethod": "ANY"}
    gateway.put_method(**method, authorizationType="NONE")
    gateway.put_integration(
        **method,
        type="AWS_PROXY",
        integrationHttpMethod="POST",
        uri=f"arn:aws:apigateway:{REGION}:lambda:path/2015-03-31/functions/{alias}/invocations",
    )
    gateway.create_deployment(restApiId=api, stageName="local")
    return f"/_aws/execute-api/{api}/local/trivial"


def measure(url: str, path: str) -> list[float]:
    """Milliseconds of each call, one after another."""
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=30)
    durations = []
    for _ in range(WARM_UP + CALLS):
        began = time.perf_counter()
        connection.request("GET", path)
        answer = connection.getresponse()
        body = answer.read()
        durations.append((time.perf_counter() - began) * 1000)
        if (answer.status, body) != (http.HTTPStatus.OK, b"ok"):
            raise RuntimeError(f"{answer.status}: {body!r}")
    connection.close()
    return durations


def all_reports(stage: Stage, function: str) -> list[str]:
    """The REPORT lines of all calls, once the last has been written."""
    reports = [line for line in stage.log(function) if line.startswith("REPORT ")]
    return reports if len(reports) == WARM_UP + CALLS else []


def figures(reports: list[str], name: str) -> list[float]:
    """One field of each line, in milliseconds."""
    pattern = re.compile(rf"\t{name}: ([\d.]+) ms")
    return [float(found.group(1)) for line in reports if (found := pattern.search(line))]


def record(name: str, milliseconds: list[float]) -> dict[str, Any]:
    """One line of the bench's result: the median, and in its conditions how it was come by."""
    high = statistics.quantiles(milliseconds, n=20)[-1]
    conditions = (
        f"{len(milliseconds)} warm calls by one caller, 95 % under {high:.1f} ms; Python {platform.python_version()}, "
        f"{os.cpu_count()} cores, load average {os.getloadavg()[0]:.1f}"
    )
    value = round(statistics.median(milliseconds), 2)
    return {"name": name, "value": value, "unit": "ms", "conditions": conditions, "command": COMMAND}


def merge(file: Path, records: list[dict[str, Any]]) -> None:
    """Put the records in the file, over those of the same names; the others stay."""
    kept = json.loads(file.read_text()) if file.exists() else []
    names = {line["name"] for line in records}
    merged = [line for line in kept if line["name"] not in names] + records
    file.parent.mkdir(parents=True, exist_ok=True)
    draft = file.with_suffix(".new")
    draft.write_text(json.dumps(merged, indent=2) + "\n")
    draft.replace(file)


if __name__ == "__main__":
    main()
