/* One piece of a page: the kernel sends safe HTML, we morph the document into it (so that focus,
 * selection, typed text and opened <details> survive an update), and send back what was done.
 *
 *   data-action="name"      click (or change, for a field) -> {action, data: dataset, values}
 *   data-form               values = all named fields inside the nearest one
 *   data-keys="ctrl+enter:send"   keys inside press the button with that data-key, or are the
 *                           action; data-hotkeys: the action, wherever the focus is
 *                           (a key that is a character only outside of fields)
 *   data-live               a field that acts while it is typed in or dragged, not at the end
 *   data-rows               arrow keys, Page Up/Down, Home and End move between its [data-row]s
 *   data-down="#id"         a field from which Arrow Down leads to the rows inside that element
 *   data-copy="#id"         copies that element's text; needs no kernel
 *   data-caret="#id"        puts the caret of that field into data-line and data-column
 *   data-download="#id"     saves that element's text as the file data-file
 *   data-follow             a scrolling box that stays at its end while it grows
 *   role="tablist"          arrow keys, Home and End move between the tabs
 *   data-pile               a click inside means the button whose middle is nearest; where several
 *                           lie on each other, clicking again means the next one
 *   data-focus="key"        takes the focus when the key changes (after an edit was opened)
 */

const FORBIDDEN = "script,iframe,object,embed,link,meta,base,style,frame,form,img,picture,audio,video";
const LINK = /^(https?:|mailto:|#|\/(?!\/))/i;

/* The kernel escapes what models and files say; this is the second wall. */
function parse(html) {
  const template = document.createElement("template");
  template.innerHTML = html;
  template.content.querySelectorAll(FORBIDDEN).forEach((node) => node.remove());
  template.content.querySelectorAll("*").forEach((node) => {
    for (const { name, value } of [...node.attributes]) {
      const address = /^(href|xlink:href|src|srcset|action|formaction|poster|background)$/i;
      const bad =
        /^on/i.test(name) ||
        (name === "style" && /url\s*\(|expression/i.test(value)) ||
        (address.test(name) && !(name === "href" && LINK.test(value.trim())));
      if (bad) node.removeAttribute(name);
    }
  });
  return template.content;
}

const keyOf = (node) => (node.nodeType === 1 && (node.dataset.key || node.id)) || null;

function morphAttributes(old, fresh) {
  for (const { name } of [...old.attributes]) {
    const kept = (name === "open" && old.tagName === "DETAILS") || name === "data-copied";
    if (!fresh.hasAttribute(name) && !kept) old.removeAttribute(name);
  }
  for (const { name, value } of [...fresh.attributes]) {
    const user = name === "open" && old.tagName === "DETAILS";
    if (!user && old.getAttribute(name) !== value) old.setAttribute(name, value);
  }
}

/* A field keeps what the user typed until the kernel's own value for it changes. */
function morphField(old, fresh) {
  const server = (node) =>
    node.tagName === "TEXTAREA"
      ? node.defaultValue
      : node.type === "checkbox"
        ? String(node.hasAttribute("checked"))
        : node.tagName === "SELECT"
          ? (node.querySelector("option[selected]") || node.options[0] || {}).value || ""
          : node.getAttribute("value") || "";
  const [before, after] = [server(old), server(fresh)];
  return () => {
    if (before === after) return;
    if ("live" in old.dataset && old === document.activeElement) return; // typed on since
    if (old.type === "checkbox") old.checked = after === "true";
    else old.value = after;
  };
}

function morph(old, fresh) {
  if (old.nodeType !== 1) {
    if (old.data !== fresh.data) old.data = fresh.data;
    return;
  }
  const field = /^(INPUT|TEXTAREA|SELECT)$/.test(old.tagName);
  const settle = field && morphField(old, fresh);
  morphAttributes(old, fresh);
  morphChildren(old, fresh);
  if (settle) settle();
}

/* What is gone goes first: a node that stays is then moved only where the order changed, and one
 * that is moved loses the focus. */
function morphChildren(old, fresh) {
  const keyed = new Map();
  const keys = new Set([...fresh.childNodes].map(keyOf));
  for (const node of [...old.childNodes]) {
    const key = keyOf(node);
    if (key && !keys.has(key)) node.remove();
    else if (key) keyed.set(key, node);
  }
  let at = old.firstChild;
  for (const next of [...fresh.childNodes]) {
    const key = keyOf(next);
    let match = key ? keyed.get(key) : null;
    if (!key && at && !keyOf(at)) match = at;
    if (match && (match.nodeType !== next.nodeType || match.nodeName !== next.nodeName))
      match = null;
    if (match) {
      if (match !== at) old.insertBefore(match, at);
      else at = at.nextSibling;
      morph(match, next);
    } else {
      old.insertBefore(next, at);
    }
  }
  while (at) {
    const gone = at;
    at = at.nextSibling;
    gone.remove();
  }
}

function valuesOf(node) {
  const form = node.closest("[data-form]");
  const values = {};
  if (form)
    form.querySelectorAll("[name]").forEach((field) => {
      values[field.name] = field.type === "checkbox" ? field.checked : field.value;
    });
  return values;
}

function dataOf(node) {
  const field = /^(INPUT|TEXTAREA|SELECT)$/.test(node.tagName);
  return field ? { ...node.dataset, value: node.value } : { ...node.dataset };
}

const PILE = 4; // pixels between the middles of buttons that lie on each other

function meant(node, event) {
  const pile = node && node.closest("[data-pile]");
  if (!pile || !event.detail) return node; // a key presses the button that has the focus
  const far = (button) => {
    const box = button.getBoundingClientRect();
    return Math.hypot(box.x + box.width / 2 - event.clientX, box.y + box.height / 2 - event.clientY);
  };
  const places = [...pile.querySelectorAll("[data-action]")].map((button) => [far(button), button]);
  places.sort(([one], [other]) => one - other);
  const same = places.filter(([away]) => away <= places[0][0] + PILE).map(([, button]) => button);
  const pressed = same.findIndex((button) => button.getAttribute("aria-pressed") === "true");
  const chosen = same[(pressed + 1) % same.length];
  chosen.focus({ preventScroll: true });
  return chosen;
}

async function copy(button, root) {
  const source = root.querySelector(button.dataset.copy);
  const text = source ? source.textContent : "";
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    const area = document.createElement("textarea");
    area.value = text;
    document.body.append(area);
    area.select();
    document.execCommand("copy");
    area.remove();
  }
  button.dataset.copied = "yes";
  setTimeout(() => delete button.dataset.copied, 1600);
}

function place(button, root) {
  const field = root.querySelector(button.dataset.caret);
  const before = field ? field.value.split("\n").slice(0, button.dataset.line - 1) : [];
  const at = before.reduce((sum, line) => sum + line.length + 1, 0) + Number(button.dataset.column) - 1;
  if (!field) return;
  field.focus({ preventScroll: true });
  field.setSelectionRange(at, at);
  const shown = field.previousElementSibling?.children[button.dataset.line - 1] || field;
  shown.scrollIntoView({ block: "center" });
}

function download(button, root) {
  const source = root.querySelector(button.dataset.download);
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([source ? source.textContent : ""]));
  link.download = button.dataset.file;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

function pressed(event) {
  const parts = [];
  if (event.ctrlKey || event.metaKey) parts.push("ctrl");
  if (event.shiftKey && event.key.length > 1) parts.push("shift");
  return [...parts, event.key === " " ? "space" : event.key.toLowerCase()].join("+");
}

function bound(text, key) {
  const pair = (text || "").split(" ").find((entry) => entry.startsWith(key + ":"));
  return pair ? pair.slice(key.length + 1) : null;
}

function moveTab(event) {
  const tabs = [...event.target.closest("[role=tablist]").querySelectorAll("[role=tab]")];
  const here = tabs.indexOf(event.target.closest("[role=tab]"));
  const to = { ArrowRight: here + 1, ArrowLeft: here - 1, Home: 0, End: tabs.length - 1 }[event.key];
  if (to === undefined || here < 0) return;
  event.preventDefault();
  const tab = tabs[(to + tabs.length) % tabs.length];
  tab.focus();
  tab.click();
}

/* One row of a grid can be reached with Tab: the one that had the focus last. */
function rove(row) {
  for (const other of row.closest("[data-rows]").querySelectorAll("[data-row]"))
    other.tabIndex = other === row ? 0 : -1;
}

function moveRow(event) {
  const rows = [...event.target.closest("[data-rows]").querySelectorAll("[data-row]")];
  const here = rows.indexOf(event.target);
  const steps = { ArrowDown: 1, ArrowUp: -1, PageDown: 10, PageUp: -10, Home: -1e9, End: 1e9 };
  if (here < 0 || !(event.key in steps)) return;
  event.preventDefault();
  const to = Math.min(rows.length - 1, Math.max(0, here + steps[event.key]));
  rove(rows[to]);
  rows[to].focus();
}

/* Panels are widgets elsewhere in the page; give them the roles that their tabs speak of. */
function namePanels(el) {
  el.querySelectorAll("[role=tab][data-panel]").forEach((tab) => {
    const panel = document.querySelector("." + tab.dataset.panel);
    if (!panel) return;
    panel.id = tab.dataset.panel;
    panel.setAttribute("role", "tabpanel");
    panel.setAttribute("aria-labelledby", tab.id);
    tab.setAttribute("aria-controls", panel.id);
  });
}

const LET_GO = ["pointerup", "pointercancel", "dragend", "contextmenu"];

function render({ model, el }) {
  el.classList.add("wb-fragment");
  const send = (node, action) =>
    model.send({ action, data: dataOf(node), values: valuesOf(node) });
  let waiting = false;
  let focused = null;
  const draw = () => {
    waiting = false;
    if ("held" in el.dataset) return void (el.dataset.held = "changed"); // drawn when it is let go
    const follow = [...el.querySelectorAll("[data-follow]")].map((box) => [
      box,
      box.scrollHeight - box.scrollTop - box.clientHeight < 60,
    ]);
    morphChildren(el, parse(model.get("html")));
    follow.forEach(([box, stay]) => stay && (box.scrollTop = box.scrollHeight));
    namePanels(el);
    const row = document.activeElement;
    if (row && row.matches("[data-row]") && el.contains(row)) rove(row);
    const wanted = el.querySelector("[data-focus]");
    if (wanted && wanted.dataset.focus !== focused) wanted.focus();
    focused = wanted ? wanted.dataset.focus : null;
  };
  const schedule = () => {
    if (waiting) return;
    waiting = true;
    document.hidden ? setTimeout(draw, 100) : requestAnimationFrame(draw);
  };
  const FIELDS = "input,select,textarea";
  const BUTTONS = "[data-action],[data-copy],[data-download],[data-caret]";
  /* A click is lost when what is pressed moves before it is let go: nothing changes meanwhile. */
  let longest = null;
  const hold = (event) => {
    const node = event.button === 0 && event.target.closest?.(BUTTONS);
    if (!node || node.matches(FIELDS)) return;
    clearTimeout(longest);
    el.dataset.held = "";
    longest = setTimeout(release, 10_000); // some browsers do not tell of every end
  };
  const release = () => {
    clearTimeout(longest);
    if (el.dataset.held === "changed") setTimeout(schedule); // after the click
    delete el.dataset.held;
  };
  const click = (event) => {
    const found = event.target.closest(BUTTONS);
    const node = meant(found, event);
    if (!node || !el.contains(node) || node.matches(FIELDS)) return;
    if (node.dataset.copy) return void copy(node, el);
    if (node.dataset.download) return void download(node, el);
    if (node.dataset.caret) return void place(node, el);
    if (node.getAttribute("aria-disabled") !== "true") send(node, node.dataset.action);
  };
  const change = (event) => {
    const node = event.target.closest("[data-action]");
    if (node && node.matches(FIELDS) && !("live" in node.dataset)) send(node, node.dataset.action);
  };
  const pending = new Map(); // live field -> whether it changed since it was sent
  const flush = (node) => {
    send(node, node.dataset.action);
    pending.set(node, false);
    setTimeout(() => {
      const again = pending.get(node);
      pending.delete(node);
      if (again) flush(node);
    }, 40);
  };
  const input = (event) => {
    const node = event.target.closest("[data-live]");
    if (node) pending.has(node) ? pending.set(node, true) : flush(node);
  };
  const keydown = (event) => {
    if (event.isComposing) return;
    if (event.target.closest("[role=tablist]")) moveTab(event);
    if (event.target.closest("[data-rows]")) moveRow(event);
    if (event.key === "ArrowDown" && event.target.dataset.down) {
      const row = document.querySelector(`${event.target.dataset.down} [data-row][tabindex="0"]`);
      if (row) return void (event.preventDefault(), row.focus());
    }
    if (event.target.matches("button, summary, a") && /^(enter|space)$/.test(pressed(event))) return;
    const holder = event.target.closest("[data-keys]");
    const action = holder && bound(holder.dataset.keys, pressed(event));
    if (!action) return;
    event.preventDefault();
    event.stopPropagation();
    const button = holder.querySelector(`[data-key="${action}"]`);
    if (pending.get(event.target)) {
      send(event.target, event.target.dataset.action); // before what is done with it, and once
      pending.set(event.target, false);
    }
    // what was typed may have made it possible, which the page does not show yet
    const typed = button && "live" in event.target.dataset;
    if (typed && button.getAttribute("aria-disabled") === "true") send(button, button.dataset.action);
    else button ? button.click() : send(event.target, action);
  };
  const hotkey = (event) => {
    const holder = el.querySelector("[data-hotkeys]");
    if (!holder || holder.offsetParent === null || event.defaultPrevented) return;
    const action = bound(holder.dataset.hotkeys, pressed(event));
    if (!action || (event.key.length === 1 && event.target.closest(FIELDS))) return;
    event.preventDefault();
    const target = holder.querySelector(`[data-key="${action}"]`);
    if (target && target.matches(FIELDS)) target.select();
    else target ? target.click() : send(holder, action);
  };
  const tell = (seen) => {
    if (!model.get("reports") || model.get("seen") === seen) return;
    model.set("seen", seen);
    model.save_changes();
  };
  const seen = () => tell(!document.hidden);
  el.addEventListener("click", click);
  el.addEventListener("change", change);
  el.addEventListener("input", input);
  el.addEventListener("keydown", keydown);
  document.addEventListener("keydown", hotkey);
  document.addEventListener("visibilitychange", seen);
  document.addEventListener("pointerdown", hold, true);
  for (const end of LET_GO) document.addEventListener(end, release, true);
  model.on("change:html", schedule);
  draw();
  seen();
  return () => {
    tell(false);
    model.off("change:html", schedule);
    document.removeEventListener("keydown", hotkey);
    document.removeEventListener("visibilitychange", seen);
    document.removeEventListener("pointerdown", hold, true);
    for (const end of LET_GO) document.removeEventListener(end, release, true);
  };
}

export default { render };
