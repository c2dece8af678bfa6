// Serves the built page with `livestyle web`, for the measurements of this folder.
import { spawn } from "node:child_process";
import { fileURLToPath } from "node:url";

import { chromium } from "@playwright/test";

const ROOT = fileURLToPath(new URL("../../../", import.meta.url));

/** Runs `use` with the address of the page. */
export async function served(use) {
  const python = process.env.PYTHON ?? `${ROOT}.venv/bin/python`;
  const server = spawn(python, ["-m", "livestyle", "web", "--port", "0"], { cwd: ROOT, stdio: ["ignore", "pipe", "inherit"] });
  try {
    const url = await new Promise((resolve, reject) => {
      server.once("error", reject);
      server.once("exit", () => reject(new Error("livestyle web has ended")));
      server.stdout.on("data", (text) => {
        const found = /http:\S+/.exec(String(text));
        if (found) resolve(found[0]);
      });
    });
    await use(url);
  } finally {
    server.kill();
  }
}

export const launch = (more = {}) => ({
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  args: ["--no-sandbox", "--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"],
  ...more,
});

export const browser = () => chromium.launch(launch());
