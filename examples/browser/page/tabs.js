// The other tabs of this browser. What one tells, the others hear as an event.

export class Tabs extends EventTarget {
  #channel = new BroadcastChannel("session");

  constructor() {
    super();
    this.#channel.onmessage = ({ data: { what, detail } }) => {
      this.dispatchEvent(new CustomEvent(what, { detail }));
    };
  }

  tell(what, detail) {
    this.#channel.postMessage({ what, detail });
  }
}
