// Command agent runs inside the guest. It is built static and goes into the
// initramfs next to the job.
//
//	agent transcript FILE...   run each transcript, print it with what the commands said
//	agent program FILE         do what the file says, print what became of it
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
		return fmt.Errorf("run: want a verb: transcript, program")
	}
	switch args[0] {
	case "transcript":
		return runTranscripts(args[1:])
	case "program":
		if len(args) != 2 {
			return fmt.Errorf("program: want a file")
		}
		return runProgram(args[1])
	default:
		return fmt.Errorf("run %q: unknown verb", args[0])
	}
}
