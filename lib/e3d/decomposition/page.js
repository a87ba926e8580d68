(() => {
  const data = JSON.parse(document.getElementById("data").textContent);

  document.querySelectorAll("table.bonds").forEach(sortable);

  document.querySelectorAll("section.molecule").forEach((section, index) => {
    const frame = section.querySelector(".view"), numbered = section.querySelector("input");
    const rows = new Map([...section.querySelectorAll("tbody tr")].map((row) => [+row.dataset.bond, row]));
    const options = { numbers: false };
    let chosen = -1;
    const choose = (bond) => {
      rows.get(chosen)?.classList.remove("chosen");
      chosen = bond;
      rows.get(chosen)?.classList.add("chosen");
      view.pick(bond);
    };
    const view = moleculeView(section.querySelector("canvas"), options, choose);
    if (!view || !data[index].positions.length) return;
    frame.hidden = false;
    numbered.addEventListener("change", () => { options.numbers = numbered.checked; view.draw(); });
    rows.forEach((row, bond) => {
      row.addEventListener("mouseenter", () => choose(bond));
      row.addEventListener("focus", () => choose(bond));
    });
    section.querySelector(".scale").style.background = moleculeView.scale;
    view.show(data[index]);
  });
})();
