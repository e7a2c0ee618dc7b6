// What outlives a page and is the same for all tabs. No token is among it.

let database = null;

export const get = (name) => run("readonly", (store) => store.get(name));

/** Ends when it is on the disk. */
export const put = (name, value) => run("readwrite", (store) => store.put(value, name));

export const drop = (name) => run("readwrite", (store) => store.delete(name));

async function run(mode, work) {
  const transaction = (await open()).transaction("kept", mode, { durability: "strict" });
  const request = work(transaction.objectStore("kept"));
  return new Promise((resolve, reject) => {
    transaction.oncomplete = () => resolve(request.result);
    transaction.onabort = () => reject(transaction.error);
  });
}

function open() {
  database ??= new Promise((resolve, reject) => {
    const request = indexedDB.open("session", 1);
    request.onupgradeneeded = () => request.result.createObjectStore("kept");
    request.onsuccess = () => {
      request.result.onclose = () => { database = null; };
      resolve(request.result);
    };
    request.onerror = () => {
      database = null;
      reject(request.error);
    };
  });
  return database;
}
