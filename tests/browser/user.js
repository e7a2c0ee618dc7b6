// Somebody in front of the page.
import assert from 'node:assert/strict';

export class User {
  constructor(page) { this.page = page; }

  /** On a new tab of the device. */
  static async at(device, url) {
    const user = new User(await device.newPage());
    await user.page.goto(url);
    return user;
  }

  async signIn(name = 'alice', password = 'wonderland') {
    await this.page.getByLabel('Name').fill(name);
    await this.page.getByLabel('Password').fill(password);
    await this.press('Sign in');
  }

  press(name) { return this.page.getByRole('button', { name, exact: true }).click(); }

  /** Waits until the page says it. */
  hears(sentence) { return this.page.getByRole('status').filter({ hasText: sentence }).waitFor(); }

  isIn(name = 'alice') { return this.page.getByRole('heading', { name: `Signed in as ${name}` }).waitFor(); }

  isOut() { return this.page.getByRole('heading', { name: 'Sign in' }).waitFor(); }

  early(early) { return this.page.getByLabel('Refresh before it expires').setChecked(early); }

  /** For the server it comes up to a second later: `exp` is in whole ones. */
  async expiry() {
    await this.page.getByText('expired', { exact: true }).waitFor();
    await this.page.waitForTimeout(1_000);
  }

  /** The requests that the page shows, the oldest first, such as `GET /api/me 200`. */
  async requests() {
    const rows = await this.page.locator('#requests li').all();
    const lines = await Promise.all(rows.map(async (row) => {
      const parts = await row.locator('.method, .path, .status').allTextContents();
      return parts.join(' ').trim();
    }));
    return lines.reverse();
  }

  async sees(lines) { assert.deepEqual((await this.requests()).slice(-lines.length), lines); }
}
