"use strict";
// The explorer: search, a molecule to turn, its bonds, and each bond among those of its class.
const explorer = (() => {
  const data = JSON.parse(document.getElementById("explorer-data").textContent);
  const root = document.getElementById("explorer"), all = document.getElementById("explorer-all");
  const get = (selector) => root.querySelector(selector);
  const make = (tag, properties = {}, ...children) => {
    const node = Object.assign(document.createElement(tag), properties);
    node.append(...children);
    return node;
  };
  const dashed = (bond) => bond.class.replace("-", "–");
  const ends = (molecule, bond) => [bond.i, bond.j].map((k) => `${molecule.symbols[k]}${k}`).join("–");
  const formula = (text) => text.split(/(\d+)/).map((part, k) => k % 2 ? make("sub", {}, part) : part);
  const address = (molecule) => `#${encodeURIComponent(molecule.smiles)}`;
  // Positions turned so that, as the view shows them first, atoms and energies cover each other least.
  const { cos, sin, PI } = Math, FIRST = { x: 0.5, y: 0.4 }, TURNS = 8; // the view's own first turn
  const turned = (positions, bonds) => {
    const onScreen = ([x, y, z]) => [cos(FIRST.y) * x + sin(FIRST.y) * z,
      sin(FIRST.x) * sin(FIRST.y) * x + cos(FIRST.x) * y - sin(FIRST.x) * cos(FIRST.y) * z];
    const rotated = ([x, y, z], a, b) => {
      const [u, w] = [y * cos(a) - z * sin(a), y * sin(a) + z * cos(a)];
      return [x * cos(b) + w * sin(b), u, w * cos(b) - x * sin(b)];
    };
    let best = positions, most = -1;
    for (let k = 0; k < TURNS * TURNS; k += 1) {
      const own = positions.map((p) => rotated(p, (k % TURNS) * PI / TURNS, Math.floor(k / TURNS) * PI / TURNS));
      const at = own.map(onScreen), places = [...at, ...bonds.map(([i, j]) => [0, 1].map((n) => (at[i][n] + at[j][n]) / 2))];
      let least = Infinity;
      places.forEach(([x, y], n) => { for (let m = 0; m < n; m += 1) least = Math.min(least, Math.hypot(x - places[m][0], y - places[m][1])); });
      if (least > most) [best, most] = [own, least];
    }
    return best;
  };
  const drawn = (molecule, values) => {
    const bonds = molecule.bonds.map((bond) => [bond.i, bond.j]);
    return { symbols: molecule.symbols, positions: turned(molecule.positions, bonds), bonds, values };
  };
  const redrawn = [];  // views, when the theme changes
  new MutationObserver(() => redrawn.forEach((view) => view.draw()))
    .observe(document.documentElement, { attributeFilter: ["data-theme"] });

  // Search: what fits better has a smaller number.
  const fit = (molecule, text) => {
    const lower = text.toLowerCase(), named = [molecule.name, ...molecule.names].map((name) => name.toLowerCase());
    if (molecule.smiles === text || named.includes(lower)) return 0;
    if (molecule.notations.includes(text)) return 1;
    if (molecule.formula.toLowerCase() === lower) return 2;
    if (named.some((name) => name.startsWith(lower))) return 3;
    return named.some((name) => name.includes(lower)) ? 4 : molecule.smiles.includes(text) && text.length > 1 ? 5 : Infinity;
  };
  const plain = (text) => text.trim().replace(/[₀-₉]/g, (digit) => digit.charCodeAt(0) - 0x2080);
  const search = (text) => data.molecules.map((molecule) => [fit(molecule, text), molecule])
    .filter(([rank]) => rank < Infinity).sort((a, b) => a[0] - b[0] || a[1].smiles.length - b[1].smiles.length)
    .map(([, molecule]) => molecule);
  const SMILES = /^(\[[^\]]+\]|Cl|Br|[BCNOPSFI]|[bcnops]|[-=#:/\\.()%]|\d)+$/;
  const MOST = 12;
  const list = () => {
    const text = plain(get("input").value), found = text ? search(text) : [];
    get(".found").replaceChildren(...found.slice(0, MOST).map((molecule) => make("li", {},
      make("a", { href: address(molecule) }, molecule.name, " ", make("small", {}, ...formula(molecule.formula))))));
    if (!text) get(".told").replaceChildren();
    else if (found.length) get(".told").replaceChildren(
      found.length > MOST ? `${found.length} molecules, of which ${MOST} are listed` :
        found.length === 1 ? "1 molecule" : `${found.length} molecules`);
    else {
      const typed = SMILES.test(text);
      get(".told").replaceChildren(
        make("strong", {}, text), ` is not among the ${data.molecules.length} molecules of this page. The networks can `,
        "still be asked: ", make("code", {}, `.venv/bin/e3d bonds '${typed ? text : "SMILES"}'`),
        typed ? "" : `, with the SMILES of ${text} (that of ethanol is CCO)`, ". ",
        make("a", { href: "rerun.html" }, "How to get there"), ".");
    }
    return found;
  };

  // One molecule.
  let molecule = null, buttons = [];
  const options = { labels: true, numbers: false };
  const view = moleculeView(get("canvas"), options, (bond) => choose(bond));
  const FOLDS = { train: "in the training set", validation: "in the validation set",
    test: "held out: no network was trained on it" };
  const COLUMNS = [["length, Å", "length_A", 3, "wide"], ["bare", "bare", 1, ""], ["dressed", "dressed", 1, "wide"],
    ["Dₑ, literature", "de", 1, ""], ["fragments, DFT", "fragment", 1, ""], ["vertical, DFT", "vertical", 1, ""]];
  const cell = (bond, [, key, decimals, kind]) => make("td", { className: kind }, bond[key]?.toFixed(decimals) ?? "–",
    ...(key === "bare" ? [make("span", { className: "wide" }, ` ± ${bond.std.toFixed(1)}`)] : []));
  const table = () => {
    const columns = COLUMNS.filter(([, key]) => molecule.bonds.some((bond) => bond[key] !== undefined));
    buttons = [];
    const rows = molecule.bonds.map((bond, k) => {
      const button = make("button", { type: "button" }, ends(molecule, bond));
      button.setAttribute("aria-pressed", "false");
      buttons.push(button);
      const head = make("th", { scope: "row" }, button);
      return make("tr", { onclick: () => choose(k) }, head, make("td", {}, dashed(bond)),
        ...columns.map((column) => cell(bond, column)));
    });
    const heads = [["bond"], ["class"], ...columns].map(([name, , , kind]) => make("th", { scope: "col", className: kind ?? "" }, name));
    get("table").replaceChildren(
      make("caption", {}, `Bonds of ${molecule.name}, energies in kcal/mol`),
      make("thead", {}, make("tr", {}, ...heads)), make("tbody", {}, ...rows));
  };
  const show = (shown) => {
    molecule = shown;
    get("#explorer-name").replaceChildren(molecule.name, " ", ...formula(molecule.formula));
    get(".facts").textContent = [`SMILES ${molecule.smiles}`, ...molecule.names, FOLDS[molecule.fold],
      `geometry relaxed by ${molecule.geometry}`].join(" · ");
    const values = molecule.bonds.map((bond) => bond.bare);
    get(".low").textContent = Math.min(...values).toFixed(0);
    get(".high").textContent = Math.max(...values).toFixed(0);
    get("canvas").setAttribute("aria-label",
      `${molecule.name}: ${molecule.symbols.length} atoms, ${molecule.bonds.length} bonds, which the table lists; arrow keys turn it`);
    table();
    get(".stage").hidden = false;
    view?.show(drawn(molecule, values));
    choose(-1);
  };
  function choose(k) {
    buttons.forEach((button, n) => {
      button.setAttribute("aria-pressed", String(n === k));
      button.closest("tr").classList.toggle("chosen", n === k);
    });
    view?.pick(k);
    get(".bond").replaceChildren(...k < 0
      ? [make("p", { className: "soft" }, "Click a bond, or choose it in the table, to see all that is known of it.")]
      : panel(molecule, molecule.bonds[k]));
  }
  const KNOWN = [["Dₑ, literature", "de"], ["fragments relaxed, DFT", "fragment"], ["at 298 K, literature", "bde298"],
    ["vertical, DFT", "vertical"]];
  const panel = (molecule, bond) => {
    const known = KNOWN.filter(([, key]) => bond[key] !== undefined), lacking = KNOWN.filter((entry) => !known.includes(entry));
    const rows = [["network, bare", `${bond.bare.toFixed(1)} ± ${bond.std.toFixed(1)}`],
      ["its seeds", bond.seeds.map((value) => value.toFixed(1)).join(", ")],
      ["network, dressed", bond.dressed.toFixed(1)],
      ...known.map(([name, key]) => [name, bond[key].toFixed(1)])];
    return [make("h3", {}, `${ends(molecule, bond)}, ${dashed(bond)}, ${bond.length_A.toFixed(3)} Å`),
      make("dl", {}, ...rows.flatMap(([name, text]) => [make("dt", {}, name), make("dd", {}, text)])),
      ...(lacking.length ? [make("p", { className: "soft" }, `Not known here: ${lacking.map(([name]) => name).join("; ")}.`)] : []),
      ...place(bond)];
  };

  // A bond among those of its class.
  const place = (bond) => {
    const found = data.classes[bond.class];
    if (!found || found.values.length < 3) return [make("p", { className: "soft" }, `Too few ${dashed(bond)} bonds to compare with.`)];
    const { values } = found, below = values.filter((value) => value < bond.bare).length;
    const median = (values[Math.floor((values.length - 1) / 2)] + values[Math.ceil((values.length - 1) / 2)]) / 2;
    const text = `Stronger than ${below} of ${values.length} different ${dashed(bond)} bonds in ${found.n_molecules} ` +
      `molecules, whose median is ${median.toFixed(1)}.`;
    return [histogram(bond, values, text), make("p", {}, text)];
  };
  const svg = (tag, attributes, text = "") => {
    const node = document.createElementNS("http://www.w3.org/2000/svg", tag);
    Object.entries(attributes).forEach(([key, value]) => node.setAttribute(key, value));
    node.append(text);
    return node;
  };
  const BINS = 20;
  const histogram = (bond, values, text) => {
    const low = Math.min(values[0], bond.bare - bond.std), high = Math.max(values.at(-1), bond.bare + bond.std);
    const x = (value) => 8 + 304 * (value - low) / (high - low || 1), counts = Array(BINS).fill(0);
    values.forEach((value) => counts[Math.min(BINS - 1, Math.floor(BINS * (value - low) / (high - low || 1)))] += 1);
    const most = Math.max(...counts), width = 304 / BINS;
    const bars = counts.map((n, k) => svg("rect", { class: "bar", x: 8 + k * width + 0.5, width: width - 1,
      y: 78 - 54 * n / most, height: 54 * n / most }));
    const own = x(bond.bare);
    return svgAll({ viewBox: "0 0 320 100", role: "img", "aria-label": text }, [
      ...bars, svg("line", { class: "axis", x1: 8, x2: 312, y1: 78, y2: 78 }),
      svg("line", { class: "spread", x1: x(bond.bare - bond.std), x2: x(bond.bare + bond.std), y1: 13, y2: 13 }),
      svg("path", { class: "own", d: `M${own} 22 l-7 -12 h14 z` }),
      svg("text", { x: 8, y: 94 }, low.toFixed(0)), svg("text", { x: 312, y: 94, "text-anchor": "end" }, `${high.toFixed(0)} kcal/mol`)]);
  };
  const svgAll = (attributes, children) => { const node = svg("svg", attributes); node.append(...children); return node; };

  // Addresses: #CCO, and #CCO:0-1 for a bond.
  const follow = (first) => {
    const [text, bond] = decodeURIComponent(location.hash.slice(1)).split(/:(\d+-\d+)$/);
    const found = text && data.molecules.find((entry) => fit(entry, plain(text)) <= 1);
    if (!found) {
      if (first) show(data.molecules.find((entry) => entry.smiles === "CCO") ?? data.molecules[0]);
      return;
    }
    show(found);
    const [i, j] = (bond ?? "").split("-").map(Number);
    if (bond) choose(found.bonds.findIndex((entry) => entry.i === Math.min(i, j) && entry.j === Math.max(i, j)));
    get("#explorer-name").focus({ preventScroll: true });
    get(first ? "#explorer-search" : "#explorer-name").scrollIntoView({ block: first ? "center" : "nearest" });
  };
  all.querySelectorAll("tbody").forEach((group) => group.removeAttribute("id"));  // a link now leads to the drawing
  all.open = false;
  get("form").hidden = false;
  get("form").addEventListener("submit", (event) => {
    event.preventDefault();
    const [best] = list();
    if (best && location.hash === address(best)) follow(false);
    else if (best) location.hash = address(best);
  });
  get("input").addEventListener("input", list);
  for (const name of ["labels", "numbers"]) {
    const box = get(`input[name=${name}]`);
    box.addEventListener("change", () => { options[name] = box.checked; view?.draw(); });
  }
  if (view) redrawn.push(view);
  else get("canvas").parentElement.hidden = true;
  get(".scale").style.background = moleculeView.scale;
  addEventListener("hashchange", () => follow(false));
  follow(true);
  return { data, make, ends, dashed, drawn, redrawn };
})();
