// A check box that shows the password. It is hidden without scripts.
for (const box of document.querySelectorAll("[data-show-password]")) {
  const password = document.getElementById(box.dataset.showPassword);
  const check = box.querySelector("input");
  if (password && check) {
    box.hidden = false;
    check.checked = false;
    check.addEventListener("change", () => { password.type = check.checked ? "text" : "password"; });
    // Browsers remember what is typed into fields of text, but not passwords.
    password.form?.addEventListener("submit", () => { password.type = "password"; });
  }
}
