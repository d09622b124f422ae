// Buttons to copy and print recovery codes. Without scripts, the codes can be selected and the page printed.
for (const buttons of document.querySelectorAll("[data-copies]")) {
  const codes = document.getElementById(buttons.dataset.copies);
  buttons.hidden = !codes;
  for (const button of buttons.querySelectorAll("button")) {
    button.addEventListener("click", async () => {
      if (button.dataset.action === "print") {
        window.print();
        return;
      }
      const text = [...codes.querySelectorAll("code")].map((code) => code.textContent).join("\n");
      try {
        await navigator.clipboard.writeText(`${text}\n`);
        button.textContent = button.dataset.done;
      } catch {
        getSelection().selectAllChildren(codes);
      }
    });
  }
}
