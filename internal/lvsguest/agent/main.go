// Command agent runs inside the guest. It is built static and goes into the
// initramfs next to the job.
//
//	agent transcript FILE...   run each transcript, print it with what the commands said
//	agent packet FLAGS PROTO SRC DST   put one packet into tun0, as if from the wire
package main

import (
	"fmt"
	"os"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "agent:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) == 0 {
		return fmt.Errorf("run: want a verb: transcript, packet")
	}
	switch args[0] {
	case "transcript":
		return runTranscripts(args[1:])
	case "packet":
		return sendPacket(args[1:])
	default:
		return fmt.Errorf("run %q: unknown verb", args[0])
	}
}
