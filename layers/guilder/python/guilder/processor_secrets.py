"""What only a processor and Guilder know: ``{"<processor>": {"notification_secret": "..."}}``.

On AWS the JSON is a secret in Secrets Manager, elsewhere a file that its owner alone may read. An environment variable says where it is and
never what it is.
"""

import json
from pathlib import Path
from typing import Any

from guilder.config import ConfigurationError, Settings
from guilder.errors import Unavailable
from guilder.log import logger

_LIMIT_S = 3
_ATTEMPTS = 2


class ProcessorSecrets:
    """The secrets of every processor. They show in no representation, so that no log line can hold them by accident."""

    __slots__ = ("_by_processor",)

    def __init__(self, by_processor: dict[str, Any]) -> None:
        self._by_processor = by_processor

    def notification_secret(self, processor: str) -> str:
        """Give the key that signs a processor's notifications; empty where there is none."""
        own = self._by_processor.get(processor)
        secret = own.get("notification_secret") if isinstance(own, dict) else None
        return secret if isinstance(secret, str) else ""


def load(settings: Settings) -> ProcessorSecrets:
    """Read the secrets; there are none in a function that was not told where they are.

    Raises:
        ConfigurationError: the file is missing, or what was found is no JSON object.
        Unavailable: Secrets Manager did not answer.
    """
    if settings.processor_secrets_arn is not None:
        text = _from_secrets_manager(settings.processor_secrets_arn)
    elif settings.processor_secrets_file is not None:
        text = _from_file(Path(settings.processor_secrets_file))
    else:
        return ProcessorSecrets({})
    try:
        parsed = json.loads(text)
    except ValueError:
        parsed = None
    if not isinstance(parsed, dict):
        raise ConfigurationError("the processors' secrets are a JSON object of objects, by the processor's name")
    return ProcessorSecrets(parsed)


def _from_file(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigurationError("GUILDER_PROCESSOR_SECRETS_FILE names no file that can be read") from error


def _from_secrets_manager(arn: str) -> str:
    import boto3  # part of Lambda's Python runtime; only the functions that are given the ARN need it
    from botocore.config import Config
    from botocore.exceptions import BotoCoreError, ClientError

    limits = Config(connect_timeout=_LIMIT_S, read_timeout=_LIMIT_S, retries={"total_max_attempts": _ATTEMPTS})
    try:
        answer = boto3.client("secretsmanager", config=limits).get_secret_value(SecretId=arn)
    except (BotoCoreError, ClientError) as error:
        logger.warning("the processors' secrets cannot be read", extra={"reason": type(error).__name__})
        raise Unavailable("A part that the answer needs did not respond in time.") from error
    return answer["SecretString"]
