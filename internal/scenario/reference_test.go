package scenario

import (
	"fmt"
	"maps"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
)

const (
	docBegin = "<!-- reference:begin (go test ./internal/scenario -run Reference -update) -->\n"
	docEnd   = "<!-- reference:end -->\n"
)

func TestTheReferencesInTheDocsAreThoseOfTheTypes(t *testing.T) {
	compareReference(t, "../../docs/scenario.md", reference[Spec]())
	compareReference(t, "../../docs/standalone.md", reference[StandaloneSpec]())
	compareReferenceAt(t, "../../docs/standalone.md", l7DocBegin, reference[L7StandaloneSpec]("check", "api"))
}

func compareReference(t *testing.T, docFile, want string) {
	t.Helper()
	compareReferenceAt(t, docFile, docBegin, want)
}

// compareReferenceAt looks at the reference that begins so.
func compareReferenceAt(t *testing.T, docFile, docBegin, want string) {
	t.Helper()
	text, err := os.ReadFile(docFile)
	if err != nil {
		t.Fatal(err)
	}
	head, rest, ok := strings.Cut(string(text), docBegin)
	old, tail, closed := strings.Cut(rest, docEnd)
	if !ok || !closed {
		t.Fatalf("%s has no reference section", docFile)
	}
	if *update {
		if err := os.WriteFile(docFile, []byte(head+docBegin+want+docEnd+tail), 0o644); err != nil {
			t.Fatal(err)
		}
	} else if old != want {
		t.Errorf("%s is not what the Spec types say: run go test ./internal/scenario -run Reference -update", docFile)
	}
}

func init() {
	maps.Copy(sectionTitles, map[string]string{
		"standalone": "The file", "l4service": "A service", "l4backend": "A backend", "api": "api", "timeouts": "timeouts",
		"encap": "tunnel of a service",
	})
}

// sectionTitles say what each section of the file describes.
var sectionTitles = map[string]string{
	"": "The file", "network": "A network", "node": "A node", "link": "A link of a node", "route": "A route of a node",
	"service": "A service", "match": "An entry of also", "backend": "A backend", "tunnel": "tunnel of a service", "http": "http of a service", "accesslog": "access_log of http", "limits": "limits of http", "queue": "queue of http", "forwarding": "headers of http", "sticky": "sticky of http", "hash": "hash of http",
	"outlier": "outlier of http", "budget": "retry_budget of http", "httproute": "A route of http", "headermatch": "A header of a route", "redirect": "redirect of a route",
	"respond": "respond of a route", "rewrite": "rewrite of a route", "edits": "request_headers and response_headers of a route", "persist": "persist of a service", "check": "A check", "failover": "failover", "workload": "A workload", "compare": "compare",
}

// reference describes all sections but those of these names.
func reference[T any](but ...string) string {
	var b strings.Builder
	eachSectionOf[T](func(name string, fields fields) {
		if slices.Contains(but, name) {
			return
		}
		if sectionTitles[name] == "" {
			panic("section " + name + " has no title")
		}
		fmt.Fprintf(&b, "\n### %s\n\n", sectionTitles[name])
		if short := fields.short(); short != nil {
			fmt.Fprintf(&b, "May be written as its `%s` alone.\n\n", short.name)
		}
		b.WriteString("| key | value | default | meaning |\n|---|---|---|---|\n")
		for _, f := range fields {
			def := f.def
			switch {
			case f.required:
				def = "required"
			case strings.HasPrefix(def, "("):
				def = strings.TrimSuffix(strings.TrimPrefix(def, "("), ")")
			case def != "":
				def = "`" + def + "`"
			}
			fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", f.name, kindText(f.typ), def, strings.ReplaceAll(f.doc, "|", `\|`))
		}
	})
	return b.String() + "\n"
}

// kindText names a type for a reader.
func kindText(t reflect.Type) string {
	base, _, _ := strings.Cut(t.Name(), "[")
	switch base {
	case "Val":
		v, _ := t.FieldByName("Value")
		return reflect.New(v.Type).Interface().(scalar).want()
	case "List":
		items, _ := t.FieldByName("Items")
		return "list: " + kindText(items.Type.Elem())
	case "Map":
		entries, _ := t.FieldByName("Entries")
		value, _ := entries.Type.Elem().FieldByName("Value")
		return "mapping: " + kindText(value.Type)
	case "CheckRef":
		return "a name, or a check"
	}
	return strings.ToLower(sectionTitles[strings.ToLower(strings.TrimSuffix(base, "Spec"))])
}
