"""What a run of the checks found: findings, each with the check it breaks and the object it names, and how much was seen."""

from dataclasses import dataclass, field

FINDINGS_MOST = 100
"""Of one check: a fault that broke a million rows is as clear from a hundred. The check is not asked any more after that."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One broken invariant. ``object`` is the id as the API shows it, or what stands for one: a key, a charge."""

    check: str
    object: str
    detail: str
    merchant: str = ""


@dataclass(slots=True)
class Report:
    """What was found and how much was looked at. Clean means that everything was seen and nothing was broken."""

    findings: list[Finding] = field(default_factory=list)
    rows: dict[str, int] = field(default_factory=dict)
    """How many objects each check has looked at, by its name; 0 for those that had nothing to look at."""
    incomplete: list[str] = field(default_factory=list)
    """What was not seen, and why: time ran out, or a processor did not answer."""
    foreign_charges: int = 0
    """Charges made under the key of a merchant that no cell has: another installation shares the processor's account."""

    @property
    def clean(self) -> bool:
        """Whether everything was looked at and is as it should be."""
        return not self.findings and not self.incomplete

    def count(self, check: str) -> int:
        """How often a check is broken, as far as it was asked."""
        return sum(finding.check == check for finding in self.findings)

    def is_full(self, check: str) -> bool:
        """Whether a check need not be asked any more."""
        return self.count(check) >= FINDINGS_MOST

    def add(self, finding: Finding) -> None:
        """Take a finding, unless it is there or there are enough of its kind."""
        if finding not in self.findings and not self.is_full(finding.check):
            self.findings.append(finding)

    def seen(self, check: str, rows: int) -> None:
        """Count what a check has looked at."""
        self.rows[check] = self.rows.get(check, 0) + rows


class OutOfTime(Exception):
    """The run's time is up."""
