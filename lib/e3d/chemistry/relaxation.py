"""Minima of a potential energy surface by BFGS, whatever calculator gives the forces."""

from __future__ import annotations

import time

import numpy as np
from ase import Atoms
from ase.calculators.calculator import CalculatorError
from ase.optimize import BFGS
from jaxtyping import Float
from tqdm import tqdm

from e3d.errors import E3DError

#: A relaxation that needs more steps than this is given up.
MAX_STEPS = 500
#: A bar of progress appears after so many seconds.
BAR_DELAY_S = 3.0


def minimum(
    atoms: Atoms,
    *,
    fmax: float,
    method: str,
    curvature: Float[np.ndarray, "n3 n3"] | None = None,
    progress: str | None = None,
    seconds: float | int | None = None,
) -> Float[np.ndarray, "n_atoms 3"]:
    """Positions in Å of the minimum that the calculator of `atoms` relaxes them to.

    fmax: largest force that remains, eV/Å; method: what the calculator is called in errors;
    curvature: Hessian in eV/Å² to begin with; progress: what is relaxed, for a bar that appears
    if it takes long and says the limit of time, none by default; seconds: that limit, none by
    default.

    Raises E3DError when the calculator fails, or there is no minimum within `MAX_STEPS` and the
    limit of time.
    """
    if progress is not None and seconds is not None:
        progress += f", at most {seconds / 60:.0f} min"
    optimizer = BFGS(atoms, logfile=None)
    if curvature is not None:
        optimizer.H0 = curvature
    with tqdm(
        desc=progress, unit="step", delay=BAR_DELAY_S, disable=progress is None, leave=False
    ) as bar:
        if progress is not None:
            optimizer.attach(_advance, 1, bar, atoms, fmax)
        if seconds is not None:
            optimizer.attach(_in_time, 1, atoms, time.monotonic() + seconds, seconds, method)
        try:
            converged = optimizer.run(fmax=fmax, steps=MAX_STEPS)
        except (CalculatorError, RuntimeError) as error:
            raise E3DError(f"{atoms.get_chemical_formula()}: {method} failed ({error})") from error
    if not converged:
        raise E3DError(
            f"{atoms.get_chemical_formula()}: no {method} minimum within {MAX_STEPS} steps"
        )
    return atoms.positions


def _advance(bar: tqdm, atoms: Atoms, fmax: float) -> None:
    force = float(np.linalg.norm(atoms.get_forces(), axis=1).max())
    bar.set_postfix_str(f"largest force {force:.2f} of {fmax:g} eV/Å", refresh=False)
    bar.update()


def _in_time(atoms: Atoms, deadline: float, seconds: float | int, method: str) -> None:
    if time.monotonic() > deadline:
        raise E3DError(
            f"{atoms.get_chemical_formula()}: no {method} minimum within {seconds:g} s; give a "
            "structure file with a relaxed geometry"
        )
