/** Ends when `holds` does. */
export async function until(holds) {
  const end = Date.now() + 15_000;
  while (!holds()) {
    if (Date.now() > end) throw new Error(`it never came to this: ${holds}`);
    await new Promise((resolve) => { setTimeout(resolve, 20); });
  }
}
