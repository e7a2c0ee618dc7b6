// How long to leave a server alone that does not refresh.

const SHORTEST = 1_000;
const LONGEST = 60_000;
const LONGEST_ON_REQUEST = 300_000;

export class Backoff {
  #failures = 0;
  #until = 0;

  /** Milliseconds from now. */
  get wait() {
    return Math.max(0, this.#until - Date.now());
  }

  /** `retryAfter`: the seconds that the server asked for, if it did. */
  failed(retryAfter) {
    const pause = Math.min(LONGEST, SHORTEST * 2 ** this.#failures);
    const jittered = pause * (1 + Math.random() / 4);
    const asked = Math.min(LONGEST_ON_REQUEST, Number(retryAfter) * 1_000 || 0);
    this.#failures += 1;
    this.#until = Date.now() + Math.max(jittered, asked);
  }

  succeeded() {
    this.#failures = 0;
    this.#until = 0;
  }
}
