"""Data sets of labelled reaction paths.

The file follows the schema of all data sets. Each reaction is a group of its own name, with the
mapped SMILES of the reactant; `temperature` is −1, since no frame comes from dynamics. In addition,
each group has `reaction_coordinate` (M,) from 0 to 1 and the attributes of the reaction and its
path.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import h5py
import numpy as np
from ase import Atoms
from ase.data import chemical_symbols
from jaxtyping import Float, Int

from chapters.reactions.path_search import find_path
from chapters.reactions.reaction import Reaction, ReactionPath
from e3d.chemistry.dft import converged_energy, kohn_sham
from e3d.chemistry.levels import LEVELS, isolated_atoms
from e3d.data.dataset import Dataset
from e3d.data.molecule import Molecule
from e3d.data.split import fold
from e3d.data.writing import saving, write_dataset
from e3d.errors import E3DError
from e3d.labels.label import label
from e3d.parallel import map_resumable
from e3d.units import ANGSTROM_PER_BOHR

#: Names of the two halves into which the reactions are divided.
HALVES = ("first", "second")


@dataclass(frozen=True)
class LabelledPath:
    """A path with `labels` at one level of theory: its frames are their conformations.

    stable: whether the closed-shell determinant of the saddle point is stable, see `is_stable`;
    None where this was not examined.
    """

    path: ReactionPath
    labels: Molecule
    stable: bool | None

    @property
    def reaction(self) -> Reaction:
        """The reaction that the path belongs to."""
        return self.path.reaction

    def frames(self) -> list[Atoms]:
        """The labelled geometries as ASE structures."""
        return [Atoms(self.labels.atomic_numbers, r) for r in self.labels.positions]


def label_paths(
    reactions: Sequence[Reaction],
    out: str | Path,
    *,
    method: str,
    n_between: int,
    n_workers: int | None = None,
    progress: bool = True,
) -> dict[str, str]:
    """Find the paths of reactions, label their frames and write them as one data set.

    n_between: frames between the saddle point and either end point. An interrupted call with the
    same settings resumes. Returns the reactions left out with their reasons. Raises E3DError as
    `map_resumable` does.
    """
    elements = sorted({chemical_symbols[z] for r in reactions for z in r.numbers.tolist()})
    atoms = isolated_atoms(method, elements)
    left_out = map_resumable(
        partial(_write_path, method, n_between, atoms), list(reactions), Path(out),
        lambda parts, new: write_paths(new, [read_paths(p)[0] for p in parts], method, atoms),
        key=lambda reaction: f"{method} {n_between} {reaction.name}",
        unit="reaction", n_workers=n_workers, progress=progress,
    )  # fmt: skip
    return {reaction.name: reason for reaction, reason in left_out}


def _write_path(
    method: str, n_between: int, atoms: dict[str, float], reaction: Reaction, part: Path
) -> None:
    path = find_path(reaction, n_between=n_between)
    write_paths(part, [label_path(path, method)], method, atoms)


def label_path(path: ReactionPath, method: str) -> LabelledPath:
    """The frames of a path with energies and forces, and the stability of its saddle point."""
    n, n_atoms, _ = path.positions.shape
    reaction = path.reaction
    frames = Molecule(
        reaction.name, f"path, {reaction.kind}", reaction.reactant, reaction.numbers,
        path.positions, np.zeros(n), np.zeros(n), np.zeros((n, n_atoms, 3)), np.full(n, -1),
    )  # fmt: skip
    saddle = path.positions[path.saddle]
    stable = None if method == "gfn2" else is_stable(reaction.numbers, saddle)
    return LabelledPath(path, label(frames, method), stable)


def is_stable(
    numbers: Int[np.ndarray, " n_atoms"], positions: Float[np.ndarray, "n_atoms 3"]
) -> bool:
    """Whether the closed-shell ωB97M-D3(BJ)/def2-SVP determinant at a geometry in Å is stable.

    With respect to restricted and to unrestricted changes of its orbitals (Seeger & Pople 1977,
    doi:10.1063/1.434318). In the basis of the labels this would take as long as all labels of a
    path. Raises E3DError when the SCF does not converge.
    """
    mean_field = kohn_sham(numbers, positions / ANGSTROM_PER_BOHR, basis="def2-svp")
    converged_energy(mean_field)
    _, _, internal, external = mean_field.stability(external=True, return_status=True)
    return bool(internal and external)


def write_paths(
    out: str | Path, paths: Sequence[LabelledPath], method: str, atoms: dict[str, float]
) -> None:
    """Write labelled paths, atomically; atoms: isolated atoms of `method` in eV by element."""
    provenance = "Minimum energy paths of GFN2-xTB, climbing-image nudged elastic band."
    write_dataset(
        out, [one.labels for one in paths], level_of_theory=LEVELS[method], atomic_energies=atoms,
        provenance=provenance,
    )  # fmt: skip
    with saving(out, source=out) as file:
        for one in paths:
            group, path = file[one.labels.name], one.path
            group["reaction_coordinate"] = path.coordinate
            group["reaction_coordinate"].attrs["units"] = "1"
            group.attrs.update(asdict(path.reaction))
            group.attrs["saddle"] = path.saddle
            group.attrs["imaginary_frequency_per_cm"] = path.frequency
            if one.stable is not None:
                group.attrs["closed_shell_stable"] = one.stable


def read_paths(path: str | Path) -> list[LabelledPath]:
    """Labelled paths of a file that `write_paths` wrote.

    Raises E3DError as `Dataset` does, and for a group that is no path.
    """
    with Dataset(path) as dataset:
        return [_read_path(dataset.group(name), dataset[name]) for name in dataset.names]


def _read_path(group: h5py.Group, labels: Molecule) -> LabelledPath:
    try:
        fields = {key: str(group.attrs[key]) for key in Reaction.__dataclass_fields__}
        found = ReactionPath(
            Reaction(**fields), labels.positions, np.asarray(group["reaction_coordinate"]),
            int(group.attrs["saddle"]), float(group.attrs["imaginary_frequency_per_cm"]),
        )  # fmt: skip
    except KeyError as error:
        raise E3DError(
            f"group {labels.name!r} is no reaction path ({error}); expected a file as "
            "`label_paths` writes it"
        ) from error
    stable = group.attrs.get("closed_shell_stable")
    return LabelledPath(found, labels, None if stable is None else bool(stable))


def halves(paths: Sequence[LabelledPath]) -> dict[str, str]:
    """Half of each reaction, by its name; reactions of the same composition share a half.

    Compositions in alphabetical order go to the two halves alternately, so the result depends on
    all paths of a file.
    """
    formulas = sorted({one.reaction.formula for one in paths})
    return {one.reaction.name: HALVES[formulas.index(one.reaction.formula) % 2] for one in paths}


def may_train(reaction: Reaction) -> bool:
    """Whether all molecules at both end points belong to the training fold."""
    return all(fold(smiles) == "train" for smiles in reaction.molecules)


def write_halves(paths_file: str | Path) -> dict[str, int]:
    """Write both halves for training, `<paths_file>-first.h5` and `-second.h5`.

    Paths with a held-out molecule and those whose saddle point is not `stable` are left out; a half
    that would be empty has no file. Returns the number of frames of each half.
    """
    paths_file = Path(paths_file)
    paths = read_paths(paths_file)
    of = halves(paths)
    with Dataset(paths_file) as dataset:
        atoms, level = dataset.atomic_energies(), dataset.attributes["level_of_theory"]
    counts = {}
    for half in HALVES:
        part = [one.labels for one in paths if of[one.reaction.name] == half
                and may_train(one.reaction) and one.stable is not False]  # fmt: skip
        counts[half] = sum(map(len, part))
        if not part:
            continue
        out = paths_file.with_name(f"{paths_file.stem}-{half}.h5")
        provenance = f"The {half} half of {paths_file.name}, for training."
        write_dataset(
            out, part, level_of_theory=level, atomic_energies=atoms, provenance=provenance
        )
    return counts
