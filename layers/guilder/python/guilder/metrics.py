"""Metrics in CloudWatch's embedded metric format: a line of JSON on standard output, which Lambda's log becomes metrics of.

No call, no agent, no wait. Source: https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html
"""

import sys
import time

import orjson

NAMESPACE = "Guilder"


def emit(dimensions: dict[str, str], **counts: float) -> None:
    """Write one line. ``dimensions`` are few and of few values; ids belong into logs."""
    line = {
        "_aws": {
            "Timestamp": int(time.time() * 1000),
            "CloudWatchMetrics": [
                {
                    "Namespace": NAMESPACE,
                    "Dimensions": [list(dimensions)],
                    "Metrics": [{"Name": name, "Unit": "Count"} for name in counts],
                }
            ],
        },
        **dimensions,
        **counts,
    }
    sys.stdout.write(orjson.dumps(line).decode() + "\n")
