// Keeps the page current without a flicker, and presses buttons without leaving it.
// Works without this file, too: pages are whole, buttons are forms.

const period = Number(document.documentElement.dataset.refresh) || 3000;
const headers = { "X-Requested-With": "headway" };
const live = document.getElementById("live");
const away = document.getElementById("away");
const toasts = document.getElementById("toasts");
const dialog = document.getElementById("confirm");

const remember = (word) => { try { localStorage.setItem("headway-live", word); } catch { /* not kept */ } };
const remembered = () => { try { return localStorage.getItem("headway-live"); } catch { return null; } };

// Bring `old` to the state of `fresh`, touching only what differs: the focus, a text
// selection, an opened <details> and the scroll of a table stay as they are.
function morph(old, fresh) {
  if (old.isEqualNode(fresh)) return;
  if (old.nodeType !== Node.ELEMENT_NODE || old.nodeName !== fresh.nodeName || key(old) !== key(fresh)) {
    old.replaceWith(fresh);
    return;
  }
  for (const { name } of [...old.attributes]) {
    if (!fresh.hasAttribute(name) && name !== "open") old.removeAttribute(name);
  }
  for (const { name, value } of fresh.attributes) {
    if (old.getAttribute(name) !== value && name !== "open") old.setAttribute(name, value);
  }
  const kept = new Map();
  for (const child of old.children) if (key(child)) kept.set(key(child), child);
  let next = old.firstChild;
  for (const child of [...fresh.childNodes]) {
    const known = child.nodeType === Node.ELEMENT_NODE && key(child) ? kept.get(key(child)) : null;
    if (known) {
      if (known === next) next = next.nextSibling; else old.insertBefore(known, next);
      morph(known, child);
    } else if (next && !(next.nodeType === Node.ELEMENT_NODE && key(next))) {
      const after = next.nextSibling;
      morph(next, child);
      next = after;
    } else {
      old.insertBefore(child, next);
    }
  }
  while (next) { const after = next.nextSibling; next.remove(); next = after; }
}
const key = (node) => (node.dataset ? node.dataset.key : undefined);

async function refresh() {
  let answer;
  try {
    answer = await fetch(location.href, { headers: { ...headers, Accept: "text/html" } });
  } catch {
    return lost("The dashboard does not answer; trying again.");
  }
  if (answer.status === 401) return location.reload();
  if (!answer.ok) {
    const said = await answer.json().catch(() => ({}));
    return lost(said.message || "This page cannot be shown now; trying again.");
  }
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  const [old, fresh] = [document.getElementById("live-page"), page.getElementById("live-page")];
  if (old && fresh) morph(old, document.adoptNode(fresh));
  lost("");
}

function lost(message) {
  away.hidden = !message;
  away.textContent = message;
  document.body.classList.toggle("stale", Boolean(message));
}

const playing = () => live.getAttribute("aria-pressed") === "true";
async function loop() {
  if (playing() && !document.hidden && !dialog.open) await refresh();
  setTimeout(loop, period);
}

function toast(message, bad) {
  const note = document.createElement("p");
  note.textContent = message;
  note.className = bad ? "bad" : "";
  toasts.append(note);
  setTimeout(() => note.remove(), bad ? 8000 : 4000);
}

function confirmed(question, answer) {
  document.getElementById("confirm-text").textContent = question;
  document.getElementById("confirm-yes").textContent = answer;
  dialog.returnValue = "no";
  dialog.showModal();
  return new Promise((resolve) => dialog.addEventListener("close", () => resolve(dialog.returnValue === "yes"), { once: true }));
}

document.addEventListener("submit", async (event) => {
  const form = event.target;
  if (!("press" in form.dataset)) return;
  event.preventDefault();
  const button = form.querySelector("button");
  if (form.dataset.confirm && !(await confirmed(form.dataset.confirm, button.textContent))) return;
  button.disabled = true;
  try {
    const answer = await fetch(form.action, { method: "POST", headers, body: new FormData(form) });
    const said = await answer.json().catch(() => ({}));
    if (answer.status === 401) return location.reload();
    toast(said.message || "That did not work.", !answer.ok);
    if (answer.ok && form.dataset.then) return location.assign(form.dataset.then);
    await refresh();
  } catch {
    toast("The dashboard does not answer.", true);
  } finally {
    button.disabled = false;
  }
});

document.addEventListener("keydown", (event) => {
  const typing = /^(INPUT|TEXTAREA|SELECT)$/.test(event.target.nodeName);
  if (event.key === "/" && !typing) {
    event.preventDefault();
    document.querySelector(".find input")?.focus();
  }
});

if (live && document.getElementById("live-page")) {
  const show = (on) => {
    live.setAttribute("aria-pressed", String(on));
    live.querySelector("span").textContent = on ? "Live" : "Paused";
  };
  show(remembered() !== "off");
  live.hidden = false;
  live.addEventListener("click", () => {
    show(!playing());
    remember(playing() ? "on" : "off");
    if (playing()) refresh();
  });
  setTimeout(loop, period);
}
