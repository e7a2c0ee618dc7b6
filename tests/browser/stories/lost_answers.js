// A network that loses answers, and a server that asks for patience: nobody is signed out, and nobody storms.
import assert from 'node:assert/strict';

import { until } from '../until.js';
import { User } from '../user.js';

export const expected = ['/refresh ERR_EMPTY_RESPONSE', '/refresh 503', '/refresh 409', '/refresh 500'];

export default async function lostAnswers({ browser, gate, step }) {
  const user = await User.at(await browser.device(), gate.url);
  const keys = (from) => gate.all('/refresh').slice(from).map((it) => it.headers['idempotency-key']);
  /** Milliseconds from each refresh to the next. */
  const pauses = (from) => gate.all('/refresh').slice(from).map((it, at, all) => all[at + 1]?.at - it.at).slice(0, -1);
  /** Waits until so many were sent since, and the last was granted. */
  const granted = (from, times) => until(() => {
    const sent = gate.all('/refresh').slice(from);
    return sent.length === times && sent.at(-1).status === 200;
  });
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
    await user.hears(/^No refresh now. The next try is in [12] s.$/);
    await user.early(true);
    await granted(from, 2);
    const [lost, again] = keys(from);
    assert.match(lost, /^"[\w-]{43}"$/);
    assert.equal(again, lost);
    await user.early(false);
  });
  await step('also after a reload', async () => {
    const from = refreshes();
    gate.lose('/refresh');
    await user.press('Refresh now');
    await until(() => gate.all('/refresh').slice(from).some((it) => it.status === 'lost'));
    await user.page.reload();
    await user.isIn();
    // The browser may have sent it again besides, by itself.
    const [lost, ...again] = keys(from);
    assert.deepEqual([...new Set(again)], [lost]);
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
    await user.hears(/^The server does not answer. The next try is in [12] s.$/);
    await user.isIn();
    await user.early(false);
  });
  await step('409 means: ask again, with another key', async () => {
    const from = refreshes();
    gate.answer('/refresh', 409);
    await user.press('Refresh now');
    await granted(from, 2);
    const [superseded, again] = keys(from);
    assert.notEqual(again, superseded);
  });
  await step('a server that asks for patience gets it', async () => {
    const from = refreshes();
    gate.answer('/refresh', 503, { 'Retry-After': '3' });
    await user.press('Refresh now');
    await user.hears('No refresh now. The next try is in 3 s.');
    await user.press('Refresh now');
    assert.equal(refreshes(), from + 1);
    await user.early(true);
    await granted(from, 2);
    assert.ok(pauses(from)[0] >= 3_000, 'it came too early');
    assert.equal(new Set(keys(from)).size, 1);
  });
  await step('a server that fails is asked less and less often, and the session lives', async () => {
    const from = refreshes();
    for (let times = 0; times < 3; times += 1) gate.answer('/refresh', 500);
    await user.press('Refresh now');
    await granted(from, 4);
    const [first, second, third] = pauses(from);
    assert.ok(first >= 1_000 && second >= 2_000 && third >= 4_000, `a storm: ${pauses(from)}`);
    assert.equal(new Set(keys(from)).size, 1);
    await user.press('Call the API');
    await user.hears('The API knows you: alice.');
  });
}
