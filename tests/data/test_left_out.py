"""What is left out adds up in the order of the file, whichever way it was cut."""

import json

from hypothesis import given
from hypothesis import strategies as st

from e3d.data.left_out import MAX_NAMED, LeftOut

ENTRIES = st.lists(
    st.tuples(st.sampled_from(["charged", "cannot be read"]), st.text(), st.integers(0, 50))
)


def collected(entries: list[tuple[str, str, int]]) -> LeftOut:
    found = LeftOut()
    for reason, name, count in entries:
        found.add(reason, name, count)
    return found


@given(ENTRIES, st.integers(0, 20))
def test_parts_add_up_to_the_whole(entries: list[tuple[str, str, int]], cut: int) -> None:
    whole = collected(entries)
    assert collected(entries[:cut]) + collected(entries[cut:]) == whole
    assert LeftOut.from_dict(json.loads(json.dumps(whole.as_dict()))) == whole


def test_lines_count_and_name_the_first() -> None:
    found = LeftOut()
    for k in range(MAX_NAMED + 2):
        found.add("charged", f"m{k}", 2, "+1")
    found.add("cannot be read", "x", 0, "damaged")
    assert found.lines() == [
        "10 conformations of 5 molecules, charged: m0: +1; m1: +1; m2: +1 …",
        "1 molecule, cannot be read: x: damaged",
    ]
    assert found
    assert not LeftOut()
