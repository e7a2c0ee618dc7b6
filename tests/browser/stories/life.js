// One user on one tab: the life of a session from sign-in to log-out.
import assert from 'node:assert/strict';

import { User } from '../user.js';

export const expected = ['/login 401', '/api/me 401'];

export default async function life({ browser, gate, step }) {
  const device = await browser.device();
  const user = await User.at(device, gate.url);

  await step('a stranger sees the door, and nothing is asked of the server', async () => {
    await user.isOut();
    assert.ok(gate.passed.every(({ method }) => method === 'GET'), gate.lines());
  });
  await step('a wrong password is said to be wrong', async () => {
    await user.signIn('alice', 'looking-glass');
    await user.hears('Name or password is wrong.');
  });
  await step('the right one signs in, and the token is counted down', async () => {
    await user.signIn();
    await user.isIn();
    await user.hears('Welcome, alice.');
    const left = async () => Number.parseInt(await user.page.locator('#left').textContent());
    const before = await left();
    await user.page.waitForFunction((before) => parseInt(document.querySelector('#left').textContent) < before, before);
  });
  await step('the API knows the user', async () => {
    await user.press('Call the API');
    await user.hears('The API knows you: alice.');
  });
  await step('a token that nears its end is refreshed without a 401', async () => {
    const refreshed = user.page.waitForResponse('**/refresh');
    assert.equal((await refreshed).status(), 200);
    assert.equal(gate.all('/api/me').filter(({ status }) => status === 401).length, 0);
  });
  await step('one that has expired: a 401, a refresh, and the same request again', async () => {
    await user.early(false);
    await user.expiry();
    const from = gate.passed.length;
    await user.press('Call the API');
    await user.hears('The API knows you: alice. The token was refreshed first.');
    const lines = ['GET /api/me 401', 'POST /refresh 200', 'GET /api/me 200'];
    assert.deepEqual(gate.lines(from), lines);
    await user.sees(lines);
    await browser.shoot(user.page, 'retried');
    await user.early(true);
  });
  await step('the user refreshes by hand', async () => {
    await user.press('Refresh now');
    await user.hears('The access token is a new one.');
  });
  await step('a reload stays signed in', async () => {
    await user.page.reload();
    await user.isIn();
  });
  await step('after log-out the cookie is gone, and a reload asks nothing', async () => {
    await user.press('Log out here');
    await user.hears('You have logged out.');
    await user.isOut();
    assert.deepEqual(await device.cookies(), []);
    const from = gate.passed.length;
    await user.page.reload();
    await user.isOut();
    assert.ok(gate.passed.slice(from).every(({ method }) => method === 'GET'), gate.lines(from));
  });
}
