"""An interactive trajectory as one piece of HTML: no library, no network, nothing to install.

Drawn on a canvas: drag to turn, a slider for the time, bonds coloured by their edge energy, and
below them the measures of one bond over time.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
from jaxtyping import Float, Int
from matplotlib import colormaps

from e3d.errors import E3DError

#: Colours along the scale of edge energies, from nothing to the strongest bond.
N_COLOURS = 9


def trajectory_html(
    symbols: list[str],
    times: Float[np.ndarray, " _"],
    positions: Float[np.ndarray, "n_frames n_atoms 3"],
    pairs: Int[np.ndarray, "n_pairs 2"],
    energies: Float[np.ndarray, "n_frames n_pairs"],
    curves: Mapping[str, Float[np.ndarray, " n_frames"]],
    *,
    title: str,
    alt: str,
    name: str = "trajectory",
    drawn_below_eV: float = -1.0,
    always_drawn: int = 0,
) -> str:
    """HTML of a trajectory, times in fs, positions in Å, ε of pairs in eV, negative when bound.

    A pair is drawn while ε is below `drawn_below_eV`; the first `always_drawn`, the bonds of the
    start, are dashed when it is not. curves: measures between 0 and 1 (or a little beyond). alt:
    what the figure shows, for those who cannot see it. name: unique on the page.

    Raises E3DError when the frames of the arguments differ in number.
    """
    lengths = {len(times), len(positions), len(energies), *(len(v) for v in curves.values())}
    if len(lengths) != 1:
        raise E3DError(f"expected as many frames in every argument, got {sorted(lengths)}")
    centred = positions - positions.mean(axis=(0, 1))
    shades = colormaps["viridis"](np.linspace(0.08, 0.95, N_COLOURS))[:, :3]
    data: dict[str, Any] = {
        "symbols": symbols,
        "times": np.round(times, 1).tolist(),
        "positions": np.round(centred, 2).tolist(),
        "pairs": pairs.tolist(),
        "energies": np.round(energies, 2).tolist(),
        "curves": {label: np.round(values, 3).tolist() for label, values in curves.items()},
        "colours": (255 * shades).round().astype(int).tolist(),
        "strongest": float(np.floor(energies.min())),
        "below": drawn_below_eV,
        "always": always_drawn,
    }
    text = json.dumps(data, separators=(",", ":"), allow_nan=False).replace("</", "<\\/")
    filled = {"__NAME__": name, "__TITLE__": title, "__ALT__": alt, "__DATA__": text}
    html = _TEMPLATE
    for key, value in filled.items():
        html = html.replace(key, value)
    return html


_TEMPLATE = """<div class="e3d-trajectory" id="__NAME__">
<style>
.e3d-trajectory { --ink: #1a1a1a; --edge: #8a8a8a; max-width: 40rem; color: var(--ink);
  font-size: 0.9rem; }
html[data-theme="dark"] .e3d-trajectory { --ink: #e6e6e6; --edge: #9a9a9a; }
/* the book's theme puts unknown HTML on a light ground */
html[data-theme="dark"] .bd-content div.cell_output
  .text_html:has(.e3d-trajectory):not(:has(table.dataframe)) {
  background: none; color: inherit; padding: 0; }
.e3d-trajectory canvas { display: block; width: 100%; touch-action: pan-y; cursor: grab; }
.e3d-trajectory canvas:focus-visible { outline: 2px solid #0173b2; }
.e3d-trajectory .controls { display: flex; gap: 0.6rem; align-items: center; padding: 0.3rem 0; }
.e3d-trajectory .controls input { flex: 1; min-width: 0; }
.e3d-trajectory button { min-width: 4.5rem; padding: 0.25rem 0.5rem; color: var(--ink);
  background: none; border: 1px solid var(--edge); border-radius: 4px; cursor: pointer; }
.e3d-trajectory output { font-variant-numeric: tabular-nums; min-width: 5.5rem; text-align: right; }
.e3d-trajectory .legend { display: flex; flex-wrap: wrap; gap: 0.2rem 1rem; align-items: center; }
.e3d-trajectory .legend span { white-space: nowrap; }
.e3d-trajectory .bar { display: inline-block; width: 7rem; height: 0.7rem; margin: 0 0.4rem;
  vertical-align: middle; border: 1px solid var(--edge); }
</style>
<strong>__TITLE__</strong>
<canvas class="view" height="320" tabindex="0" role="img" aria-label="__ALT__"></canvas>
<div class="controls"><button type="button">Play</button>
<input type="range" min="0" value="0" step="1" aria-label="time"><output></output></div>
<canvas class="chart" height="130" role="img" aria-label="measures of the bond over time"></canvas>
<div class="legend"></div>
<noscript>The trajectory needs JavaScript; the figures of this page do not.</noscript>
<script type="application/json">__DATA__</script>
<script>
(() => {
  const root = document.getElementById("__NAME__");
  const data = JSON.parse(root.querySelector('script[type="application/json"]').textContent);
  const [view, chart] = root.querySelectorAll("canvas");
  const slider = root.querySelector("input"), label = root.querySelector("output");
  const button = root.querySelector("button"), legend = root.querySelector(".legend");
  const radii = { H: 0.31, C: 0.76, N: 0.71, O: 0.66, F: 0.57, Si: 1.11, S: 1.05, Cl: 1.02 };
  const fills = { H: "#ffffff", C: "#7d7d7d", N: "#6f8ff7", O: "#f0625a", F: "#90e050",
                  Si: "#e0c090", S: "#f0d94a", Cl: "#4ccf4c" };
  const strokes = ["#de8f05", "#0173b2", "#cc78bc", "#029e73", "#949494"];
  const last = data.times.length - 1;
  slider.max = last;
  let frame = 0, turn = [0.5, 0.35], timer = null;
  const ink = (name) => getComputedStyle(root).getPropertyValue(name);
  const colour = (energy) => {
    const share = Math.min(Math.max(energy / data.strongest, 0), 1) * (data.colours.length - 1);
    const k = Math.min(Math.floor(share), data.colours.length - 2);
    const mix = data.colours[k].map((c, i) => c + (share - k) * (data.colours[k + 1][i] - c));
    return `rgb(${mix.map(Math.round)})`;
  };
  const prepared = (canvas, height) => {
    const ratio = window.devicePixelRatio || 1, width = root.clientWidth;
    canvas.width = width * ratio; canvas.height = height * ratio;
    canvas.style.height = `${height}px`;
    const pen = canvas.getContext("2d");
    pen.setTransform(ratio, 0, 0, ratio, 0, 0);
    pen.clearRect(0, 0, width, height);
    return [pen, width];
  };
  const flat = data.positions.flat().map((p) => Math.hypot(...p)).sort((a, b) => a - b);
  const reach = Math.max(flat[Math.floor(0.9 * (flat.length - 1))], 1.5) + 0.6;
  const project = ([x, y, z], scale, width, height) => {
    const [a, b] = turn;
    const u = x * Math.cos(a) + z * Math.sin(a), w = z * Math.cos(a) - x * Math.sin(a);
    return [width / 2 + scale * u, height / 2 - scale * (y * Math.cos(b) - w * Math.sin(b)),
            y * Math.sin(b) + w * Math.cos(b)];
  };
  const drawBond = (pen, from, to, energy, dashed, scale) => {
    pen.setLineDash(dashed ? [3, 5] : []);
    const layers = dashed ? [[0, ink("--edge")]] : [[3, ink("--ink")], [0, colour(energy)]];
    for (const [extra, style] of layers) {
      pen.strokeStyle = style;
      pen.lineWidth = dashed ? 1.5 : Math.max(0.16 * scale, 4) + extra;
      pen.beginPath(); pen.moveTo(from[0], from[1]); pen.lineTo(to[0], to[1]); pen.stroke();
    }
    pen.setLineDash([]);
  };
  const drawAtom = (pen, at, symbol, scale) => {
    const size = scale * (0.18 + 0.25 * (radii[symbol] || 0.8));
    pen.beginPath(); pen.arc(at[0], at[1], size, 0, 2 * Math.PI);
    pen.fillStyle = fills[symbol] || "#d0a0d0"; pen.fill();
    pen.lineWidth = 1; pen.strokeStyle = "#1a1a1a"; pen.stroke();
    pen.fillStyle = "#1a1a1a"; pen.font = `${Math.max(size, 9)}px sans-serif`;
    pen.fillText(symbol, at[0], at[1]);
  };
  const drawView = () => {
    const height = 320, [pen, width] = prepared(view, height);
    const scale = Math.min(width, height) / (2 * reach);
    const at = data.positions[frame].map((p) => project(p, scale, width, height));
    const items = data.symbols.map(
      (symbol, k) => [at[k][2], () => drawAtom(pen, at[k], symbol, scale)]);
    data.pairs.forEach(([i, j], k) => {
      const energy = data.energies[frame][k], drawn = energy < data.below;
      if (drawn || k < data.always)
        items.push([Math.min(at[i][2], at[j][2]) - 0.01,
                    () => drawBond(pen, at[i], at[j], energy, !drawn, scale)]);
    });
    pen.textAlign = "center"; pen.textBaseline = "middle";
    items.sort((a, b) => a[0] - b[0]).forEach((item) => item[1]());
  };
  const drawChart = () => {
    const height = 130, [pen, width] = prepared(chart, height);
    const left = 30, right = 6, top = 6, bottom = 22;
    const wide = width - left - right, high = height - top - bottom, start = data.times[0];
    const x = (t) => left + wide * (t - start) / (data.times[last] - start);
    const y = (v) => height - bottom - high * Math.min(Math.max(v, -0.1), 1.3) / 1.3;
    pen.font = "11px sans-serif"; pen.lineWidth = 1; pen.textBaseline = "middle";
    for (const v of [0, 0.5, 1]) {
      pen.strokeStyle = ink("--edge"); pen.globalAlpha = 0.5;
      pen.beginPath(); pen.moveTo(left, y(v)); pen.lineTo(width - right, y(v)); pen.stroke();
      pen.globalAlpha = 1; pen.fillStyle = ink("--ink"); pen.textAlign = "right";
      pen.fillText(v, left - 4, y(v));
    }
    pen.textAlign = "left"; pen.fillText(`${data.times[0]} fs`, left, height - 9);
    pen.textAlign = "right"; pen.fillText(`${data.times[last]} fs`, width - right, height - 9);
    pen.lineWidth = 2;
    Object.values(data.curves).forEach((values, k) => {
      pen.strokeStyle = strokes[k % strokes.length]; pen.beginPath();
      values.forEach((v, f) => pen.lineTo(x(data.times[f]), y(v)));
      pen.stroke();
    });
    pen.strokeStyle = ink("--ink"); pen.lineWidth = 1; pen.beginPath();
    const now = x(data.times[frame]);
    pen.moveTo(now, top); pen.lineTo(now, height - bottom); pen.stroke();
  };
  const draw = () => {
    label.textContent = `${data.times[frame].toFixed(0)} fs`;
    slider.value = frame; slider.setAttribute("aria-valuetext", label.textContent);
    drawView(); drawChart();
  };
  const stop = () => { clearInterval(timer); timer = null; button.textContent = "Play"; };
  const play = () => {
    if (frame === last) frame = 0;
    button.textContent = "Pause";
    timer = setInterval(() => { frame += 1; draw(); if (frame === last) stop(); }, 60);
  };
  button.addEventListener("click", () => (timer ? stop() : play()));
  slider.addEventListener("input", () => { stop(); frame = Number(slider.value); draw(); });
  view.addEventListener("pointermove", (event) => {
    if (!event.buttons) return;
    turn = [turn[0] + 0.01 * event.movementX, turn[1] + 0.01 * event.movementY]; draw();
  });
  view.addEventListener("keydown", (event) => {
    const by = { ArrowLeft: [-0.1, 0], ArrowRight: [0.1, 0],
                 ArrowUp: [0, -0.1], ArrowDown: [0, 0.1] };
    if (!(event.key in by)) return;
    event.preventDefault();
    turn = turn.map((angle, k) => angle + by[event.key][k]); draw();
  });
  const ramp = `linear-gradient(90deg, ${data.colours.map((c) => `rgb(${c})`).join(", ")})`;
  legend.innerHTML = `<span>ε 0<i class="bar" style="background: ${ramp}"></i>`
    + `−${-data.strongest} eV</span>` + Object.keys(data.curves).map((text, k) =>
      `<span><b style="color: ${strokes[k % strokes.length]}">━</b> ${text}</span>`).join("");
  new ResizeObserver(draw).observe(root);
  new MutationObserver(draw).observe(document.documentElement, { attributeFilter: ["data-theme"] });
  draw();
})();
</script>
</div>"""
