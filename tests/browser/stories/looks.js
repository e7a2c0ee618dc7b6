// What the page looks like, and to whom: wide and narrow, light and dark, by keyboard, with a screen reader.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';

import { User } from '../user.js';

const AXE = readFileSync(new URL('../node_modules/axe-core/axe.min.js', import.meta.url), 'utf8');
const SCREENS = {
  desk: { viewport: { width: 1280, height: 900 } },
  phone: { viewport: { width: 360, height: 740 }, deviceScaleFactor: 2, hasTouch: true, isMobile: true },
};
/** WCAG 2.5.5. */
const TARGET = 44;

export const expected = ['/refresh 401'];

export default async function looks({ browser, gate, step }) {
  for (const [screen, options] of Object.entries(SCREENS)) {
    for (const colorScheme of ['light', 'dark']) {
      const device = await browser.device({ ...options, colorScheme });
      const user = await User.at(device, gate.url);
      const look = (view) => step(`${view}, ${screen}, ${colorScheme}`, async () => {
        await browser.shoot(user.page, `${view}-${screen}-${colorScheme}`);
        await isAccessible(user.page);
        await fits(user.page);
      });
      await user.isOut();
      await look('door');
      await user.signIn();
      await user.isIn();
      await user.page.locator('#device-list li').first().waitFor();
      await user.press('Call the API');
      await user.hears('The API knows you');
      await look('signed-in');
      await user.early(false);
      await user.press('Steal my token');
      await user.hears('Your token was stolen');
      await user.press('Refresh as the owner');
      await user.hears('Theft noticed');
      await look('theft');
      await step(`${screen}, ${colorScheme}: the scheme is the user's`, async () => {
        const ground = await user.page.evaluate('getComputedStyle(document.body).backgroundColor');
        const [red] = ground.match(/\d+/);
        assert.equal(Number(red) < 128, colorScheme === 'dark', ground);
      });
      await device.close();
    }
  }
  await byKeyboard({ browser, gate, step });
  await step('who wants no motion gets none', async () => {
    const moves = async (reducedMotion) => {
      const device = await browser.device({ reducedMotion });
      const { page } = await User.at(device, gate.url);
      const duration = await page.evaluate('getComputedStyle(document.querySelector("button")).transitionDuration');
      await device.close();
      return duration !== '0s';
    };
    assert.deepEqual([await moves('no-preference'), await moves('reduce')], [true, false]);
  });
}

async function byKeyboard({ browser, gate, step }) {
  const device = await browser.device();
  const user = await User.at(device, gate.url);
  const { keyboard } = user.page;
  /** Goes on with Tab until `name` has the focus, which must be seen everywhere on the way. */
  const reach = async (name) => {
    for (let times = 0; times < 30; times += 1) {
      await keyboard.press('Tab');
      const { label, outline } = await user.page.evaluate(() => {
        const element = document.activeElement;
        const { outlineStyle, outlineWidth } = getComputedStyle(element);
        const label = element.labels?.[0]?.textContent ?? element.textContent;
        return { label: label.trim(), outline: outlineStyle === 'none' ? 0 : Number.parseFloat(outlineWidth) };
      });
      assert.ok(outline >= 2, `the focus on "${label}" is not seen`);
      if (label === name) return;
    }
    throw new Error(`"${name}" is not reached with Tab`);
  };

  await step('by keyboard: sign in', async () => {
    await user.isOut();
    await reach('Name');
    await keyboard.type('alice');
    await reach('Password');
    await keyboard.type('wonderland');
    await keyboard.press('Enter');
    await user.isIn();
  });
  await step('by keyboard: the focus is where the user goes on', async () => {
    assert.equal(await user.page.evaluate('document.activeElement.id'), 'token-title');
    await browser.shoot(user.page, 'focus');
  });
  await step('by keyboard: each action is reached and works', async () => {
    await reach('Refresh before it expires');
    await keyboard.press('Space');
    assert.equal(await user.page.getByLabel('Refresh before it expires').isChecked(), false);
    await reach('Call the API');
    await keyboard.press('Enter');
    await user.hears('The API knows you: alice.');
    await reach('Refresh now');
    await keyboard.press('Space');
    await user.hears('The access token is a new one.');
    await reach('Reload the list');
    await keyboard.press('Enter');
    await user.hears(/^Devices: \d+\.$/);
    await reach('Steal my token');
    await reach('Refresh as the owner');
  });
  await step('by keyboard: log out, and stand at the door', async () => {
    await user.page.getByRole('button', { name: 'Log out here' }).focus();
    await keyboard.press('Enter');
    await user.hears('You have logged out.');
    assert.equal(await user.page.evaluate('document.activeElement.id'), 'door-title');
  });
  await step('what happens is told, and not too often', async () => {
    const live = await user.page.evaluate(() => [...document.querySelectorAll('[role=status], [role=log]')]
      .map((it) => `${it.role} ${it.ariaLive ?? 'polite'}`));
    assert.deepEqual(live, ['status polite', 'log off']);
  });
}

/** Evaluated through the debugger: the page's own rules let no foreign script in. */
async function isAccessible(page) {
  await page.evaluate(AXE);
  const { violations } = await page.evaluate('axe.run()');
  const grave = violations.filter(({ impact }) => ['serious', 'critical'].includes(impact));
  assert.deepEqual(grave.map(({ id, nodes }) => `${id}: ${nodes.map((it) => it.html).join(' ')}`), []);
}

async function fits(page) {
  const { width, small } = await page.evaluate((least) => {
    const targets = [...document.querySelectorAll('button, a, input, label.switch')];
    const small = targets
      .filter((it) => it.checkVisibility() && !it.closest('label.switch > *'))
      .filter((it) => it.type !== 'checkbox' && it.getBoundingClientRect().height < least);
    return { width: document.scrollingElement.scrollWidth, small: small.map((it) => it.outerHTML) };
  }, TARGET);
  assert.ok(width <= page.viewportSize().width, `it is ${width} px wide`);
  assert.deepEqual(small, [], `lower than ${TARGET} px`);
}
