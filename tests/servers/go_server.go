// Go net/http server with the tests' routes. Argument: port.
package main

import (
	"io"
	"log"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"
)

func handle(w http.ResponseWriter, r *http.Request) {
	name, value, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	number, _ := strconv.Atoi(value)
	switch name {
	case "hello":
		io.WriteString(w, "hello world\n")
	case "bytes":
		io.WriteString(w, strings.Repeat("x", number))
	case "sleep":
		time.Sleep(time.Duration(number) * time.Millisecond)
		io.WriteString(w, "slept\n")
	case "echo":
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		w.Write(body)
	case "status":
		w.WriteHeader(number)
	case "stream":
		for i := 0; i < number; i++ {
			io.WriteString(w, "0123456789")
			w.(http.Flusher).Flush()
			time.Sleep(2 * time.Millisecond)
		}
	default:
		http.NotFound(w, r)
	}
}

func main() {
	log.Fatal(http.ListenAndServe("127.0.0.1:"+os.Args[1], http.HandlerFunc(handle)))
}
