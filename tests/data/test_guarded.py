"""Files on which the HDF5 library loops or dies: said in one line, in time."""

import time
from pathlib import Path

import pytest

from e3d.data.check import check_dataset
from e3d.data.guarded import check_guarded, require_opens
from e3d.errors import E3DError

CASES = Path("tests/cases")


def test_an_endless_loop_inside_hdf5_ends() -> None:
    begun = time.monotonic()
    with pytest.raises(E3DError, match=r"HDF5 does not answer within 3 s on opening it; the file"):
        check_guarded(CASES / "hdf5-loops.h5", patience=3.0)
    assert time.monotonic() - begun < 200, "importing the libraries on a busy machine included"


def test_opening_it_elsewhere_ends_too() -> None:
    with pytest.raises(E3DError, match=r"HDF5 does not answer within 2 s on opening it"):
        require_opens(CASES / "hdf5-loops.h5", patience=2.0)
    require_opens(CASES / "radical.h5")
    with pytest.raises(E3DError, match="does not exist"):
        require_opens(CASES / "absent.h5")


def test_a_sound_file_has_the_same_report_in_a_process_of_its_own() -> None:
    path = CASES / "radical.h5"
    assert check_guarded(path) == check_dataset(path)


def test_a_file_that_cannot_be_opened_is_refused_with_its_reason() -> None:
    with pytest.raises(E3DError, match=r"absent\.h5 does not exist"):
        check_guarded(CASES / "absent.h5")
