"""Database log-in tokens signed with the function's own IAM role, valid for 15 minutes.

Imported at the first connection, and only on AWS: botocore is part of Lambda's Python runtime and stays out of our layers.
"""

from botocore.auth import SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import create_credential_resolver
from botocore.session import get_session

TOKEN_LIFE_S = 900


def database_token(host: str, port: int, user: str, region: str) -> str:
    """Sign a token for ``user`` at ``host:port``, as ``aws rds generate-db-auth-token`` does (no call over the network).

    Source: https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/UsingWithRDS.IAMDBAuth.Connecting.html
    """
    credentials = create_credential_resolver(get_session()).load_credentials()
    if credentials is None:
        raise RuntimeError("no AWS credentials in this environment: the function's role provides them on Lambda")
    request = AWSRequest("GET", f"https://{host}:{port}/", params={"Action": "connect", "DBUser": user})
    SigV4QueryAuth(credentials, "rds-db", region, expires=TOKEN_LIFE_S).add_auth(request)
    return str(request.url).removeprefix("https://")
