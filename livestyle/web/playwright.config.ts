import { defineConfig } from "@playwright/test";

const PORT = 8793;

export default defineConfig({
  testDir: "tests",
  testMatch: "*.browser.ts",
  outputDir: "test-results",
  timeout: 120_000,
  expect: { timeout: 60_000 },
  // Each test paints with all that one core has.
  workers: 1,
  reporter: "list",
  use: {
    baseURL: `http://127.0.0.1:${PORT}/`,
    launchOptions: {
      executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
      // The sandbox needs what containers lack.
      args: ["--no-sandbox", "--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"],
    },
  },
  webServer: {
    command: `${process.env.PYTHON ?? "../../.venv/bin/python"} -m livestyle web --port ${PORT}`,
    port: PORT,
  },
});
