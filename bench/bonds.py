"""What `e3d bonds` costs beside importing what it needs."""

from __future__ import annotations

from collections.abc import Iterator

from inputs import Bench, processor_seconds

#: Molecules of one call, all small.
_SMALL = ("CCO", "CO", "C", "CC", "CN", "CCN")
_IBUPROFEN = "CC(C)Cc1ccc(cc1)C(C)C(=O)O"
_IMPORT = ("-c", "import torch, allegro.model")


def bonds_over_import(bench: Bench) -> Iterator[float]:
    """Processor time of `e3d bonds CCO` over that of importing torch and nequip's Allegro."""
    for _ in range(bench.size.repeats):
        yield processor_seconds("-m", "e3d", "bonds", "CCO") / processor_seconds(*_IMPORT)


def bonds_of_ibuprofen_over_import(bench: Bench) -> Iterator[float]:
    """As bonds_over_import, for ibuprofen, 33 atoms."""
    for _ in range(bench.size.repeats):
        yield processor_seconds("-m", "e3d", "bonds", _IBUPROFEN) / processor_seconds(*_IMPORT)


def further_molecule_over_import(bench: Bench) -> Iterator[float]:
    """Processor time of each further small molecule in a call of `e3d bonds`, over the import."""
    for _ in range(bench.size.repeats):
        one = processor_seconds("-m", "e3d", "bonds", _SMALL[0])
        more = processor_seconds("-m", "e3d", "bonds", *_SMALL) - one
        yield more / (len(_SMALL) - 1) / processor_seconds(*_IMPORT)
