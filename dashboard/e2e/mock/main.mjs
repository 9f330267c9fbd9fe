// `npm run mock`: the page with made-up figures, to look at while working on it.
import { MockPerfmon } from "./server.mjs";

const mock = await new MockPerfmon().start(Number(process.env.PORT ?? 9912));
console.log(`${mock.url} (end with Ctrl-C)`);
