// npm run memory [MINUTES]: whether memory stays flat while the demo clip is painted, with a style changed now and then.
import { execFileSync } from "node:child_process";

import { browser, served } from "./server.mjs";

const minutes = Number(process.argv[2] ?? 10);
const SAMPLE_SECONDS = 15;
const ALLOWED_GROWTH = 0.15;

/** Memory of the largest renderer process of this browser, in MB. */
function resident(pid) {
  const lines = execFileSync("ps", ["-eo", "pid=,ppid=,rss=,args="], { maxBuffer: 1 << 24 }).toString().trim().split("\n");
  const processes = lines.map((line) => {
    const [own, parent, rss, ...args] = line.trim().split(/\s+/);
    return { own: Number(own), parent: Number(parent), rss: Number(rss), args: args.join(" ") };
  });
  const ours = new Set([pid]);
  for (let grown = true; grown; ) {
    grown = false;
    for (const { own, parent } of processes) {
      if (ours.has(parent) && !ours.has(own)) grown = Boolean(ours.add(own));
    }
  }
  const renderers = processes.filter(({ own, args }) => ours.has(own) && args.includes("--type=renderer"));
  return Math.max(...renderers.map(({ rss }) => rss)) / 1024;
}

await served(async (url) => {
  const chrome = await browser();
  const page = await chrome.newPage();
  await page.goto(`${url}?gpu=never#stroke=2`);
  await page.getByRole("button", { name: "Paint the demo clip" }).click();
  await page.waitForFunction(() => window.livestyle.figures().last > 0, null, { timeout: 120_000 });
  let frames = 0;
  await page.exposeFunction("counted", (count) => (frames = count));
  await page.evaluate(() => {
    let [count, last] = [0, 0];
    setInterval(() => {
      if (window.livestyle.figures().last === last) return;
      last = window.livestyle.figures().last;
      if (++count % 20 === 0) window.counted(count);
    }, 10);
  });
  const figures = [];
  const begin = Date.now();
  for (let n = 0; Date.now() - begin < 60_000 * minutes; n++) {
    await page.waitForTimeout(1000 * SAMPLE_SECONDS);
    const bytes = await page.evaluate(async () => (await performance.measureUserAgentSpecificMemory?.())?.bytes ?? 0);
    figures.push({ resident: resident(process.pid), page: bytes / 1e6 });
    const { resident: whole, page: own } = figures.at(-1);
    console.log(`${((Date.now() - begin) / 60_000).toFixed(1)} min: renderer ${whole.toFixed(0)} MB, page ${own.toFixed(0)} MB, ${frames} frames`);
    if (n % 4 === 3) await page.keyboard.press("n");
  }
  await chrome.close();
  // The first fifth warms up.
  const settled = figures.slice(Math.floor(figures.length / 5));
  const mean = (part) => part.reduce((sum, { resident: value }) => sum + value, 0) / part.length;
  const third = Math.max(1, Math.floor(settled.length / 3));
  const growth = mean(settled.slice(-third)) / mean(settled.slice(0, third)) - 1;
  console.log(`growth of the renderer from the first to the last third: ${(100 * growth).toFixed(1)} %`);
  if (growth > ALLOWED_GROWTH) process.exitCode = 1;
});
