// Boxes come laid out, in ten-thousandths of what they lie in.
function startTreemap() {
  const source = data.treemap;
  if (!source) return;
  const map = byId("map");
  const detail = byId("map-detail");
  const path = byId("map-path");
  const choice = byId("map-scope");
  const narrow = matchMedia("(max-width: 640px)");
  const kinds = [
    "in this image only",
    "shared by images of this component: stored once",
    "shared by components: in the archive of each",
  ];
  let place = { scope: 0, group: -1, image: -1 };
  const facts = new WeakMap();

  const scope = () => source.scopes[place.scope];
  const group = () => scope().groups[place.group];
  const color = (name) => `c${data.colors[name] ?? 0}`;
  const lastPart = (reference) => reference.slice(reference.lastIndexOf("/") + 1);
  // Nearly every name begins with one of these; in a small tile they would be all of it.
  const shortName = (reference) =>
    lastPart(reference).replace(/^(mirrored|hardened)-/, "").replace(/:.*/, "");
  const count = (number, noun) => `${number} ${noun}${number === 1 ? "" : "s"}`;

  function put(element, box) {
    const [x, y, width, height] = narrow.matches ? [box[1], box[0], box[3], box[2]] : box;
    element.style.left = `${x / 100}%`;
    element.style.top = `${y / 100}%`;
    element.style.width = `${width / 100}%`;
    element.style.height = `${height / 100}%`;
  }

  function tile(kind, level, name, size, box, fact) {
    const element = make("div", {
      class: `tile ${kind}`,
      role: "treeitem",
      tabindex: "-1",
      "aria-level": level,
      "aria-label": fact.label,
      "aria-selected": "false",
    });
    element.append(make("div", { class: "name" }, make("b", {}, name), make("span", {}, size)));
    put(element, box);
    facts.set(element, fact);
    return element;
  }

  function inside(parent) {
    const list = make("div", { class: "inside", role: "group" });
    parent.append(list);
    parent.setAttribute("aria-expanded", "true");
    return list;
  }

  function layerFact(image, number, position) {
    const [digest, size, kind, names] = source.layers[image.layers[number]];
    return {
      title: `Layer ${position}`,
      label: `layer ${digest.slice(0, 12)}, ${asSize(size)}, ${kinds[kind]}`,
      rows: [["Size", asSize(size)], ["Of the image", percent(size, image.size)]],
      text: kinds[kind],
      digest: `sha256:${digest}`,
      names: names.map((name) => source.names[name]),
    };
  }

  function percent(part, whole) {
    return whole ? `${((100 * part) / whole).toFixed(1)}\u00a0%` : "-";
  }

  function layerTiles(image, boxes, level, hue, into) {
    image.layers.forEach((at, number) => {
      const [digest, size, kind] = source.layers[at];
      const fact = layerFact(image, number, `${number + 1} of ${image.layers.length}`);
      const name = digest.slice(0, 12);
      into.append(tile(`layer leaf k${kind} ${hue}`, level, name, asSize(size), boxes[number], fact));
    });
  }

  function imageFact(image, groupNumber, number) {
    const reference = source.names[image.name];
    return {
      title: reference,
      label: `${reference}, ${asSize(image.size)}, ${count(image.layers.length, "layer")}, ${percent(image.shared, image.size)} shared`,
      rows: [
        ["Size", asSize(image.size)],
        ["Layers", String(image.layers.length + image.rest)],
        ["Shared with others", `${asSize(image.shared)}, ${percent(image.shared, image.size)}`],
        ["In this image only", asSize(image.size - image.shared)],
      ],
      go: { group: groupNumber, image: number },
    };
  }

  function imageTiles(own, groupNumber, level, into, { zoomed }) {
    own.images.forEach((image, number) => {
      const fact = imageFact(image, groupNumber, number);
      const name = shortName(source.names[image.name]);
      const hue = color(own.name);
      const kind = zoomed ? "image group" : "image leaf";
      const box = zoomed ? image.zoom : image.box;
      const element = tile(`${kind} ${hue}`, level, name, asSize(image.size), box, fact);
      if (zoomed) layerTiles(image, image.boxes, level + 1, hue, inside(element));
      else {
        const part = make("div", { class: "part" });
        part.style.width = percent(image.shared, image.size).replace("\u00a0", "");
        element.append(part);
        element.setAttribute("aria-expanded", "false");
      }
      into.append(element);
    });
  }

  function groupFact(own, number) {
    const [alone, stored, shared, elsewhere] = own.sums;
    const images = own.images.length + own.rest;
    return {
      title: own.name,
      label: `${own.name}, ${count(images, "image")}, ${asSize(alone)}, ${percent(shared, stored)} shared`,
      rows: [
        ["Images", String(images)],
        ["One by one", asSize(alone)],
        ["Stored once", asSize(stored)],
        ["Unique", asSize(stored - shared)],
        ["Shared by its images", asSize(shared)],
        ["Also in other components", asSize(elsewhere)],
      ],
      go: { group: number, image: -1 },
    };
  }

  function draw() {
    map.replaceChildren();
    if (place.group < 0) {
      scope().groups.forEach((own, number) => {
        const fact = groupFact(own, number);
        const element = tile(`group ${color(own.name)}`, 1, own.name, asSize(own.sums[0]), own.box, fact);
        imageTiles(own, number, 2, inside(element), { zoomed: false });
        map.append(element);
      });
    } else if (place.image < 0) {
      imageTiles(group(), place.group, 1, map, { zoomed: true });
    } else {
      const image = group().images[place.image];
      layerTiles(image, image.zooms, 1, color(group().name), map);
    }
    items()[0]?.setAttribute("tabindex", "0");
    map.classList.remove("moved");
    void map.offsetWidth;
    map.classList.add("moved");
    crumbs();
    about(current());
  }

  function current() {
    if (place.group < 0) {
      const own = scope();
      const bytes = own.groups.reduce((sum, each) => sum + each.sums[0], 0);
      return {
        title: own.title,
        rows: [["Components", String(own.groups.length + own.rest)], ["Images one by one", asSize(bytes)]],
        text: "Point at a tile, or choose one, to see what it is.",
      };
    }
    if (place.image < 0) return groupFact(group(), place.group);
    return imageFact(group().images[place.image], place.group, place.image);
  }

  function crumbs() {
    const steps = [[scope().title, { group: -1, image: -1 }]];
    if (place.group >= 0) steps.push([group().name, { group: place.group, image: -1 }]);
    if (place.image >= 0) steps.push([lastPart(source.names[group().images[place.image].name]), null]);
    path.replaceChildren(
      ...steps.map(([name, target], number) => {
        if (number === steps.length - 1) return make("li", {}, make("span", { "aria-current": "location" }, name));
        const button = make("button", { type: "button" }, name);
        button.addEventListener("click", () => go(target, true));
        return make("li", {}, button);
      }),
    );
  }

  function about(fact) {
    const list = make("dl");
    for (const [name, value] of fact.rows) list.append(make("dt", {}, name), make("dd", {}, value));
    detail.replaceChildren(make("h3", {}, fact.title), list);
    if (fact.text) detail.append(make("p", { class: "muted" }, fact.text));
    if (fact.digest) {
      const button = make("button", { type: "button", class: "copy", "data-copy": fact.digest, "aria-label": "Copy the digest of this layer" }, "Copy");
      detail.append(make("p", {}, make("code", {}, fact.digest), " ", button));
    }
    if (fact.names?.length) {
      const names = fact.names.map((name) => make("li", {}, name));
      const have = names.length === 1 ? "has" : "have";
      detail.append(make("h4", {}, `${count(names.length, "image")} ${have} it`), make("ul", {}, ...names));
    }
  }

  function go(target, hasFocus) {
    place = { ...place, ...target };
    remember({
      scope: place.scope ? scope().title : "",
      group: place.group < 0 ? "" : group().name,
      image: place.image < 0 ? "" : source.names[group().images[place.image].name],
    });
    draw();
    if (hasFocus) items()[0]?.focus();
  }

  function out() {
    if (place.image >= 0) go({ image: -1 }, true);
    else if (place.group >= 0) go({ group: -1 }, true);
  }

  const items = () => [...map.querySelectorAll("[role=treeitem]")];

  function choose(element) {
    const fact = facts.get(element);
    if (fact.go && !(fact.go.group === place.group && fact.go.image === place.image)) {
      go(fact.go, true);
      say(`${fact.title} is shown`);
      return;
    }
    for (const each of items()) each.setAttribute("aria-selected", String(each === element));
    about(fact);
  }

  function move(element) {
    if (!element) return;
    for (const each of map.querySelectorAll("[tabindex='0']")) each.setAttribute("tabindex", "-1");
    element.setAttribute("tabindex", "0");
    element.focus();
  }

  const parentOf = (element) => element.parentElement.closest("[role=treeitem]");

  map.addEventListener("click", (event) => {
    const element = event.target.closest("[role=treeitem]");
    if (element) choose(element);
  });
  map.addEventListener("mouseover", (event) => {
    const element = event.target.closest("[role=treeitem]");
    if (element && !map.querySelector("[aria-selected=true]")) about(facts.get(element));
  });
  map.addEventListener("mouseleave", () => {
    if (!map.querySelector("[aria-selected=true]")) about(current());
  });
  map.addEventListener("focusin", (event) => about(facts.get(event.target)));
  map.addEventListener("keydown", (event) => {
    const element = event.target.closest("[role=treeitem]");
    if (!element || event.ctrlKey || event.metaKey || event.altKey) return;
    const all = items();
    const at = all.indexOf(element);
    const act = {
      ArrowDown: () => move(all[at + 1]),
      ArrowUp: () => move(all[at - 1]),
      ArrowRight: () => move(element.querySelector("[role=treeitem]") ?? all[at + 1]),
      ArrowLeft: () => move(parentOf(element) ?? all[at - 1]),
      Home: () => move(all[0]),
      End: () => move(all[all.length - 1]),
      Enter: () => choose(element),
      " ": () => choose(element),
      Escape: out,
      Backspace: out,
    }[event.key];
    if (!act) return;
    event.preventDefault();
    act();
  });
  choice.addEventListener("change", () => go({ scope: Number(choice.value), group: -1, image: -1 }));
  narrow.addEventListener("change", draw);

  function restore() {
    const at = source.scopes.findIndex((each) => each.title === state.get("scope"));
    place = { scope: Math.max(at, 0), group: -1, image: -1 };
    place.group = scope().groups.findIndex((each) => each.name === state.get("group"));
    if (place.group >= 0 && state.has("image")) {
      const reference = state.get("image");
      place.image = group().images.findIndex((each) => source.names[each.name] === reference);
    }
    choice.value = String(place.scope);
    draw();
  }

  restorers.push(restore);
  restore();
}

startTreemap();
