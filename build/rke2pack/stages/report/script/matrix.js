function startMatrix() {
  const dialog = byId("dialog");
  const order = ["failed", "manual", "skipped", "passed"];

  function concerns([, check, subject, , got], cell, subjects) {
    const rows = /\(rows? ([^)]*)\)$/.exec(got);
    return (
      check === cell.check &&
      subjects.some((each) => each && subject.startsWith(each)) &&
      (!rows || rows[1].split(", ").includes(cell.column))
    );
  }

  function show(cell) {
    const { texts, results, findings } = data.validations[Number(cell.report)];
    const own = results
      .map((each) => each.map((number) => texts[number]))
      .filter(([check, column]) => check === cell.check && column === cell.column)
      .sort((a, b) => order.indexOf(a[3]) - order.indexOf(b[3]));
    byId("dialog-title").textContent = `${cell.check} on ${cell.column}`;
    const body = make("tbody");
    for (const [, , subject, status, detail] of own) {
      body.append(
        make("tr", {},
          make("th", { scope: "row" }, subject || cell.column),
          make("td", {}, make("span", { class: `status ${status}` }, status)),
          make("td", {}, detail)),
      );
    }
    const head = make("tr", {});
    for (const title of ["Subject", "Status", "Detail"]) head.append(make("th", { scope: "col" }, title));
    const table = make("table", {}, make("thead", {}, head), body);
    const parts = [make("div", { class: "scroll", role: "region", tabindex: "0", "aria-label": "Results" }, table)];
    const noted = findings.filter((each) => concerns(each, cell, own.map((result) => result[2])));
    if (noted.length) {
      const list = make("ul", { class: "findings" });
      for (const [severity, , subject, expected, got, reason] of noted) {
        const item = make("li", { class: reason ? "info" : severity }, make("b", {}, subject), make("br"));
        item.append(`expected ${expected}, got ${got}`);
        if (reason) item.append(make("br"), make("span", { class: "muted" }, `explained: ${reason}`));
        list.append(item);
      }
      parts.push(make("h3", {}, "Findings"), list);
    }
    byId("dialog-body").replaceChildren(...parts);
    dialog.showModal();
    dialog.scrollTop = 0;
  }

  for (const button of document.querySelectorAll("button.cell")) {
    button.addEventListener("click", () => show(button.dataset));
  }
  byId("dialog-close").addEventListener("click", () => dialog.close());
  dialog.addEventListener("click", (event) => {
    if (event.target === dialog) dialog.close();
  });
}

startMatrix();
