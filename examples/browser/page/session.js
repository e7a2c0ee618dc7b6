// The session of this browser: the access token in memory, the refresh token in a cookie that no script can read.

import { Backoff } from "./backoff.js";
import * as kept from "./kept.js";

/** The idempotency key of a refresh that has begun, until its answer has come. */
const KEY = "idempotency key";
/** Who has signed in: without one there is no cookie to refresh with. */
const USER = "user";

/** Events: `change`, when there is another token or none; `end`, with a sentence that says why. */
export class Session extends EventTarget {
  #requests;
  #tabs;
  #token = null;
  /** When the newest was given, or the session ended: what tabs tell may come late. */
  #newest = 0;
  #isResuming = false;
  #early = true;
  #flight = null;
  #timer = null;
  #backoff = new Backoff();

  constructor(requests, tabs) {
    super();
    this.#requests = requests;
    this.#tabs = tabs;
    tabs.addEventListener("token", ({ detail }) => this.#hear(detail));
    tabs.addEventListener("end", ({ detail: { why, at } }) => at > this.#newest && this.#forget(why, at));
    document.addEventListener("visibilitychange", () => this.#schedule());
  }

  /** Of the access token everything but itself; null if there is none. */
  get about() {
    if (!this.#token) return null;
    const { access, user, lifetime, expiresAt } = this.#token;
    return { tail: access.slice(-4), user, lifetime, expiresAt };
  }

  /** Milliseconds until a refresh is tried again. */
  get pause() {
    return this.#backoff.wait;
  }

  /** Whether a token is replaced before it expires. */
  set early(early) {
    this.#early = early;
    this.#schedule();
  }

  /** After a reload the token is gone, but the cookie may be there. */
  async resume() {
    this.#isResuming = Boolean(await kept.get(USER));
    if (this.#isResuming) await this.renew();
  }

  /** Whether the password was right. */
  async signIn(username, password) {
    return alone(async () => {
      const headers = { "Content-Type": "application/json" };
      const body = JSON.stringify({ username, password });
      const answer = await this.#requests.send("POST", "/login", { headers, body });
      if (answer.status === 401) return false;
      if (!answer.ok) throw new Error(`The server answered ${answer.status}. Try again later.`);
      await kept.put(USER, username);
      await this.#take(answer);
      return true;
    });
  }

  /** Sends a request with the token; if it has expired, a second time with the next one. */
  async call(method, path) {
    const token = await this.#usable();
    const answer = await this.#send(method, path, token);
    if (!asksForNewer(answer)) return answer;
    const newer = await this.renew(token);
    return newer ? this.#send(method, path, newer, ", again") : answer;
  }

  /** The token after `old`; null if there is none now. Whoever comes meanwhile gets the same. */
  async renew(old = this.#token) {
    if (this.#token === old && !this.#backoff.wait) {
      this.#flight ??= alone(() => this.#refresh(old)).catch(() => this.#retreat()).finally(() => {
        this.#flight = null;
      });
      await this.#flight;
    }
    return this.#token === old ? null : this.#token;
  }

  /** Whether the server has ended it. */
  async logOut() {
    return alone(async () => {
      const { ok } = await this.#requests.send("POST", "/logout");
      if (ok) await this.#end("You have logged out.");
      return ok;
    });
  }

  /** First the other devices, then this one. */
  async logOutEverywhere() {
    const { ok } = await this.call("DELETE", "/sessions");
    return ok && this.logOut();
  }

  async #usable() {
    const token = this.#token;
    const isGood = token && (!this.#early || Date.now() < token.expiresAt - Math.min(10_000, token.lifetime / 10));
    const usable = isGood ? token : await this.renew(token) ?? this.#token;
    if (!usable) throw new Error("There is no access token now.");
    return usable;
  }

  #send(method, path, { access }, again = "") {
    const headers = { Authorization: `Bearer ${access}` };
    return this.#requests.send(method, path, { headers, note: `token ${access.slice(-4)}${again}` });
  }

  async #refresh(old) {
    for (let tries = 0; tries < 3; tries += 1) {
      const begun = await kept.get(KEY);
      // Another tab was faster, and has told.
      if (this.#token !== old) return;
      const key = begun ?? await newKey();
      const headers = { "Idempotency-Key": `"${key}"` };
      const note = begun ? "the idempotency key of before" : "a new idempotency key";
      const answer = await this.#requests.send("POST", "/refresh", { headers, note });
      if (answer.ok) return this.#take(answer);
      if (answer.status === 401) return this.#end("Your session is over. Please sign in again.");
      if (answer.status !== 409) return this.#retreat(answer.headers.get("Retry-After"));
      await kept.drop(KEY);
    }
    this.#retreat();
  }

  async #take(answer) {
    const { access_token: access, expires_in: seconds } = await answer.json();
    await kept.drop(KEY);
    const lifetime = seconds * 1_000;
    const at = Date.now();
    const token = { access, user: await kept.get(USER), lifetime, at, expiresAt: at + lifetime };
    this.#tabs.tell("token", token);
    this.#hold(token);
  }

  #hear(token) {
    if (token.at <= this.#newest) return;
    this.#requests.remark(`Another tab refreshed: token ${token.access.slice(-4)}`);
    this.#hold(token);
  }

  #hold(token) {
    this.#token = token;
    this.#newest = token.at;
    this.#isResuming = false;
    this.#backoff.succeeded();
    this.#schedule();
    this.dispatchEvent(new Event("change"));
  }

  async #end(why) {
    await kept.drop(KEY);
    await kept.drop(USER);
    const at = Date.now();
    this.#tabs.tell("end", { why, at });
    this.#forget(why, at);
  }

  #forget(why, at) {
    this.#token = null;
    this.#newest = at;
    this.#isResuming = false;
    this.#backoff.succeeded();
    this.#schedule();
    this.dispatchEvent(new Event("change"));
    this.dispatchEvent(new CustomEvent("end", { detail: why }));
  }

  /** No answer, or none that says how it stands: the same request again, later. */
  #retreat(retryAfter) {
    this.#backoff.failed(retryAfter);
    this.#schedule();
    this.dispatchEvent(new Event("change"));
  }

  /** A tab that nobody sees refreshes when it is looked at, or calls. */
  #schedule() {
    clearTimeout(this.#timer);
    const isWanted = this.#token ? this.#early : this.#isResuming;
    if (!isWanted || document.hidden) return;
    const { expiresAt, lifetime } = this.#token ?? { expiresAt: 0, lifetime: 0 };
    const ahead = Math.min(60_000, lifetime / 4) * (1 - Math.random() / 4);
    const wait = Math.max(expiresAt - ahead - Date.now(), this.#backoff.wait);
    // Timers may come a little early.
    this.#timer = setTimeout(() => this.#backoff.wait ? this.#schedule() : this.renew(), wait);
  }
}

/** While no tab refreshes, signs in or logs out: one at a time. */
export const alone = (work) => navigator.locks.request("session", work);

/** On the disk before it is sent: a page that is closed meanwhile asks again with the same. */
async function newKey() {
  const bytes = crypto.getRandomValues(new Uint8Array(32));
  const key = btoa(String.fromCharCode(...bytes)).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
  await kept.put(KEY, key);
  return key;
}

/** RFC 6750 s3.1: others, such as a lack of scope, no newer token would mend. */
function asksForNewer(answer) {
  const challenge = answer.headers.get("WWW-Authenticate") ?? "";
  return answer.status === 401 && challenge.includes('error="invalid_token"');
}
