// The user's sessions: one for each device. Any of them can be ended here.

const BROWSERS = [["Edg", "Edge"], ["OPR", "Opera"], ["Firefox"], ["Chrome"], ["Safari"]];
const SYSTEMS = [["Android"], ["iPhone"], ["iPad"], ["Windows"], ["Mac OS X", "macOS"], ["CrOS", "ChromeOS"], ["Linux"]];

export class Devices {
  #session;
  #list = document.querySelector("#device-list");
  #row = document.querySelector("#device");
  #onEnd;

  /** `onEnd` is called with the name of a device whose session the user wants to end, and how. */
  constructor(session, onEnd) {
    this.#session = session;
    this.#onEnd = onEnd;
  }

  async load() {
    const answer = await this.#session.call("GET", "/sessions");
    if (!answer.ok) throw new Error("The list of devices could not be loaded.");
    const sessions = await answer.json();
    sessions.sort((a, b) => b.current - a.current || b.rotated_at - a.rotated_at);
    this.#list.replaceChildren(...sessions.map((it) => this.#show(it)));
    return sessions.length;
  }

  clear() {
    this.#list.replaceChildren();
  }

  #show({ sid, user_agent: program, ip, created_at: since, rotated_at: last, current }) {
    const row = this.#row.content.firstElementChild.cloneNode(true);
    const name = nameOf(program ?? "");
    row.querySelector(".name").textContent = name;
    row.querySelector(".hint").textContent =
      `${ip ?? "unknown address"}, signed in ${timeOf(since)}, last refresh ${timeOf(last)}`;
    const button = row.querySelector("button");
    if (current) {
      row.querySelector(".name").append(" (this one)");
      button.remove();
    } else {
      button.setAttribute("aria-label", `End the session of ${name}, signed in ${timeOf(since)}`);
      button.addEventListener("click", () => this.#onEnd(button, name, () => this.#end(sid)));
    }
    return row;
  }

  async #end(sid) {
    const { ok, status } = await this.#session.call("DELETE", `/sessions/${sid}`);
    // Somebody else was faster.
    if (!ok && status !== 404) throw new Error("The session could not be ended.");
    await this.load();
  }
}

const timeOf = (seconds) => new Date(seconds * 1_000).toLocaleTimeString();

function nameOf(program) {
  const find = (names) => names.find(([mark]) => program.includes(mark));
  const [browser, system] = [find(BROWSERS), find(SYSTEMS)];
  return browser && system ? `${browser.at(-1)} on ${system.at(-1)}` : program || "Unknown program";
}
