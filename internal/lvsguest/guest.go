// Package lvsguest is for tests only: it boots Debian's own kernel under QEMU,
// which has the real IPVS, and compares with it. testdata/*.txt are transcripts
// of the real ipvsadm: comments, commands ("$ "; "$~ " where times and order
// vary), and what each printed ("> " stdout, "! " stderr, "= " exit status). Each
// begins with an empty IPVS; packet [-n COUNT] [-same] [-size BYTES] FLAGS PROTO
// SRC DST puts packets into the balancer, as if from the wire. contest_test.go
// puts the kernel and the models of internal/ipvs through the same events.
//
//	go test ./internal/lvsguest -update    writes what the guest says into testdata
package lvsguest

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"time"
)

// Job is what to run in a guest.
type Job struct {
	Script    string        // path of the script, run as root in /job
	Files     []string      // paths of files that lie beside it
	Counted   bool          // virtual time counts instructions; see run.sh
	Backports bool          // the kernel of bookworm-backports
	Limit     time.Duration // of the guest's whole life
}

// Run boots a guest from the scripts in dir (this package's folder), runs the
// job and returns what it printed. The error tells what it printed last, if it
// did not exit with 0. A second guest on the machine waits for the first.
func Run(ctx context.Context, dir string, job Job) ([]byte, error) {
	script, err := filepath.Abs(filepath.Join(dir, "run.sh"))
	if err != nil {
		return nil, err
	}
	args := []string{"-t", strconv.Itoa(int(job.Limit.Seconds()))}
	if job.Counted {
		args = append(args, "-c")
	}
	if job.Backports {
		args = append(args, "-k")
	}
	for _, file := range job.Files {
		args = append(args, "-f", file)
	}
	cmd := exec.CommandContext(ctx, script, append(args, job.Script)...)
	// The script and QEMU die together when the test's deadline comes.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM) }
	cmd.WaitDelay = 5 * time.Second
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		last := stdout.Bytes()
		return last, fmt.Errorf("run %s in guest: %w\n%s%s", job.Script, err, last[max(0, len(last)-2000):], stderr.Bytes())
	}
	return stdout.Bytes(), nil
}

// Missing says what this machine lacks to run a guest, "" if nothing.
func Missing() string {
	for _, tool := range []string{"qemu-system-x86_64", "busybox", "cpio", "kmod", "ipvsadm", "ip", "tc", "curl", "ethtool", "bpftool", "dash", "bash"} {
		if _, err := exec.LookPath(tool); err == nil {
			continue
		}
		if _, err := os.Stat("/usr/sbin/" + tool); err != nil {
			return tool + " is not installed (make setup)"
		}
	}
	return ""
}
