package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// instruction is how long one takes in a guest of counted time.
const instruction = 2 * time.Nanosecond

// Result is all that was measured, as it is kept.
type Result struct {
	Schema     int       `json:"schema"`
	Started    time.Time `json:"started"`
	Kernel     string    `json:"kernel"`
	Conditions []string  `json:"conditions"`
	Runs       []Run     `json:"runs"`
}

const schema = 1

// noCollections keeps the processes from collecting garbage in some windows and not in others. Each request
// touches fresh memory instead, and always as much.
var noCollections = []string{"GOGC=off", "GOMEMLIMIT=600MiB"}

// Run is one arm under one load.
type Run struct {
	Arm       string            `json:"arm"`
	KeepAlive bool              `json:"keep_alive"`
	Round     int               `json:"round"`
	Requests  uint64            `json:"requests"`
	Errors    map[string]uint64 `json:"errors,omitempty"`
	Elapsed   time.Duration     `json:"elapsed"` // virtual time of the window
	Idle      time.Duration     `json:"idle"`    // of it, in which no instruction was executed
	Servers   map[string]uint64 `json:"servers"` // answers by server
	Offloads  string            `json:"offloads"`
}

// perRequest is how many instructions the whole machine spent per request.
func (r Run) perRequest() float64 {
	if r.Requests == 0 {
		return 0
	}
	return float64(r.Elapsed-r.Idle) / float64(instruction) / float64(r.Requests)
}

// fault says why the run measures something else than it should; empty: it does not.
func (r Run) fault() string {
	failed := uint64(0)
	for _, n := range r.Errors {
		failed += n
	}
	switch {
	case r.Requests == 0:
		return "no request was answered"
	case failed > 0:
		return fmt.Sprintf("%d requests failed: %v", failed, r.Errors)
	case len(r.Servers) < servers:
		return fmt.Sprintf("only %v answered", r.Servers)
	case r.Idle > r.Elapsed/20:
		return fmt.Sprintf("the machine was idle for %v of %v", r.Idle, r.Elapsed)
	}
	return ""
}

// save keeps the result as FOLDER/2026-07-01T120000Z.json and overwrites nothing.
func (r *Result) save(folder string) (path string, err error) {
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return "", fmt.Errorf("save result: %w", err)
	}
	data, err := json.MarshalIndent(r, "", " ")
	if err != nil {
		return "", fmt.Errorf("save result: %w", err)
	}
	path = filepath.Join(folder, r.Started.UTC().Format("2006-01-02T150405Z")+".json")
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
	if errors.Is(err, fs.ErrExist) {
		return "", fmt.Errorf("save result: %w", err)
	}
	if err != nil {
		return "", fmt.Errorf("save result: %w", err)
	}
	_, err = f.Write(append(data, '\n'))
	if err := errors.Join(err, f.Close()); err != nil {
		return "", fmt.Errorf("save result: %w", err)
	}
	return path, nil
}
