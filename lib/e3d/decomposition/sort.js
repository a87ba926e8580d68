// Buttons in the header of a table sort its rows; a second click turns the order round; rows without a value come last.
const sortable = (table) => {
  const body = table.tBodies[0];
  table.querySelectorAll("thead th").forEach((head, column) => head.querySelector("button")?.addEventListener("click", () => {
    const now = head.getAttribute("aria-sort"), first = head.dataset.first ?? "ascending";
    const next = now ? (now === "ascending" ? "descending" : "ascending") : first;
    table.querySelectorAll("th").forEach((other) => other.removeAttribute("aria-sort"));
    head.setAttribute("aria-sort", next);
    const key = (row) => row.cells[column].dataset.value ?? row.cells[column].textContent;
    const order = (a, b) => {
      const [x, y] = [key(a), key(b)];
      if (x === "" || y === "") return (x === "") - (y === "");
      const by = isNaN(x) || isNaN(y) ? x.localeCompare(y) : x - y;
      return next === "descending" ? -by : by;
    };
    body.append(...[...body.rows].sort(order));
  }));
};
