function startTable() {
  const table = byId("table");
  if (!table) return;
  const body = table.tBodies[0];
  const fields = ["q", "component", "platform", "proof"].map(byId);
  const collator = new Intl.Collator("en", { numeric: true });
  const rows = [...body.rows].map((row) => ({
    row,
    text: `${row.textContent} ${row.dataset.digest}`.toLowerCase(),
    components: row.dataset.components.split(" "),
    platforms: row.dataset.platforms.split(" "),
  }));
  const keys = {
    name: (row) => row.dataset.name,
    component: (row) => row.dataset.components,
    platform: (row) => row.dataset.platforms,
    size: (row) => Number(row.dataset.size),
    digest: (row) => row.dataset.digest,
    proof: (row) => Number(row.dataset.proofs),
  };

  function compare(key) {
    const value = keys[key];
    return (a, b) => {
      const [x, y] = [value(a.row), value(b.row)];
      const order = typeof x === "number" ? x - y : collator.compare(x, y);
      return order || collator.compare(a.row.dataset.name, b.row.dataset.name);
    };
  }

  function filter() {
    const [text, component, platform, proof] = fields.map((field) => field.value);
    const words = text.toLowerCase().split(/\s+/).filter(Boolean);
    let count = 0;
    for (const each of rows) {
      const isShown =
        words.every((word) => each.text.includes(word)) &&
        (!component || each.components.includes(component)) &&
        (!platform || each.platforms.includes(platform)) &&
        (!proof || each.row.dataset.proof === proof);
      each.row.hidden = !isShown;
      count += isShown;
    }
    const all = count === 1 ? "1 image" : `${count} images`;
    byId("shown").textContent = count === rows.length ? all : `${count} of ${rows.length} images`;
    byId("nothing").hidden = count > 0;
  }

  function sort() {
    const key = keys[state.get("sort")] ? state.get("sort") : "name";
    const isDown = state.get("order") === "down";
    const sorted = [...rows].sort(compare(key));
    if (isDown) sorted.reverse();
    body.append(...sorted.map((each) => each.row));
    for (const head of table.querySelectorAll("th[data-sort]")) {
      const direction = isDown ? "descending" : "ascending";
      head.setAttribute("aria-sort", head.dataset.sort === key ? direction : "none");
    }
  }

  function restore() {
    for (const field of fields) field.value = state.get(field.id) ?? "";
    filter();
    sort();
  }

  let wait;
  const keep = () => remember(Object.fromEntries(fields.map((field) => [field.id, field.value])));
  for (const field of fields) {
    field.addEventListener("input", () => {
      filter();
      clearTimeout(wait);
      wait = setTimeout(keep, 150);
    });
  }
  const form = byId("filters");
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("reset", () => {
    clearTimeout(wait);
    remember({ q: "", component: "", platform: "", proof: "" });
    setTimeout(filter);
  });
  for (const head of table.querySelectorAll("th[data-sort]")) {
    head.querySelector("button").addEventListener("click", () => {
      const key = head.dataset.sort;
      const isSame = head.getAttribute("aria-sort") !== "none";
      // The largest first is what people look for.
      const down = isSame
        ? head.getAttribute("aria-sort") === "ascending"
        : key === "size" || key === "proof";
      remember({ sort: key, order: down ? "down" : "up" });
      sort();
      say(`sorted by ${head.textContent}, ${down ? "descending" : "ascending"}`);
    });
  }
  restorers.push(restore);
  restore();
}

startTable();
