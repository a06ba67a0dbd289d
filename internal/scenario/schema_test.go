package scenario

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
)

// validator checks a document against those words of JSON Schema that Schema uses.
type validator struct{ defs map[string]any }

func (v validator) check(at string, schema map[string]any, doc any) error {
	if ref, ok := schema["$ref"].(string); ok {
		return v.check(at, v.defs[strings.TrimPrefix(ref, "#/$defs/")].(map[string]any), doc)
	}
	if options, ok := schema["anyOf"].([]any); ok {
		var errs []string
		for _, s := range options {
			err := v.check(at, s.(map[string]any), doc)
			if err == nil {
				return nil
			}
			errs = append(errs, err.Error())
		}
		return fmt.Errorf("%s", strings.Join(errs, " and "))
	}
	kind, kinds := kindOf(doc), fmt.Sprint(schema["type"])
	if !slices.Contains(strings.Fields(strings.Trim(kinds, "[]")), kind) {
		return fmt.Errorf("%s is %s: want %s", at, kind, kinds)
	}
	if enum, ok := schema["enum"].([]any); ok && !slices.Contains(enum, doc) {
		return fmt.Errorf("%s is %v: want one of %v", at, doc, enum)
	}
	switch doc := doc.(type) {
	case string:
		if pattern, ok := schema["pattern"].(string); ok && !regexp.MustCompile(pattern).MatchString(doc) {
			return fmt.Errorf("%s is %q: want %s", at, doc, pattern)
		}
	case float64:
		low, bounded := schema["minimum"].(float64)
		high, _ := schema["maximum"].(float64)
		if bounded && (doc < low || doc > high) {
			return fmt.Errorf("%s is %v: out of range", at, doc)
		}
	case []any:
		for i, item := range doc {
			if err := v.check(fmt.Sprintf("%s[%d]", at, i), schema["items"].(map[string]any), item); err != nil {
				return err
			}
		}
	case map[string]any:
		return v.object(at, schema, doc)
	}
	return nil
}

func (v validator) object(at string, schema map[string]any, doc map[string]any) error {
	properties, _ := schema["properties"].(map[string]any)
	required, _ := schema["required"].([]any)
	for _, name := range required {
		if _, ok := doc[name.(string)]; !ok {
			return fmt.Errorf("%s has no %s", at, name)
		}
	}
	for name, value := range doc {
		s, ok := properties[name].(map[string]any)
		if !ok {
			if s, ok = schema["additionalProperties"].(map[string]any); !ok {
				return fmt.Errorf("%s has unknown %s", at, name)
			}
			if err := v.check(at+" name", schema["propertyNames"].(map[string]any), name); err != nil {
				return err
			}
		}
		if err := v.check(at+"."+name, s, value); err != nil {
			return err
		}
	}
	return nil
}

func kindOf(doc any) string {
	switch doc := doc.(type) {
	case nil:
		return "null"
	case bool:
		return "boolean"
	case string:
		return "string"
	case float64:
		if doc == float64(int64(doc)) {
			return "integer"
		}
		return "number"
	case []any:
		return "array"
	}
	return "object"
}

// validate checks a YAML text against the schema of scenarios.
func validate(t *testing.T, text []byte) error {
	t.Helper()
	return validateBy(t, Schema(), text)
}

func validateBy(t *testing.T, by, text []byte) error {
	t.Helper()
	var schema map[string]any
	if err := json.Unmarshal(by, &schema); err != nil {
		t.Fatal(err)
	}
	data, err := yaml.YAMLToJSON(text)
	if err != nil {
		t.Fatal(err)
	}
	var doc any
	if err := json.Unmarshal(data, &doc); err != nil {
		t.Fatal(err)
	}
	return validator{schema["$defs"].(map[string]any)}.check("scenario", schema, doc)
}

func TestEveryScenarioIsValidByTheSchema(t *testing.T) {
	for _, file := range append(repositoryFiles(t), "testdata/everything.yaml") {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if err := validate(t, text); err != nil {
			t.Errorf("%s: %v", file, err)
		}
	}
}

func TestTheSchemaRefusesWhatParseRefusesInAValueAlone(t *testing.T) {
	for _, name := range []string{
		"unknown-key-top", "unknown-key-service", "unknown-key-flow", "missing-required", "missing-services", "ill-typed-scalar",
		"ill-typed-structure", "list-instead-of-mapping", "scalar-document", "duration", "size", "rate", "status", "out-of-range",
		"enum", "names", "null-values", "sysctls", "check-pattern", "many-errors", "l7-shape",
	} {
		text, err := os.ReadFile(filepath.Join("testdata/broken", name+".yaml"))
		if err != nil {
			t.Fatal(err)
		}
		if validate(t, text) == nil {
			t.Errorf("%s is valid by the schema", name)
		}
	}
}

func TestEverythingThatCanBeWrittenIsInOneFile(t *testing.T) {
	text, err := os.ReadFile("testdata/everything.yaml")
	if err != nil {
		t.Fatal(err)
	}
	checkInvariants(t, resolve(t, string(text)))
	eachSection(func(name string, fields fields) {
		for _, f := range fields {
			if !regexp.MustCompile(`\b` + f.name + `:`).Match(text) {
				t.Errorf("it does not use %s of %s", f.name, name)
			}
		}
	})
}

// eachSection visits each struct of the Spec once, outermost first.
func eachSection(visit func(name string, fields fields)) { eachSectionOf[Spec](visit) }

func eachSectionOf[T any](visit func(name string, fields fields)) {
	seen := map[reflect.Type]bool{}
	var walk func(t reflect.Type)
	walk = func(t reflect.Type) {
		switch {
		case t.Kind() == reflect.Slice || t.Kind() == reflect.Pointer:
			walk(t.Elem())
			return
		case t.Kind() != reflect.Struct || seen[t] || !strings.HasPrefix(t.PkgPath(), "lbctl/"):
			return
		}
		seen[t] = true
		if fields := fieldsOf(t); len(fields) > 0 && !embedded[t] {
			visit(strings.ToLower(strings.TrimSuffix(t.Name(), "Spec")), fields)
		}
		for i := range t.NumField() {
			walk(t.Field(i).Type)
		}
	}
	walk(reflect.TypeFor[T]())
}

// embedded are the structs whose keys are those of the sections that they are in.
var embedded = map[reflect.Type]bool{reflect.TypeFor[OptionsSpec](): true}

func TestEveryKeyHasADescriptionAndADefaultThatParses(t *testing.T) {
	sections := 0
	look := func(name string, fields fields) {
		sections++
		for _, f := range fields {
			if f.doc == "" || !strings.HasSuffix(f.doc, ".") {
				t.Errorf("%s of %s: want a sentence, not %q", f.name, name, f.doc)
			}
			if f.required == (f.def != "") {
				t.Errorf("%s of %s: want either a default or required", f.name, name)
			}
			v, ok := reflect.New(f.typ).Interface().(interface{ fill(string) })
			if ok && f.def != "" && !strings.HasPrefix(f.def, "(") {
				v.fill(f.def) // panics if it does not parse
			}
		}
	}
	eachSection(look)
	if sections < 14 {
		t.Errorf("only %d sections were visited", sections)
	}
	eachSectionOf[StandaloneSpec](look)
}
