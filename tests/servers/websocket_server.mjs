// A WebSocket server by `ws`. Arguments: port, `deflate` or `plain`. Paths and output as in websocket_server.py.
import { WebSocketServer } from "ws";

const [port, compression] = process.argv.slice(2);
const perMessageDeflate = compression === "deflate" ? { threshold: 0 } : false;
const server = new WebSocketServer({ host: "127.0.0.1", port: Number(port), perMessageDeflate, maxPayload: 0 });

/** Sends a message in three frames. */
function sendThirds(socket, data, binary) {
  const third = Math.floor(data.length / 3);
  socket.send(data.subarray(0, third), { binary, fin: false });
  socket.send(data.subarray(third, 2 * third), { binary, fin: false });
  socket.send(data.subarray(2 * third), { binary, fin: true });
}

server.on("connection", (socket, request) => {
  const path = request.url;
  const log = { path, sent: 0, received: 0, sent_bytes: 0, received_bytes: 0 };
  socket.on("error", () => {});
  socket.on("message", (data, binary) => {
    log.received += 1;
    log.received_bytes += data.length;
    if (path.startsWith("/close/")) return socket.close(Number(path.split("/")[2]), "asked for");
    if (path === "/abort") return socket.terminate();
    if (path === "/ping") socket.ping("are you there");
    if (path === "/fragments") sendThirds(socket, data, binary);
    else socket.send(data, { binary });
    log.sent += 1;
    log.sent_bytes += data.length;
  });
  socket.on("close", () => console.log(JSON.stringify(log)));
});
