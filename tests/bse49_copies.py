"""A benchmark in the layout of BSE49, of molecules that are made up on the spot."""

import io
import tarfile

import numpy as np

from e3d.chemistry import bonding

#: Names in the style of BSE49, molecules and radicals as SMILES, and a made-up reference.
REACTIONS = {
    "C-H_methane": ("[CH3]", "[H]", "C", 112.0),
    "C-H_ethanol-1": ("[CH2]CO", "[H]", "CCO", 104.0),
    "C-H_ethanol-2": ("C[CH]O", "[H]", "CCO", 97.0),
    "O-C_ethanol": ("C[CH2]", "[OH]", "CCO", 96.0),
    "C-C_ring": ("[CH3]", "[CH3]", "C1CC1", 90.0),  # these fragments are of another molecule
    "Si-H_silane": ("[SiH3]", "[H]", "[SiH4]", 95.0),
}


def xyz(smiles: str, state: str) -> bytes:
    graph = bonding.parse_smiles(smiles)
    symbols = [atom.GetSymbol() for atom in graph.GetAtoms()]
    positions = np.zeros((1, 3)) if len(symbols) == 1 else bonding.embed(graph, seed=1)
    rows = [f"{s} {x:.6f} {y:.6f} {z:.6f}" for s, (x, y, z) in zip(symbols, positions, strict=True)]
    return "\n".join([str(len(symbols)), state, *rows, ""]).encode()


def benchmark() -> dict[str, bytes]:
    """Tables and geometries by their path in the repository."""
    found, lines = {}, []
    for k, (name, (first, second, whole, energy)) in enumerate(REACTIONS.items(), start=1):
        named = {
            f"{name}_A": (first, "0 2"),
            f"{name}_B": (second, "0 2"),
            f"{name}_AB": (whole, "0 1"),
        }
        for key, (smiles, state) in named.items():
            found[f"Geometries/Existing/{key}.xyz"] = xyz(smiles, state)
        a, b, ab = named
        lines.append(f"| BSE49_existing_{k} | 1 | {a} | 1 | {b} | -1 | {ab} | {energy:.2f} |")
    return found | {"BSE49_Existing.org": "\n".join(lines).encode(), "BSE49_Hypothetical.org": b""}


def archive(contents: dict[str, bytes], **more: bytes) -> bytes:
    """As GitHub sends it: one folder around all; with what a hostile archive would add."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        members = {f"bse49-0123/{name}": data for name, data in contents.items()} | more
        members |= {
            "bse49-0123/README.md": b"hello",
            "../../escaped.xyz": b"1",
            "/escaped.org": b"1",
        }
        for name, data in members.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            tar.addfile(entry, io.BytesIO(data))
        link = tarfile.TarInfo("bse49-0123/Geometries/Existing/link.xyz")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        tar.addfile(link)
    return buffer.getvalue()
