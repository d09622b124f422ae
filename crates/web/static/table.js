// Keys of lists: j and k go from row to row, e opens one, / goes to the search, ? shows the keys, Esc leaves the row. They can
// be turned off (WCAG 2.1.4), and do nothing while somebody types.
const OFF = "tenantry-keys-off";
const dialog = document.getElementById("keys");
const isOn = document.getElementById("keys-on");
const button = document.getElementById("show-keys");

function read() {
  try {
    return localStorage.getItem(OFF) === null;
  } catch {
    return true;
  }
}

function store(on) {
  try {
    if (on) localStorage.removeItem(OFF);
    else localStorage.setItem(OFF, "1");
  } catch {
    // Then it holds for this page.
  }
}

const links = () => [...document.querySelectorAll("table[data-keys] tbody tr")].map((row) => row.querySelector("a"));

function step(by) {
  const all = links();
  const at = all.indexOf(document.activeElement);
  const next = at < 0 ? (by > 0 ? 0 : all.length - 1) : at + by;
  all[Math.min(Math.max(next, 0), all.length - 1)]?.focus();
}

const keys = {
  j: () => step(1),
  k: () => step(-1),
  e: () => links().includes(document.activeElement) && document.activeElement.click(),
  "/": () => document.getElementById("search")?.focus(),
  "?": () => dialog.showModal(),
  Escape: () => links().includes(document.activeElement) && document.activeElement.blur(),
};

if (dialog) {
  isOn.checked = read();
  isOn.addEventListener("change", () => store(isOn.checked));
  button.hidden = false;
  button.addEventListener("click", () => dialog.showModal());
  document.addEventListener("keydown", (event) => {
    if (!isOn.checked || event.ctrlKey || event.metaKey || event.altKey || dialog.open) return;
    // When the dialog has just been closed, the focus may still be inside.
    const field = event.target.closest("input, select, textarea, [contenteditable]");
    if (field && !dialog.contains(field)) return;
    const act = keys[event.key];
    if (!act) return;
    if (event.key !== "Escape") event.preventDefault();
    act();
  });
}
