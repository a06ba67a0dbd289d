package scenario

import "github.com/goccy/go-yaml/ast"

// Val is a scalar as it was typed, and where. T is one of the scalar types of
// this package: *T knows how to parse itself (see scalar).
type Val[T any] struct {
	Value T
	Pos   Pos // zero: not typed
}

// IsSet reports whether the value was typed.
func (v Val[T]) IsSet() bool { return v.Pos.IsSet() }

func (v *Val[T]) decode(d *decoder, what string, n ast.Node) {
	if d.scalar(scalarOf(&v.Value), what, n) {
		v.Pos = at(n)
	}
}

// Map is a mapping whose keys the user chooses, in the order of the file.
type Map[K, V any] struct {
	Pos     Pos
	Entries []Entry[K, V]
}

// Entry is one entry of a Map.
type Entry[K, V any] struct {
	Key   Val[K]
	Value V
}

func (m *Map[K, V]) decode(d *decoder, what string, n ast.Node) {
	m.Pos = at(n)
	seen := map[string]Pos{}
	for _, kv := range d.mapping(what, n) {
		var e Entry[K, V]
		text, _ := scalarText(kv.Key)
		if first, dup := seen[text]; dup {
			d.fail(at(kv.Key), "", "%s has %q twice: first on line %d", what, text, first.Line)
			continue
		}
		seen[text] = at(kv.Key)
		e.Key.decode(d, "a name in "+what, kv.Key)
		d.value(&e.Value, what+"."+text, kv.Value)
		m.Entries = append(m.Entries, e)
	}
}

// List is a sequence, in the order of the file.
type List[T any] struct {
	Pos   Pos // zero: not typed
	Items []T
}

// IsSet reports whether the list was typed.
func (l List[T]) IsSet() bool { return l.Pos.IsSet() }

func (l *List[T]) decode(d *decoder, what string, n ast.Node) {
	seq, ok := n.(*ast.SequenceNode)
	if !ok {
		d.fail(at(n), d.listOf(n), "%s: want a list, not %s", what, describe(n))
		return
	}
	l.Pos = at(n)
	if len(seq.Values) == 0 {
		d.fail(at(n), "", "%s: the list is empty: leave the key out for the default", what)
	}
	for _, item := range seq.Values {
		var v T
		d.value(&v, what, item)
		l.Items = append(l.Items, v)
	}
}
