// A thief refreshes with a copy of the token; then its owner does.
import assert from 'node:assert/strict';

import { User } from '../user.js';

export const expected = ['/refresh 401'];

export default async function theft({ browser, gate, step }) {
  const user = await User.at(await browser.device(), gate.url);
  const story = user.page.locator('#story');

  await step('sign in', async () => {
    await user.signIn();
    await user.isIn();
    await user.early(false);
  });
  await step('the thief gets in with the copy', async () => {
    await user.press('Steal my token');
    await user.hears('Your token was stolen, and nobody has noticed yet.');
    assert.match(await story.textContent(), /The thief calls the API: 200. Refreshes again: 200./);
    await browser.shoot(user.page, 'stolen');
  });
  await step('the owner refreshes, and the theft is noticed', async () => {
    await user.press('Refresh as the owner');
    await user.hears('Theft noticed: the session is over, for the thief and for you.');
    await user.isOut();
    assert.equal(gate.all('/refresh').at(-1).status, 401);
  });
  await step('both are out', async () => {
    assert.match(await story.textContent(), /The thief calls the API: 401. Refreshes: 401. Both are out./);
    await browser.shoot(user.page, 'noticed');
  });
  await step('the owner signs in again, and the story is over', async () => {
    await user.signIn();
    await user.isIn();
    assert.equal(await story.textContent(), '');
  });
}
