"""Figures are reproducible, described, filed with their numbers, and draw what they are given."""

import json

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from bs4 import BeautifulSoup

from e3d.errors import E3DError
from e3d.notebook import plots

mpl.use("Agg")


@pytest.fixture(autouse=True)
def clean():
    with mpl.rc_context():
        yield
    plt.close("all")


@pytest.fixture
def ax():
    return plots.figure()[1]


def test_import_changes_no_setting_and_theme_does():
    import subprocess
    import sys

    code = (
        "import matplotlib as m; old = dict(m.rcParams); import e3d.notebook.plots as p; "
        "assert old == dict(m.rcParams); p.theme(); assert old != dict(m.rcParams)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_figures_are_measured_in_millimetres():
    fig, axes = plots.figure(127, 50.8, columns=2)
    assert fig.get_size_inches().tolist() == pytest.approx([5, 2])
    assert len(axes) == 2


def test_same_figure_gives_the_same_svg():
    def draw() -> str:
        fig, ax = plots.figure()
        plots.parity(ax, [80, 100], [82, 97], low=[80, 95], high=[84, 99])
        return plots.svg(fig)

    first = draw()
    assert first == draw()
    assert "<dc:date>" not in first


def test_show_files_the_numbers_and_describes_the_image(ax, tmp_path, monkeypatch):
    shown = []
    monkeypatch.setattr("IPython.display.display", lambda *a, **k: shown.append((a, k)))
    data = pd.DataFrame({"x": [1.5, 2.0]})
    plots.show(ax.figure, "one", "A line that rises.", data=data, output_dir=tmp_path)
    pd.testing.assert_frame_equal(pd.read_csv(tmp_path / "figures" / "one.csv"), data)
    (((bundle,), options),) = shown
    assert bundle["image/svg+xml"].lstrip().startswith("<?xml")
    assert options["metadata"]["image/svg+xml"]["alt"] == "A line that rises."
    assert not plt.get_fignums()
    with pytest.raises(E3DError, match="alternative text"):
        plots.show(ax.figure, "one", " ")


def test_parity_draws_points_bars_and_one_diagonal(ax):
    assert plots.parity(ax, [1, 2], [1.1, 1.8], low=[1, 1.9], high=[1.2, 2.0]) is ax
    plots.parity(ax, [3], [3.0], names=["N2"], color="r")
    assert sum(line.get_gid() == "diagonal" for line in ax.lines) == 1
    assert [text.get_text() for text in ax.texts] == ["N2"]
    first = ax.containers[0]
    np.testing.assert_allclose(first.lines[0].get_xydata(), [[1, 1.1], [2, 1.8]])
    segments = first.lines[2][0].get_segments()
    np.testing.assert_allclose(segments[0][:, 1], [1.0, 1.2])
    np.testing.assert_allclose(segments[1][:, 1], [1.8, 2.0])  # an end on the wrong side: no bar
    assert "kcal/mol" in ax.get_xlabel()


def test_map_leaves_gaps_where_there_are_no_pairs(ax):
    table = pd.DataFrame(
        {"pair": "C-H", "length_A": [1.0, 1.0, 1.3], "energy_eV": [-4.0, -3.0, -3.5],
         "count": [5, 1, 2]}
    )  # fmt: skip
    plots.energy_map(ax, table, title="C-H")
    counts = ax.collections[0].get_array()
    assert counts.shape == (3, 2)
    table["length_A"] = [1.0, 1.1, 1.3]
    other = plots.energy_map(plots.figure()[1], table).collections[0].get_array()
    assert other.shape == (3, 4)
    assert np.nansum(np.ma.filled(other, np.nan)) == 8


def test_shares_stand_beside_each_other_at_their_distance(ax):
    table = pd.DataFrame(
        {"ensemble": ["finetuned"] * 2 + ["untrained"] * 2, "apart": ["apart_1", "apart_2"] * 2,
         "share": [0.9, 0.1, 0.4, 0.6], "low": [0.8, 0.05, 0.3, 0.5], "high": 1.0}
    )  # fmt: skip
    plots.shares(ax, table, labels={"apart_1": "1", "apart_2": "2"})
    first, second = (container.lines[0].get_xydata() for container in ax.containers)
    assert first[:, 1].tolist() == [90, 10]
    assert second[:, 1].tolist() == [40, 60]
    assert ((first[:, 0] < second[:, 0]) & (second[:, 0] < first[:, 0] + 0.5)).all()


def test_learning_curve_has_a_line_per_group(ax):
    table = pd.DataFrame({"n": [1, 10, 1, 10], "error": [4, 2, 8, 3], "run": ["a", "a", "b", "b"]})
    plots.learning_curve(ax, table, x="n", y="error", by="run", xlabel="n", ylabel="meV")
    assert (ax.get_xscale(), ax.get_yscale()) == ("log", "log")
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["a", "b"]


def test_ladder_puts_every_value_in_the_row_of_its_class(ax):
    plots.ladder(
        ax, ["C-C", "C-H"], [70, 95], low=[65, 93], high=[75, 97], dressed=[80, 104],
        nulls={"untrained": [50, np.nan], "additive": [85, 99], "other": [1, 2]},
        reference=[90, 105],
    )  # fmt: skip
    assert [label.get_text() for label in ax.get_yticklabels()] == ["C-C", "C-H"]
    labels = [text.get_text() for text in ax.get_legend().get_texts()]
    assert {"untrained weights", "reference", "dressed", "emergent (bare)", "other"} < set(labels)
    (reference,) = (line for line in ax.lines if line.get_label() == "reference")
    assert reference.get_xydata().tolist() == [[90, 0], [105, 1]]


def test_entropy_sweep_marks_the_chosen_width(ax):
    table = pd.DataFrame(
        {"bin_width_eV": [0.2, 0.1] * 2, "bits": [3, 4, 3.1, 4.2],
         "estimator": ["plug-in"] * 2 + ["Miller-Madow"] * 2, "low": 2.5, "high": 4.5}
    )  # fmt: skip
    plots.entropy_sweep(ax, table, chosen=0.1)
    assert ax.lines[0].get_xdata().tolist() == [0.1, 0.2]
    assert len(ax.collections) == 2
    assert ax.lines[-1].get_xdata() == [0.1, 0.1]


def test_histograms_share_their_bins(ax):
    plots.histogram(ax, {"C-C": [-3.0, -2.9], "C-H": [-4.0]}, bins=4)
    first, second = (patch.get_xy()[:, 0] for patch in ax.patches[:3:2])
    assert set(first) == set(second)
    assert ax.get_xlabel() == "ε (eV)"


def test_the_smallest_text_of_a_figure_is_told(ax) -> None:
    ticks = ax.get_xticklabels()[0].get_fontsize() * 96 / 72
    assert f'data-text-px="{ticks:.1f}"' in plots.svg(ax.figure)


def test_points_of_a_parity_plot_say_their_names_and_keep_their_bars(ax) -> None:
    plots.parity(
        ax, [1, 2], [1.5, 2.5], low=[1, 2], high=[2, 3], hover=["C, bond C-H", "N"], label="x"
    )
    assert "<title>C, bond C-H</title>" in plots.svg(ax.figure)
    (segments,) = (bars[0].get_segments() for bars in [ax.containers[0].lines[2]])
    assert [segment[:, 1].tolist() for segment in segments] == [[1, 2], [2, 3]]
    assert ax.get_legend_handles_labels()[1] == ["x"]


def test_a_learning_curve_says_where_it_is(ax) -> None:
    table = pd.DataFrame({"n": [1, 10] * 2, "error": [4, 2, 8, 3.5], "run": ["a"] * 2 + ["b"] * 2})
    plots.learning_curve(ax, table, x="n", y="error", by="run", xlabel="step", ylabel="meV")
    assert "<title>b, step 10: 3.5, meV</title>" in plots.svg(ax.figure)


def test_a_map_tells_the_counts_of_its_cells_and_the_limits_of_its_axes(ax) -> None:
    table = pd.DataFrame(
        {"pair": "C-H", "length_A": [1.0, 1.1], "energy_eV": [-4.0, -3.5], "count": [5, 2]}
    )
    plots.energy_map(ax, table, title="C-H")
    (map_,) = BeautifulSoup(plots.svg(ax.figure).partition("<svg")[2], "html.parser").select(
        "g.cells"
    )
    found = json.loads(map_["data-cells"])
    assert found["name"] == "C-H"
    assert found["counts"] == [0, 0, 5, 1, 1, 2]
    assert found["first"] == [1.0, -4.0]
    assert found["step"] == pytest.approx([0.1, 0.5])
    assert found["limits"][0] == pytest.approx(ax.get_xlim())
