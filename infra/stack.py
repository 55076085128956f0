"""The base of every stack: its name and how it is deployed."""

import aws_cdk as cdk
from constructs import Construct

from infra.environments import Environment

LOCAL_ASSET_BUCKET = "guilder-local-assets"


class GuilderStack(cdk.Stack):
    """One stack of one environment."""

    def __init__(self, scope: Construct, environment: Environment, part: str) -> None:
        super().__init__(
            scope,
            part,
            stack_name=environment.named(part),
            env=cdk.Environment(account=environment.account, region=environment.region),
            synthesizer=synthesizer(environment),
            termination_protection=environment.keeps_data,
            tags={"guilder:environment": environment.name},
        )


def synthesizer(environment: Environment) -> cdk.IReusableStackSynthesizer:
    """How assets and templates get deployed.

    In AWS through the roles and the bucket of `cdk bootstrap`. LocalStack checks no permissions, so there one bucket,
    made by one call, is all the bootstrapping that a deployment needs.
    """
    if environment.cloud:
        return cdk.DefaultStackSynthesizer()
    return cdk.CliCredentialsStackSynthesizer(file_assets_bucket_name=LOCAL_ASSET_BUCKET)
