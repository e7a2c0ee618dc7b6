// Stands between the browser and the server: notes what passes, and loses or replaces an answer.
import { createServer, request as send } from 'node:http';

export class Gate {
  /** Each request as { method, path, headers, at, status }; the status is missing until it is answered. */
  passed = [];
  /** How many refreshes were under way at once, at most. */
  most = 0;
  #server;
  #target;
  #spells = [];
  #refreshing = 0;

  static async open(target) {
    const gate = new Gate();
    gate.#target = target;
    gate.#server = createServer((...exchange) => gate.#pass(...exchange));
    gate.url = `http://localhost:${await listen(gate.#server)}`;
    return gate;
  }

  close() {
    this.#server.closeAllConnections();
    this.#server.close();
  }

  /** The server gets the next request to `path`, and its answer gets nowhere. */
  lose(path) { this.#spells.push({ path, lost: true }); }

  /** The server does not get the next request to `path`, which is answered so. */
  answer(path, status, headers = {}) { this.#spells.push({ path, status, headers }); }

  /** The next request to `path` waits until the function that this returns is called. */
  hold(path) {
    let release;
    const held = new Promise((resolve) => { release = resolve; });
    this.#spells.push({ path, held });
    return release;
  }

  all(path) { return this.passed.filter((it) => it.path === path); }

  /** Like `POST /refresh 200`, since the first `from`. */
  lines(from = 0) { return this.passed.slice(from).map(({ method, path, status }) => `${method} ${path} ${status}`); }

  async #pass(request, response) {
    const path = request.url;
    const { method, headers } = request;
    const entry = { method, path, headers, at: performance.now() };
    this.passed.push(entry);
    const at = this.#spells.findIndex((it) => it.path === path);
    const [spell = {}] = at < 0 ? [] : this.#spells.splice(at, 1);
    if (path === '/refresh') this.most = Math.max(this.most, this.#refreshing += 1);
    response.on('close', () => { if (path === '/refresh') this.#refreshing -= 1; });
    await spell.held;
    const end = (status) => { entry.status = status; };
    // A connection that was used before would be tried again by the browser itself.
    response.shouldKeepAlive = false;
    if (spell.status) {
      end(spell.status);
      return response.writeHead(spell.status, spell.headers).end();
    }
    const onward = send(new URL(path, this.#target), { method, headers }, (answer) => {
      end(spell.lost ? 'lost' : answer.statusCode);
      if (spell.lost) return onward.destroy(), response.destroy();
      response.writeHead(answer.statusCode, answer.rawHeaders);
      answer.pipe(response);
    });
    onward.on('error', () => response.destroy());
    response.on('close', () => onward.destroy());
    request.pipe(onward);
  }
}

/** Listens on a free port of the loopback address, and says which. */
export const listen = (server) => new Promise((resolve) => {
  server.listen(0, '127.0.0.1', () => resolve(server.address().port));
});
