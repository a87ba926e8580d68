"""Training on a file like SPICE 2: no root attributes, more elements, ions, and entries to skip."""

from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
import yaml
from ase.data import chemical_symbols
from examples import labelled

from e3d.data import spice2
from e3d.errors import E3DError
from e3d.models.allegro import load_model
from e3d.training import indexing, train
from e3d.training import settings as settings_module
from e3d.training.data import SpiceSplit, _frames, _index
from e3d.training.index import Selection
from e3d.training.indexing import OTHER_LEVEL, index
from e3d.training.nequip import configuration
from e3d.training.settings import Settings, resolved
from e3d.training.zero import given_zero, zero_of
from e3d.units import ANGSTROM_PER_BOHR, EV_PER_HARTREE

SOUND = ("CCO", "CBr", "CP", "CI", "CB", "CC=O", "CCN", "CC#N", "CS", "COC", "C[SiH3]", "CF",
         "CCl", "CC", "C=C", "CNC", "CO", "OCCO", "NCCN", "C1CC1", "CC(C)C", "CC(C)O",
         "CN(C)C", "C=CC", "C1CCC1", "CNN", "CC(F)F")  # fmt: skip
#: Isolated atoms in eV; those of elements that are in SPICE 2 as ions alone are made up.
ATOMS = {s: e * EV_PER_HARTREE for s, e in spice2.ATOMIC_ENERGIES.items()}
N_CONFORMATIONS = 6


def add(
    file: h5py.File, name: str, smiles: str, subset: str | None = "one", total: float = 0.0
) -> None:
    """A molecule with made-up labels: a harmonic energy about its embedded geometry."""
    molecule = labelled(smiles)
    rng = np.random.default_rng(len(file))
    moves = rng.normal(scale=0.05, size=(N_CONFORMATIONS, *molecule.positions.shape[1:]))
    zero = sum(spice2.ATOMIC_ENERGIES.get(s, -100.0) for s in molecule.symbols)
    formation = -0.1 * len(molecule.symbols) + (moves**2).sum(axis=(1, 2))
    group = file.create_group(name)
    group["smiles"] = [molecule.smiles]
    if subset is not None:
        group["subset"] = [subset]
    group["atomic_numbers"] = molecule.atomic_numbers.astype(np.int16)
    for key, values, units in (
        ("conformations", ((molecule.positions + moves) / ANGSTROM_PER_BOHR).astype("f4"), "bohr"),
        ("dft_total_energy", zero + formation + total, "hartree"),
        ("dft_total_gradient", (2 * moves * ANGSTROM_PER_BOHR).astype("f4"), "hartree/bohr"),
        ("formation_energy", formation, "hartree"),
    ):
        group[key] = values
        group[key].attrs["units"] = units


@pytest.fixture(scope="session")
def spice(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("spice") / "SPICE-2.0.1.hdf5"
    with h5py.File(path, "w") as file:
        for smiles in SOUND:
            add(file, smiles, smiles)
        add(file, "no subset", "CCC", subset=None)
        add(file, "steep", "CCCO")
        file["steep/dft_total_gradient"][2, 0, 0] = 5.0
        add(file, "ammonium", "C[NH3+]", subset="ions")
        add(file, "sodium", "CC(=O)[O-].[Na+]", subset="ions")
        add(file, "other level", "CCCC", total=0.3)
        add(file, "not finite", "CCOC")
        file["not finite/dft_total_energy"][1] = np.nan
        add(file, "unmapped", "CCCN")
        del file["unmapped/smiles"]
        file["unmapped/smiles"] = ["CCCN"]
        empty = file.create_group("54X VAL")
        for key in ("smiles", "subset"):
            empty[key] = np.empty(0, dtype=h5py.string_dtype())
        for key in ("atomic_numbers", "conformations", "dft_total_energy", "dft_total_gradient",
                    "formation_energy"):  # fmt: skip
            empty[key] = np.empty(0, dtype="f4")
    return path


def test_what_cannot_be_used_is_counted_and_named(spice: Path) -> None:
    found = index([str(spice)], Selection(tuple(ATOMS)), ATOMS)
    assert set(SOUND) < set(found.names)
    assert {"no subset", "steep"} < set(found.names)
    told = {reason: (r.n_conformations, r.first) for reason, r in found.left_out.reasons.items()}
    assert told.pop(OTHER_LEVEL) == (6, ["other level"])
    text = "\n".join(found.left_out.lines())
    for name in ("54X VAL", "ammonium", "sodium", "unmapped", "not finite", "steep"):
        assert name in text, name
    assert "other level" not in found.names
    steep = found.names.index("steep")
    assert found.conformation[found.molecule == steep].tolist() == [0, 1, 3, 4, 5]


def test_ions_can_be_used_too(spice: Path) -> None:
    neutral, ions, all_of_them = (
        index([str(spice)], Selection(tuple(ATOMS), charges=charges)).names
        for charges in ((0,), (1,), ())
    )
    assert ions == ["ammonium"]
    assert set(all_of_them) >= {*neutral, "ammonium"}


def test_subsets_are_chosen_or_left_out(spice: Path) -> None:
    options = {"elements": (*ATOMS, "Na"), "charges": ()}
    only = index([str(spice)], Selection(**options, subsets=("ions",)))
    without = index([str(spice)], Selection(**options, without_subsets=("ions",)))
    assert set(only.names) == {"ammonium", "sodium"}
    assert not {"ammonium", "sodium"} & set(without.names)
    assert set(SOUND) < set(without.names)


def test_a_limit_of_the_gradient(spice: Path) -> None:
    loose = index([str(spice)], Selection(tuple(ATOMS), gradient_limit=10.0))
    steep = loose.names.index("steep")
    assert loose.conformation[loose.molecule == steep].tolist() == list(range(6))


def test_atoms_of_another_level_are_an_error(spice: Path) -> None:
    wrong = {symbol: energy + 1.0 for symbol, energy in ATOMS.items()}
    with pytest.raises(E3DError, match=r"do not follow from the atomic energies given"):
        index([str(spice)], Selection(tuple(ATOMS)), wrong)


def test_an_index_is_kept_and_read_again(
    spice: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(indexing, "FOLDER", tmp_path)
    monkeypatch.setattr(settings_module, "LARGE", 0)
    made = index([str(spice)], Selection(tuple(ATOMS)), ATOMS)
    (kept,) = tmp_path.iterdir()
    monkeypatch.setattr(indexing, "_made", lambda *_: pytest.fail("made again"))
    read = index([str(spice)], Selection(tuple(ATOMS)), ATOMS)
    for key, value in vars(made).items():
        assert np.array_equal(value, getattr(read, key)) if isinstance(value, np.ndarray) else (
            value == getattr(read, key)), key  # fmt: skip
    monkeypatch.undo()
    monkeypatch.setattr(indexing, "FOLDER", tmp_path)
    monkeypatch.setattr(settings_module, "LARGE", 0)
    kept.write_bytes(kept.read_bytes()[:1000])
    assert index([str(spice)], Selection(tuple(ATOMS)), ATOMS).names == made.names


def test_one_parameter_switches_to_spice2(spice: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spice2, "PATH", spice)
    settings = resolved(Settings("spice2"))
    assert settings.types == tuple(spice2.ATOMIC_ENERGIES)
    assert zero_of(settings)["Br"] == round(ATOMS["Br"], 9)
    train_set = configuration(settings, Path("/f"))["data"]["train_dataset"]
    assert train_set["paths"] == [str(spice)]
    assert train_set["type_names"] == list(settings.types)
    with_sodium = resolved(Settings("spice2", atomic_energies={"Na": -162.0}, charges=()))
    assert with_sodium.types[-1] == "Na"
    assert given_zero(with_sodium)["Na"] == pytest.approx(-162.0 * EV_PER_HARTREE)


def test_missing_atomic_energies_are_named(spice: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spice2, "PATH", spice)
    asked = resolved(Settings("spice2", type_names=("H", "C", "Na", "Li")))
    with pytest.raises(E3DError, match=r"isolated-atom energy of Na, Li .*atomic_energies"):
        zero_of(asked)
    with pytest.raises(E3DError, match=r"no root attribute 'atomic_energies'"):
        zero_of(Settings(str(spice)))


def test_files_of_two_levels_are_not_mixed(spice: Path) -> None:
    settings = Settings(str(spice), more_datasets=("data/dft-small.h5",),
                        level_of_theory=spice2.LEVEL)  # fmt: skip
    with pytest.raises(E3DError, match=r"dft-small.h5 is of the level 'wB97M-D3\(BJ\)/def2-TZVP'"):
        zero_of(settings)


def test_reading_does_not_keep_large_data_in_memory(
    spice: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from e3d.training import data

    options = {"type_names": tuple(ATOMS), "atomic_energies": ATOMS}
    small = SpiceSplit([str(spice)], "train", 4.0, **options)
    once = small[:]
    assert len(small._frames.kept) == len(small)
    monkeypatch.setattr(data, "KEPT_BYTES", 0)
    _frames.cache_clear()
    large = SpiceSplit([str(spice)], "train", 4.0, **options)
    again = large[:]
    assert large._frames.kept is None
    for first, second in zip(once, again, strict=True):
        assert first.keys() == second.keys()
        assert all(np.array_equal(first[key].numpy(), second[key].numpy()) for key in first)
    _frames.cache_clear()
    _index.cache_clear()


@pytest.mark.slow
def test_a_model_of_twelve_elements_is_trained(
    spice: Path, tiny: Callable[..., Settings], tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture,
) -> None:  # fmt: skip
    monkeypatch.setattr(spice2, "PATH", spice)
    settings = tiny("spice2", dataset="spice2", n_statistics=256, n_validation=1)
    train.train(settings, tmp_path / "run", work=tmp_path / "work")
    model = load_model(tmp_path / "run")
    assert model.type_names == tuple(chemical_symbols[z] for z in
                                     (1, 5, 6, 7, 8, 9, 14, 15, 16, 17, 35, 53))  # fmt: skip
    assert model.atomic_energies["I"] == pytest.approx(ATOMS["I"], rel=1e-6)
    metadata = yaml.safe_load((tmp_path / "run" / "model.yaml").read_text())
    assert metadata["dataset"]["level_of_theory"] == spice2.LEVEL
    assert metadata["dataset"]["elements"][:3] == ["H", "B", "C"]
    assert metadata["dataset"]["left_out"][OTHER_LEVEL]["first"] == ["other level"]
    assert "54X VAL" in capsys.readouterr().out
