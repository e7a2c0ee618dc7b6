// A network that loses answers, and a server that asks for patience: nobody is signed out, and nobody storms.
import assert from 'node:assert/strict';

import { User } from '../user.js';

export const expected = ['/refresh ERR_EMPTY_RESPONSE', '/refresh 503', '/refresh 409', '/refresh 500'];

export default async function lostAnswers({ browser, gate, step }) {
  const user = await User.at(await browser.device(), gate.url);
  const keys = (from) => gate.all('/refresh').slice(from).map((it) => it.headers['idempotency-key']);
  const refreshes = () => gate.all('/refresh').length;

  await step('sign in', async () => {
    await user.signIn();
    await user.isIn();
    await user.early(false);
  });
  await step('a lost answer is asked for again with the same key', async () => {
    const from = refreshes();
    gate.lose('/refresh');
    await user.press('Refresh now');
    await user.hears('No refresh now. The next try is in 2 s.');
    await user.early(true);
    const answer = await user.page.waitForResponse('**/refresh');
    assert.equal(answer.status(), 200);
    const [lost, again] = keys(from);
    assert.match(lost, /^"[\w-]{43}"$/);
    assert.equal(again, lost);
    await user.early(false);
  });
  await step('also after a reload', async () => {
    const from = refreshes();
    gate.lose('/refresh');
    await user.press('Refresh now');
    await user.hears('No refresh now.');
    await user.page.reload();
    await user.isIn();
    const [lost, again, ...others] = keys(from);
    assert.deepEqual([again, others], [lost, []]);
  });
  await step('the next refresh has another key', async () => {
    await user.early(false);
    const from = refreshes();
    await user.press('Refresh now');
    await user.hears('The access token is a new one.');
    assert.notEqual(keys(from)[0], keys(from - 1)[0]);
  });
  await step('a page that is opened while the server fails comes in by itself', async () => {
    gate.answer('/refresh', 500);
    await user.page.reload();
    await user.hears('The server does not answer. The next try is in 2 s.');
    await user.isIn();
    await user.early(false);
  });
  await step('409 means: ask again, with another key', async () => {
    const from = refreshes();
    gate.answer('/refresh', 409);
    await user.press('Refresh now');
    await user.page.waitForResponse((it) => it.url().endsWith('/refresh') && it.ok());
    const [superseded, again, ...others] = keys(from);
    assert.notEqual(again, superseded);
    assert.deepEqual(others, []);
  });
  await step('a server that asks for patience gets it', async () => {
    const from = refreshes();
    gate.answer('/refresh', 503, { 'Retry-After': '3' });
    await user.press('Refresh now');
    await user.hears('No refresh now. The next try is in 3 s.');
    await user.press('Refresh now');
    assert.equal(refreshes(), from + 1);
    const begin = performance.now();
    await user.early(true);
    await user.page.waitForResponse('**/refresh');
    assert.ok(performance.now() - begin > 2_000, 'it came too early');
    assert.equal(new Set(keys(from)).size, 1);
  });
  await step('a server that fails is asked less and less often, and the session lives', async () => {
    const from = refreshes();
    for (let times = 0; times < 3; times += 1) gate.answer('/refresh', 500);
    const begin = performance.now();
    await user.press('Refresh now');
    await user.page.waitForResponse((it) => it.url().endsWith('/refresh') && it.ok(), { timeout: 30_000 });
    assert.ok(performance.now() - begin > 1_000 + 2_000 + 4_000, 'a storm');
    assert.equal(keys(from).length, 4);
    assert.equal(new Set(keys(from)).size, 1);
    await user.press('Call the API');
    await user.hears('The API knows you: alice.');
  });
}
