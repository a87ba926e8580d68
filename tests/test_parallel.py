"""Work in parallel: the order of the items, and what becomes of errors."""

import math
import os

import pytest

from e3d.errors import E3DError
from e3d.parallel import map_ordered


def test_results_are_in_the_order_of_the_items():
    numbers = list(range(7))
    found = map_ordered(math.factorial, numbers, n_workers=2, progress=False)
    assert list(found) == [math.factorial(n) for n in numbers]
    assert list(map_ordered(math.factorial, [], progress=False)) == []


def test_an_error_of_one_item_is_raised():
    with pytest.raises(ValueError, match="negative"):
        list(map_ordered(math.factorial, [3, -1, 4], n_workers=2, progress=False))


def test_a_process_that_dies_is_told():
    with pytest.raises(E3DError, match="worker process died"):
        list(map_ordered(os._exit, [3], n_workers=1, progress=False))
