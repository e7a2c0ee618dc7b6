// E3: the cookie, and what pages of other sites and of other ports get with it.
import assert from 'node:assert/strict';
import { createServer } from 'node:http';

import { listen } from '../gate.js';
import { until } from '../until.js';
import { User } from '../user.js';

const COOKIE = '__Host-refresh';
/** What a page can send with the user's cookies without asking first, or asks for. */
const ATTACKS = ['/refresh', '/logout', '/demo/thief'].flatMap((path) => [
  { path, kind: 'form' },
  { path, kind: 'no-cors' },
  { path, kind: 'cors' },
]);

export const expected = [];

export default async function otherSites({ browser, gate, step }) {
  const device = await browser.device();
  const user = await User.at(device, gate.url);

  await step('the cookie is for this host alone, and no script reads it', async () => {
    await user.signIn();
    await user.isIn();
    await user.early(false);
    const [cookie, ...others] = await device.cookies();
    const { name, domain, path, httpOnly, secure, sameSite } = cookie;
    assert.deepEqual({ name, domain, path, httpOnly, secure, sameSite },
      { name: COOKIE, domain: 'localhost', path: '/', httpOnly: true, secure: true, sameSite: 'Strict' });
    assert.deepEqual(others, []);
    assert.equal(await user.page.evaluate('document.cookie'), '');
    assert.equal(await user.page.evaluate('localStorage.length + sessionStorage.length'), 0);
  });
  await step('nothing that is kept is a token', async () => {
    const kept = await user.page.evaluate(async () => {
      const { get } = await import('/kept.js');
      return [await get('user'), await get('idempotency key')];
    });
    assert.deepEqual(kept, ['alice', undefined]);
  });

  const attacker = createServer((_, response) => {
    response.writeHead(200, { 'content-type': 'text/html' }).end('<!doctype html><title>Cats</title>');
  });
  const port = await listen(attacker);
  try {
    for (const [site, host] of [['cross-site', '127.0.0.1'], ['same-site', 'localhost']]) {
      for (const { path, kind } of ATTACKS) {
        await step(`${site}, ${kind}: ${path} is refused`, async () => {
          const page = await device.newPage();
          browser.ignore(page);
          await page.goto(`http://${host}:${port}/`);
          const from = gate.passed.length;
          const sent = () => gate.passed.slice(from).filter((it) => it.path === path);
          await attack(page, `${gate.url}${path}`, kind);
          await until(() => sent().at(0)?.status);
          assert.equal(sent().length, 1);
          for (const { method, headers, status } of sent()) {
            const expected = method === 'OPTIONS' ? [403, 405] : [401, 403, 415];
            assert.ok(expected.includes(status), `${method}: ${status}`);
            assert.equal(headers['sec-fetch-site'], site);
            assert.equal(Boolean(headers.cookie?.includes(COOKIE)), site === 'same-site' && method === 'POST');
          }
          await page.close();
        });
      }
    }
  } finally {
    attacker.closeAllConnections();
    attacker.close();
  }
  await step('the session has seen nothing of it', async () => {
    await user.press('Refresh now');
    await user.hears('The access token is a new one.');
    await user.press('Call the API');
    await user.hears('The API knows you: alice.');
  });
}

/** As that page would: with a form, or with `fetch` in one of its modes. */
function attack(page, url, kind) {
  return page.evaluate(async ([url, kind]) => {
    if (kind === 'form') {
      const form = Object.assign(document.createElement('form'), { method: 'post', action: url });
      document.body.append(form);
      return form.submit();
    }
    const headers = kind === 'cors' ? { 'Idempotency-Key': `"${'A'.repeat(43)}"` } : {};
    await fetch(url, { method: 'POST', credentials: 'include', mode: kind, headers }).catch(() => {});
  }, [url, kind]);
}
