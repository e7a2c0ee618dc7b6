// A Chromium with contexts of its own. What its pages complain of is a fault, unless a story expects it.
import { mkdirSync } from 'node:fs';

import { chromium } from 'playwright-core';

const ARGS = ['--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
  '--disable-component-update', '--disable-sync'];
/** What Chromium itself says of an answer, which no page can prevent. */
const NOTICE = /^Failed to load resource: (?:the server responded with a status of (\d+)|net::(\w+))/;

export class Browser {
  complaints = [];
  #chromium;
  #screenshots;
  #expected;
  #strangers = new WeakSet();

  /** `expected`: the notices of answers that a story is about, such as `/refresh 401`. */
  static async start({ path, screenshots, expected = [] }) {
    const browser = new Browser();
    browser.#expected = expected;
    browser.#screenshots = screenshots;
    mkdirSync(screenshots, { recursive: true });
    // Chromium has no sandbox for root. The folder of the user's data is a new one.
    const chromiumSandbox = process.getuid() !== 0;
    browser.#chromium = await chromium.launch({ executablePath: path, chromiumSandbox, args: ARGS });
    return browser;
  }

  /** As a new device: nothing is shared with others. */
  async device(options = {}) {
    const context = await this.#chromium.newContext({ locale: 'en-GB', colorScheme: 'light', ...options });
    context.setDefaultTimeout(15_000);
    context.on('console', (message) => this.#hear(message));
    context.on('weberror', (error) => this.complaints.push(String(error.error())));
    return context;
  }

  /** What this page complains of is no matter. */
  ignore(page) { this.#strangers.add(page); }

  async shoot(page, name) {
    const path = `${this.#screenshots}/${name}.png`;
    await page.screenshot({ path, fullPage: true, animations: 'disabled', timeout: 5_000 });
  }

  /** What each page says, after a picture of it. */
  shootAll(name) {
    const pages = this.#chromium.contexts().flatMap((it) => it.pages());
    return Promise.all(pages.map(async (page, at) => {
      await this.shoot(page, `${name}-${at + 1}`).catch(() => {});
      return page.getByRole('status').textContent({ timeout: 1_000 }).catch(() => 'nothing');
    }));
  }

  close() { return this.#chromium.close(); }

  #hear(message) {
    if (!['error', 'warning'].includes(message.type()) || this.#strangers.has(message.page())) return;
    const [notice, status, fault] = NOTICE.exec(message.text()) ?? [];
    const from = message.location().url;
    if (notice && this.#expected.includes(`${new URL(from).pathname} ${status ?? fault}`)) return;
    this.complaints.push(`${message.type()} of ${from}: ${message.text()}`);
  }
}
