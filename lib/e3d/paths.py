"""Where things lie: the checkout that this package is installed from, and its folders."""

from pathlib import Path

#: Root of the checkout; `lib/e3d/paths.py` is two folders below it.
ROOT: Path = Path(__file__).resolve().parents[2]
NOTEBOOKS: Path = ROOT / "notebooks"
DATA: Path = ROOT / "data"
LABELS: Path = ROOT / "labels"
CHECKPOINTS: Path = ROOT / "checkpoints"
SIMULATIONS: Path = ROOT / "simulations"
RESULTS: Path = ROOT / "results"
PROVENANCE: Path = ROOT / "provenance"
RUNS: Path = ROOT / "runs"
BOOK: Path = ROOT / "book"
LOCK: Path = ROOT / "requirements.lock"
PIPELINE: Path = ROOT / "dvc.yaml"
PARAMS: Path = ROOT / "params.yaml"
#: Executed notebooks that the book is built from.
EXECUTED: Path = BOOK / "executed"


def shown(path: Path) -> str:
    """A path as people in the root of the checkout write it."""
    return str(path.relative_to(ROOT) if path.is_relative_to(ROOT) else path)
