"""An ensemble of models, and all that is said of a molecule by it: the command and the notebook."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from e3d.bde import known
from e3d.chemistry.structures import structures_of
from e3d.decomposition import domain as domains
from e3d.decomposition.domain import Domain
from e3d.decomposition.report import bond_report, default_models
from e3d.decomposition.zeros import MODEL, Zero, zero_of
from e3d.errors import E3DError
from e3d.models.allegro import Model, load_model


@dataclass(frozen=True)
class Ensemble:
    """Models, the zero of each, and what is known of their training and their errors."""

    models: Sequence[Model]
    zeros: Sequence[Zero]
    domain: Domain | None
    calibration: Mapping[str, Any]

    @property
    def elements(self) -> list[str]:
        """Elements that all models know."""
        first, *others = self.models
        return [e for e in first.type_names if all(e in model.type_names for model in others)]

    def reports(self, text: str, **options: Any) -> Iterator[dict[str, Any] | E3DError]:
        """A report on every structure that an argument stands for, and the error of each other.

        text and options: as of `structures_of`; reports: as of `bond_report`, with what is known
        (`known.annotated`).
        """
        for structure in structures_of(text, elements=self.elements, **options):
            if isinstance(structure, E3DError):
                yield structure
                continue
            try:
                report = bond_report(structure, self.models, zeros=self.zeros, domain=self.domain)
                yield known.annotated(report, structure, self.models, self.calibration)
            except E3DError as error:
                yield error


def load(paths: Sequence[str | Path] = (), *, trust: bool = False, zero: str = MODEL) -> Ensemble:
    """The shipped ensemble, or other checkpoints; trust as of `load_model`, zero as of `zero_of`.

    Raises E3DError as these do.
    """
    models = [load_model(path, trust=trust) for path in paths or default_models()]
    zeros = [zero_of(model, zero) for model in models]
    return Ensemble(models, zeros, domains.read(), known.read())
