"""A cell's cache: node-based Valkey that takes IAM tokens only."""

import aws_cdk as cdk
from aws_cdk import aws_elasticache as elasticache
from aws_cdk import aws_kms as kms
from constructs import Construct

from infra.environments import CacheSize, Cell, Environment
from infra.function import Function
from infra.network import NetworkStack

VALKEY_PORT = 6379


class Cache(Construct):
    """A primary and its replicas. It fails over within seconds and may lose what was written last: it is no authority."""

    def __init__(
        self,
        scope: Construct,
        environment: Environment,
        network: NetworkStack,
        cell: Cell,
        *,
        size: CacheSize,
        key: kms.IKey,
    ) -> None:
        super().__init__(scope, "Cache")
        self._name = environment.named(cell.name)
        self.user = self._make_user()
        self.group = self._make_group(network, size, key)

    @property
    def url(self) -> str:
        """Where the primary is, and as whom to log in."""
        return f"rediss://{self.user.user_id}@{self.group.attr_primary_end_point_address}:{VALKEY_PORT}/0"

    def grant_connect(self, function: Function) -> None:
        """Let a function make tokens for the user."""
        group = cdk.Stack.of(self).format_arn(
            service="elasticache",
            resource="replicationgroup",
            resource_name=self.group.ref,
            arn_format=cdk.ArnFormat.COLON_RESOURCE_NAME,
        )
        function.allow(["elasticache:Connect"], [group, self.user.attr_arn])

    def _make_user(self) -> elasticache.CfnUser:
        """The only user there is. For IAM, name and id have to be the same."""
        return elasticache.CfnUser(
            self,
            "User",
            engine="valkey",
            user_id=f"{self._name}-app",
            user_name=f"{self._name}-app",
            access_string="on ~* +@all -@dangerous -@admin",
            authentication_mode={"Type": "iam"},
        )

    def _make_group(self, network: NetworkStack, size: CacheSize, key: kms.IKey) -> elasticache.CfnReplicationGroup:
        users = elasticache.CfnUserGroup(
            self, "Users", engine="valkey", user_group_id=f"{self._name}-users", user_ids=[self.user.ref]
        )
        subnets = elasticache.CfnSubnetGroup(
            self,
            "Subnets",
            description=f"Guilder's cache {self._name}",
            subnet_ids=network.vpc.select_subnets(subnet_type=network.data_subnets.subnet_type).subnet_ids,
        )
        return elasticache.CfnReplicationGroup(
            self,
            "Group",
            replication_group_id=self._name,
            replication_group_description=f"Guilder's cache {self._name}",
            engine="valkey",
            engine_version="9.0",
            cache_node_type=size.node_type,
            num_cache_clusters=1 + size.replicas,
            automatic_failover_enabled=size.replicas > 0,
            multi_az_enabled=size.replicas > 0,
            port=VALKEY_PORT,
            cache_subnet_group_name=subnets.ref,
            security_group_ids=[network.cache.security_group_id],
            user_group_ids=[users.ref],
            transit_encryption_enabled=True,
            transit_encryption_mode="required",
            at_rest_encryption_enabled=True,
            kms_key_id=key.key_arn,
            auto_minor_version_upgrade=True,
        )
