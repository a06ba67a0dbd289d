package report

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"lbctl/internal/traffic"
)

// WriteJSON writes the report as indented JSON.
func (r *Report) WriteJSON(w io.Writer) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	return enc.Encode(r)
}

// ErrSchema says that a file was written by another lbctl.
var ErrSchema = errors.New("schema is not known to this lbctl")

// Save keeps a Measurement in dir, which it makes if need be, as
// 2026-07-01T120000Z-NAME.json, and returns the path. It overwrites nothing: a
// name that is taken gets a number.
func Save(dir string, m *traffic.Measurement) (path string, err error) {
	data, err := json.MarshalIndent(m, "", " ")
	if err != nil {
		return "", fmt.Errorf("save measurement: %w", err)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", fmt.Errorf("save measurement: %w", err)
	}
	stem := filepath.Join(dir, m.Started.UTC().Format("2006-01-02T150405Z")+"-"+fileName(m.Plan.Name))
	path = stem + ".json"
	for n := 2; ; n++ {
		err := writeNew(path, append(data, '\n'))
		if !errors.Is(err, fs.ErrExist) {
			return path, err
		}
		path = fmt.Sprintf("%s-%d.json", stem, n)
	}
}

// writeNew makes a file that is either whole or not there.
func writeNew(path string, data []byte) error {
	tmp, err := os.CreateTemp(filepath.Dir(path), ".measurement-*")
	if err != nil {
		return fmt.Errorf("save measurement: %w", err)
	}
	defer os.Remove(tmp.Name())
	_, err = tmp.Write(data)
	err = errors.Join(err, tmp.Chmod(0o644), tmp.Sync(), tmp.Close())
	if err == nil {
		err = os.Link(tmp.Name(), path) // unlike a rename, refuses a name that is taken
	}
	if err != nil {
		return fmt.Errorf("save measurement: %w", err)
	}
	return nil
}

func fileName(name string) string {
	safe := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-' || r == '_' {
			return r
		}
		return '_'
	}, name)
	if safe == "" {
		return "measurement"
	}
	return safe
}

// Load reads what Save wrote.
func Load(path string) (*traffic.Measurement, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("load measurement: %w", err)
	}
	var version struct{ Schema int }
	if err := json.Unmarshal(data, &version); err != nil {
		return nil, fmt.Errorf("load measurement %s: %w", path, err)
	}
	if version.Schema != traffic.Schema {
		return nil, fmt.Errorf("load measurement %s: schema %d: %w", path, version.Schema, ErrSchema)
	}
	var m traffic.Measurement
	if err := json.Unmarshal(data, &m); err != nil {
		return nil, fmt.Errorf("load measurement %s: %w", path, err)
	}
	return &m, nil
}
