"""Forests: every estimate in the line of its label, with its bar and what it says."""

import matplotlib as mpl
import matplotlib.pyplot as plt
import pandas as pd
import pytest

from e3d.notebook import forests, plots

mpl.use("Agg")
STYLES = {"a": ("#0173b2", "o", True), "b": ("#d55e00", "s", False), "none": ("0.5", "x", True)}
ROWS = pd.DataFrame({
    "label": ["first", "second", "second"], "group": ["a", "a", "b"], "value": [1.0, 2.0, 3.0],
    "low": [0.5, 1.5, None], "high": [1.5, 2.5, None],
})  # fmt: skip


@pytest.fixture
def ax():
    fig, ax = plots.figure()
    yield ax
    plt.close(fig)


def test_groups_stand_beside_each_other_in_the_line_of_their_label(ax) -> None:
    forests.forest(ax, ROWS, styles=STYLES, decimals=1, unit="eV")
    assert [text.get_text() for text in ax.get_yticklabels()] == ["first", "second"]
    bars = [segment for lines in ax.collections[::2] for segment in lines.get_segments()]
    assert bars[0][:, 0].tolist() == [0.5, 1.5]
    points = [at for drawn in ax.collections[1::2] for at in drawn.get_offsets().tolist()]
    assert [x for x, _ in points] == [1, 2, 3]
    assert [round(y) for _, y in points] == [0, 1, 1]
    assert points[1][1] < 1 < points[2][1]
    drawn = plots.svg(ax.figure)
    assert "<title>second, a: 2.0 ± 0.5 eV</title>" in drawn
    assert "<title>second, b: 3.0 eV</title>" in drawn
    assert ax.get_legend_handles_labels()[1] == ["a", "b"]


def test_a_line_with_one_estimate_has_it_in_the_middle(ax) -> None:
    forests.forest(ax, ROWS.iloc[[0, 2]], styles=STYLES)
    points = [at for drawn in ax.collections[1::2] for at in drawn.get_offsets().tolist()]
    assert [y for _, y in points] == [0, 1]


def test_a_group_needs_a_style(ax) -> None:
    with pytest.raises(KeyError, match="no style for b"):
        forests.forest(ax, ROWS, styles={"a": STYLES["a"]})
