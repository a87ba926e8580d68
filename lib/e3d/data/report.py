"""Findings of the validation of a data set: problems, notes and counts, as text or plain data."""

from __future__ import annotations

from dataclasses import dataclass, field

from e3d.errors import printable

#: Findings of one kind that are listed; the others are only counted.
MAX_LISTED = 20


@dataclass
class Report:
    """What `check_dataset` found in a file.

    skipped: conformations that are not read, by reason; n_uphill, n_downhill: those whose gradient
    points away from the molecule's lowest conformation, as it should, and towards it; problems,
    notes: (where, what) of the first `MAX_LISTED`; n_problems, n_notes: how many there are.
    """

    path: str
    n_molecules: int = 0
    n_conformations: int = 0
    n_usable: int = 0
    elements: dict[str, int] = field(default_factory=dict)
    level_of_theory: str = ""
    skipped: dict[str, int] = field(default_factory=dict)
    problems: list[tuple[str, str]] = field(default_factory=list)
    notes: list[tuple[str, str]] = field(default_factory=list)
    n_problems: int = 0
    n_notes: int = 0
    n_uphill: int = 0
    n_downhill: int = 0

    @property
    def ok(self) -> bool:
        """Whether there is no problem; notes do not count."""
        return self.n_problems == 0

    def problem(self, where: str, what: str) -> None:
        """Count a problem, and list it if it is one of the first."""
        self.n_problems += 1
        if len(self.problems) < MAX_LISTED:
            self.problems.append((where, what))

    def note(self, where: str, what: str) -> None:
        """Count a note, and list it if it is one of the first."""
        self.n_notes += 1
        if len(self.notes) < MAX_LISTED:
            self.notes.append((where, what))

    def skip(self, reason: str, count: int) -> None:
        """Count conformations that are not read."""
        if count:
            self.skipped[reason] = self.skipped.get(reason, 0) + count

    def as_dict(self) -> dict:
        """The report as plain data, for JSON."""
        findings = {
            kind: [{"where": where, "what": what} for where, what in getattr(self, kind)]
            for kind in ("problems", "notes")
        }
        return {**self.__dict__, **findings, "ok": self.ok}

    def text(self) -> str:
        """The report as lines for a terminal."""
        elements = ", ".join(f"{symbol} in {n}" for symbol, n in self.elements.items())
        lines = [
            f"{self.path}: {self.n_molecules} molecules, {self.n_conformations} conformations, "
            f"{self.level_of_theory or 'level of theory not stated'}",
            f"elements: {elements or 'none'} molecules",
            f"usable: {self.n_usable} conformations",
        ]
        lines += [f"skipped: {count} conformations, {why}" for why, count in self.skipped.items()]
        for kind, count in (("problem", self.n_problems), ("note", self.n_notes)):
            listed = getattr(self, f"{kind}s")
            lines += [f"{kind}: {where}: {what}" for where, what in listed]
            if count > len(listed):
                lines.append(f"{kind}: … and {count - len(listed)} more")
        verdict = (
            "no problems" if self.ok else f"{self.n_problems} problem{'s' * (self.n_problems > 1)}"
        )
        return "\n".join(map(printable, [*lines, verdict]))
