"""The two layers that every function has: Guilder's package, and what it depends on."""

import platform
from pathlib import Path
from typing import cast

import aws_cdk as cdk
import jsii
from aws_cdk import aws_lambda as lambda_
from constructs import Construct

from infra.environments import Environment
from layers.dependencies.build import DEPENDENCIES, GUILDER, Layer, Platform, copy_to

RUNTIME = lambda_.Runtime.PYTHON_3_13


def architecture(environment: Environment) -> lambda_.Architecture:
    """Graviton in AWS; on LocalStack whatever this machine is, since functions run as its processes."""
    on_arm = environment.cloud or platform.machine() in {"arm64", "aarch64"}
    return lambda_.Architecture.ARM_64 if on_arm else lambda_.Architecture.X86_64


@jsii.implements(cdk.ILocalBundling)
class LocalBuild:
    """Builds a layer on this machine, where CDK would start a container."""

    def __init__(self, layer: Layer, target: Platform) -> None:
        self.layer = layer
        self.target = target

    def try_bundle(self, output_dir: str, *_options: object) -> bool:
        """Fill the folder. A failure raises: returning False would make CDK look for Docker."""
        copy_to(self.layer.cached(self.target), Path(output_dir))
        return True


class Layers(Construct):
    """A stack's layer versions.

    Each stack has its own: a layer exported by one stack and imported by another could not be changed any more, since
    CloudFormation refuses to replace an export in use. The asset behind them is uploaded once.
    """

    def __init__(self, scope: Construct, environment: Environment) -> None:
        super().__init__(scope, "Layers")
        self._environment = environment
        built: str | None = self.node.try_get_context("dependencies_layer")
        guilder = self._version("Guilder", GUILDER, self._bundled(GUILDER))
        dependencies = lambda_.Code.from_asset(built) if built else self._bundled(DEPENDENCIES)
        # Lambda unpacks them in this order, so that our own package would win over a dependency of the same name.
        self.versions: list[lambda_.ILayerVersion] = [
            self._version("Dependencies", DEPENDENCIES, dependencies),
            guilder,
        ]

    def _bundled(self, layer: Layer) -> lambda_.Code:
        target = Platform.ARM64 if self._environment.cloud else Platform.HOST
        return lambda_.Code.from_asset(
            str(Path(__file__).resolve().parents[1] / "layers"),
            asset_hash_type=cdk.AssetHashType.CUSTOM,
            asset_hash=layer.key(target),
            bundling=cdk.BundlingOptions(
                image=RUNTIME.bundling_image,  # never started
                local=cast("cdk.ILocalBundling", LocalBuild(layer, target)),
            ),
        )

    def _version(self, name: str, layer: Layer, code: lambda_.Code) -> lambda_.LayerVersion:
        return lambda_.LayerVersion(
            self,
            name,
            layer_version_name=self._environment.named(layer.name),
            code=code,
            compatible_runtimes=[RUNTIME],
            compatible_architectures=[architecture(self._environment)],
        )
