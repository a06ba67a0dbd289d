// Command bench measures, in a guest of counted time, what a whole request costs
// in instructions: to the servers directly, over a router, over IPVS and over
// our plane, by each way of forwarding and each hook. docs/lvs.md has the
// figures and what they mean.
//
//	bench [-o text|json] [-rounds N] [-arms REGEXP] [-results FOLDER]
//
// The same binary is started again inside the guest, under the verb guest, and
// there as servers and load generators.
package main

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"os/signal"
	"syscall"

	"lbctl/internal/traffic"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	verb := ""
	if len(args) > 0 {
		verb = args[0]
	}
	switch verb {
	case "guest":
		return measure(ctx, args[1:])
	case "server": // NAME
		return traffic.Serve(ctx, traffic.ServerConfig{
			Name: args[1], Body: bodySize, Listen: []netip.AddrPort{netip.AddrPortFrom(netip.IPv4Unspecified(), port)},
		})
	case "load": // as traffic.RunProcess starts it
		return traffic.RunLoad(ctx, os.Stdin, os.Stdout)
	}
	return compare(ctx, args)
}
