// Plays one story of `stories/` in Chromium. Exit code 1, and the step at which it failed, if it does not hold.
//   node run.js STORY SERVER-URL CHROMIUM SCREENSHOTS
import assert from 'node:assert/strict';

import { Browser } from './browser.js';
import { Gate } from './gate.js';

const [name, server, path, screenshots] = process.argv.slice(2);
const { default: play, expected } = await import(`./stories/${name}.js`);
const gate = await Gate.open(server);
const browser = await Browser.start({ path, screenshots, expected });

let current = 'start';
const step = (sentence, work) => {
  current = sentence;
  return work();
};

try {
  await play({ browser, gate, step });
  current = 'no page complained';
  assert.deepEqual(browser.complaints, []);
} catch (error) {
  process.exitCode = 1;
  console.error(`story "${name}" failed at the step "${current}":\n${error.stack}`);
  console.error(`what passed:\n  ${gate.lines().join('\n  ')}`);
  console.error(`complaints:\n  ${browser.complaints.join('\n  ')}`);
  console.error(`the pages say:\n  ${(await browser.shootAll(`failed-${name}`)).join('\n  ')}`);
} finally {
  await browser.close();
  gate.close();
}
