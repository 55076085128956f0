"""How to talk to LocalStack as if it were AWS, whatever AWS accounts the developer's own shell knows."""

import os
from typing import TYPE_CHECKING

from devstack import localstack_server
from devstack.localstack_server import LOCALSTACK
from devstack.processes import base_environment
from devstack.stack import Stack

if TYPE_CHECKING:
    from mypy_boto3_lambda import LambdaClient
    from mypy_boto3_s3 import S3Client

REGION = "us-east-1"
CREDENTIALS = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}

INVOKE_SECONDS = 150
"""Longer than the slowest function may run."""


def environment(stack: Stack) -> dict[str, str]:
    """For tools that talk to AWS: they find LocalStack and nothing of the developer's accounts."""
    return (
        base_environment()
        | CREDENTIALS
        | {
            "AWS_ENDPOINT_URL": localstack_server.url(stack.port(LOCALSTACK)),
            "AWS_REGION": REGION,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "AWS_EC2_METADATA_DISABLED": "true",
        }
    )


def lambda_client(stack: Stack) -> "LambdaClient":
    """Lambda. A call is never repeated: a function may have done its work before the answer was lost."""
    import boto3  # takes half a second: not before it is needed
    from botocore.config import Config

    return boto3.client(
        "lambda",
        endpoint_url=localstack_server.url(stack.port(LOCALSTACK)),
        region_name=REGION,
        aws_access_key_id=CREDENTIALS["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=CREDENTIALS["AWS_SECRET_ACCESS_KEY"],
        config=Config(connect_timeout=5, read_timeout=INVOKE_SECONDS, retries={"total_max_attempts": 1}),
    )


def s3_client(stack: Stack) -> "S3Client":
    """S3."""
    import boto3
    from botocore.config import Config

    return boto3.client(
        "s3",
        endpoint_url=localstack_server.url(stack.port(LOCALSTACK)),
        region_name=REGION,
        aws_access_key_id=CREDENTIALS["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=CREDENTIALS["AWS_SECRET_ACCESS_KEY"],
        config=Config(connect_timeout=5, read_timeout=30, retries={"total_max_attempts": 3}),
    )
