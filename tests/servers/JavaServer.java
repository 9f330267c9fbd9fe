// com.sun.net.httpserver with the tests' routes. Argument: port.
import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.util.concurrent.Executors;

public class JavaServer {
    public static void main(String[] args) throws IOException {
        HttpServer server = HttpServer.create(new InetSocketAddress("127.0.0.1", Integer.parseInt(args[0])), 0);
        server.createContext("/", JavaServer::handle);
        server.setExecutor(Executors.newFixedThreadPool(8));
        server.start();
    }

    static void handle(HttpExchange exchange) throws IOException {
        try (exchange) {
            String[] parts = exchange.getRequestURI().getPath().substring(1).split("/");
            int value = parts.length > 1 ? Integer.parseInt(parts[1]) : 0;
            byte[] body = exchange.getRequestBody().readAllBytes();
            switch (parts[0]) {
                case "hello" -> answer(exchange, 200, "hello world\n".getBytes());
                case "bytes" -> answer(exchange, 200, "x".repeat(value).getBytes());
                case "sleep" -> { pause(value); answer(exchange, 200, "slept\n".getBytes()); }
                case "echo" -> answer(exchange, 200, body);
                case "status" -> exchange.sendResponseHeaders(value, -1);
                case "stream" -> stream(exchange, value);
                default -> answer(exchange, 404, "no such page\n".getBytes());
            }
        }
    }

    static void answer(HttpExchange exchange, int status, byte[] body) throws IOException {
        exchange.sendResponseHeaders(status, body.length == 0 ? -1 : body.length);
        exchange.getResponseBody().write(body);
    }

    static void stream(HttpExchange exchange, int count) throws IOException {
        exchange.sendResponseHeaders(200, 0);
        for (int i = 0; i < count; i++) {
            exchange.getResponseBody().write("0123456789".getBytes());
            exchange.getResponseBody().flush();
            pause(2);
        }
    }

    static void pause(int ms) {
        try {
            Thread.sleep(ms);
        } catch (InterruptedException e) {
            throw new IllegalStateException(e);
        }
    }
}
