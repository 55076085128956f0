"""The network stack: the VPC, and who may open a connection to whom."""

from collections.abc import Sequence

from aws_cdk import Fn
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_iam as iam
from aws_cdk import aws_logs as logs
from constructs import Construct

from infra.environments import CloudSize, Environment
from infra.function import Placement, removal_policy, retention
from infra.stack import GuilderStack

POSTGRES = ec2.Port.tcp(5432)
VALKEY = ec2.Port.tcp(6379)
HTTPS = ec2.Port.tcp(443)


class NetworkStack(GuilderStack):
    """Functions in private subnets behind NAT (card processors are on the internet), data in subnets without a way out.

    All rules are here, on one page, though the things they guard are in other stacks.
    """

    def __init__(self, scope: Construct, environment: Environment, cloud: CloudSize) -> None:
        self._zones = [Fn.select(index, Fn.get_azs()) for index in range(cloud.availability_zones)]
        super().__init__(scope, environment, "network")
        self.vpc = self._make_vpc(cloud)
        self._log_flows(environment)
        self.functions = self._security_group("Functions", "Functions that serve requests")
        self.migrations = self._security_group("Migrations", "The migrate function")
        self.proxy = self._security_group("Proxy", "RDS Proxy")
        self.database = self._security_group("Database", "Aurora PostgreSQL")
        self.cache = self._security_group("Cache", "Valkey")
        self._connect()
        self.gateway_endpoint = self._make_gateway_endpoint() if environment.has_simulator else None

    @property
    def availability_zones(self) -> list[str]:
        """The region's first zones, picked at deployment: synthesis needs no account to look them up in."""
        return self._zones

    @property
    def data_subnets(self) -> ec2.SubnetSelection:
        """Where databases, proxies and caches are."""
        return ec2.SubnetSelection(subnet_type=ec2.SubnetType.PRIVATE_ISOLATED)

    def placement(self, security_group: ec2.ISecurityGroup) -> Placement:
        """Where functions of this group run."""
        return Placement(self.vpc, ec2.SubnetSelection(subnet_type=ec2.SubnetType.PRIVATE_WITH_EGRESS), security_group)

    def _make_vpc(self, cloud: CloudSize) -> ec2.Vpc:
        return ec2.Vpc(
            self,
            "Vpc",
            ip_addresses=ec2.IpAddresses.cidr("10.0.0.0/16"),
            max_azs=cloud.availability_zones,
            nat_gateways=cloud.nat_gateways,
            subnet_configuration=[
                ec2.SubnetConfiguration(
                    name="public", subnet_type=ec2.SubnetType.PUBLIC, cidr_mask=24, map_public_ip_on_launch=False
                ),
                # Wide: each zone needs addresses for Lambda's network interfaces.
                ec2.SubnetConfiguration(name="functions", subnet_type=ec2.SubnetType.PRIVATE_WITH_EGRESS, cidr_mask=20),
                ec2.SubnetConfiguration(name="data", subnet_type=ec2.SubnetType.PRIVATE_ISOLATED, cidr_mask=24),
            ],
        )

    def _log_flows(self, environment: Environment) -> None:
        group = logs.LogGroup(
            self, "FlowLogs", retention=retention(environment), removal_policy=removal_policy(environment)
        )
        role = iam.Role(self, "FlowLogsRole", assumed_by=iam.ServicePrincipal("vpc-flow-logs.amazonaws.com"))
        self.vpc.add_flow_log("Flows", destination=ec2.FlowLogDestination.to_cloud_watch_logs(group, role))

    def _security_group(self, name: str, description: str) -> ec2.SecurityGroup:
        return ec2.SecurityGroup(
            self, name, vpc=self.vpc, description=description, allow_all_outbound=False, allow_all_ipv6_outbound=False
        )

    def _make_gateway_endpoint(self) -> ec2.InterfaceVpcEndpoint:
        """The way from the functions to a private REST API: the simulator's."""
        group = self._security_group("GatewayEndpoint", "Private REST APIs")
        self._allow([self.functions], group, HTTPS)
        return self.vpc.add_interface_endpoint(
            "Gateway",
            service=ec2.InterfaceVpcEndpointAwsService.APIGATEWAY,
            security_groups=[group],
            open=False,
            subnets=ec2.SubnetSelection(subnet_type=ec2.SubnetType.PRIVATE_WITH_EGRESS),
        )

    def _connect(self) -> None:
        self._allow([self.functions], self.proxy, POSTGRES)
        self._allow([self.functions], self.cache, VALKEY)
        # Migrations need a session of their own (locks, SET ROLE), which would pin a proxy's connection.
        self._allow([self.proxy, self.migrations], self.database, POSTGRES)
        for caller in (self.functions, self.migrations):
            caller.add_egress_rule(ec2.Peer.any_ipv4(), HTTPS, "Card processors and AWS")

    @staticmethod
    def _allow(callers: Sequence[ec2.SecurityGroup], target: ec2.SecurityGroup, port: ec2.Port) -> None:
        for caller in callers:
            target.add_ingress_rule(caller, port)
            caller.add_egress_rule(target, port)
