"""The data stack: one cell, that is an Aurora cluster, its RDS Proxy and its cache."""

import aws_cdk as cdk
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_rds as rds
from constructs import Construct

from infra.cache import Cache
from infra.cells import CellAddresses
from infra.environments import CacheSize, Cell, DatabaseSize, Environment
from infra.function import Function, removal_policy
from infra.network import NetworkStack
from infra.stack import GuilderStack

DATABASE = "guilder"
APPLICATION_ROLE = "guilder_app"
ADMINISTRATOR = "guilder_admin"
SIMULATOR_ROLE = "simulator"
POSTGRES_PORT = 5432

ENGINE = rds.DatabaseClusterEngine.aurora_postgres(version=rds.AuroraPostgresEngineVersion.VER_18_3)


class DataStack(GuilderStack):
    """Everything a slot's rows need. Nobody logs in with a password but the administrator: the rest have IAM tokens."""

    def __init__(
        self,
        scope: Construct,
        environment: Environment,
        network: NetworkStack,
        cell: Cell,
        *,
        database: DatabaseSize,
        cache: CacheSize,
    ) -> None:
        super().__init__(scope, environment, f"data-{cell.name}")
        self._environment = environment
        self._network = network
        self.cell = cell
        self.key = kms.Key(
            self,
            "Key",
            description=f"Guilder's data at rest, cell {cell.name}",
            enable_key_rotation=True,
            removal_policy=removal_policy(environment),
        )
        self.cluster = self._make_cluster(database)
        self.admin_secret_arn = self._let_rds_keep_the_admin_password()
        self.proxy = self._make_proxy()
        self.read_only = self.proxy.add_endpoint(
            "ReadOnly",
            db_proxy_endpoint_name=environment.named(f"{cell.name}-read-only"),
            vpc=network.vpc,
            vpc_subnets=network.data_subnets,
            security_groups=[self._fixed("ReadOnlyGroup", network.proxy)],
            target_role=rds.ProxyEndpointTargetRole.READ_ONLY,
        )
        self.cache = Cache(self, environment, network, cell, size=cache, key=self.key)

    @property
    def addresses(self) -> CellAddresses:
        """Where the functions find this cell."""
        return CellAddresses(
            self.cell.name,
            self.cell.first_slot,
            self.cell.last_slot,
            writer=database_url(APPLICATION_ROLE, self.proxy.endpoint),
            reader=database_url(APPLICATION_ROLE, self.read_only.endpoint),
            cache=self.cache.url,
            direct=database_url(ADMINISTRATOR, self.cluster.cluster_endpoint.hostname),
        )

    def grant_use(self, function: Function) -> None:
        """Let a function log in to proxy and cache as the application."""
        self.grant_connect(function, APPLICATION_ROLE)
        self.cache.grant_connect(function)

    def grant_connect(self, function: Function, role: str) -> None:
        """Let a function log in to the proxy as this database role, with either endpoint."""
        proxy_id = cdk.Fn.select(6, cdk.Fn.split(":", self.proxy.db_proxy_arn))
        function.allow(["rds-db:connect"], [self._database_user(proxy_id, role)])

    def grant_administration(self, function: Function) -> None:
        """Let a function read the administrator's password."""
        function.allow(["secretsmanager:GetSecretValue"], [self.admin_secret_arn])
        secrets = f"secretsmanager.{cdk.Aws.REGION}.amazonaws.com"
        function.allow(["kms:Decrypt"], [self.key.key_arn], conditions={"StringEquals": {"kms:ViaService": secrets}})

    def _make_cluster(self, size: DatabaseSize) -> rds.DatabaseCluster:
        keep = self._environment.keeps_data
        return rds.DatabaseCluster(
            self,
            "Cluster",
            engine=ENGINE,
            default_database_name=DATABASE,
            credentials=rds.Credentials.from_username(
                ADMINISTRATOR, password=cdk.SecretValue.unsafe_plain_text("replaced below")
            ),
            writer=rds.ClusterInstance.serverless_v2("Writer", publicly_accessible=False),
            readers=[
                # The first follows the writer's capacity, so that it can take over at once.
                rds.ClusterInstance.serverless_v2(
                    f"Reader{number}", publicly_accessible=False, scale_with_writer=number == 1
                )
                for number in range(1, size.readers + 1)
            ],
            serverless_v2_min_capacity=size.min_acu,
            serverless_v2_max_capacity=size.max_acu,
            vpc=self._network.vpc,
            vpc_subnets=self._network.data_subnets,
            security_groups=[self._fixed("DatabaseGroup", self._network.database)],
            parameter_group=self._parameters(),
            iam_authentication=True,
            storage_encrypted=True,
            storage_encryption_key=self.key,
            backup=rds.BackupProps(retention=cdk.Duration.days(size.backup_days)),
            copy_tags_to_snapshot=True,
            cloudwatch_logs_exports=["postgresql"],
            deletion_protection=keep,
            removal_policy=cdk.RemovalPolicy.SNAPSHOT if keep else cdk.RemovalPolicy.DESTROY,
        )

    def _parameters(self) -> rds.ParameterGroup:
        return rds.ParameterGroup(
            self,
            "Parameters",
            engine=ENGINE,
            description="Guilder",
            parameters={
                "rds.force_ssl": "1",
                "rds.logical_replication": "1",  # a slot moves between cells by logical replication
            },
        )

    def _let_rds_keep_the_admin_password(self) -> str:
        """Have RDS make, store and rotate the administrator's password, and return the secret's ARN.

        The construct above cannot say it yet and insists on a password, so the template is corrected.
        """
        cluster = self.cluster.node.default_child
        if not isinstance(cluster, rds.CfnDBCluster):
            raise TypeError("the cluster construct no longer wraps AWS::RDS::DBCluster")
        cluster.add_property_deletion_override("MasterUserPassword")
        cluster.manage_master_user_password = True
        cluster.master_user_secret = rds.CfnDBCluster.MasterUserSecretProperty(kms_key_id=self.key.key_arn)
        return cluster.attr_master_user_secret_secret_arn

    def _make_proxy(self) -> rds.DatabaseProxy:
        """IAM on both sides: a function logs in with a token, and so does the proxy at the cluster; no secret exists."""
        roles = [APPLICATION_ROLE, *([SIMULATOR_ROLE] if self._environment.has_simulator else [])]
        role = iam.Role(self, "ProxyRole", assumed_by=iam.ServicePrincipal("rds.amazonaws.com"))
        proxy = rds.DatabaseProxy(
            self,
            "Proxy",
            db_proxy_name=self._environment.named(self.cell.name),
            proxy_target=rds.ProxyTarget.from_cluster(self.cluster),
            default_auth_scheme=rds.DefaultAuthScheme.IAM_AUTH,
            role=role,
            vpc=self._network.vpc,
            vpc_subnets=self._network.data_subnets,
            security_groups=[self._fixed("ProxyGroup", self._network.proxy)],
            require_tls=True,
            # A caller waits less than its own budget, not the two minutes that are the default.
            borrow_timeout=cdk.Duration.seconds(3),
            max_connections_percent=90,  # the rest is for migrations and people
        )
        role.add_to_policy(
            iam.PolicyStatement(
                actions=["rds-db:connect"],
                resources=[self._database_user(self.cluster.cluster_resource_identifier, name) for name in roles],
            )
        )
        return proxy

    def _fixed(self, name: str, group: ec2.SecurityGroup) -> ec2.ISecurityGroup:
        """A security group that constructs here cannot add rules to: the network stack has them all."""
        return ec2.SecurityGroup.from_security_group_id(self, name, group.security_group_id, mutable=False)

    def _database_user(self, resource_id: str, role: str) -> str:
        """The ARN of a database role, at a proxy or a cluster."""
        return self.format_arn(
            service="rds-db",
            resource="dbuser",
            resource_name=f"{resource_id}/{role}",
            arn_format=cdk.ArnFormat.COLON_RESOURCE_NAME,
        )


def database_url(role: str, host: str, database: str = DATABASE) -> str:
    """An address as the functions take it: with a role, without a password."""
    return f"postgresql://{role}@{host}:{POSTGRES_PORT}/{database}"
