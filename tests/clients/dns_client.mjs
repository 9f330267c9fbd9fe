// Asks for the addresses of the names that follow, one after another, by node's own resolver (c-ares).
import { promises as dns } from 'node:dns';

for (const name of process.argv.slice(2)) {
  // What is asked counts, not what comes of it.
  await Promise.allSettled([dns.resolve4(name), dns.resolve6(name)]);
}
