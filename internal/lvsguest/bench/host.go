package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"lbctl/internal/lvsguest"
)

// compare is the host's side: it boots a guest, has it measure, keeps and prints
// the result.
func compare(ctx context.Context, args []string) error {
	var p plan
	f := p.flags("bench")
	format := f.String("o", "text", "print text or json")
	folder := f.String("results", "results/lvs", "folder that keeps the result; empty: keep none")
	limit := f.Duration("limit", 40*time.Minute, "of the guest's life")
	scripts := f.String("scripts", "internal/lvsguest", "folder of run.sh")
	if err := f.Parse(args); err != nil {
		return err
	}
	if missing := lvsguest.Missing(); missing != "" {
		return errors.New(missing)
	}
	r, err := runGuest(ctx, p, *scripts, *limit)
	if err != nil {
		return err
	}
	if *folder != "" {
		path, err := r.save(*folder)
		if err != nil {
			return err
		}
		fmt.Fprintln(os.Stderr, "kept in", path)
	}
	if *format == "json" {
		encoder := json.NewEncoder(os.Stdout)
		encoder.SetIndent("", "  ")
		return encoder.Encode(r.report())
	}
	_, err = os.Stdout.WriteString(r.report().text())
	return err
}

func runGuest(ctx context.Context, p plan, scripts string, limit time.Duration) (*Result, error) {
	dir, err := os.MkdirTemp("", "lvsbench")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	binary := filepath.Join(dir, "bench")
	if err := os.Symlink(self, binary); err != nil {
		return nil, err
	}
	script := filepath.Join(dir, "job.sh")
	job := "#!/bin/sh\nset -e\necho \"kernel $(uname -r)\"\nexec ./bench guest '" + strings.Join(p.args(), "' '") + "'\n"
	if err := os.WriteFile(script, []byte(job), 0o755); err != nil {
		return nil, err
	}
	started := time.Now()
	out, err := lvsguest.Run(ctx, scripts, lvsguest.Job{Script: script, Files: []string{binary}, Counted: true, Backports: true, Limit: limit})
	if err != nil {
		return nil, err
	}
	r := &Result{Schema: schema, Started: started, Conditions: conditions(p)}
	for line := range bytes.Lines(out) {
		if kernel, is := bytes.CutPrefix(line, []byte("kernel ")); is {
			r.Kernel = string(bytes.TrimSpace(kernel))
			continue
		}
		var run Run
		if err := json.Unmarshal(line, &run); err != nil {
			return nil, fmt.Errorf("read what the guest says: %w: %s", err, line)
		}
		r.Runs = append(r.Runs, run)
	}
	return r, nil
}

func conditions(p plan) []string {
	return []string{
		fmt.Sprintf("QEMU in counted mode: one vCPU, %v for each instruction, whatever it is; no cache, no branch, no memory is modelled", instruction),
		map[links]string{
			wired:   "a veth between each two of client, balancer and servers that talk, MTU 1500",
			bridged: "client, balancer and servers on one bridge, by veths, MTU 1500, as in a lab",
		}[p.links],
		fmt.Sprintf("%d servers, %d connections, answers of %d bytes; servers keep no TIME_WAIT", servers, p.connections, bodySize),
		fmt.Sprintf("%d rounds, every other one backwards; a window is %v after %v with keep-alive, %d requests with a connection per request; policy rr", p.rounds, p.duration, p.warmup, p.requests),
		"tunnels end in the servers' ipip device for IPVS and in our decapsulation for ours, but where an arm's name says otherwise",
		"nobody collects garbage or uses huge pages, since either comes in some windows and not in others",
		"checksum offload, TSO, GSO and GRO off at both ends of every link, for every arm",
	}
}
