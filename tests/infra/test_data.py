"""Network and data in AWS: encrypted, in several zones, reached only by those who have to."""

import json

import aws_cdk as cdk
import pytest

from infra import environments
from infra.data import DataStack
from infra.environments import Cell
from infra.network import NetworkStack
from infra.variables import Variables
from infra.workers import WorkersStack
from tests.infra.templates import Assembly, Properties, text

DATABASE, CACHE = 5432, 6379


def test_zones(dev: Assembly, prod: Assembly) -> None:
    for assembly, zones in ((dev, 2), (prod, 3)):
        subnets = list(assembly.resources("AWS::EC2::Subnet"))
        assert {json.dumps(subnet["AvailabilityZone"]) for subnet in subnets} == {
            json.dumps({"Fn::Select": [zone, {"Fn::GetAZs": ""}]}) for zone in range(zones)
        }
        assert not any(subnet["MapPublicIpOnLaunch"] for subnet in subnets)


def test_data_has_no_way_to_the_internet(cloud: Assembly) -> None:
    resources = cloud.templates["network"]["Resources"]
    routed = {r["Properties"]["RouteTableId"]["Ref"] for r in resources.values() if r["Type"] == "AWS::EC2::Route"}
    tables = {name for name, resource in resources.items() if resource["Type"] == "AWS::EC2::RouteTable"}
    assert {name for name in tables if "data" in name}
    assert not {name for name in routed if "data" in name}


def test_who_may_open_a_connection_to_whom(cloud: Assembly) -> None:
    resources = cloud.templates["network"]["Resources"]
    groups = {name: r for name, r in resources.items() if r["Type"] == "AWS::EC2::SecurityGroup"}
    described: dict[str, str] = {name: group["Properties"]["GroupDescription"] for name, group in groups.items()}

    def name(reference: dict[str, list[str]]) -> str:
        return described[reference["Fn::GetAtt"][0]]

    allowed = {
        (name(rule["SourceSecurityGroupId"]), name(rule["GroupId"]), rule["FromPort"])
        for rule in cloud.resources("AWS::EC2::SecurityGroupIngress")
    }
    expected = {
        ("Functions that serve requests", "RDS Proxy", DATABASE),
        ("Functions that serve requests", "Valkey", CACHE),
        ("RDS Proxy", "Aurora PostgreSQL", DATABASE),
        ("The migrate function", "Aurora PostgreSQL", DATABASE),
    }
    if cloud.environment == "dev":
        expected.add(("Functions that serve requests", "Private REST APIs", 443))
    assert allowed == expected
    inline = [group.get("SecurityGroupIngress", []) for group in cloud.resources("AWS::EC2::SecurityGroup")]
    assert not any(inline)


def test_the_cluster(cloud: Assembly) -> None:
    (cluster,) = cloud.resources("AWS::RDS::DBCluster")
    assert cluster["Engine"] == "aurora-postgresql"
    assert cluster["EngineVersion"] == "18.3"
    assert cluster["StorageEncrypted"] is True
    assert cluster["EnableIAMDatabaseAuthentication"] is True
    assert cluster["ManageMasterUserPassword"] is True
    assert "MasterUserPassword" not in cluster
    assert cluster["DeletionProtection"] is (cloud.environment == "prod")
    (parameters,) = cloud.resources("AWS::RDS::DBClusterParameterGroup")
    assert parameters["Family"] == "aurora-postgresql18"
    assert parameters["Parameters"] == {"rds.force_ssl": "1", "rds.logical_replication": "1"}


def test_instances(dev: Assembly, prod: Assembly) -> None:
    for assembly, instances in ((dev, 2), (prod, 3)):
        found = list(assembly.resources("AWS::RDS::DBInstance"))
        assert len(found) == instances
        assert not any(instance["PubliclyAccessible"] for instance in found)


def test_the_proxy_takes_tokens_only_and_has_a_reader(cloud: Assembly) -> None:
    (proxy,) = cloud.resources("AWS::RDS::DBProxy")
    assert proxy["DefaultAuthScheme"] == "IAM_AUTH"
    assert proxy["RequireTLS"] is True
    assert "Auth" not in proxy  # no secret for anybody
    (endpoint,) = cloud.resources("AWS::RDS::DBProxyEndpoint")
    assert endpoint["TargetRole"] == "READ_ONLY"


def test_the_proxys_role_logs_in_as_the_application_alone(dev: Assembly, prod: Assembly) -> None:
    for assembly, roles in ((dev, ["guilder_app", "simulator"]), (prod, ["guilder_app"])):
        (policy,) = (p for p in assembly.resources("AWS::IAM::Policy") if p["PolicyName"].startswith("ProxyRole"))
        (statement,) = policy["PolicyDocument"]["Statement"]
        resources = statement["Resource"] if isinstance(statement["Resource"], list) else [statement["Resource"]]
        assert statement["Action"] == "rds-db:connect"
        assert [text(resource).rsplit("/", 1)[1] for resource in resources] == roles


def test_the_cache_is_encrypted_fails_over_and_knows_one_user(cloud: Assembly) -> None:
    (cache,) = cloud.resources("AWS::ElastiCache::ReplicationGroup")
    assert cache["Engine"] == "valkey"
    assert cache["TransitEncryptionEnabled"] is True
    assert cache["TransitEncryptionMode"] == "required"
    assert cache["AtRestEncryptionEnabled"] is True
    assert cache["MultiAZEnabled"] is True
    assert cache["AutomaticFailoverEnabled"] is True
    assert cache["NumCacheClusters"] >= 2
    (user,) = cloud.resources("AWS::ElastiCache::User")
    assert user["AuthenticationMode"] == {"Type": "iam"}
    assert user["UserId"] == user["UserName"]  # IAM demands it


def test_the_addresses_are_of_proxy_cluster_and_cache(cloud: Assembly) -> None:
    written = json.dumps(cloud.functions()["migrate"]["Environment"]["Variables"]["GUILDER_CELLS"])
    parts = written.split("postgresql://")
    assert "guilder_app@" in parts[1]
    assert "FnGetAttProxy" in parts[1]
    assert "ReadOnly" in parts[2]
    assert "rediss://" in parts[2]
    assert "CacheGroup" in parts[2]
    assert "guilder_admin@" in parts[3]
    assert "FnGetAttCluster" in parts[3]


def test_prod_keeps_its_data_when_a_stack_goes(prod: Assembly) -> None:
    resources = prod.templates["data-c1"]["Resources"].values()
    kept = {resource["Type"]: resource.get("DeletionPolicy") for resource in resources}
    assert kept["AWS::RDS::DBCluster"] == "Snapshot"
    assert kept["AWS::KMS::Key"] == "Retain"


def test_keys_rotate(cloud: Assembly) -> None:
    assert all(key["EnableKeyRotation"] for key in cloud.resources("AWS::KMS::Key"))


def test_alarms_reach_the_topic(cloud: Assembly) -> None:
    alarms = list(cloud.resources("AWS::CloudWatch::Alarm"))
    assert len(alarms) == 2 + 2 * 7  # the API's 5xx; broken invariants; errors and throttles of seven functions
    assert all(json.dumps(alarm["AlarmActions"]).startswith('[{"Ref": "Alarms') for alarm in alarms)


def two_cells() -> tuple[cdk.App, list[DataStack], NetworkStack]:
    environment = environments.prod(None, None)
    assert environment.cloud is not None
    app = cdk.App(context={"aws:cdk:bundling-stacks": []})
    network = NetworkStack(app, environment, environment.cloud)
    data = [
        DataStack(app, environment, network, cell, database=environment.cloud.database, cache=environment.cloud.cache)
        for cell in (Cell("c1", 0, 511), Cell("c2", 512, 1023))
    ]
    return app, data, network


def names(resources: dict[str, Properties]) -> set[str]:
    """The names by which the account knows a cell's parts."""
    members = ("ReplicationGroupId", "UserGroupId", "UserId", "DBProxyName", "DBProxyEndpointName")
    found = [resource["Properties"].get(member) for resource in resources.values() for member in members]
    return {name for name in found if isinstance(name, str)}


def test_a_second_cell_is_a_second_stack_of_its_own() -> None:
    app, _, _ = two_cells()
    stacks = {stack.stack_name: stack.template["Resources"] for stack in app.synth().stacks}
    first, second = stacks["guilder-prod-data-c1"], stacks["guilder-prod-data-c2"]
    assert sorted(r["Type"] for r in first.values()) == sorted(r["Type"] for r in second.values())
    assert names(first)
    assert names(first).isdisjoint(names(second))


def test_migrate_refuses_cells_whose_secrets_it_cannot_be_given() -> None:
    app, data, network = two_cells()
    environment = environments.prod(None, None)
    variables = Variables(environment, [cell.addresses for cell in data], simulator_url=None)
    with pytest.raises(ValueError, match="administrator's secret"):
        WorkersStack(app, environment, variables, network=network, data=data)
