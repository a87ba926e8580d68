// Molecules to turn, on a canvas: no WebGL, nothing from outside.
const moleculeView = (() => {
  const RADII = { H: 0.6, C: 0.95, N: 0.9, O: 0.88, F: 0.82, Si: 1.3, S: 1.2, Cl: 1.15 };  // Å
  const FILLS = { H: "#ffffff", C: "#9a9a9a", N: "#8fa8ff", O: "#ff8078", F: "#a5e36b", Si: "#e6c79c",
    S: "#f5de5b", Cl: "#6fd96f" };
  const SHADES = [[72, 24, 106], [62, 74, 137], [38, 130, 142], [53, 183, 121], [220, 227, 25]];  // viridis
  const colour = (value, low, high) => {
    const share = Math.min(Math.max((value - low) / (high - low || 1), 0), 1) * (SHADES.length - 1);
    const k = Math.min(Math.floor(share), SHADES.length - 2), t = share - k;
    return "rgb(" + SHADES[k].map((c, n) => Math.round(c + t * (SHADES[k + 1][n] - c))).join(",") + ")";
  };

  // symbols: of the atoms; positions: in Å; bonds: pairs of atoms, null if not drawn; values: of the bonds.
  // Options, read at every drawing: numbers (of atoms, not symbols), labels (values on the bonds).
  // chosen(bond): called when a bond is clicked, with -1 beside all bonds. The canvas takes its colours
  // from the properties --ink, --line and --ground.
  const view = (canvas, options, chosen) => {
    const pen = canvas.getContext("2d");
    if (!pen) return null;
    let molecule = null, local = [], reach = 1, low = 0, high = 1, turn = [], picked = -1, shapes = [];
    const spin = (x, y) => {  // rotation about the screen's axes, applied last
      const [a, b, c, d] = [Math.cos(y), Math.sin(y), Math.cos(x), Math.sin(x)];
      const r = [a, 0, b, d * b, c, -d * a, -c * b, d, c * a];
      turn = [0, 1, 2].flatMap((i) => [0, 1, 2].map((j) => [0, 1, 2].reduce((s, k) => s + r[3 * i + k] * turn[3 * k + j], 0)));
    };
    const show = (shown) => {
      molecule = shown;
      const { positions, values } = molecule;
      low = Math.min(...values); high = Math.max(...values); picked = -1;
      const centre = [0, 1, 2].map((k) => positions.reduce((sum, p) => sum + p[k], 0) / positions.length);
      local = positions.map((p) => p.map((x, k) => x - centre[k]));
      reach = Math.max(...local.map((p) => Math.hypot(...p))) + 1.0;
      turn = [1, 0, 0, 0, 1, 0, 0, 0, 1];
      spin(0.5, 0.4);
      draw();
    };
    const pick = (bond) => { picked = bond; draw(); };
    function draw() {
      const ratio = window.devicePixelRatio || 1, width = canvas.clientWidth, height = canvas.clientHeight;
      if (!width || !molecule) return;
      const { symbols, bonds, values } = molecule;
      const style = getComputedStyle(canvas), ink = (name) => style.getPropertyValue(name);
      canvas.width = width * ratio; canvas.height = height * ratio;
      pen.setTransform(ratio, 0, 0, ratio, 0, 0);
      const zoom = Math.min(width, height) / (2 * reach);
      const at = local.map((p) => {
        const [x, y, z] = [0, 1, 2].map((i) => turn[3 * i] * p[0] + turn[3 * i + 1] * p[1] + turn[3 * i + 2] * p[2]);
        const depth = 4 * reach / (4 * reach - z);
        return [width / 2 + zoom * depth * x, height / 2 - zoom * depth * y, z, depth];
      });
      const size = (i) => 0.42 * (RADII[symbols[i]] ?? 1.2);
      shapes = bonds.flatMap((ends, bond) => {
        if (!ends) return [];
        const [i, j] = ends, between = (t) => at[i].map((x, k) => x + t * (at[j][k] - x));
        const apart = Math.hypot(...[0, 1, 2].map((k) => local[i][k] - local[j][k])) || 1;
        const [first, last] = [0.8 * size(i) / apart, 1 - 0.8 * size(j) / apart];  // inside both atoms
        return [[first, 0.52], [0.48, last]].map(([t, u]) => ({
          z: at[i][2] + (t + u) / 2 * (at[j][2] - at[i][2]), bond, ends: [between(t), between(u)] }));
      });
      shapes.push(...at.map((p, i) => ({ z: p[2], atom: i })));
      shapes.sort((a, b) => a.z - b.z);
      pen.lineCap = "butt"; pen.textAlign = "center"; pen.textBaseline = "middle";
      const font = (weight, px) => { pen.font = `${weight} ${px}px system-ui, sans-serif`; };
      for (const shape of shapes) {
        if (shape.ends) {
          const [a, b] = shape.ends;
          const line = (stroke, wide) => {
            pen.strokeStyle = stroke; pen.lineWidth = wide; pen.beginPath();
            pen.moveTo(a[0], a[1]); pen.lineTo(b[0], b[1]); pen.stroke();
          };
          if (shape.bond === picked) line(ink("--ink"), 0.42 * zoom + 6);
          line(ink("--line"), 0.3 * zoom + 2);
          line(colour(values[shape.bond], low, high), 0.3 * zoom);
        } else {
          const [x, y, , depth] = at[shape.atom], symbol = symbols[shape.atom];
          pen.beginPath();
          pen.arc(x, y, size(shape.atom) * zoom * depth, 0, 2 * Math.PI);
          pen.fillStyle = FILLS[symbol] ?? "#d080d0"; pen.fill();
          pen.strokeStyle = "#555"; pen.lineWidth = 1; pen.stroke();
          const text = options.numbers ? `${shape.atom}` : symbol === "H" ? "" : symbol;
          font(600, Math.max(10, Math.min(16, 0.45 * zoom)));
          pen.fillStyle = "#111"; pen.fillText(text, x, y);
        }
      }
      if (options.labels) label(at, font, ink);
    }
    function label(at, font, ink) {  // the chosen bond first, then from the front; none on another
      const { bonds, values } = molecule, taken = [];
      const middle = (k) => [0, 1, 2].map((n) => (at[bonds[k][0]][n] + at[bonds[k][1]][n]) / 2);
      const order = bonds.flatMap((ends, k) => ends ? [[k, middle(k)]] : []);
      order.sort((a, b) => (b[0] === picked) - (a[0] === picked) || b[1][2] - a[1][2]);
      for (const [k, [x, y]] of order) {
        if (taken.some(([u, v]) => Math.abs(u - x) < 27 && Math.abs(v - y) < 14)) continue;
        taken.push([x, y]);
        font(k === picked ? 700 : 600, 12);
        pen.lineJoin = "round"; pen.lineWidth = 4;
        pen.strokeStyle = ink("--ground"); pen.strokeText(values[k].toFixed(0), x, y);
        pen.fillStyle = ink("--ink"); pen.fillText(values[k].toFixed(0), x, y);
      }
    }
    const nearest = (event) => {
      const box = canvas.getBoundingClientRect(), x = event.clientX - box.left, y = event.clientY - box.top;
      let best = -1, least = 14;
      for (const { ends, bond } of shapes) if (ends) {
        const [a, b] = ends, dx = b[0] - a[0], dy = b[1] - a[1];
        const t = Math.min(Math.max(((x - a[0]) * dx + (y - a[1]) * dy) / (dx * dx + dy * dy || 1), 0), 1);
        const away = Math.hypot(x - a[0] - t * dx, y - a[1] - t * dy);
        if (away <= least) { best = bond; least = away; }
      }
      return best;
    };
    let held = null, moved = 0;
    canvas.addEventListener("pointerdown", (event) => { held = event; moved = 0; canvas.setPointerCapture(event.pointerId); });
    canvas.addEventListener("pointermove", (event) => {
      if (!held) return;
      const [dx, dy] = [event.clientX - held.clientX, event.clientY - held.clientY];
      moved += Math.abs(dx) + Math.abs(dy); held = event;
      spin(dy / 100, dx / 100); draw();
    });
    canvas.addEventListener("pointerup", (event) => { if (moved < 4) chosen(nearest(event)); held = null; });
    canvas.addEventListener("pointercancel", () => { held = null; });
    canvas.addEventListener("keydown", (event) => {
      const step = { ArrowLeft: [0, -0.15], ArrowRight: [0, 0.15], ArrowUp: [-0.15, 0], ArrowDown: [0.15, 0] }[event.key];
      if (step) { spin(...step); draw(); event.preventDefault(); }
    });
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
    new ResizeObserver(draw).observe(canvas);
    return { show, pick, draw };
  };
  view.scale = `linear-gradient(to right, ${SHADES.map((c) => `rgb(${c})`)})`;
  return view;
})();
