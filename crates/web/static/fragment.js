// Fetches the part of a page that changes, and puts it in: a link or form with `data-fragment` leads to the same page, with
// other rows. Without scripts it is an ordinary link or form.
const language = document.documentElement.lang;
const day = new Intl.DateTimeFormat(language, { dateStyle: "medium", timeStyle: "short" });
let running = null;

/** Shows times in the reader's zone, with UTC on hover. */
function showTimes(root) {
  for (const time of root.querySelectorAll("time[datetime]")) {
    time.title = time.textContent;
    time.textContent = day.format(new Date(time.dateTime));
  }
}

/** Puts the part of the fetched page in the place of the one that is there. */
function put(next) {
  const old = document.getElementById("fragment");
  const part = next.getElementById("fragment");
  const focused = old.contains(document.activeElement) ? document.activeElement : null;
  const open = [...old.querySelectorAll("details[open]")].map((details) => details.id);
  showTimes(part);
  for (const id of open) part.querySelector(`#${CSS.escape(id)}`)?.setAttribute("open", "");
  old.replaceWith(part);
  document.title = next.title;
  document.getElementById("cost").textContent = next.getElementById("cost").textContent;
  if (focused) {
    const again = focused.id && part.querySelector(`#${CSS.escape(focused.id)}`);
    (again || part).focus({ preventScroll: Boolean(again) });
  }
  const said = part.querySelector("[data-announce]") || part.querySelector("[role=alert]");
  document.getElementById("announce").textContent = said ? said.textContent : "";
}

/** Fetches an address and shows it; another one that is still being fetched is given up. */
async function show(url, push) {
  const part = document.getElementById("fragment");
  running?.abort();
  const own = new AbortController();
  running = own;
  part.setAttribute("aria-busy", "true");
  try {
    const response = await fetch(url, { headers: { "Tenantry-Fragment": "1" }, signal: own.signal, cache: "no-store" });
    const text = await response.text();
    const next = new DOMParser().parseFromString(text, "text/html");
    // The session has ended, the right is gone, or the server has failed: the page itself says so, or leads to the sign-in.
    if (response.redirected || !next.getElementById("fragment")) {
      location.assign(url);
      return;
    }
    put(next);
    const here = document.getElementById("fragment").dataset.here || url;
    if (push) history.pushState({ fragment: true }, "", here);
    else history.replaceState({ fragment: true }, "", here);
  } catch (error) {
    if (error.name !== "AbortError") location.assign(url);
  } finally {
    if (running === own) {
      running = null;
      document.getElementById("fragment")?.removeAttribute("aria-busy");
    }
  }
}

/** The address of a GET form, without what is left empty. */
function addressOf(form, submitter) {
  const data = new FormData(form, submitter);
  const query = new URLSearchParams([...data].filter(([, value]) => value !== ""));
  const text = query.toString();
  return form.action.split("?")[0] + (text ? `?${text}` : "");
}

document.addEventListener("click", (event) => {
  const link = event.target.closest?.("a[data-fragment]");
  if (!link || event.defaultPrevented || event.button !== 0) return;
  if (event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
  event.preventDefault();
  show(link.href, true);
});

document.addEventListener("submit", (event) => {
  const form = event.target;
  if (!form.matches("form[data-fragment]")) return;
  event.preventDefault();
  show(addressOf(form, event.submitter), true);
});

// While typing: the first letter makes an entry of the history, those that follow replace it.
let typing = 0;
let began = false;
document.addEventListener("input", (event) => {
  const form = event.target.form;
  if (!form?.matches("[data-live]") || event.target.type !== "search") return;
  clearTimeout(typing);
  typing = setTimeout(() => {
    show(addressOf(form), !began);
    began = true;
  }, 120);
});
document.addEventListener("focusout", (event) => {
  if (event.target.type === "search") began = false;
});

addEventListener("popstate", () => {
  if (!document.getElementById("fragment")) return;
  const search = document.getElementById("search");
  if (search) search.value = new URLSearchParams(location.search).get("search") || "";
  show(location.href, false);
});

showTimes(document);
