package scenario

import (
	"encoding/json"
	"reflect"
	"strings"
)

// Schema returns the JSON Schema (draft 2020-12) of a scenario file, made from
// the types that Parse decodes into, for editors and other tools. It says all
// that can be said of a value alone; what values mean to each other is
// Resolve's to judge.
func Schema() []byte {
	return schemaOf(reflect.TypeFor[Spec](), "lbctl scenario",
		"A load-balancer lab: clients, balancers, servers, the services between them and how they are measured.")
}

// StandaloneSchema is Schema for a file of `lbctl l4 run`.
func StandaloneSchema() []byte {
	return schemaOf(reflect.TypeFor[StandaloneSpec](), "lbctl standalone balancer",
		"The l4 plane on this machine's own interfaces: the services it forwards and what judges their backends.")
}

// L7StandaloneSchema is Schema for a file of `lbctl l7 run`.
func L7StandaloneSchema() []byte {
	return schemaOf(reflect.TypeFor[L7StandaloneSpec](), "lbctl standalone balancer of HTTP",
		"The l7 plane on this machine: the services it listens for and what judges their backends.")
}

func schemaOf(spec reflect.Type, title, description string) []byte {
	b := &schemaBuilder{defs: map[string]any{}}
	root := b.section(spec)
	root["$schema"] = "https://json-schema.org/draft/2020-12/schema"
	root["title"] = title
	root["description"] = description
	root["$defs"] = b.defs
	out, err := json.MarshalIndent(root, "", "  ")
	if err != nil {
		panic("scenario: marshal schema: " + err.Error()) // maps of strings and numbers only
	}
	return append(out, '\n')
}

// schemaBuilder collects one definition for each section of the Spec.
type schemaBuilder struct{ defs map[string]any }

// schematic is a value with a schema of its own: Val, Map, List and CheckRef.
type schematic interface {
	jsonSchema(b *schemaBuilder) map[string]any
}

// of returns the schema of a type of the Spec: its own, or a reference to a definition.
func (b *schemaBuilder) of(t reflect.Type) map[string]any {
	if s, ok := reflect.New(t).Interface().(schematic); ok {
		return s.jsonSchema(b)
	}
	name := strings.ToLower(strings.TrimSuffix(t.Name(), "Spec"))
	if _, done := b.defs[name]; !done {
		b.defs[name] = nil // a section that holds itself would end here
		b.defs[name] = b.section(t)
	}
	return map[string]any{"$ref": "#/$defs/" + name}
}

// section returns the schema of a struct's mapping, and of its short form.
func (b *schemaBuilder) section(t reflect.Type) map[string]any {
	properties := map[string]any{}
	required := []string{}
	fields := fieldsOf(t)
	for _, f := range fields {
		s := b.of(f.typ)
		s["description"] = f.doc
		switch {
		case strings.HasPrefix(f.def, "("):
			s["description"] = f.doc + " Default: " + strings.Trim(f.def, "()") + "."
		case f.def != "":
			s["default"] = defaultValue(s, f.def)
		}
		properties[f.name] = s
		if f.required {
			required = append(required, f.name)
		}
	}
	object := map[string]any{"type": "object", "properties": properties, "additionalProperties": false}
	if len(required) > 0 {
		object["required"] = required
	} else {
		object["type"] = []string{"object", "null"}
	}
	if short := fields.short(); short != nil {
		return map[string]any{"anyOf": []any{b.of(short.typ), object}}
	}
	return object
}

// defaultValue returns a default as JSON: a number or a boolean where the schema wants one.
func defaultValue(schema map[string]any, text string) any {
	kind := schema["type"]
	if kinds, ok := kind.([]string); ok {
		kind = kinds[0]
	}
	var v any
	if kind != "string" && json.Unmarshal([]byte(text), &v) == nil {
		return v
	}
	return text
}

func (v *Val[T]) jsonSchema(*schemaBuilder) map[string]any { return scalarOf(&v.Value).schema() }

func (m *Map[K, V]) jsonSchema(b *schemaBuilder) map[string]any {
	names := scalarOf(new(K)).schema()
	return map[string]any{"type": "object", "propertyNames": names, "additionalProperties": b.of(reflect.TypeFor[V]())}
}

func (l *List[T]) jsonSchema(b *schemaBuilder) map[string]any {
	return map[string]any{"type": "array", "minItems": 1, "items": b.of(reflect.TypeFor[T]())}
}

func (c *CheckRef) jsonSchema(b *schemaBuilder) map[string]any {
	return map[string]any{"anyOf": []any{b.of(reflect.TypeFor[Val[NodeName]]()), b.of(reflect.TypeFor[CheckSpec]())}}
}
