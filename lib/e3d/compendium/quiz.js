// Which bond is stronger? The reader, the network and the bond length answer the same questions.
(() => {
  const { data, make, ends, dashed, drawn, redrawn } = explorer;
  const root = document.getElementById("explorer-quiz");
  const LEAST = 3;  // kcal/mol between two bonds, which is more than the error of what is known
  const truth = (bond) => bond.de ?? bond.fragment;
  const bonds = data.molecules.filter((molecule) => molecule.symbols.length > 2)  // else the energy is a label
    .flatMap((molecule) => molecule.bonds.map((bond, index) => ({ molecule, bond, index })))
    .filter(({ bond }) => truth(bond) !== undefined);
  const any = (list) => list[Math.floor(Math.random() * list.length)];
  const differs = (a, b) => Math.abs(truth(a.bond) - truth(b.bond)) >= LEAST && a.bond.bare !== b.bond.bare
    && a.bond.length_A !== b.bond.length_A;
  const ask = () => {
    for (;;) {
      const first = any(bonds), alike = Math.random() < 0.5;
      const second = any(bonds.filter((entry) => differs(first, entry) && (!alike || entry.bond.class === first.bond.class)));
      if (second) return [first, second];
    }
  };
  const score = { you: 0, network: 0, length: 0 };
  let asked = 0;
  const question = make("p"), told = make("div"), choices = make("div", { className: "options" });
  told.setAttribute("role", "status");
  const table = make("table", { className: "score" });
  const again = make("button", { type: "button", onclick: () => next(true) }, "Next question");
  const scores = () => table.replaceChildren(
    make("caption", {}, `Score after ${asked} ${asked === 1 ? "question" : "questions"}`),
    make("thead", {}, make("tr", {}, ...["who", "how", "right"].map((name) => make("th", { scope: "col" }, name)))),
    make("tbody", {}, ...[["you", "what you know", score.you], ["network", "the larger bare energy", score.network],
      ["length", "the shorter bond", score.length]].map(([who, how, right]) =>
      make("tr", {}, make("th", { scope: "row" }, who), make("td", {}, how), make("td", {}, String(right))))));
  function next(focus) {
    const pair = ask(), options = { labels: false, numbers: true };
    question.textContent = `Question ${asked + 1}: which bond takes more energy to break?`;
    told.replaceChildren();
    again.hidden = true;
    redrawn.length = 1;  // without the views of the last question
    choices.replaceChildren(...pair.map(({ molecule, bond, index }, k) => {
      const canvas = make("canvas", { tabIndex: 0 });
      canvas.setAttribute("role", "img");
      canvas.setAttribute("aria-label", `${molecule.name}, bond ${ends(molecule, bond)} marked; arrow keys turn it`);
      const view = moleculeView(canvas, options, () => view.pick(index));
      requestAnimationFrame(() => { view?.show(drawn(molecule, molecule.bonds.map((_, k) => Number(k === index)))); view?.pick(index); });
      if (view) redrawn.push(view);
      const button = make("button", { type: "button", onclick: () => answer(pair, k) },
        `${dashed(bond)} of ${molecule.name} (${ends(molecule, bond)})`);
      return make("div", {}, ...(view ? [canvas] : []), button);
    }));
    if (focus) choices.querySelector("button").focus({ preventScroll: true });
  }
  function answer(pair, chosen) {
    const better = (value) => value(pair[0].bond) > value(pair[1].bond) ? 0 : 1;
    const right = better(truth), network = better((bond) => bond.bare), length = better((bond) => -bond.length_A);
    asked += 1;
    score.you += chosen === right; score.network += network === right; score.length += length === right;
    choices.querySelectorAll("button").forEach((button, k) => {
      button.disabled = true;
      button.classList.toggle("right", k === right);
    });
    const named = ({ molecule, bond }) => `${dashed(bond)} of ${molecule.name}`;
    const verdict = (k) => k === right ? "right" : "wrong";
    told.replaceChildren(
      make("p", {}, make("strong", {}, chosen === right ? "Right." : "Wrong."), ` To break the ${named(pair[right])} takes `,
        `${truth(pair[right].bond).toFixed(1)} kcal/mol, the ${named(pair[1 - right])} ${truth(pair[1 - right].bond).toFixed(1)}. `,
        `The network (${pair[right].bond.bare.toFixed(1)} and ${pair[1 - right].bond.bare.toFixed(1)}) is ${verdict(network)}, `,
        `the length (${pair[right].bond.length_A.toFixed(3)} and ${pair[1 - right].bond.length_A.toFixed(3)} Å) is ${verdict(length)}.`));
    scores();
    again.hidden = false;
    again.focus({ preventScroll: true });
  }
  root.append(question, choices, told, again, table);
  scores();
  next(false);
})();
