// Tells what a thief of the refresh token gets, and what the server notices.

import { alone } from "./session.js";

export class Thief {
  #requests;
  #story = document.querySelector("#story");
  #id = null;

  constructor(requests) {
    this.#requests = requests;
  }

  /** The server copies the cookie of this request and refreshes with it, before the owner does. */
  async steal() {
    await alone(async () => {
      const note = "the thief copies the cookie, and refreshes";
      const answer = await this.#requests.send("POST", "/demo/thief", { note });
      if (!answer.ok) throw new Error("There was nothing to steal.");
      this.#id = (await answer.json()).thief;
      this.#story.replaceChildren();
      this.#tell("The thief has copied your refresh token, and has refreshed before you did.");
      const { api, refresh } = await this.#try();
      this.#tell(`The thief calls the API: ${api}. Refreshes again: ${refresh}. For the server, the thief is you.`);
      this.#tell("Your copy is old now. When it is used, the server sees that there are two.");
    });
  }

  /** To be called when the session is over. */
  async watch() {
    if (!this.#id) return false;
    const { api, refresh, noticed } = await this.#try();
    this.#id = null;
    if (!noticed) return false;
    this.#tell("You refreshed with your copy. The server saw a token that was used before, and ended the session.");
    this.#tell(`The thief calls the API: ${api}. Refreshes: ${refresh}. Both are out.`);
    this.#tell("Only you know the password. A real server would now write to you.");
    return true;
  }

  clear() {
    this.#id = null;
    this.#story.replaceChildren();
  }

  async #try() {
    const note = "the thief uses what it stole";
    const answer = await this.#requests.send("POST", `/demo/thief/${this.#id}`, { note });
    return answer.json();
  }

  #tell(sentence) {
    const step = document.createElement("li");
    step.textContent = sentence;
    this.#story.append(step);
  }
}
