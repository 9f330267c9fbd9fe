// Browser tests: one file after the other, in Debian's chromium (or CHROMIUM). With PERFMON_URL they also look at a real perfmon.
import { defineConfig } from "vitest/config";
import PlainTotal from "../plain-total.ts";

export default defineConfig({
  root: import.meta.dirname,
  test: {
    include: ["*.test.ts"],
    fileParallelism: false,
    testTimeout: 60_000,
    hookTimeout: 60_000,
    reporters: ["default", new PlainTotal()],
  },
});
