// Ticks off the rules of a password while it is typed. The server checks the same rules, and those that only it can check.
const special = /[!-/;-@[-`{-~]/;
const checks = {
  "length": (p) => [...p].length >= 12 && [...p].length <= 40,
  "characters": (p) => p !== "" && /^[!-9;-~]*$/.test(p),
  "ends": (p) => /^[A-Za-z0-9]/.test(p) && /[A-Za-z0-9]$/.test(p),
  "upper-case": (p) => /[A-Z]/.test(p),
  "lower-case": (p) => /[a-z]/.test(p),
  "digit": (p) => /[0-9]/.test(p),
  "special": (p) => special.test(p),
  "length-nist": (p) => [...p.normalize("NFC")].length >= 15 && [...p.normalize("NFC")].length <= 128,
  "characters-nist": (p) => p !== "" && !/\p{Cc}/u.test(p),
  "names-nist": (p, names) => p !== "" && !names.includes(p.trim().toLowerCase()),
  "names": (p, names) => p !== "" && !names.some((name) => p.toLowerCase().includes(name)),
};

for (const rules of document.querySelectorAll("[data-password-rules]")) {
  const password = document.getElementById(rules.dataset.passwordRules);
  const names = (rules.dataset.names ?? "").split("\n").map((name) => name.toLowerCase()).filter((name) => [...name].length >= 3);
  const items = [...rules.querySelectorAll("[data-rule]")].filter((item) => item.dataset.rule in checks);
  const states = new Map(items.map((item) => {
    const state = document.createElement("span");
    state.className = "state";
    item.append(state);
    return [item, state];
  }));
  const tick = () => {
    for (const [item, state] of states) {
      const isMet = checks[item.dataset.rule](password.value, names);
      item.dataset.state = isMet ? "met" : "unmet";
      state.textContent = ` (${isMet ? rules.dataset.met : rules.dataset.unmet})`;
    }
  };
  if (password) {
    password.addEventListener("input", tick);
    tick();
  }
}
