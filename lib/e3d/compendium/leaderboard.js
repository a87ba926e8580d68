// Headers become buttons; a list of the same columns sorts where the headers do not show, on a telephone.
(() => {
  const root = document.querySelector(".leaderboard"), list = root.querySelector("select");
  const buttons = [...root.querySelectorAll("thead th")].map((head) => {
    const button = Object.assign(document.createElement("button"), { type: "button" });
    button.append(...head.childNodes);
    head.append(button);
    list.add(new Option(button.textContent));
    return button;
  });
  sortable(root.querySelector("table"));
  list.selectedIndex = 1;
  list.addEventListener("change", () => buttons[list.selectedIndex].click());
  root.querySelector(".by").hidden = false;
  buttons[1].click();
})();
