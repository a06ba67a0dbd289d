package scenario

import (
	"fmt"
	"io"
	"os"
	"reflect"
)

// Load reads the scenario file at path. The error holds Errors if the file was
// read but is not a scenario.
func Load(path string) (*Spec, error) {
	data, err := readFile(path)
	if err != nil {
		return nil, fmt.Errorf("load scenario: %w", err)
	}
	return Parse(path, data)
}

// readFile reads no more of a file than tells that it is too large.
func readFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, maxFile+1))
}

// Parse turns the text of a scenario into a Spec. The name of the file is for
// errors only. The error, if any, is of type Errors.
func Parse(file string, data []byte) (*Spec, error) {
	spec := &Spec{src: &source{file: file, language: "scenario"}}
	if err := spec.src.parse(data, spec); err != nil {
		return nil, err
	}
	return spec, nil
}

// parse decodes the file's text into the Spec that v points to.
func (s *source) parse(data []byte, v any) error {
	if root := s.tree(data, fieldsOf(reflect.TypeOf(v).Elem())); root != nil {
		d := &decoder{s}
		d.value(v, "the "+s.language, root)
	}
	return s.err()
}
