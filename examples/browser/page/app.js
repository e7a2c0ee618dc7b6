// Puts the page together: what a user does, and what is said of it.

import { countdown } from "./countdown.js";
import { Devices } from "./devices.js";
import { Requests } from "./requests.js";
import { Session } from "./session.js";
import { Tabs } from "./tabs.js";
import { Thief } from "./thief.js";

const at = (selector) => document.querySelector(selector);
const say = (sentence) => { at("#status").textContent = sentence; };

const requests = new Requests();
const tabs = new Tabs();
const session = new Session(requests, tabs);
const thief = new Thief(requests);
const devices = new Devices(session, (button, name, end) => act(button, async () => {
  await end();
  at("#devices-title").focus();
  return `The session of ${name} is over.`;
}));

/** Does what a button is for, once at a time, and says what came of it. */
async function act(button, work) {
  if (button.getAttribute("aria-disabled")) return;
  button.setAttribute("aria-disabled", "true");
  say("");
  try {
    const sentence = await work();
    if (sentence) say(sentence);
  } catch (error) {
    if (session.about || !at("#door").hidden) say(error.message);
  } finally {
    button.removeAttribute("aria-disabled");
  }
}

const onClick = (selector, work) => {
  const button = at(selector);
  button.addEventListener("click", () => act(button, work));
};

async function callApi() {
  const before = session.about?.tail;
  const answer = await session.call("GET", "/api/me");
  if (!session.about) return null;
  if (!answer.ok) return `The API answered ${answer.status}. ${nextTry()}`;
  const { sub } = await answer.json();
  const { tail } = session.about;
  return tail === before ? `The API knows you: ${sub}.` : `The API knows you: ${sub}. The token was refreshed first.`;
}

async function refresh() {
  if (await session.renew()) return "The access token is a new one.";
  return session.about ? `No refresh now. ${nextTry()}` : null;
}

const nextTry = () => `The next try is in ${Math.ceil(session.pause / 1_000)} s.`;

let user = null;

/** Shows the view of who is signed in, or the door. */
function show() {
  const next = session.about?.user ?? null;
  if (next === user && at("#door").hidden === Boolean(next)) return;
  user = next;
  at("#door").hidden = Boolean(user);
  for (const part of document.querySelectorAll("[data-signed-in]")) part.hidden = !user;
  at("#user").textContent = user ?? "";
  at("#theft").hidden = !user && !at("#story").childElementCount;
  at(user ? "#token-title" : "#door-title").focus();
  if (!user) return devices.clear();
  thief.clear();
  devices.load().catch((error) => say(error.message));
}

session.addEventListener("change", show);
session.addEventListener("end", async ({ detail }) => {
  say(detail);
  if (await thief.watch().catch(() => false)) say("Theft noticed: the session is over, for the thief and for you.");
});
tabs.addEventListener("call", () => session.about && act(at("#call"), callApi));

at("#sign-in").addEventListener("submit", (event) => {
  event.preventDefault();
  const form = event.target;
  act(form.querySelector("button"), async () => {
    const { username, password } = Object.fromEntries(new FormData(form));
    if (!await session.signIn(username, password)) {
      at("#password").select();
      return "Name or password is wrong.";
    }
    form.reset();
    return `Welcome, ${username}.`;
  });
});
at("#early").addEventListener("change", ({ target }) => { session.early = target.checked; });
onClick("#call", callApi);
onClick("#refresh", refresh);
onClick("#notice", refresh);
onClick("#call-all", () => {
  tabs.tell("call");
  return callApi();
});
onClick("#reload", async () => `Devices: ${await devices.load()}.`);
onClick("#log-out", async () => await session.logOut() ? null : "You are still signed in: the server could not be asked.");
onClick("#log-out-everywhere", async () =>
  await session.logOutEverywhere() ? null : "Not all devices are logged out: the server could not be asked.");
onClick("#steal", async () => {
  await thief.steal();
  return "Your token was stolen, and nobody has noticed yet.";
});

countdown(session);
if (isSecureContext) {
  await session.resume().catch(() => {});
  if (session.pause) say(`The server does not answer. ${nextTry()}`);
  show();
} else {
  say("Browsers keep the session's cookie only with TLS, or from this machine: open http://localhost.");
}
