"""Takes a batch from a queue, and gives back the message that says so the first time it comes."""

import json
import os
from pathlib import Path
from typing import Any


def handler(event: dict[str, Any], _context: Any) -> dict[str, Any]:
    failures = []
    for record in event["Records"]:
        body = json.loads(record["body"])
        deliveries = Path(os.environ["DELIVERIES"]) / body["name"]
        with deliveries.open("a") as file:
            file.write(f"{record['messageId']}\n")
        if body["fails_once"] and len(deliveries.read_text().splitlines()) == 1:
            failures.append({"itemIdentifier": record["messageId"]})
    return {"batchItemFailures": failures}
