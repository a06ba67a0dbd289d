package ctl

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"lbctl/internal/takeover"
)

// pairRecord is what a daemon must know of its predecessor's pair. It is written
// before the deed: an address that is on a balancer is in it.
type pairRecord struct {
	Active string          `json:"active"` // node
	Since  time.Time       `json:"since"`
	Held   []takeover.Addr `json:"held"`
}

func loadPair(path string) (pairRecord, error) {
	var r pairRecord
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return r, nil
	}
	if err == nil {
		err = decodeStrict(bytes.NewReader(data), &r)
	}
	if err != nil {
		return r, fmt.Errorf("read which balancer is active: %w", err)
	}
	return r, nil
}

func (r pairRecord) save(path string) error {
	data, err := json.Marshal(r)
	if err == nil {
		err = writeFileAtomic(path, data)
	}
	if err != nil {
		return fmt.Errorf("write which balancer is active: %w", err)
	}
	return nil
}
