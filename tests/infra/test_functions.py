"""Every Lambda is made by the one construct, knows what `guilder.config` reads, and may do only what it has to."""

import ast
import json
from pathlib import Path
from typing import Any

import pytest
from guilder import metrics
from guilder.config import Settings

from infra.environments import local as local_environment
from infra.function import NETWORK_INTERFACE_ACTIONS
from infra.layers import architecture
from tests.infra.conftest import LOCAL_CELL
from tests.infra.templates import SOMETHING, Assembly, as_list, text

INFRA = Path(__file__).resolve().parents[2] / "infra"
SERVING = ["payments-write", "payments-read", "notifications"]
SCHEDULED = {"reconciler": "rate(1 minute)", "rollup": "rate(1 minute)", "verify": "rate(1 hour)"}
GUILDERS = [*SERVING, "migrate", *SCHEDULED]
TIME_OUTS = {"migrate": 900, "verify": 900, "reconciler": 60, "rollup": 60}

# Neither service has resources to name: X-Ray takes traces of whoever sends them, EC2 makes interfaces that do not exist yet.
WITHOUT_RESOURCE = {*NETWORK_INTERFACE_ACTIONS, "xray:PutTraceSegments", "xray:PutTelemetryRecords"}


def test_the_functions_of_each_environment(assemblies: dict[str, Assembly]) -> None:
    assert sorted(assemblies["prod"].functions()) == sorted(GUILDERS)
    assert sorted(assemblies["local"].functions()) == sorted(GUILDERS)
    assert sorted(assemblies["dev"].functions()) == sorted([*GUILDERS, "simulator"])


def test_only_one_place_makes_lambdas() -> None:
    makers = {"Function", "CfnFunction", "SingletonFunction", "DockerImageFunction"}
    made = [
        path.name
        for path in INFRA.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Attribute) and node.attr in makers
    ]
    assert made == ["function.py"]


def test_each_function_is_alike(cloud: Assembly) -> None:
    for name, function in cloud.functions().items():
        assert function["Runtime"] == "python3.13", name
        assert function["Handler"] == "handler.handler"
        assert function["Architectures"] == ["arm64"]
        assert function["MemorySize"] == 1024
        assert function["Timeout"] == TIME_OUTS.get(name, 25)
        assert function["TracingConfig"] == {"Mode": "Active"}
        assert function["SnapStart"] == {"ApplyOn": "PublishedVersions"}
        assert len(function["VpcConfig"]["SubnetIds"]) >= 2
        assert len(function["VpcConfig"]["SecurityGroupIds"]) == 1


def test_what_is_reserved_leaves_lambda_its_share(prod: Assembly, local: Assembly) -> None:
    """Of the default quota of 1,000, Lambda keeps 100 for functions that reserve nothing."""
    reserved = {name: function.get("ReservedConcurrentExecutions", 0) for name, function in prod.functions().items()}
    assert reserved["notifications"] > 0, "a processor's burst would take capacity from partners"
    assert sum(reserved.values()) <= 900
    assert local.functions()["notifications"]["ReservedConcurrentExecutions"] <= 8, "each is a process"


def test_what_a_clock_calls(any_environment: Assembly) -> None:
    """A rule each, on the alias; a failed run is not tried again, since the next one does what is left."""
    prefix = f"guilder-{any_environment.environment}-"
    rules = {
        rule["Name"].removeprefix(prefix): rule
        for rule in any_environment.resources("AWS::Events::Rule")
        if "Name" in rule
    }
    assert {name: rule["ScheduleExpression"] for name, rule in rules.items()} == SCHEDULED
    for rule in rules.values():
        (target,) = rule["Targets"]
        assert "Live" in json.dumps(target["Arn"])
        assert target["RetryPolicy"]["MaximumRetryAttempts"] == 0
    configs = list(any_environment.resources("AWS::Lambda::EventInvokeConfig"))
    assert [config["MaximumRetryAttempts"] for config in configs] == [0] * len(SCHEDULED)
    reserved = {name: any_environment.functions()[name]["ReservedConcurrentExecutions"] for name in SCHEDULED}
    assert reserved == {"reconciler": 2, "rollup": 2, "verify": 1}


def test_what_a_clock_calls_has_the_database_and_nothing_else(cloud: Assembly) -> None:
    for name in SCHEDULED:
        allowed = {action for statement in cloud.statements(name) for action in as_list(statement["Action"])}
        logs = {"logs:CreateLogStream", "logs:PutLogEvents"}
        assert allowed - WITHOUT_RESOURCE - logs == {"rds-db:connect"}, name


def test_a_broken_invariant_wakes_somebody_up(cloud: Assembly) -> None:
    """The alarm watches the metric that the function emits, and one hourly data point is enough."""
    (alarm,) = (each for each in cloud.resources("AWS::CloudWatch::Alarm") if each["MetricName"] == "BrokenInvariants")
    assert (alarm["Namespace"], alarm["Dimensions"]) == (metrics.NAMESPACE, [{"Name": "Function", "Value": "verify"}])
    assert (alarm["Threshold"], alarm["EvaluationPeriods"], alarm["DatapointsToAlarm"]) == (1, 1, 1)
    assert alarm["AlarmActions"]


def test_local_functions_are_this_machines(local: Assembly) -> None:
    for function in local.functions().values():
        assert function["Architectures"] == [architecture(local_environment()).name]
        assert "VpcConfig" not in function
        assert "SnapStart" not in function


def test_both_layers_in_order(any_environment: Assembly) -> None:
    for template in any_environment.templates.values():
        for resource in template["Resources"].values():
            if resource["Type"] == "AWS::Lambda::Function":
                layers = [template["Resources"][layer["Ref"]] for layer in resource["Properties"]["Layers"]]
                names = [layer["Properties"]["LayerName"].rsplit("-", 1)[1] for layer in layers]
                assert names == ["dependencies", "guilder"]


def test_each_function_is_called_through_its_alias(any_environment: Assembly) -> None:
    aliases = list(any_environment.resources("AWS::Lambda::Alias"))
    assert [alias["Name"] for alias in aliases] == ["live"] * len(any_environment.functions())
    for permission in any_environment.resources("AWS::Lambda::Permission"):
        assert "Live" in permission["FunctionName"]["Ref"]


def test_each_function_logs_into_a_group_that_ends(any_environment: Assembly) -> None:
    days = {"local": 1, "dev": 7, "prod": 365}[any_environment.environment]
    groups = {g.get("LogGroupName"): g["RetentionInDays"] for g in any_environment.resources("AWS::Logs::LogGroup")}
    assert set(groups.values()) == {days}
    for name, function in any_environment.functions().items():
        assert f"/aws/lambda/guilder-{any_environment.environment}-{name}" in groups
        assert "LogGroup" in function["LoggingConfig"]


def test_each_role_is_one_functions_own(any_environment: Assembly) -> None:
    roles = [function["Role"]["Fn::GetAtt"][0] for function in any_environment.functions().values()]
    assert len(set(roles)) == len(roles)


def test_what_nobody_waits_for_has_a_dead_letter_queue(dev: Assembly) -> None:
    functions = dev.functions()
    assert "DeadLetterConfig" in functions["simulator"]
    assert all("DeadLetterConfig" not in functions[name] for name in GUILDERS)
    (queue,) = dev.resources("AWS::SQS::Queue")
    assert queue["SqsManagedSseEnabled"] is True


@pytest.mark.parametrize("name", GUILDERS)
def test_guilder_reads_the_variables_it_is_given(any_environment: Assembly, name: str) -> None:
    settings = Settings.from_environment(any_environment.variables(name) | {"AWS_REGION": "eu-central-1"})
    in_cloud = any_environment.environment != "local"
    assert settings.environment == any_environment.environment
    assert settings.database_auth == ("iam" if in_cloud else "passfile")
    assert settings.statement_cache_size == (256 if in_cloud else 0)
    assert (settings.simulator_url is not None) == (any_environment.environment != "prod")
    assert settings.log_level == "INFO"
    (cell,) = settings.cells
    assert (cell.name, cell.first_slot, cell.last_slot) == ("c1", 0, 1023)


def test_local_functions_find_the_passwords(local: Assembly) -> None:
    for name in GUILDERS:
        assert local.variables(name)["PGPASSFILE"] == "/home/somebody/.pgpass"
    assert json.loads(local.variables("migrate")["GUILDER_CELLS"]) == [LOCAL_CELL]


def test_no_address_carries_a_password(any_environment: Assembly) -> None:
    for name in any_environment.functions():
        for value in any_environment.variables(name).values():
            for address in value.split('"'):
                if "@" in address:
                    user = address.split("://")[1].split("@")[0]
                    assert ":" not in user, (name, address)


def test_only_migrate_goes_past_the_proxy(any_environment: Assembly) -> None:
    for name in (*SERVING, *SCHEDULED):
        assert Settings.from_environment(any_environment.variables(name)).cells[0].direct is None
    assert Settings.from_environment(any_environment.variables("migrate")).cells[0].direct is not None


def test_only_migrate_has_the_administrators_secret(cloud: Assembly) -> None:
    for name in cloud.functions():
        readable = [s for s in cloud.statements(name) if "secretsmanager:GetSecretValue" in as_list(s["Action"])]
        if name == "migrate":
            assert ["MasterUserSecret" in json.dumps(s["Resource"]) for s in readable] == [True]
            assert cloud.variables(name)["GUILDER_ADMIN_SECRET_ARN"] == SOMETHING
        else:
            assert "MasterUserSecret" not in json.dumps(readable)
            assert "MasterUserSecret" not in json.dumps(cloud.functions()[name])


def test_only_notifications_finds_the_processors_secrets(any_environment: Assembly) -> None:
    """Where they are, never what they are; in AWS the function may read that one secret."""
    for name in any_environment.functions():
        variables = any_environment.variables(name)
        found = {variable: variables[variable] for variable in variables if "PROCESSOR_SECRETS" in variable}
        readable = [
            statement["Resource"]
            for statement in any_environment.statements(name)
            if "ProcessorSecrets" in json.dumps(statement["Resource"])
        ]
        if name != "notifications":
            assert (found, readable) == ({}, []), name
        elif any_environment.environment == "local":
            assert found == {"GUILDER_PROCESSOR_SECRETS_FILE": "/home/somebody/processor-secrets.json"}
        else:
            assert found == {"GUILDER_PROCESSOR_SECRETS_ARN": SOMETHING}
            assert len(readable) == 1


def test_the_processors_secrets_are_filled_in_by_people(cloud: Assembly) -> None:
    (secret,) = (found for found in cloud.resources("AWS::SecretsManager::Secret"))
    assert "SecretString" not in secret
    assert secret["GenerateSecretString"]["SecretStringTemplate"] == "{}"


def test_serving_functions_log_in_as_guilder_app_alone(cloud: Assembly) -> None:
    for name in (*SERVING, *SCHEDULED):
        (statement,) = (s for s in cloud.statements(name) if "rds-db:connect" in as_list(s["Action"]))
        (resource,) = as_list(statement["Resource"])
        assert text(resource).endswith(f":dbuser:{SOMETHING}/guilder_app")
        assert "DBProxyArn" in json.dumps(resource)
    assert not any("rds-db:connect" in as_list(s["Action"]) for s in cloud.statements("migrate"))


def test_no_role_has_a_wildcard_but_where_aws_takes_nothing_else(any_environment: Assembly) -> None:
    def reason(statement: dict[str, Any]) -> bool:
        return set(as_list(statement["Action"])) <= WITHOUT_RESOURCE

    for policy in any_environment.resources("AWS::IAM::Policy"):
        for statement in policy["PolicyDocument"]["Statement"]:
            assert not any("*" in action for action in as_list(statement["Action"])), statement
            wild = any(text(resource) == "*" for resource in as_list(statement["Resource"]))
            assert not wild or reason(statement), statement


def test_no_managed_policies_but_api_gateways_own_for_logs(any_environment: Assembly) -> None:
    managed = [text(arn) for r in any_environment.resources("AWS::IAM::Role") for arn in r.get("ManagedPolicyArns", [])]
    expected = [] if any_environment.environment == "local" else ["AmazonAPIGatewayPushToCloudWatchLogs"]
    assert [arn.rsplit("/", 1)[1] for arn in managed] == expected
