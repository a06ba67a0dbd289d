package scenario

import (
	"fmt"
	"io"
	"os"
)

// Load reads the scenario file at path. The error holds Errors if the file was
// read but is not a scenario.
func Load(path string) (*Spec, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("load scenario: %w", err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return nil, fmt.Errorf("load scenario: %w", err)
	}
	return Parse(path, data)
}

// Parse turns the text of a scenario into a Spec. The name of the file is for
// errors only. The error, if any, is of type Errors.
func Parse(file string, data []byte) (*Spec, error) {
	src := &source{file: file}
	spec := &Spec{src: src}
	if root := src.tree(data); root != nil {
		d := &decoder{src}
		d.value(spec, "the scenario", root)
	}
	if err := src.err(); err != nil {
		return nil, err
	}
	return spec, nil
}
