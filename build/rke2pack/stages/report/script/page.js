const data = JSON.parse(document.getElementById("data").textContent);
const byId = (id) => document.getElementById(id);

function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

function asSize(bytes) {
  let value = bytes;
  for (const unit of ["B", "kB", "MB", "GB"]) {
    if (value < 1000 || unit === "GB") return `${value.toFixed(unit === "B" ? 0 : 1)} ${unit}`;
    value /= 1000;
  }
  return "";
}

function say(text) {
  byId("said").textContent = text;
}

// What is looked at stands in the address, so that a link shows the same.
let state = new URLSearchParams(location.hash.includes("=") ? location.hash.slice(1) : "");
const restorers = [];

function remember(changes) {
  for (const [name, value] of Object.entries(changes)) {
    if (value) state.set(name, value);
    else state.delete(name);
  }
  const text = state.toString();
  history.replaceState(null, "", text ? `#${text}` : location.pathname + location.search);
}

addEventListener("hashchange", () => {
  if (!location.hash.includes("=")) return;
  state = new URLSearchParams(location.hash.slice(1));
  for (const restore of restorers) restore();
});

function goTo(id) {
  const heading = byId(id);
  if (!heading) return;
  const calm = matchMedia("(prefers-reduced-motion: reduce)").matches;
  heading.closest("section").scrollIntoView({ behavior: calm ? "auto" : "smooth" });
  heading.focus({ preventScroll: true });
}

for (const link of document.querySelectorAll(".sections a, .tiles a")) {
  link.addEventListener("click", (event) => {
    event.preventDefault();
    const id = link.getAttribute("href").slice(1);
    remember({ at: id });
    goTo(id);
  });
}
if (state.has("at")) byId(state.get("at"))?.closest("section")?.scrollIntoView();

// The section that is being read: the last one whose heading has passed the upper third.
const headings = [...document.querySelectorAll("main h2")];
let isAsked = false;

function markSection() {
  isAsked = false;
  const line = innerHeight / 3;
  const isAtEnd = scrollY > 0 && scrollY + innerHeight >= document.documentElement.scrollHeight - 2;
  const passed = headings.filter((each) => each.getBoundingClientRect().top < line);
  const now = (isAtEnd ? headings.at(-1) : passed.at(-1)) ?? headings[0];
  const link = document.querySelector(`.sections a[href="#${now.id}"]`);
  if (link.hasAttribute("aria-current")) return;
  document.querySelector(".sections [aria-current]")?.removeAttribute("aria-current");
  link.setAttribute("aria-current", "true");
  const list = link.closest("ul");
  list.scrollLeft = link.offsetLeft - list.offsetLeft - 24;
}

addEventListener(
  "scroll",
  () => {
    if (!isAsked) requestAnimationFrame(markSection);
    isAsked = true;
  },
  { passive: true },
);
markSection();

function startTheme() {
  const button = byId("theme");
  const dark = matchMedia("(prefers-color-scheme: dark)");
  let chosen = null;
  try {
    chosen = localStorage.getItem("rke2pack-theme");
  } catch {
    // A browser may keep nothing for files; the choice then lasts as long as the page.
  }
  const show = () => {
    const theme = chosen ?? (dark.matches ? "dark" : "light");
    if (chosen) document.documentElement.dataset.theme = chosen;
    button.textContent = theme === "dark" ? "Light" : "Dark";
    button.setAttribute("aria-label", theme === "dark" ? "Light colours" : "Dark colours");
  };
  button.addEventListener("click", () => {
    const now = chosen ?? (dark.matches ? "dark" : "light");
    chosen = now === "dark" ? "light" : "dark";
    try {
      localStorage.setItem("rke2pack-theme", chosen);
    } catch {
      // As above.
    }
    show();
  });
  dark.addEventListener("change", show);
  show();
}

async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    const area = make("textarea", { class: "unseen", "aria-hidden": "true" });
    area.value = text;
    document.body.append(area);
    area.select();
    const isDone = document.execCommand("copy");
    area.remove();
    return isDone;
  }
}

document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-copy]");
  if (!button) return;
  const isDone = await copy(button.dataset.copy);
  button.textContent = isDone ? "Copied" : "Failed";
  say(isDone ? `copied ${button.dataset.copy}` : "the browser does not let the page copy");
  setTimeout(() => {
    button.textContent = "Copy";
  }, 1500);
});

startTheme();
