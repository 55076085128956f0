"""Logging in to the database on AWS: a token signed with the function's own role, in place of a password.

Guilder has the same few lines (`guilder/iam.py`). They are here a second time because the simulator shares nothing with it.
Imported on AWS only: botocore is part of Lambda's Python and of no layer.
"""

from __future__ import annotations

from urllib.parse import urlsplit

from botocore.auth import SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.session import get_session

TOKEN_SECONDS = 900


def database_token(url: str, region: str) -> str:
    """Sign a token for the user, host and port of a database URL. Nothing is sent.

    Source: https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/UsingWithRDS.IAMDBAuth.Connecting.html
    """
    target = urlsplit(url)
    host = f"https://{target.hostname}:{target.port or 5432}/"
    credentials = get_session().get_credentials()
    if credentials is None:
        raise RuntimeError("there are no AWS credentials here: on Lambda the function's role has them")
    request = AWSRequest("GET", host, params={"Action": "connect", "DBUser": target.username})
    SigV4QueryAuth(credentials, "rds-db", region, expires=TOKEN_SECONDS).add_auth(request)
    return str(request.url).removeprefix("https://")
