"""An ensemble of models, and all that is said of a molecule by it: the command and the notebook."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from e3d.bde import known
from e3d.chemistry.structures import Structure, structures_of
from e3d.decomposition import domain as domains
from e3d.decomposition.domain import Domain
from e3d.decomposition.report import bond_report, default_models
from e3d.decomposition.zeros import MODEL, Zero, zero_of
from e3d.errors import E3DError
from e3d.models.allegro import Model, load_model
from e3d.paths import CHECKPOINTS


@dataclass(frozen=True)
class Ensemble:
    """Models, the zero of each, and what is known of their training and their errors.

    fragment_models: those that give fragment BDEs; none: there are no such values.
    """

    models: Sequence[Model]
    zeros: Sequence[Zero]
    domain: Domain | None
    calibration: Mapping[str, Any]
    fragment_models: Sequence[Model] = ()

    @property
    def elements(self) -> list[str]:
        """Elements that all models know."""
        first, *others = [*self.models, *self.fragment_models]
        return [e for e in first.type_names if all(e in model.type_names for model in others)]

    def reports(
        self, text: str, *, progress: bool = False, **options: Any
    ) -> Iterator[dict[str, Any] | E3DError]:
        """A report on every structure that an argument stands for, and the error of each other.

        text and options: as of `structures_of`; reports: as of `bond_report`, with what is known
        (`known.annotated`) and, by `fragment_models`, fragment BDEs; progress: show a bar where
        something takes long.
        """
        found = structures_of(text, elements=self.elements, progress=progress, **options)
        for structure in found:
            try:
                if isinstance(structure, E3DError):
                    raise structure
                yield self._report(structure, progress=progress)
            except E3DError as error:
                yield error

    def _report(self, structure: Structure, *, progress: bool) -> dict[str, Any]:
        report = bond_report(structure, self.models, zeros=self.zeros, domain=self.domain)
        report = known.annotated(report, structure, self.models, self.calibration)
        if not self.fragment_models:
            return report
        from e3d.bde.fragment_report import with_fragments

        return with_fragments(
            report, structure, self.fragment_models, self.calibration, progress=progress
        )


def load(
    paths: Sequence[str | Path] = (),
    *,
    trust: bool = False,
    zero: str = MODEL,
    fragments: bool = False,
) -> Ensemble:
    """The shipped ensemble, or other checkpoints; trust as of `load_model`, zero as of `zero_of`.

    fragments: with fragment BDEs, by the shipped models that were trained on radicals, or by the
    checkpoints given. Raises E3DError as `load_model`, `zero_of` and `fragments.default_models` do.
    """
    models = [load_model(path, trust=trust) for path in paths or default_models()]
    zeros = [zero_of(model, zero) for model in models]
    breaking: Sequence[Model] = ()
    if fragments:
        breaking = models if paths else [load_model(path) for path in fragment_models()]
    return Ensemble(models, zeros, domains.read(), known.read(), breaking)


def fragment_models() -> list[Path]:
    """Checkpoint folders of the shipped models that were trained on radicals.

    Raises E3DError when they have not been pulled or trained.
    """
    folders = sorted(file.parent for file in CHECKPOINTS.glob("broken/relaxed-s*/model.yaml"))
    if not folders:
        raise E3DError(
            f"no model relaxed-s* in {CHECKPOINTS / 'broken'}, and other models know no radicals; "
            "`make pull`, or give --model"
        )
    return folders
