"""Figures to point at: names and counts that reach the SVG, and are refused where they cannot."""

import html
import re

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pytest

from e3d.errors import E3DError
from e3d.notebook import plots, pointing

mpl.use("Agg")


@pytest.fixture
def ax():
    fig, ax = plots.figure(60, 60)
    yield ax
    plt.close(fig)


def titles(svg: str) -> list[str]:
    return re.findall(r'<g class="point"><title>([^<]*)</title><(?:use|path) [^>]*/></g>', svg)


@pytest.mark.parametrize("marker", ["o", "s", "x"])
@pytest.mark.parametrize("n", [1, 2, 40])
def test_every_point_says_its_own_name_however_few_there_are(ax, n: int, marker: str) -> None:
    """Few points are drawn one by one, many by reference: both have to carry their names."""
    names = [f"{k} & C=O < {k + 1}" for k in range(n)]
    pointing.named_points(ax, np.arange(n), np.arange(n), names, marker=marker, label="x")
    assert titles(plots.svg(ax.figure)) == [
        name.replace("&", "&amp;").replace("<", "&lt;") for name in names
    ]
    assert ax.get_legend_handles_labels()[1] == ["x"]


def test_names_may_have_quotation_marks(ax) -> None:
    pointing.named_points(ax, [1, 2], [1, 2], ['a "b"', "c 'd'"])
    assert [html.unescape(name) for name in titles(plots.svg(ax.figure))] == ['a "b"', "c 'd'"]


def test_a_point_that_is_not_drawn_takes_no_name_from_another(ax) -> None:
    pointing.named_points(ax, [0, np.nan, 2], [0, 1, 2], ["a", "b", "c"], filled=False)
    pointing.named_points(ax, [], [], [])
    assert titles(plots.svg(ax.figure)) == ["a", "c"]


def test_points_and_names_are_as_many(ax) -> None:
    with pytest.raises(ValueError, match="1 names for 2 points"):
        pointing.named_points(ax, [1, 2], [1, 2], ["a"])
    pointing.named_points(ax, [-1, 1, 2], [1, 2, 3], ["a", "b", "c"])
    ax.set_xscale("log")
    with pytest.raises(E3DError, match=r"3 names for 2 drawn points.*logarithmic"):
        plots.svg(ax.figure)
