// node http server with the tests' routes. Argument: port.
const http = require("node:http");

async function handle(request, response) {
  const [name, value] = request.url.split("?")[0].slice(1).split("/");
  if (name === "hello") return response.end("hello world\n");
  if (name === "bytes") return response.end("x".repeat(Number(value)));
  if (name === "sleep") return setTimeout(() => response.end("slept\n"), Number(value));
  if (name === "status") return response.writeHead(Number(value)).end();
  if (name === "stream") {
    for (let i = 0; i < Number(value); i++) {
      response.write("0123456789");
      await new Promise((resolve) => setTimeout(resolve, 2));
    }
    return response.end();
  }
  if (name === "echo") {
    const pieces = [];
    for await (const piece of request) pieces.push(piece);
    return response.end(Buffer.concat(pieces));
  }
  response.writeHead(404).end("no such page\n");
}

http.createServer(handle).listen(Number(process.argv[2]), "127.0.0.1");
