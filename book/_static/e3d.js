// Names of points in figures, printing, and excerpts of the search for pages opened as files.
document.addEventListener("DOMContentLoaded", () => {
  const tip = Object.assign(document.createElement("div"), { className: "point-name", hidden: true });
  tip.setAttribute("role", "status");
  (document.querySelector("article") || document.body).append(tip);
  const show = (point, x, y) => {
    tip.textContent = point.dataset.name;
    tip.hidden = false;
    tip.style.left = `${Math.min(x + 12, innerWidth - tip.offsetWidth - 8)}px`;
    tip.style.top = `${Math.max(y - tip.offsetHeight - 10, 4)}px`;
  };
  for (const point of document.querySelectorAll("svg.points g.point")) {
    const title = point.querySelector("title");
    point.dataset.name = title.textContent;
    title.remove(); // the browser's own hint would come second
  }
  const under = (event) => event.target.closest?.("g.point");
  for (const kind of ["pointermove", "pointerdown"]) {
    document.addEventListener(kind, (event) => {
      const point = under(event);
      if (point) show(point, event.clientX, event.clientY);
      else tip.hidden = true;
    });
  }
  document.addEventListener("click", (event) => { // a touch has to tell the name first
    const [molecule, bond] = (under(event)?.dataset.name ?? "").split(", bond ");
    if (bond && event.pointerType !== "touch") location.href = `explorer.html#${encodeURIComponent(molecule)}`;
  });
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
