"use strict";
// The explorer: a view of one state (user, history, visit, request options), drawn again after each change.

const $ = (id) => document.getElementById(id);
const state = { known: true, user: "", history: [], liked: [], skipped: [], list: null, rival: null, channels: [], chosen: null };
let pending = null; // the request for the current list

function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (name.startsWith("--")) made.style.setProperty(name, value);
    else if (value !== null) made.setAttribute(name, value);
  }
  made.append(...children.filter((child) => child !== null));
  return made;
}

async function ask(path, body, signal) {
  const headers = {};
  const token = sessionStorage.getItem("nightreel-token");
  if (token) headers.Authorization = `Bearer ${token}`;
  if (body) headers["Content-Type"] = "application/json";
  const answer = await fetch(path, { method: body ? "POST" : "GET", headers, body: body && JSON.stringify(body), signal });
  if (answer.status === 401) {
    $("token-form").hidden = false;
    $("main").hidden = true;
    $("token").focus();
    throw new Error("This service requires a token.");
  }
  const content = await answer.json();
  if (!answer.ok) throw new Error(content.error || `The service returned status ${answer.status}.`);
  return content;
}

const query = (path, values) => ask(`${path}?${new URLSearchParams(values)}`);
const who = () => (state.known ? (state.user ? { user: state.user } : {}) : { history: state.history.map((item) => item.item_id) });

function showProblem(problem) {
  if (problem && problem.name === "AbortError") return;
  $("problem").textContent = problem ? problem.message : "";
  $("problem").hidden = !problem;
}

// Who

async function pick(user) {
  Object.assign(state, { known: true, user, liked: [], skipped: [], chosen: null });
  $("user").value = user;
  try {
    const past = await query("/explorer/history", { user });
    if (user !== state.user) return;
    state.history = past.items;
    drawInterests(past.interests);
    $("history-heading").textContent = past.known ? `History, newest first (${past.events})` : "Unknown user: gets popular items";
  } catch (problem) {
    showProblem(problem);
  }
  await refresh();
}

function invent() {
  Object.assign(state, { known: false, history: [], liked: [], skipped: [], chosen: null });
  $("history-heading").textContent = "History, oldest first";
  drawInterests([]);
  refresh();
  $("search").focus();
}

function add(item) {
  if (state.known) return similar(item);
  if (!state.history.some((each) => each.item_id === item.item_id)) state.history.push(item);
  return refresh();
}

function drawInterests(found) {
  $("interests-box").hidden = !found.length;
  $("interest-from").textContent = "";
  const showOrigin = (each) => () => { $("interest-from").textContent = `${each.word}, from ${each.from.join("; ")}`; };
  $("interests").replaceChildren(...found.map((each) => element("li", {}, element("button", {
    type: "button", "aria-label": `Where ${each.word} comes from`, onclick: showOrigin(each),
  }, each.word, element("span", { class: "quiet" }, ` ${(100 * each.weight).toFixed(0)}%`)))));
}

function drawHistory() {
  const drop = (item) => element("button", {
    type: "button", "aria-label": `Remove ${item.title}`, onclick: () => {
      state.history = state.history.filter((each) => each !== item);
      refresh();
    },
  }, "×");
  $("history").replaceChildren(...state.history.map((item) => element("li", {},
    element("span", {}, item.title, element("span", { class: "quiet" }, item.genres.slice(0, 3).join(" · "))),
    state.known ? null : drop(item))));
  $("known").setAttribute("aria-pressed", state.known);
  $("invented").setAttribute("aria-pressed", !state.known);
  $("user-box").hidden = !state.known;
  $("invent-box").hidden = state.known;
}

// The list

// Whatever is shown, shown it is to this audience.
const audience = () => ($("age").value ? { audience_age: Number($("age").value) } : {});

// What the list is limited to, and what happened in this visit: an explanation is of the same list.
function filters() {
  const named = (id) => ($(id).value ? [$(id).value] : []);
  return {
    genres: named("genre"), languages: named("language"), media_types: named("media"),
    ...audience(),
    liked: state.liked.map((item) => item.item_id), skipped: state.skipped.map((item) => item.item_id),
  };
}

async function refresh() {
  drawHistory();
  drawVisit();
  if (pending) pending.abort();
  pending = new AbortController();
  const options = {
    ...who(), ...filters(), k: 12, shown: false, reasons: true,
    diversity: $("diversity").value / 100, freshness: $("freshness").value / 100,
  };
  try {
    const began = performance.now();
    const channel = $("beside").value, signal = pending.signal;
    [state.list, state.rival] = await Promise.all([
      ask("/recommend", options, signal), channel ? ask("/explorer/beside", { channel, wanted: options }, signal) : null,
    ]);
    $("timing").textContent = `${state.list.items.length} items in ${Math.max(1, Math.round(performance.now() - began))} ms`;
    showProblem(null);
    drawList();
  } catch (problem) {
    showProblem(problem);
  }
}

function hue(text) {
  let sum = 7;
  for (const letter of text) sum = (sum * 31 + letter.codePointAt(0)) % 9973;
  return (sum * 137) % 360; // near the golden angle: neighbours in number lie far apart in colour
}

const letters = (title) => [...title.replace(/^(the|a|an)\s+/i, "")].slice(0, 1).join("").toUpperCase();

// rival: the other list, where two are shown; own: whether the served version made this one.
function card(item, rival, own) {
  const act = (name, kind, label, action) => element("button", {
    type: "button", class: kind, "aria-label": `${label}: ${item.title}`, onclick: () => action(item),
  }, name);
  const there = rival && rival.items.find((each) => each.item_id === item.item_id);
  const moved = !rival ? null : !there ? ["only", "only in this list"] : there.rank === item.rank ? ["same", "same rank"] :
    ["moved", `${there.rank > item.rank ? "▲" : "▼"} rank ${there.rank} in the other list`];
  const main = item.reasons.find((reason) => reason.kind === "rule" || reason.share > 0) || item.reasons[0];
  return element("li", { class: "card", "data-item": item.item_id, "aria-current": state.chosen === item.item_id ? "true" : null },
    element("div", { class: "tile", "--hue": hue(item.genres[0] || item.title), "aria-hidden": "true" }, letters(item.title)),
    element("div", {},
      element("h2", {}, element("span", { class: "rank" }, `${item.rank}  `), item.title),
      moved ? element("p", { class: `place ${moved[0]}` }, moved[1]) : null,
      element("p", { class: "genres" }, item.genres.slice(0, 4).join(" · ")),
      main ? element("p", { class: "why" }, main.text) : null),
    element("div", { class: "acts" },
      act("Like", "yes", "Like", (each) => react(each, "like", own)), act("Skip", "no", "Skip", (each) => react(each, "skip", own)),
      ...(own ? [act("Why?", "", "Why", explain), act("Similar", "", "Similar to", similar)] : [])));
}

function drawList() {
  const name = state.known ? state.user : null;
  $("list-heading").textContent = name ? `Recommended for ${name}` : state.history.length ? "Recommended for this history" : "Popular now";
  const none = () => element("li", { class: "quiet" }, "No items match these filters. Remove one.");
  const cards = (list, other, own) => (list.items.length ? list.items.map((item) => card(item, other, own)) : [none()]);
  $("list").replaceChildren(...cards(state.list, state.rival, true));
  $("rival").replaceChildren(...(state.rival ? cards(state.rival, state.list, false) : []));
  drawRival();
}

function drawRival() {
  const rival = state.rival;
  $("main").classList.toggle("two", Boolean(rival));
  for (const id of ["compared", "served-heading", "rival-box"]) $(id).hidden = !rival;
  if (!rival) return;
  const served = state.channels.find((each) => each.served), other = state.channels.find((each) => each.name === rival.channel);
  $("served-heading").textContent = `${served ? served.name : "served"} · version ${state.list.version.slice(0, 8)}`;
  $("rival-heading").textContent = `${rival.channel} · version ${rival.version.slice(0, 8)}${other && other.share ? ` · ${Math.round(100 * other.share)}% of users` : ""}`;
  const ids = new Set(rival.items.map((item) => item.item_id));
  const both = state.list.items.filter((item) => ids.has(item.item_id)).length;
  const same = state.list.items.filter((item, at) => rival.items[at] && rival.items[at].item_id === item.item_id).length;
  $("compared").textContent = `${both} of ${state.list.items.length} items are in both lists, ${same} at the same rank`;
}

async function react(item, event, own) {
  const [to, from] = event === "like" ? ["liked", "skipped"] : ["skipped", "liked"];
  state[from] = state[from].filter((each) => each.item_id !== item.item_id);
  state[to].push(item);
  const slate = { slate_id: (own ? state.list : state.rival).slate_id, position: item.rank, propensity: item.propensity };
  if (!own) slate.variant = state.rival.channel;
  if (state.known && state.user) {
    ask("/feedback", { events: [{ user_id: state.user, item_id: item.item_id, event, ...slate }] }).catch(() => {});
  }
  await refresh();
  $("list-heading").focus({ preventScroll: true });
}

function drawVisit() {
  const chip = (item, kind) => element("li", {}, element("button", {
    type: "button", class: kind === "liked" ? "like" : "skipped", "aria-label": `Undo: ${kind} ${item.title}`, onclick: () => {
      state[kind] = state[kind].filter((each) => each !== item);
      refresh();
    },
  }, `${kind === "liked" ? "♥" : "✕"} ${item.title}`));
  $("visited").replaceChildren(...state.liked.map((item) => chip(item, "liked")), ...state.skipped.map((item) => chip(item, "skipped")));
  $("visit").hidden = !state.liked.length && !state.skipped.length;
}

// One item

function choose(item, heading) {
  state.chosen = item.item_id;
  for (const each of document.querySelectorAll(".card")) {
    if (each.dataset.item === item.item_id) each.setAttribute("aria-current", "true");
    else each.removeAttribute("aria-current");
  }
  $("detail-heading").textContent = heading;
}

function showDetail(...parts) {
  $("detail").replaceChildren(...parts.filter((part) => part !== null));
  $("detail-heading").focus({ preventScroll: window.innerWidth > 1150 && !state.rival });
}

async function explain(item) {
  choose(item, "Why this?");
  const past = state.known ? { user: state.user } : { history: state.history.map((each) => each.item_id).join(",") };
  const given = Object.entries({ ...past, ...filters() }).filter(([, value]) => String(value ?? "").length);
  try {
    const explanation = await query("/explain", { item: item.item_id, ...Object.fromEntries(given) });
    const bar = (reason) => element("li", { class: "bar" }, element("span", {}, reason.text),
      reason.share ? element("b", {}, `${Math.round(100 * reason.share)}%`) : null,
      reason.share ? element("i", { "--share": `${100 * reason.share}%`, "aria-hidden": "true" }) : null);
    const place = (rank) => (rank ? `rank ${rank}` : "not a candidate");
    showDetail(
      element("strong", {}, explanation.title), element("p", { class: "quiet" }, `${explanation.rank ? `rank ${explanation.rank}` : "not"} among the model's candidates${explanation.left_out === "rule" ? ", hidden by a rule" : ""}`),
      element("h3", {}, "Reasons"), element("ul", {}, ...explanation.reasons.map(bar)),
      explanation.evidence.length ? element("h3", {}, "Rank without this item in the history") : null,
      explanation.evidence.length ? element("ul", {}, ...explanation.evidence.map((each) => element("li", { class: "bar" },
        element("span", {}, each.title), element("b", {}, place(each.rank))))) : null);
  } catch (problem) {
    showProblem(problem);
  }
}

async function similar(item) {
  choose(item, "Similar");
  try {
    const found = await query("/similar", { item: item.item_id, k: 10, ...audience() });
    showDetail(element("strong", {}, item.title), element("p", { class: "quiet" }, "most similar in content"),
      element("ul", {}, ...found.items.map((near) => element("li", { class: "near" },
        element("span", {}, near.title, element("span", { class: "quiet" }, ` ${near.score.toFixed(2)}`)),
        element("button", { type: "button", "aria-label": `Similar to ${near.title}`, onclick: () => similar(near) }, "Similar")))));
  } catch (problem) {
    showProblem(problem);
  }
}

// Search

let typing = 0;

function search() {
  const text = $("search").value.trim();
  const turn = ++typing;
  if (!text) return $("found").replaceChildren();
  return window.setTimeout(async () => {
    if (turn !== typing) return;
    try {
      const found = await query("/search", { q: text, k: 8, ...audience() });
      if (turn !== typing) return;
      $("found").replaceChildren(...(found.items.length ? found.items.map((item) => element("li", {}, element("button", {
        type: "button", "aria-label": `${state.known ? "Show" : "Add"} ${item.title}`, onclick: () => add(item),
      }, item.title, element("span", { class: "quiet" }, item.genres.slice(0, 3).join(" · "))))) :
        [element("li", { class: "none quiet" }, "No results.")]));
    } catch (problem) {
      showProblem(problem);
    }
  }, 120);
}

// Start

function theme(name) {
  document.documentElement.dataset.theme = name;
}

function ago(seconds) {
  if (seconds === null) return "";
  const [size, unit] = seconds < 5400 ? [60, "minute"] : seconds < 129600 ? [3600, "hour"] : [86400, "day"];
  const count = Math.max(0, Math.round(seconds / size));
  return `, published ${count} ${unit}${count === 1 ? "" : "s"} ago`;
}

async function status() {
  const ready = await ask("/ready");
  const counts = `${ready.items.toLocaleString("en")} items, ${ready.users.toLocaleString("en")} users`;
  $("version").textContent = `version ${ready.version.slice(0, 8)}${ago(ready.age_s)} · ${counts}${ready.fault ? " · refresh failed" : ""}`;
}

function fill(id, values, box) {
  $(id).append(...values.map((value) => element("option", { value }, value)));
  if (box) $(box).hidden = values.length < 2;
}

function drawUnmatched(count, unmatched) {
  const named = unmatched.slice(0, 5).join(", ") + (unmatched.length > 5 ? ", …" : "");
  $("unmatched").textContent = `${unmatched.length} of ${count} editorial rules match no item and have no effect: ${named}`;
  $("unmatched").hidden = !unmatched.length;
}

async function begin() {
  try {
    await status();
    const choices = await ask("/explorer/choices");
    state.users = choices.users;
    $("users").append(...choices.users.map((user) => element("option", { value: user })));
    $("another").hidden = !choices.users.length;
    state.channels = await ask("/explorer/channels");
    fill("beside", state.channels.filter((each) => !each.served).map((each) => each.name), null);
    $("beside-box").hidden = $("beside").options.length < 2;
    fill("genre", choices.genres, "genre-box");
    fill("language", choices.languages, "language-box");
    fill("media", choices.media_types, "media-box");
    $("age-box").hidden = !choices.ages;
    drawUnmatched(choices.rules, choices.unmatched_rules);
    if (choices.users.length) await pick(choices.users[0]);
    else invent();
  } catch (problem) {
    showProblem(problem);
  }
}

theme(localStorage.getItem("nightreel-theme") || (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light"));
$("theme").addEventListener("click", () => {
  const next = document.documentElement.dataset.theme === "dark" ? "light" : "dark";
  localStorage.setItem("nightreel-theme", next);
  theme(next);
});
$("known").addEventListener("click", () => pick(state.user || (state.users || [])[0] || ""));
$("invented").addEventListener("click", invent);
$("user").addEventListener("change", () => pick($("user").value.trim()));
$("another").addEventListener("click", () => pick(state.users[(state.users.indexOf(state.user) + 1) % state.users.length]));
$("search").addEventListener("input", search);
for (const name of ["diversity", "freshness"]) {
  $(name).addEventListener("input", () => {
    $(`${name}-value`).textContent = `${$(name).value}%`;
    refresh();
  });
}
for (const name of ["beside", "genre", "language", "media"]) $(name).addEventListener("change", refresh);
$("age").addEventListener("change", () => $("age").reportValidity() && refresh());
$("forget").addEventListener("click", () => {
  Object.assign(state, { liked: [], skipped: [] });
  refresh();
});
$("token-form").addEventListener("submit", (event) => {
  event.preventDefault();
  sessionStorage.setItem("nightreel-token", $("token").value);
  $("token-form").hidden = true;
  $("main").hidden = false;
  begin();
});
begin();
window.setInterval(() => status().catch(() => {}), 30000);
