// A vitest reporter: the last line is `N passed, N failed, N skipped`, for scripts.
import type { Reporter, TestModule } from "vitest/node";

export default class PlainTotal implements Reporter {
  onTestRunEnd(modules: readonly TestModule[]): void {
    let passed = 0;
    let failed = 0;
    let skipped = 0;
    for (const module of modules) {
      if (module.errors().length > 0) failed += 1;
      for (const test of module.children.allTests()) {
        const state = test.result().state;
        if (state === "passed") passed += 1;
        else if (state === "skipped") skipped += 1;
        else failed += 1;
      }
    }
    // After the default reporter's own summary, which is written in the same turn.
    setTimeout(() => console.log(`${passed} passed, ${failed} failed, ${skipped} skipped`), 0);
  }
}
