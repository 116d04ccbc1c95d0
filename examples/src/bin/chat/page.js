// One room in one tab. The server's words are in words.rs. Messages are known by their ids: after a reconnect the history
// brings some of them again.
"use strict";

const $ = (id) => document.getElementById(id);
const seen = new Set();
const users = new Set();
const typing = new Map();
let socket, name, room, wait = 500, lastTyping = 0;

$("door").addEventListener("submit", (event) => {
  event.preventDefault();
  name = $("name").value.trim();
  room = $("room").value.trim();
  $("door").hidden = true;
  $("chat").hidden = false;
  $("title").textContent = room;
  document.title = `${room} – Chat`;
  connect();
  $("text").focus();
});

function connect() {
  const url = new URL(`/rooms/${encodeURIComponent(room)}`, location.href);
  url.protocol = location.protocol === "https:" ? "wss:" : "ws:";
  url.searchParams.set("name", name);
  state("connecting…");
  socket = new WebSocket(url);
  socket.onopen = () => { wait = 500; state("connected"); };
  socket.onmessage = (event) => hear(JSON.parse(event.data));
  socket.onclose = (event) => {
    // Spread, so that a room does not come back at once.
    const later = wait * (1 + Math.random());
    wait = Math.min(wait * 2, 15000);
    state(`disconnected (${event.code}${event.reason ? ": " + event.reason : ""}), trying again`);
    setTimeout(connect, later);
  };
}

function hear(told) {
  switch (told.type) {
    case "said": return message(told);
    case "present": users.clear(); told.users.forEach((user) => users.add(user)); return list();
    case "came": users.add(told.user); note(`${told.user} came`); return list();
    case "went": users.delete(told.user); note(`${told.user} went`); return list();
    case "typing": return writes(told.user);
    case "gap": return note("some messages of other servers may be missing");
    case "wrong": return note(told.why);
  }
}

function message(told) {
  if (seen.has(told.id)) return;
  seen.add(told.id);
  const line = document.createElement("li");
  const who = document.createElement("b");
  const when = document.createElement("time");
  who.textContent = told.user;
  when.dateTime = new Date(told.at).toISOString();
  when.textContent = new Date(told.at).toLocaleTimeString();
  line.append(who, told.text, when);
  stopped(told.user);
  show(line);
}

function note(text) {
  const line = document.createElement("li");
  line.className = "note";
  line.textContent = text;
  show(line);
}

function show(line) {
  const all = $("messages");
  const below = all.scrollHeight - all.scrollTop - all.clientHeight;
  all.append(line);
  while (all.children.length > 500) all.firstChild.remove();
  if (below < 40) all.scrollTop = all.scrollHeight;
}

function list() {
  const items = [...users].sort().map((user) => {
    const item = document.createElement("li");
    item.textContent = user;
    return item;
  });
  $("users").replaceChildren(...items);
}

function writes(user) {
  clearTimeout(typing.get(user));
  typing.set(user, setTimeout(() => stopped(user), 3000));
  said();
}

function stopped(user) {
  clearTimeout(typing.get(user));
  typing.delete(user);
  said();
}

function said() {
  const who = [...typing.keys()].sort();
  $("typing").textContent = who.length ? `${who.join(", ")} ${who.length > 1 ? "are" : "is"} typing…` : "";
}

function state(text) {
  $("state").textContent = text;
}

function send(words) {
  if (socket.readyState !== WebSocket.OPEN) return false;
  socket.send(JSON.stringify(words));
  return true;
}

$("say").addEventListener("submit", (event) => {
  event.preventDefault();
  const text = $("text").value.trim();
  // What could not be sent stays to be sent later.
  if (text && send({ type: "say", text })) $("text").value = "";
});

$("text").addEventListener("input", () => {
  if (Date.now() - lastTyping > 1500 && send({ type: "typing" })) lastTyping = Date.now();
});
