// Names of points and counts of maps in figures, by pointer, touch and keyboard; printing; excerpts of the search.
document.addEventListener("DOMContentLoaded", () => {
  const NEAR = 14; // pixels of the screen within which a point is meant
  const tip = Object.assign(document.createElement("div"), { className: "point-name", hidden: true });
  tip.setAttribute("role", "status");
  (document.querySelector("article") || document.body).append(tip);
  const show = (text, x, y) => {
    tip.textContent = text;
    tip.hidden = false;
    tip.style.left = `${Math.max(Math.min(x + 12, innerWidth - tip.offsetWidth - 8), 4)}px`;
    tip.style.top = `${Math.max(y - tip.offsetHeight - 10, 4)}px`;
  };
  const figures = new Map(); // of each figure its points: name, address, and place in its own units
  const pointsOf = (svg) => {
    if (!figures.has(svg)) {
      figures.set(svg, [...svg.querySelectorAll("g.point")].map((group) => {
        const { x, y, width, height } = group.lastElementChild.getBBox();
        return { group, name: group.dataset.name, to: group.dataset.to, x: x + width / 2, y: y + height / 2 };
      }));
    }
    return figures.get(svg);
  };
  for (const title of document.querySelectorAll("svg.points g.point > title")) {
    title.parentElement.dataset.name = title.textContent;
    title.remove(); // the browser's own hint would come second
  }
  const onScreen = (svg, { x, y }) => new DOMPoint(x, y).matrixTransform(svg.getScreenCTM());
  let marked = null;
  const mark = (point) => {
    marked?.group.classList.remove("marked");
    marked = point;
    point?.group.classList.add("marked");
  };
  const nearest = (svg, event) => {
    const matrix = svg.getScreenCTM(), at = new DOMPoint(event.clientX, event.clientY).matrixTransform(matrix.inverse());
    let best = null, least = NEAR / Math.hypot(matrix.a, matrix.b);
    for (const point of pointsOf(svg)) {
      const distance = Math.hypot(point.x - at.x, point.y - at.y);
      if (distance < least) [best, least] = [point, distance];
    }
    return best;
  };
  const cell = (svg, event) => { // what the cell of a map counts, and where it is
    for (const map of svg.querySelectorAll("g.cells")) {
      const box = map.querySelector("path").getBoundingClientRect();
      const share = [(event.clientX - box.left) / box.width, (box.bottom - event.clientY) / box.height];
      if (share.some((part) => part < 0 || part > 1)) continue;
      map.told ??= JSON.parse(map.dataset.cells);
      const { name, what, units, first, step, limits, counts } = map.told;
      const at = share.map((part, k) => limits[k][0] + part * (limits[k][1] - limits[k][0]));
      const [column, row] = at.map((value, k) => Math.round((value - first[k]) / step[k]));
      let count = 0;
      for (let k = 0; k < counts.length; k += 3) if (counts[k] === column && counts[k + 1] === row) count = counts[k + 2];
      const place = at.map((value, k) => `${value.toFixed(2).replace("-", "−")} ${units[k]}`).join(", ");
      return `${name}, ${place}: ${count.toLocaleString("en")} ${what}`;
    }
    return null;
  };
  for (const kind of ["pointermove", "pointerdown"]) {
    document.addEventListener(kind, (event) => {
      const svg = event.target.closest?.("svg.points"), point = svg && nearest(svg, event);
      const text = point?.name ?? (svg && cell(svg, event));
      mark(point);
      if (svg) svg.style.cursor = point?.to ? "pointer" : "";
      if (text) show(text, event.clientX, event.clientY);
      else tip.hidden = true;
    });
  }
  document.addEventListener("click", (event) => { // a touch has to tell the name first
    const svg = event.target.closest?.("svg.points"), point = svg && nearest(svg, event);
    if (point?.to && event.pointerType !== "touch") location.href = point.to;
  });
  for (const svg of document.querySelectorAll("svg.points")) { // arrow keys step from left to right
    if (!svg.querySelector("g.point")) continue;
    let order = null, k = -1;
    svg.tabIndex = 0;
    svg.addEventListener("keydown", (event) => {
      const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
      if (event.key === "Escape") { mark(null); tip.hidden = true; }
      if (event.key === "Enter" && marked?.to) location.href = marked.to;
      if (!step) return;
      event.preventDefault();
      order ??= [...pointsOf(svg)].sort((a, b) => a.x - b.x || a.y - b.y);
      k = (k + step + order.length) % order.length;
      const { x, y } = onScreen(svg, order[k]);
      mark(order[k]);
      show(order[k].name, x, y);
    });
    svg.addEventListener("blur", () => { mark(null); tip.hidden = true; });
  }
});

// What scrolls in itself can be reached by the keyboard.
const reachable = () => {
  for (const part of document.querySelectorAll("article :is(table, figure, pre, div, mjx-container)")) {
    const scrolls = part.scrollWidth > part.clientWidth + 1 && part.clientWidth > 0 &&
      ["auto", "scroll"].includes(getComputedStyle(part).overflowX);
    if (scrolls) part.tabIndex = 0;
  }
};
addEventListener("load", () => {
  reachable();
  window.MathJax?.startup?.promise?.then(reachable);
});
addEventListener("resize", reachable);
document.addEventListener("toggle", reachable, true);

// What an address names is shown, also where it is folded in.
const unfold = () => {
  const named = location.hash && document.getElementById(decodeURIComponent(location.hash.slice(1)));
  const folds = [];
  for (let part = named; part; part = part.parentElement) if (part.tagName === "DETAILS" && !part.open) folds.push(part);
  folds.forEach((details) => { details.open = true; });
  if (folds.length) named.scrollIntoView({ block: "center" });
};
document.addEventListener("DOMContentLoaded", unfold);
addEventListener("hashchange", unfold);

// Paper is white and cannot be unfolded.
let before = null;
addEventListener("beforeprint", () => {
  const closed = [...document.querySelectorAll("details:not([open])")];
  before = { theme: document.documentElement.dataset.theme, closed };
  document.documentElement.dataset.theme = "light";
  closed.forEach((details) => { details.open = true; });
});
addEventListener("afterprint", () => {
  if (!before) return;
  document.documentElement.dataset.theme = before.theme;
  before.closed.forEach((details) => { details.open = false; });
  before = null;
});

if (typeof EXCERPTS !== "undefined") {
  const asked = window.fetch.bind(window);
  window.fetch = (url, ...rest) => {
    const page = String(url).split("#")[0].split("?")[0].split("/").pop();
    return page in EXCERPTS ? Promise.resolve(new Response(EXCERPTS[page])) : asked(url, ...rest);
  };
}
