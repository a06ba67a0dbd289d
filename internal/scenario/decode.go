package scenario

import (
	"fmt"
	"reflect"
	"strings"

	"github.com/goccy/go-yaml/ast"
)

// decoder fills a Spec from a syntax tree. It goes on after an error, so that
// one run reports all of them.
type decoder struct{ *source }

// decodable is a value with a decoder of its own: Val, Map, List and CheckRef.
type decodable interface {
	decode(d *decoder, what string, n ast.Node)
}

// value decodes n into the value that v points to; what names it in errors.
func (d *decoder) value(v any, what string, n ast.Node) {
	if v, ok := v.(decodable); ok {
		v.decode(d, what, n)
		return
	}
	d.section(reflect.ValueOf(v).Elem(), what, n)
}

// section decodes a mapping into a struct whose fields are the keys. A struct
// with a field tagged short:"true" may also be written as that field's value
// alone, and one without required fields as nothing.
func (d *decoder) section(v reflect.Value, what string, n ast.Node) {
	fields := fieldsOf(v.Type())
	v.FieldByName("Pos").Set(reflect.ValueOf(at(n)))
	meant := fields.meantSection(n)
	if short := fields.short(); short != nil && meant == "" && isScalar(n) {
		d.value(v.FieldByIndex(short.index).Addr().Interface(), what, n)
		return
	}
	if meant != "" {
		d.fail(at(n), meant, "%s: want a mapping of keys to values, not %s", what, describe(n))
		return
	}
	if _, null := n.(*ast.NullNode); null && !fields.anyRequired() {
		return
	}
	entries := d.mapping(what, n)
	if entries == nil && !isMapping(n) {
		return
	}
	seen, meantKeys := map[string]Pos{}, map[string]bool{}
	for _, kv := range entries {
		key, ok := scalarText(kv.Key)
		field := fields.named(key)
		first, dup := seen[key]
		switch {
		case !ok:
			d.fail(at(kv.Key), "", "%s: want a word as key, not %s", what, describe(kv.Key))
		case field == nil:
			meantKeys[d.unknownKey(fields, key, what, kv)] = true
		case dup:
			d.fail(at(kv.Key), "", "%s has %q twice: first on line %d", what, key, first.Line)
		default:
			d.value(v.FieldByIndex(field.index).Addr().Interface(), key, kv.Value)
		}
		if _, dup := seen[key]; !dup {
			seen[key] = at(kv.Key)
		}
	}
	for _, f := range fields {
		if _, found := seen[f.name]; f.required && !found && !meantKeys[f.name] {
			d.fail(at(n), "", "%s needs %q: %s", what, f.name, f.doc)
		}
	}
}

// unknownKey complains about a key and returns the one that was probably meant,
// or "". Where nothing can be guessed it says what there is.
func (d *decoder) unknownKey(fs fields, key, what string, kv *ast.MappingValueNode) string {
	if meant := fs.meantKey(key); meant != "" {
		d.fail(at(kv.Key), meant, "unknown key %q in %s", key, what)
		return meant
	}
	// "s1: {weight: 2}" in a list of backends: the name is the value of node.
	if short := fs.short(); short != nil && short.takes(key) && (isMapping(kv.Value) || isScalar(kv.Value)) {
		d.fail(at(kv.Key), short.name+": "+key, "unknown key %q in %s", key, what)
		return short.name
	}
	d.fail(at(kv.Key), "", "unknown key %q in %s: want %s", key, what, oneOf(fs.names()))
	return ""
}

// mapping returns the entries of a mapping, or nil after noting that n is none.
func (d *decoder) mapping(what string, n ast.Node) []*ast.MappingValueNode {
	switch n := n.(type) {
	case *ast.MappingNode:
		return n.Values
	case *ast.MappingValueNode:
		return []*ast.MappingValueNode{n}
	}
	d.fail(at(n), "", "%s: want a mapping of keys to values, not %s", what, describe(n))
	return nil
}

// scalar decodes a scalar node and reports whether it was well-formed.
func (d *decoder) scalar(v scalar, what string, n ast.Node) bool {
	text, ok := scalarText(n)
	if !ok || !accepts(v, n) {
		suggest := ""
		if s, can := v.(suggester); can && ok {
			suggest = s.suggest(text)
		}
		d.fail(at(n), suggest, "%s: want %s, not %s", what, v.want(), describe(n))
		return false
	}
	err := v.parse(text)
	if err == nil {
		return true
	}
	suggest := ""
	if s, can := v.(suggester); can {
		suggest = s.suggest(text)
	}
	if err == errIllFormed {
		d.fail(at(n), suggest, "%s: want %s, not %s", what, v.want(), describe(n))
	} else {
		d.fail(at(n), suggest, "%s: %v", what, err)
	}
	return false
}

// accepts reports whether the node's YAML type is one that the schema allows.
func accepts(v scalar, n ast.Node) bool {
	kind := "string"
	switch n.(type) {
	case *ast.IntegerNode:
		kind = "integer"
	case *ast.BoolNode:
		kind = "boolean"
	case *ast.StringNode, *ast.LiteralNode:
	default:
		kind = "other"
	}
	switch t := v.schema()["type"].(type) {
	case string:
		return t == kind
	case []string:
		for _, t := range t {
			if t == kind {
				return true
			}
		}
	}
	return false
}

// scalarText returns a scalar as it was typed, without quotes.
func scalarText(n ast.Node) (string, bool) {
	switch n := n.(type) {
	case *ast.StringNode:
		return n.Value, true
	case *ast.LiteralNode:
		if n.Value == nil {
			return "", true
		}
		return n.Value.Value, true
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode, *ast.InfinityNode, *ast.NanNode:
		return n.GetToken().Value, true
	}
	return "", false
}

func isScalar(n ast.Node) bool {
	_, ok := scalarText(n)
	return ok
}

func isMapping(n ast.Node) bool {
	switch n.(type) {
	case *ast.MappingNode, *ast.MappingValueNode:
		return true
	}
	return false
}

// describe says what a node is, for "want X, not Y".
func describe(n ast.Node) string {
	switch n := n.(type) {
	case *ast.NullNode:
		return "nothing"
	case *ast.SequenceNode:
		return "a list"
	case *ast.MappingNode, *ast.MappingValueNode:
		return "a mapping"
	case *ast.StringNode:
		return fmt.Sprintf("the text %q", clip(n.Value))
	case *ast.LiteralNode:
		return "a text of several lines"
	}
	if text, ok := scalarText(n); ok {
		return clip(text)
	}
	return "this"
}

func clip(text string) string {
	if r := []rune(text); len(r) > 60 {
		return string(r[:60]) + "…"
	}
	return strings.ToValidUTF8(text, "?")
}

// listOf suggests the list that a lone scalar was probably meant to be.
func (d *decoder) listOf(n ast.Node) string {
	if text, ok := scalarText(n); ok && len(text) < 60 {
		return "[" + text + "]"
	}
	return ""
}
