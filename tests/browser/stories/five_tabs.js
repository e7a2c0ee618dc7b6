// E3: five tabs with one session, whose token expires under all of them at once.
import assert from 'node:assert/strict';

import { until } from '../until.js';
import { User } from '../user.js';

export const expected = ['/api/me 401'];

export default async function fiveTabs({ browser, gate, step }) {
  const device = await browser.device();
  const tabs = [await User.at(device, gate.url)];
  const [first] = tabs;

  await step('sign in on one, open four more: all are in', async () => {
    await first.signIn();
    await first.isIn();
    while (tabs.length < 5) tabs.push(await User.at(device, gate.url));
    await Promise.all(tabs.map((tab) => tab.isIn()));
  });
  await step('the token expires, and all call: each gets its answer after one refresh', async () => {
    await Promise.all(tabs.map((tab) => tab.early(false)));
    await first.press('Refresh now');
    await first.hears('The access token is a new one.');
    await Promise.all(tabs.map((tab) => tab.expiry()));
    const from = gate.passed.length;
    const release = gate.hold('/refresh');
    await first.press('Call from every tab');
    await until(() => gate.all('/refresh').at(-1).status === undefined);
    await until(() => gate.all('/api/me').filter((it) => it.status === 401).length === 5);
    release();
    await Promise.all(tabs.map((tab) => tab.hears('The API knows you: alice. The token was refreshed first.')));
    const lines = gate.lines(from).sort();
    const expected = ['GET /api/me 200', 'GET /api/me 401'].flatMap((it) => Array(5).fill(it));
    assert.deepEqual(lines, [...expected, 'POST /refresh 200']);
    await browser.shoot(first.page, 'five-tabs');
  });
  await step('left alone, they refresh ahead of time for a while', async () => {
    await Promise.all(tabs.map((tab) => tab.early(true)));
    const before = gate.all('/refresh').length;
    await until(() => gate.all('/refresh').length >= before + 3);
    await Promise.all(tabs.map((tab) => tab.press('Call the API')));
    await Promise.all(tabs.map((tab) => tab.hears('The API knows you: alice.')));
  });
  await step('no two ever refreshed at once, and none was refused', async () => {
    // One may be under way.
    await until(() => gate.all('/refresh').every((refresh) => refresh.status !== undefined));
    assert.equal(gate.most, 1);
    assert.deepEqual(new Set(gate.all('/refresh').map((it) => it.status)), new Set([200]));
  });
  await step('a log-out on one is a log-out on all', async () => {
    await tabs[2].press('Log out everywhere');
    await Promise.all(tabs.map((tab) => tab.isOut()));
    assert.deepEqual(await device.cookies(), []);
  });
}
