"""What reading a data set leaves out: how much, why, and the first of each kind by name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

#: Molecules that are named for each reason; the others are counted.
MAX_NAMED = 3


@dataclass
class Reason:
    """Molecules and conformations left out for one reason; first: `name`, or `name: cause`."""

    n_molecules: int = 0
    n_conformations: int = 0
    first: list[str] = field(default_factory=list)


@dataclass
class LeftOut:
    """What was left out, by reason, in the order in which the reasons came up.

    Parts of a data set add up with `+`, in their order, so that a whole does not depend on how it
    was cut.
    """

    reasons: dict[str, Reason] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.reasons)

    def add(self, reason: str, name: str, n_conformations: int, cause: str = "") -> None:
        """Count a molecule, or conformations of it; 0 where it is not known how many it has."""
        entry = self.reasons.setdefault(reason, Reason())
        entry.n_molecules += 1
        entry.n_conformations += n_conformations
        if len(entry.first) < MAX_NAMED:
            entry.first.append(f"{name}: {cause}" if cause else name)

    def __add__(self, other: LeftOut) -> LeftOut:
        total = LeftOut()
        for part in (self, other):
            for reason, new in part.reasons.items():
                entry = total.reasons.setdefault(reason, Reason())
                entry.n_molecules += new.n_molecules
                entry.n_conformations += new.n_conformations
                entry.first = [*entry.first, *new.first][:MAX_NAMED]
        return total

    def lines(self) -> list[str]:
        """One line for each reason: how many, why, and the first names."""
        return [
            f"{_amount(entry)}, {reason}: {'; '.join(entry.first)}"
            f"{' …' if entry.n_molecules > len(entry.first) else ''}"
            for reason, entry in self.reasons.items()
        ]

    def as_dict(self) -> dict[str, dict[str, Any]]:
        """Plain data, for JSON; `from_dict` reads it."""
        return {reason: asdict(entry) for reason, entry in self.reasons.items()}

    @classmethod
    def from_dict(cls, content: Mapping[str, Mapping[str, Any]]) -> LeftOut:
        """The same from plain data."""
        return cls({reason: Reason(**entry) for reason, entry in content.items()})


def _amount(entry: Reason) -> str:
    molecules = _count(entry.n_molecules, "molecule")
    n = entry.n_conformations
    return f"{_count(n, 'conformation')} of {molecules}" if n else molecules


def _count(n: int, noun: str) -> str:
    return f"{n} {noun}{'' if n == 1 else 's'}"
