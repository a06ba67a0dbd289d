package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// runTranscripts runs the commands of each file by the guest's shell (packet by
// itself, which is quicker) and prints the file anew: comments and commands as they are,
// then what the command printed now ("> " stdout, "! " stderr, "= " status).
func runTranscripts(files []string) error {
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		fmt.Printf("@@ begin %s\n", filepath.Base(file))
		for line := range strings.Lines(string(text)) {
			line = strings.TrimSuffix(line, "\n")
			switch {
			case strings.HasPrefix(line, "$ "), strings.HasPrefix(line, "$~ "):
				_, command, _ := strings.Cut(line, " ")
				fmt.Println(line)
				if err := runCommand(command); err != nil {
					return fmt.Errorf("%s: %w", command, err)
				}
			case line == "", strings.HasPrefix(line, "#"):
				fmt.Println(line)
			}
		}
		fmt.Println("@@ end")
	}
	return nil
}

func runCommand(command string) error {
	if args, is := strings.CutPrefix(command, "packet "); is {
		fmt.Println("= 0")
		return sendPacket(strings.Fields(strings.ReplaceAll(args, "'", "")))
	}
	var stdout, stderr bytes.Buffer
	cmd := exec.Command("sh", "-c", command)
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		return err
	}
	printPrefixed("> ", &stdout)
	printPrefixed("! ", &stderr)
	fmt.Printf("= %d\n", cmd.ProcessState.ExitCode())
	return nil
}

func printPrefixed(prefix string, text *bytes.Buffer) {
	for scanner := bufio.NewScanner(text); scanner.Scan(); {
		fmt.Printf("%s%s\n", prefix, scanner.Text())
	}
}
