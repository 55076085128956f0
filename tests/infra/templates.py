"""Reading synthesised templates."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

type Properties = dict[str, Any]

SOMETHING = "deployed.example"
"""Stands for what is known only after a deployment: an endpoint, an ARN, the region."""


@dataclass(frozen=True)
class Assembly:
    """The stacks of one environment: template by the stack's name without `guilder-<env>-`."""

    environment: str
    folder: Path
    templates: dict[str, dict[str, Any]]

    @classmethod
    def read(cls, folder: Path) -> "Assembly":
        manifest = json.loads((folder / "manifest.json").read_text())
        stacks = {
            artifact["properties"]["stackName"]: json.loads(
                (folder / artifact["properties"]["templateFile"]).read_text()
            )
            for artifact in manifest["artifacts"].values()
            if artifact["type"] == "aws:cloudformation:stack"
        }
        environment = next(iter(stacks)).split("-")[1]
        return cls(environment, folder, {name.removeprefix(f"guilder-{environment}-"): t for name, t in stacks.items()})

    def resources(self, kind: str) -> Iterator[Properties]:
        """The properties of every resource of this type, in all stacks."""
        for template in self.templates.values():
            for resource in template["Resources"].values():
                if resource["Type"] == kind:
                    yield resource.get("Properties", {})

    def types(self) -> set[str]:
        return {r["Type"] for template in self.templates.values() for r in template["Resources"].values()}

    def functions(self) -> dict[str, Properties]:
        """Every Lambda function, by its name without `guilder-<env>-`."""
        prefix = f"guilder-{self.environment}-"
        return {f["FunctionName"].removeprefix(prefix): f for f in self.resources("AWS::Lambda::Function")}

    def variables(self, function: str) -> dict[str, str]:
        """A function's environment variables, as it would read them."""
        return {name: text(value) for name, value in self.functions()[function]["Environment"]["Variables"].items()}

    def statements(self, function: str) -> list[dict[str, Any]]:
        """What a function's role may do."""
        for template in self.templates.values():
            for logical_id, resource in template["Resources"].items():
                if resource["Type"] == "AWS::IAM::Policy" and logical_id.startswith(f"{_squeezed(function)}Role"):
                    return list(resource["Properties"]["PolicyDocument"]["Statement"])
        raise LookupError(function)


def _squeezed(function: str) -> str:
    return ("Simulator" if function == "simulator" else "") + function.replace("-", "")


def text(value: object) -> str:
    """A template's value with what is known only after deployment replaced by a host name."""
    if isinstance(value, str):
        return value
    if isinstance(value, dict) and "Fn::Join" in value:
        separator, parts = value["Fn::Join"]
        return str(separator).join(text(part) for part in parts)
    return SOMETHING


def as_list(value: Any) -> list[Any]:
    """IAM writes a single action or resource without a list."""
    return value if isinstance(value, list) else [value]
