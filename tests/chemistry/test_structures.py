"""Structure files and SMILES as they come: every frame, the file's own bonds, one line if not."""

import io
from pathlib import Path

import ase.io
import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.build import molecule as g2
from rdkit import Chem

from e3d.chemistry import bonding
from e3d.chemistry.structures import Structure, from_smiles, structure_of, structures_of
from e3d.errors import E3DError

CASES = Path("tests/cases")
ELEMENTS = ["H", "C", "N", "O", "F", "Si", "S", "Cl"]
ETHANOL = ["C-C", "C-H", "C-H", "C-H", "C-H", "C-H", "C-O", "H-O"]


def of(path: Path | str, **options) -> Structure:
    return structure_of(str(path), elements=ELEMENTS, **options)


def all_of(path: Path | str, **options) -> list[Structure | E3DError]:
    return list(structures_of(str(path), elements=ELEMENTS, **options))


def error_of(path: Path | str, **options) -> str:
    with pytest.raises(E3DError) as caught:
        of(path, **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def classes(structure: Structure) -> list[str]:
    return sorted(structure.classes)


def write(path: Path, smiles: str, *, v3000: bool = False) -> Path:
    """An SDF or MOL file of a SMILES, with its bond table."""
    graph = bonding.parse_smiles(smiles)
    conformer = Chem.Conformer(graph.GetNumAtoms())
    conformer.SetPositions(bonding.embed(graph, seed=1))
    graph.AddConformer(conformer)
    path.write_text(Chem.MolToMolBlock(graph, forceV3000=v3000))
    return path


# the bonds of a file


def test_the_order_of_the_atoms_does_not_change_the_classes() -> None:
    table, permuted = of(CASES / "dinitro.sdf"), of(CASES / "dinitro-permuted.xyz")
    assert classes(table) == classes(permuted)
    assert classes(table).count("N=O") == 2
    assert classes(table).count("C:C") == 6
    assert table.smiles == permuted.smiles == "O=[N+]([O-])c1ccc([N+](=O)[O-])cc1"


@pytest.mark.parametrize("v3000", [False, True])
def test_a_bond_table_is_used_though_distances_say_otherwise(tmp_path: Path, v3000: bool) -> None:
    path = write(tmp_path / "far.mol", "CCO", v3000=v3000)
    lines = path.read_text().replace(" 1  0\n", " 1  0\n")
    path.write_text(lines)
    stretched = Chem.MolFromMolFile(str(path), removeHs=False)
    conformer = stretched.GetConformer()
    conformer.SetPositions(1.6 * conformer.GetPositions())
    path.write_text(Chem.MolToMolBlock(stretched, forceV3000=v3000))
    assert classes(of(path)) == ETHANOL


def test_tables_of_every_format_agree() -> None:
    for name in ("v3000.mol", "dummy-cell.pdb"):
        assert classes(of(CASES / name)) == ETHANOL


def test_mol2_is_read_with_its_bonds(tmp_path: Path) -> None:
    (tmp_path / "water.mol2").write_text(
        "@<TRIPOS>MOLECULE\nwater\n3 2\nSMALL\nNO_CHARGES\n\n@<TRIPOS>ATOM\n"
        "1 O 0.000 0.000 0.119 O.3\n2 H1 0.000 0.763 -0.477 H\n3 H2 0.000 -0.763 -0.477 H\n"
        "@<TRIPOS>BOND\n1 1 2 1\n2 1 3 1\n"
    )
    assert classes(of(tmp_path / "water.mol2")) == ["H-O", "H-O"]


def test_an_impossible_table_is_said_and_bonds_are_perceived(tmp_path: Path) -> None:
    path = write(tmp_path / "five.mol", "C")
    path.write_text(path.read_text().replace("  1  2  1  0\n", "  1  2  3  0\n"))
    found = of(path)
    assert classes(found) == ["C-H"] * 4
    assert "no valid molecule" in found.notes[0]


def test_a_file_has_the_classes_of_the_smiles(tmp_path: Path) -> None:
    """Sulfoxides too, which RDKit perceives as charge-separated."""
    given = from_smiles("CS(C)=O", elements=ELEMENTS)
    ase.io.write(tmp_path / "dmso.xyz", given.atoms)
    found = of(tmp_path / "dmso.xyz")
    assert classes(found) == classes(given)
    assert found.smiles == "CS(C)=O"


def test_many_nitro_groups_are_perceived() -> None:
    assert classes(of(CASES / "slow-bond-orders.xyz")).count("N=O") == 6


def test_where_no_valences_fit_bonds_are_bare_and_it_is_said(tmp_path: Path) -> None:
    ase.io.write(tmp_path / "methylene.xyz", g2("CH4")[:3])
    found = of(tmp_path / "methylene.xyz")
    assert classes(found) == ["C~H"] * 2
    assert "no valences fit" in found.notes[0]


def test_fragments_of_a_broken_bond_are_radicals_not_ions(tmp_path: Path) -> None:
    ase.io.write(tmp_path / "apart.xyz", g2("CH4")[:4] + Atoms("H", [[9, 9, 9]]))
    found = of(tmp_path / "apart.xyz")
    assert classes(found) == ["C-H"] * 3
    assert found.unpaired == 2
    assert "2 unpaired electrons" in found.notes[0]


# frames


@pytest.mark.parametrize(
    ("name", "smiles"),
    [
        ("two-frames.xyz", ["CCO", "CCS"]),
        ("two-records.sdf", ["CCO", "CO"]),
        ("multi-model.pdb", ["CCO", "CCO"]),
    ],
)
def test_all_frames_are_read_and_named(name: str, smiles: list[str]) -> None:
    found = all_of(CASES / name)
    assert [s.smiles for s in found] == smiles
    assert [s.name for s in found] == [f"{CASES / name}[{k}]" for k in range(2)]
    for k in (1, -1):
        (last,) = all_of(CASES / name, frame=k)
        assert (last.smiles, last.name) == (smiles[1], f"{CASES / name}[1]")
    assert "has 2 frames" in error_of(CASES / name, frame=2)
    assert "holds several structures" in error_of(CASES / name)


def test_a_bad_record_does_not_hide_the_others(tmp_path: Path) -> None:
    text = (CASES / "two-records.sdf").read_text()
    (tmp_path / "three.sdf").write_text("\n\n\nrubbish\n$$$$\n" + text)
    found = all_of(tmp_path / "three.sdf")
    assert [isinstance(s, E3DError) for s in found] == [True, False, False]
    assert "record 0" in str(found[0])


# lattices


def test_a_lattice_that_may_be_a_box_is_said() -> None:
    found = of(CASES / "lattice-no-pbc.xyz")
    assert classes(found) == ["H~O", "H~O"]
    assert "--molecule" in found.notes[0]
    assert classes(of(CASES / "lattice-no-pbc.xyz", kind="molecule")) == ["H-O", "H-O"]
    assert of(CASES / "lattice-no-pbc.xyz", kind="crystal").notes == ()
    assert "no lattice" in error_of(CASES / "ethyl-radical.xyz", kind="crystal")


def test_bonds_that_a_lattice_carried_are_not_lost_silently(tmp_path: Path) -> None:
    water = g2("H2O")
    water.set_cell([9, 9, 9])
    water.pbc = True
    ase.io.write(tmp_path / "whole.xyz", water)
    assert of(tmp_path / "whole.xyz", kind="molecule").notes == ("its lattice is ignored",)
    water.positions += [0, 0.5, 0]
    water.wrap(eps=0)
    ase.io.write(tmp_path / "wrapped.xyz", water)
    assert "bonds across the cell's faces" in of(tmp_path / "wrapped.xyz", kind="molecule").notes[0]


def test_periodic_files_are_crystals_without_a_word(tmp_path: Path) -> None:
    ase.io.write(tmp_path / "diamond.xyz", bulk("C", "diamond", a=3.57))
    found = of(tmp_path / "diamond.xyz")
    assert found.classes == ["C~C"] * 4
    assert found.notes == ()
    assert found.shifts is not None


def test_the_dummy_cell_of_pdb_is_none() -> None:
    found = of(CASES / "dummy-cell.pdb")
    assert found.shifts is None
    assert "stands for none" in found.notes[0]


# what cannot be meant


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("half-occupied.cif", "4 of 5 sites are occupied in part, the first H with 0.5"),
        ("ethanol-bohr.xyz", "in bohr"),
        ("flat-no-hydrogens.sdf", "8 hydrogens have no coordinates and it is flat"),
        ("atoms-too-close.xyz", "atoms 0 and 1 are 0.05 Å apart"),
    ],
)
def test_what_cannot_be_meant_is_refused_with_the_cause(name: str, said: str) -> None:
    assert said in error_of(CASES / name)


def test_a_molecule_without_its_hydrogens_is_refused(tmp_path: Path) -> None:
    whole = of(CASES / "two-records.sdf", frame=0).atoms
    ase.io.write(tmp_path / "heavy.xyz", whole[whole.numbers > 1])
    assert "no hydrogens" in error_of(tmp_path / "heavy.xyz")
    ase.io.write(tmp_path / "dioxide.xyz", g2("CO2"))
    assert classes(of(tmp_path / "dioxide.xyz")) == ["C=O", "C=O"]


def test_a_drawing_with_hydrogens_is_refused(tmp_path: Path) -> None:
    graph = bonding.parse_smiles("CCO")
    from rdkit.Chem import rdDepictor

    rdDepictor.Compute2DCoords(graph)
    (tmp_path / "drawn.mol").write_text(Chem.MolToMolBlock(graph))
    assert "in one plane" in error_of(tmp_path / "drawn.mol")
    ase.io.write(tmp_path / "benzene.xyz", g2("C6H6"))
    assert of(tmp_path / "benzene.xyz").smiles == "c1ccccc1"


def test_radicals_and_charges_are_said(tmp_path: Path) -> None:
    found = of(CASES / "ethyl-radical.xyz")
    assert (found.smiles, found.unpaired) == ("[CH2]C", 1)
    assert "radical" in found.notes[0]
    ase.io.write(tmp_path / "hydroxide.xyz", g2("OH"))
    charged = of(tmp_path / "hydroxide.xyz", charge=-1)
    assert (charged.smiles, charged.charge, charged.unpaired) == ("[OH-]", -1, 0)
    assert "charge -1" in charged.notes[0]


def test_impossible_charges_are_refused(tmp_path: Path) -> None:
    assert "charge +99999999999" in error_of(CASES / "ethyl-radical.xyz", charge=99999999999)
    path = write(tmp_path / "methanol.mol", "CO")
    assert "charge +0 by its own bonds, +1 as given" in error_of(path, charge=1)


# names


@pytest.mark.parametrize("name", ["x.mol2", "POSCAR", "x.xyz", "a/b.sdf.gz", "list.smi"])
def test_a_missing_file_is_called_missing(name: str) -> None:
    assert "does not exist" in error_of(name)


def test_a_file_named_like_a_smiles_gives_way(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    ase.io.write("C", g2("H2O"), format="xyz")
    found = of("C")
    assert len(found.atoms) == 5
    assert any("./C" in note for note in found.notes)
    assert len(of("./C").atoms) == 3


def test_long_smiles_are_no_paths() -> None:
    assert "more than 200" in error_of("C" * 300)
    assert "cannot be parsed" in error_of("C(" * 300)
    assert "cannot be parsed" in error_of("C\0C")


# SMILES


def test_indices_are_those_of_the_smiles_as_it_is_written() -> None:
    for smiles in ("CCO", "OCC"):
        found = from_smiles(smiles, elements=ELEMENTS)
        graph = bonding.parse_smiles(smiles)
        assert [atom.GetSymbol() for atom in graph.GetAtoms()] == list(found.atoms.symbols)
        np.testing.assert_array_equal(found.bonds, bonding.bond_pairs(graph))
        assert found.conformers.positions.shape[1:] == (9, 3)
        np.testing.assert_array_equal(found.conformers.positions[0], found.atoms.positions)


def test_a_charge_beside_a_smiles_is_not_ignored() -> None:
    assert "+1 as given" in error_of("C", charge=1)


def test_stereocentres_that_are_not_given_are_said() -> None:
    assert "1 stereocentre not given" in from_smiles("CC=CC", elements=ELEMENTS).notes[0]
    assert from_smiles("C/C=C/C", elements=ELEMENTS).notes == ()


def test_a_list_of_smiles_gives_each_line_or_its_error(tmp_path: Path) -> None:
    (tmp_path / "list.smi").write_text("SMILES name\nO water\n# none\n\nC(C\nC methane gas\n")
    found = all_of(tmp_path / "list.smi")
    assert [getattr(s, "name", None) for s in found] == ["water", None, "methane gas"]
    assert f"{tmp_path / 'list.smi'}, line 5: " in str(found[1])
    (tmp_path / "list.smi").write_text("# nothing\n")
    assert "holds no SMILES" in error_of(tmp_path / "list.smi")
    (tmp_path / "list.smi").write_bytes(b"C\xff\n")
    assert "not a text file" in error_of(tmp_path / "list.smi")


def test_standard_input_is_read_line_by_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("O\nN ammonia\n"))
    stream = structures_of("-", elements=ELEMENTS)
    assert next(stream).name == "O"
    assert next(stream).name == "ammonia"
