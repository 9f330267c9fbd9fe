// Asks for the addresses of the names that follow, one after another, by Go's own resolver.
package main

import (
	"context"
	"net"
	"os"
)

func main() {
	resolver := net.Resolver{PreferGo: true}
	for _, name := range os.Args[1:] {
		// What is asked counts, not what comes of it.
		_, _ = resolver.LookupIPAddr(context.Background(), name)
	}
}
