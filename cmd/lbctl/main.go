// Command lbctl brings up load-balancer labs on one Linux machine.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"lbctl/ctl/cli"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := cli.Main(ctx, os.Args, os.Stdin, os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}
