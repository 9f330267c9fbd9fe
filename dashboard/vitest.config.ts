// Unit tests: beside the code, in a DOM without a browser.
import { defineConfig } from "vitest/config";
import PlainTotal from "./plain-total.ts";

export default defineConfig({
  test: { environment: "happy-dom", include: ["src/**/*.test.ts"], reporters: ["default", new PlainTotal()] },
});
