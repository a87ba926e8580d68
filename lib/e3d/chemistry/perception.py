"""Bond orders and formal charges of a molecule from its connectivity and its geometry.

RDKit's `DetermineBondOrders` searches valences in the order of the atoms: of nitro groups the
result depends on that order, and several of them take minutes. Here the same question is an integer
program: every atom takes one of its usual valences with its formal charge, the orders of its bonds
add up to it, and the cheapest assignment wins, whose cost counts charges first. It does not depend
on the order of the atoms, and SciPy's HiGHS solves it in milliseconds.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from ase.data import covalent_radii
from rdkit import Chem, rdBase

from e3d.errors import E3DError


class State(NamedTuple):
    """What an atom may be: the sum of its bond orders, its charge in e, and the cost of that.

    A radical has one unpaired electron.
    """

    valence: int
    charge: int = 0
    cost: float = 0.0
    radical: bool = False


def _states(*usual: State, radicals: tuple[State, ...] = ()) -> tuple[State, ...]:
    return usual + tuple(state._replace(radical=True) for state in radicals)


#: By atomic number. Costs order the conventions of drawing: charges are dear, negative ones least
#: on electronegative atoms, two radicals are dearer than the charges of a nitro group or an ylide
#: and cheaper than a carbanion beside a carbocation; sulfur, phosphorus and the halogens rather
#: exceed the octet.
STATES = {
    1: _states(State(1), radicals=(State(0, 0, 11),)),
    5: _states(State(3), State(4, -1, 5), radicals=(State(2, 0, 11),)),
    6: _states(State(4), State(3, -1, 12), State(3, 1, 12), radicals=(State(3, 0, 10),)),
    7: _states(
        State(3), State(4, 1, 8), State(2, -1, 10), radicals=(State(2, 0, 10.2), State(3, 1, 18))
    ),
    8: _states(State(2), State(1, -1, 8), State(3, 1, 9), radicals=(State(1, 0, 10.5),)),
    9: _states(State(1), State(0, -1, 7), State(2, 1, 14), radicals=(State(0, 0, 11),)),
    14: _states(State(4), State(3, 1, 12), State(3, -1, 12), radicals=(State(3, 0, 10),)),
    15: _states(
        State(3), State(5, 0, 1), State(4, 1, 9), State(6, -1, 9), radicals=(State(2, 0, 10),)
    ),
    16: _states(
        State(2), State(4, 0, 1), State(6, 0, 2), State(1, -1, 8), State(3, 1, 9),
        radicals=(State(1, 0, 10.4), State(3, 0, 12), State(5, 0, 13)),
    ),
    17: _states(
        State(1), State(3, 0, 3), State(5, 0, 4), State(7, 0, 5), State(0, -1, 7), State(2, 1, 13),
        radicals=(State(0, 0, 10.8),),
    ),
}  # fmt: skip
STATES |= {35: STATES[17], 53: STATES[17], 34: STATES[16], 52: STATES[16], 33: STATES[15]}
#: Cost of each order of a bond: two double bonds rather than a triple and a single one.
ORDER_COST = (0.0, 0.0, 0.3)
#: Cost of an order above one per unit of length over the sum of covalent radii: of two equal
#: drawings the one with its multiple bonds at the short distances is taken.
LENGTH_COST = 0.1
ORDERS = (Chem.BondType.SINGLE, Chem.BondType.DOUBLE, Chem.BondType.TRIPLE)
#: Seconds after which an assignment is given up; a molecule takes milliseconds, a protein seconds.
TIME_LIMIT_S = 60


def assign_orders(molecule: Chem.Mol, *, charge: int = 0) -> Chem.Mol | None:
    """A molecule with bond orders and formal charges, or None where there is no assignment.

    molecule: all atoms, hydrogens included, and its bonds, with a conformer in Å, as of
    `bonding.connected`; the order of its bonds is ignored. charge in e, of the whole. Atoms are
    radicals where it takes that. Stereochemistry is that of the geometry.

    Raises E3DError when the search exceeds `TIME_LIMIT_S`.
    """
    numbers = [atom.GetAtomicNum() for atom in molecule.GetAtoms()]
    if not set(numbers) <= set(STATES):
        return None
    solution = _solve(molecule, numbers, charge)
    if solution is None:
        return None
    orders, states = solution
    assigned = Chem.RWMol(molecule)
    for bond, order in zip(assigned.GetBonds(), orders, strict=True):
        bond.SetBondType(ORDERS[order - 1])
        bond.SetIsAromatic(False)
    for atom, state in zip(assigned.GetAtoms(), states, strict=True):
        atom.SetFormalCharge(state.charge)
        atom.SetNumRadicalElectrons(int(state.radical))
        atom.SetNoImplicit(True)
    with rdBase.BlockLogs():
        try:
            Chem.SanitizeMol(assigned)
        except ValueError:  # such as a valence that RDKit does not allow
            return None
        Chem.AssignStereochemistryFrom3D(assigned)
    return assigned.GetMol()


def _solve(
    molecule: Chem.Mol, numbers: list[int], charge: int
) -> tuple[list[int], list[State]] | None:
    """Orders of the bonds and states of the atoms, in the order of the molecule; None if none fit.

    One variable of value 0 or 1 for each order of each bond and each state of each atom; the last
    one is the number of pairs of radicals.
    """
    from scipy.optimize import Bounds, LinearConstraint, milp
    from scipy.sparse import coo_array

    n_bonds, n_orders = molecule.GetNumBonds(), len(ORDERS)
    choices = [(k, state) for k, z in enumerate(numbers) for state in STATES[z]]
    first = n_bonds * n_orders  # variable of the first choice
    n_atoms = len(numbers)
    entries: list[tuple[int, int, float]] = []  # row, variable, coefficient
    # one order per bond, one state per atom; bonds fill the valence; charge; radicals
    one_state, valence = n_bonds, n_bonds + n_atoms
    total, radicals = n_bonds + 2 * n_atoms, n_bonds + 2 * n_atoms + 1
    for bond in molecule.GetBonds():
        b = bond.GetIdx()
        for k in range(n_orders):
            variable = b * n_orders + k
            entries.append((b, variable, 1))
            for atom in (bond.GetBeginAtomIdx(), bond.GetEndAtomIdx()):
                entries.append((valence + atom, variable, k + 1))
    for variable, (atom, state) in enumerate(choices, start=first):
        entries += [(one_state + atom, variable, 1), (valence + atom, variable, -state.valence)]
        entries += [(total, variable, state.charge), (radicals, variable, int(state.radical))]
    n_variables = first + len(choices) + 1
    entries.append((radicals, n_variables - 1, -2))
    odd = (sum(numbers) - charge) % 2
    right = np.concatenate([np.ones(n_bonds + n_atoms), np.zeros(n_atoms), [charge, odd]])
    rows, columns, values = (np.array(part) for part in zip(*entries, strict=True))
    matrix = coo_array((values, (rows, columns)), shape=(len(right), n_variables))
    of_states = [state.cost for _, state in choices]
    costs = np.concatenate([_order_costs(molecule, numbers), of_states, [0.0]])
    most = np.append(np.ones(n_variables - 1), n_atoms)
    found = milp(
        costs, integrality=np.ones(costs.size), bounds=Bounds(0, most),
        constraints=LinearConstraint(matrix.tocsc(), right, right),
        options={"time_limit": TIME_LIMIT_S, "mip_rel_gap": 0},
    )  # fmt: skip
    if found.status == 1:
        raise E3DError(
            f"bond orders of {n_atoms} atoms are not found within {TIME_LIMIT_S} s; give a file "
            "with a bond table, such as SDF"
        )
    if found.x is None:
        return None
    chosen = found.x > 0.5
    orders = chosen[:first].reshape(n_bonds, n_orders).argmax(axis=1) + 1
    states = [state for (_, state), taken in zip(choices, chosen[first:-1], strict=True) if taken]
    return orders.tolist(), states


def _order_costs(molecule: Chem.Mol, numbers: list[int]) -> np.ndarray:
    """Costs of the orders of the bonds, flat (n_bonds × n_orders)."""
    positions = molecule.GetConformer().GetPositions()
    pairs = np.array([[b.GetBeginAtomIdx(), b.GetEndAtomIdx()] for b in molecule.GetBonds()])
    pairs = pairs.reshape(-1, 2).astype(int)
    radii = covalent_radii[numbers]
    lengths = np.linalg.norm(positions[pairs[:, 0]] - positions[pairs[:, 1]], axis=1)
    relative = lengths / (radii[pairs[:, 0]] + radii[pairs[:, 1]])
    above = np.arange(len(ORDERS))
    return (np.array(ORDER_COST) + LENGTH_COST * relative[:, None] * above).ravel()
