// A WebSocket client by `ws`: a connection for each scenario, one after another. Arguments: base URL, `deflate` or `plain`, scenarios.
// Messages and output as in websocket_client.py.
import WebSocket from "ws";

const [url, compression, ...scenarios] = process.argv.slice(2);
const SIZES = [0, 1, 125, 126, 127, 1000, 65535, 65536];
const text = (size) => "wort ".repeat(size / 5 + 1).slice(0, size);
const binary = (size) => Buffer.from(Array.from({ length: size }, (_, i) => (7 * i + Math.floor(i / 251)) % 256));

/** Path and messages; an array is a message in fragments. */
function plan(scenario) {
  if (scenario === "text") return ["/echo", SIZES.map(text)];
  if (scenario === "binary") return ["/echo", SIZES.map(binary)];
  if (scenario === "big") return ["/echo", [Buffer.concat(Array(10).fill(binary(1 << 20)))]];
  if (scenario === "fragments") return ["/fragments", [["one ", "two ", "three"], [binary(100), binary(0), binary(70000)]]];
  if (scenario === "ping") return ["/ping", Array(3).fill(text(10))];
  if (scenario.startsWith("close-")) return [`/close/${scenario.slice(6)}`, [text(20)]];
  return [scenario === "abort" ? "/abort" : "/echo", [text(20)]];
}

function send(socket, message) {
  if (!Array.isArray(message)) return socket.send(message);
  message.forEach((part, i) => socket.send(part, { binary: Buffer.isBuffer(part), fin: i === message.length - 1 }));
}

const size = (message) => [message].flat().reduce((sum, part) => sum + Buffer.byteLength(part), 0);

function play(scenario) {
  return new Promise((done) => {
    const [path, messages] = plan(scenario);
    const log = { scenario, sent: 0, received: 0, sent_bytes: 0, received_bytes: 0, code: null };
    const socket = new WebSocket(url + path, { perMessageDeflate: compression === "deflate" ? { threshold: 0 } : false, maxPayload: 0 });
    const next = () => {
      const message = messages.shift();
      if (message === undefined) return scenario === "cut" ? socket.terminate() : socket.close(1000);
      if (scenario === "ping") socket.ping("hello");
      send(socket, message);
      log.sent += 1;
      log.sent_bytes += size(message);
    };
    socket.on("open", next);
    socket.on("error", () => {});
    socket.on("message", (data) => {
      log.received += 1;
      log.received_bytes += data.length;
      next();
    });
    socket.on("close", (code) => done({ ...log, code }));
  });
}

for (const scenario of scenarios) console.log(JSON.stringify(await play(scenario)));
