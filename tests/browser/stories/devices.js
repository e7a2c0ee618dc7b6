// A user on three devices, who ends one from another, and then all.
import assert from 'node:assert/strict';

import { User } from '../user.js';

export const expected = ['/api/me 401', '/refresh 401', '/sessions 401'];

export default async function devices({ browser, gate, step }) {
  const signedIn = async () => {
    const user = await User.at(await browser.device(), gate.url);
    await user.signIn();
    await user.isIn();
    return user;
  };
  const [here, lost, other] = [await signedIn(), await signedIn(), await signedIn()];
  for (const user of [lost, other]) await user.early(false);
  const rows = here.page.locator('#device-list li');

  await step('the list has all of them, this one first', async () => {
    await here.press('Reload the list');
    await here.hears('Devices: 3.');
    assert.equal(await rows.count(), 3);
    assert.match(await rows.first().textContent(), /Chrome on Linux \(this one\)/);
    await browser.shoot(here.page, 'devices');
  });
  await step('one is ended', async () => {
    await rows.last().getByRole('button').click();
    await here.hears('The session of Chrome on Linux is over.');
    assert.equal(await rows.count(), 2);
    assert.equal(await here.page.evaluate('document.activeElement.id'), 'devices-title');
  });
  await step('that one is out with its next call, the other is not', async () => {
    const outcome = async (user) => {
      await user.press('Call the API');
      return Promise.race([user.isOut().then(() => 'out'), user.hears('The API knows you').then(() => 'in')]);
    };
    const outcomes = [await outcome(lost), await outcome(other)];
    assert.deepEqual(outcomes.sort(), ['in', 'out']);
  });
  await step('log-out everywhere ends this one and the others', async () => {
    await here.press('Log out everywhere');
    await here.isOut();
    const alive = await lost.page.locator('#door').isHidden() ? lost : other;
    await alive.press('Call the API');
    await alive.hears('Your session is over. Please sign in again.');
    await alive.isOut();
  });
}
