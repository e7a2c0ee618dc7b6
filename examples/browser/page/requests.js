// Sends requests and lists each as it happens, the newest first.

const MOST = 60;

export class Requests {
  #list = document.querySelector("#requests");
  #row = document.querySelector("#request");
  #none = document.querySelector("#no-requests");

  /** Fails if no answer comes. */
  async send(method, path, { headers, body, note = "" } = {}) {
    const row = this.#add(method, path, note);
    const begin = performance.now();
    const end = (kind, text) => {
      show(row, ".status", text).dataset.kind = kind;
      show(row, ".took", `${Math.round(performance.now() - begin)} ms`);
    };
    try {
      const signal = AbortSignal.timeout(10_000);
      const answer = await fetch(path, { method, headers, body, signal, cache: "no-store", redirect: "error" });
      end(kindOf(answer.status), answer.status);
      return answer;
    } catch {
      end("failed", "no answer");
      throw new Error("The server does not answer.");
    }
  }

  /** Something that is no request. */
  remark(text) {
    this.#add("", "", text).querySelector(".status").remove();
  }

  #add(method, path, note) {
    const row = this.#row.content.firstElementChild.cloneNode(true);
    show(row, ".method", method);
    show(row, ".path", path.replace(/[\w-]{12,}/, (id) => `${id.slice(0, 6)}…`));
    show(row, ".note", note);
    show(row, "time", new Date().toLocaleTimeString());
    this.#none.hidden = true;
    this.#list.prepend(row);
    while (this.#list.childElementCount > MOST) this.#list.lastElementChild.remove();
    return row;
  }
}

function show(row, selector, text) {
  const element = row.querySelector(selector);
  element.textContent = text;
  return element;
}

function kindOf(status) {
  if (status < 400) return "ok";
  return status === 401 ? "refused" : "failed";
}
