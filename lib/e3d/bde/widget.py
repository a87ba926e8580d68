"""A box to type molecules into, for JupyterLab: the same page as `e3d bonds --html`, at once."""

from __future__ import annotations

from html import escape

import ipywidgets

from e3d.bde.ensemble import Ensemble
from e3d.decomposition.page import page
from e3d.errors import E3DError


class Explorer(ipywidgets.VBox):
    """A text box for SMILES or files, separated by spaces, and below it their page.

    `value` is what was shown last, `reports` are its reports.
    """

    def __init__(self, ensemble: Ensemble, value: str = ""):
        self.ensemble, self.value = ensemble, ""
        self.reports: list[dict] = []
        self.box = ipywidgets.Text(
            value, placeholder="SMILES or files, such as CCO", continuous_update=False,
            layout=ipywidgets.Layout(width="min(30rem, 100%)"),
        )  # fmt: skip
        self.button = ipywidgets.Button(description="Show", button_style="primary")
        self.told = ipywidgets.HTML()
        self.shown = ipywidgets.HTML()
        self.button.on_click(lambda _: self.show(self.box.value))
        self.box.observe(lambda change: self.show(change["new"]), "value")
        row = ipywidgets.HBox(
            [self.box, self.button], layout=ipywidgets.Layout(flex_flow="row wrap")
        )
        super().__init__([row, self.told, self.shown])
        if value:
            self.show(value)

    def show(self, value: str) -> None:
        """Evaluate what was typed; what cannot be used is named above what can."""
        if value == self.value:
            return
        self.value, self.reports = value, []
        self.told.value = "relaxing and evaluating …"
        errors = []
        for text in value.split():
            for found in self.ensemble.reports(text):
                if isinstance(found, E3DError):
                    errors.append(str(found))
                else:
                    self.reports.append(found)
        self.told.value = "<br>".join(map(escape, errors))
        self.shown.value = framed(page(self.reports)) if self.reports else ""


def framed(html: str, *, height: str = "56rem") -> str:
    """A page within a page, kept apart: its scripts reach nothing outside."""
    return (
        f'<iframe title="bond energies" sandbox="allow-scripts" srcdoc="{escape(html)}" '
        f'style="width: 100%; height: {height}; border: 0"></iframe>'
    )
