// The page's behaviour: it lists, searches, adds, edits and deletes through the JSON interface, and lists anew when another
// page has changed something.
"use strict";

const at = (id) => document.getElementById(id);
const editor = at("editor");
const state = { q: "", page: 1, editing: null, asked: 0 };

async function ask(method, path, body) {
  const options = { method };
  if (body !== undefined) {
    options.headers = { "content-type": "application/json" };
    options.body = JSON.stringify(body);
  }
  let response;
  try {
    response = await fetch(path, options);
  } catch {
    throw { detail: "The server does not answer. Is it still running?" };
  }
  if (response.status === 204) return null;
  const answer = await response.json();
  if (!response.ok) throw answer;
  return answer;
}

function show(found) {
  const { total, page, per_page, notes } = found;
  const pages = Math.max(1, Math.ceil(total / per_page));
  if (page > pages) {
    state.page = pages;
    return list();
  }
  const noun = total === 1 ? "note" : "notes";
  at("count").textContent = total === 0 && !state.q
    ? "No notes yet. Write the first one."
    : `${total} ${noun}${state.q ? ` with “${state.q}”` : ""}`;
  at("notes").replaceChildren(...notes.map(card));
  at("pages").hidden = pages === 1;
  at("page").textContent = `page ${page} of ${pages}`;
  at("newer").disabled = page === 1;
  at("older").disabled = page === pages;
}

function card(note) {
  const made = at("note").content.cloneNode(true);
  const part = (selector) => made.querySelector(selector);
  part("h3").textContent = note.title;
  part(".text").textContent = note.text;
  part(".tags").replaceChildren(...note.tags.map((tag) => {
    const badge = document.createElement("span");
    badge.className = "tag";
    badge.textContent = tag;
    return badge;
  }));
  const when = new Date(note.updated);
  part("time").dateTime = when.toISOString();
  part("time").textContent = when.toLocaleString([], { dateStyle: "medium", timeStyle: "short" });
  part(".edit").onclick = () => edit(note);
  part(".delete").onclick = () => remove(note);
  return made;
}

async function list() {
  const turn = ++state.asked;
  const query = new URLSearchParams({ q: state.q, page: state.page, per_page: 10 });
  try {
    const found = await ask("GET", `/notes?${query}`);
    // An answer that was overtaken by a later question is not shown.
    if (turn === state.asked) await show(found);
  } catch (problem) {
    complain(problem);
  }
}

function edit(note) {
  state.editing = note ? note.id : null;
  complain(null);
  at("heading").textContent = note ? "Edit note" : "New note";
  at("save").textContent = note ? "Save" : "Add note";
  at("cancel").hidden = !note;
  editor.elements.title.value = note ? note.title : "";
  editor.elements.text.value = note ? note.text : "";
  editor.elements.tags.value = note ? note.tags.join(" ") : "";
  editor.elements.title.focus();
}

// Shows a problem document: each error at its field, whatever is left below the form.
function complain(problem) {
  const errors = (problem && problem.errors) || [];
  for (const place of editor.querySelectorAll("[data-field]")) {
    const field = place.dataset.field;
    const own = errors.filter((error) => error.field.replace(/\[.*/, "") === field);
    place.textContent = own.map((error) => `${error.field} ${error.message}`).join("; ");
    editor.elements[field].setAttribute("aria-invalid", String(own.length > 0));
  }
  const general = problem && errors.length === 0;
  at("problem").textContent = general ? problem.detail || problem.title || String(problem) : "";
}

async function save(event) {
  event.preventDefault();
  const { title, text, tags } = editor.elements;
  const draft = {
    title: title.value,
    text: text.value,
    tags: tags.value.split(/\s+/).filter(Boolean),
  };
  try {
    if (state.editing === null) {
      await ask("POST", "/notes", draft);
      state.page = 1;
    } else {
      await ask("PUT", `/notes/${state.editing}`, draft);
    }
    edit(null);
    await list();
  } catch (problem) {
    complain(problem);
  }
}

async function remove(note) {
  if (!confirm(`Delete “${note.title}”?`)) return;
  try {
    await ask("DELETE", `/notes/${note.id}`);
    if (state.editing === note.id) edit(null);
    await list();
  } catch (problem) {
    complain(problem);
  }
}

function turn(by) {
  state.page += by;
  list();
}

// Asks for an export in the background, and then how far it has come, until it has ended.
async function exportAll() {
  at("export").disabled = true;
  try {
    let job = await ask("POST", "/exports");
    progress(job);
    while (job.state === "pending" || job.state === "running") {
      await new Promise((done) => setTimeout(done, 400));
      job = await ask("GET", `/exports/${job.id}`);
      progress(job);
    }
  } catch (problem) {
    at("export-text").textContent = problem.detail || problem.title || String(problem);
  }
  at("export").disabled = false;
}

function progress(job) {
  const { state, attempt, attempts, done, total, error, file } = job;
  const retry = error ? ` Attempt ${job.state === "running" ? attempt - 1 : attempt} of ${attempts} failed: ${error}.` : "";
  const texts = {
    pending: error ? `${retry} It is tried again.` : "The export waits for its turn.",
    running: `Exporting ${done} of ${total} notes.${retry}`,
    succeeded: `Exported ${done} notes${attempt > 1 ? ` in ${attempt} attempts` : ""}.`,
    dead: `The export failed: ${error}.`,
    cancelled: "The export was cancelled.",
  };
  at("exporting").hidden = false;
  at("export-text").textContent = texts[state] || state;
  at("export-progress").value = state === "succeeded" ? 1 : done / Math.max(1, total);
  at("export-file").hidden = !file;
  if (file) at("export-file").href = file;
}

let typing;
at("search").addEventListener("input", (event) => {
  clearTimeout(typing);
  typing = setTimeout(() => {
    state.q = event.target.value.trim();
    state.page = 1;
    list();
  }, 150);
});
editor.addEventListener("submit", save);
at("cancel").addEventListener("click", () => edit(null));
at("export").addEventListener("click", exportAll);
at("newer").addEventListener("click", () => turn(-1));
at("older").addEventListener("click", () => turn(1));
list();

// A page that was away may have missed something: it lists anew whenever it is connected.
function live(wait) {
  const url = new URL("/live", location.href);
  url.protocol = url.protocol.replace("http", "ws");
  const socket = new WebSocket(url);
  const root = document.documentElement;
  socket.onopen = () => {
    wait = 500;
    root.dataset.live = "yes";
    list();
  };
  socket.onmessage = list;
  socket.onclose = () => {
    root.dataset.live = "no";
    setTimeout(() => live(Math.min(wait * 2, 15000)), wait * (1 + Math.random()));
  };
}
live(500);
