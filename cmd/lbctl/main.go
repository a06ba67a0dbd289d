// Command lbctl brings up load-balancer labs on one Linux machine.
package main

import (
	"os"

	"lbctl/ctl/cli"
)

func main() {
	ctx, stop := cli.Signals()
	code := cli.Main(ctx, os.Args, os.Stdin, os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}
