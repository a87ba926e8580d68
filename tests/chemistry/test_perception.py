"""Bond orders from connectivity and geometry: those of the SMILES, in every order of the atoms."""

from pathlib import Path

import ase.io
import numpy as np
import pytest
from ase import Atoms
from ase.build import molecule as g2
from rdkit import Chem

from e3d.chemistry import bonding
from e3d.chemistry.perception import assign_orders
from e3d.data.dataset import Dataset

CASES = Path("tests/cases")


def perceived(atoms: Atoms, charge: int = 0) -> Chem.Mol | None:
    return assign_orders(bonding.connected(atoms.numbers, atoms.positions), charge=charge)


def smiles(graph: Chem.Mol | None) -> str | None:
    return graph and Chem.CanonSmiles(Chem.MolToSmiles(Chem.RemoveHs(graph)))


def classes(graph: Chem.Mol) -> list[str]:
    return sorted(bonding.bond_class(graph, i, j) for i, j in bonding.bond_pairs(graph))


def test_the_projects_molecules_have_the_orders_of_their_smiles() -> None:
    with Dataset("data/dft-small.h5") as dataset:
        names = dataset.names[::4]
        molecules = [dataset[name] for name in names]
    for molecule in molecules:
        found = perceived(Atoms(molecule.atomic_numbers, molecule.positions[0]))
        assert classes(found) == classes(bonding.from_mapped_smiles(molecule.smiles)), molecule.name


@pytest.mark.parametrize(
    "given",
    [
        "C[N+](=O)[O-]", "[O-][n+]1ccccc1", "CN=[N+]=[N-]", "C=[N+]=[N-]", "N#[N+][O-]",
        "[C-]#[O+]", "CS(C)=O", "CS(C)(=O)=O", "COS(=O)(=O)O", "c1ccc2ccccc2c1", "c1cc[nH]c1",
        "C=C=C", "C#CC#C", "O=C=O", "NC=O", "OCl(=O)(=O)=O", "C[N+](C)(C)[O-]", "O=[O+][O-]",
        "Cn1cnc2c1c(=O)n(C)c(=O)n2C",
    ],
)  # fmt: skip
def test_a_geometry_has_the_usual_drawing_in_every_order(given: str) -> None:
    graph = bonding.parse_smiles(given)
    numbers = np.array([atom.GetAtomicNum() for atom in graph.GetAtoms()])
    atoms = Atoms(numbers, bonding.embed(graph, seed=1))
    rng = np.random.default_rng(0)
    orders = [np.arange(len(atoms)), *(rng.permutation(len(atoms)) for _ in range(3))]
    assert {smiles(perceived(atoms[order])) for order in orders} == {Chem.CanonSmiles(given)}


def test_many_nitro_groups_take_no_search() -> None:
    graph = perceived(ase.io.read(CASES / "slow-bond-orders.xyz"))
    assert classes(graph).count("N=O") == 6
    assert classes(graph).count("N-O") == 12


def test_charges_and_radicals() -> None:
    ammonium = bonding.parse_smiles("[NH4+]")
    atoms = Atoms("NH4", bonding.embed(ammonium, seed=1))
    assert smiles(perceived(atoms, charge=1)) == "[NH4+]"
    assert smiles(perceived(g2("C2H5"))) == "[CH2]C"
    assert smiles(perceived(g2("NO"))) == "[N]=O"
    assert smiles(perceived(g2("OH"))) == "[OH]"


def test_where_no_valences_fit_there_is_no_assignment() -> None:
    assert perceived(Atoms("CH2", [[0, 0, 0], [0.9, 0.6, 0], [-0.9, 0.6, 0]])) is None
    assert perceived(Atoms("Au2", [[0, 0, 0], [2.5, 0, 0]])) is None


def test_stereochemistry_is_that_of_the_geometry() -> None:
    for given in ("C[C@H](N)O", "C[C@@H](N)O", "C/C=C/C", "C/C=C\\C"):
        graph = bonding.parse_smiles(given)
        numbers = [atom.GetAtomicNum() for atom in graph.GetAtoms()]
        found = perceived(Atoms(numbers, bonding.embed(graph, seed=1)))
        assert smiles(found) == Chem.CanonSmiles(given)
