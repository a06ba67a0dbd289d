package proxy

import (
	"bytes"
	"slices"

	"lbctl/internal/http1"
	"lbctl/internal/lb"
)

// edits are changes of a header, made ready; nil changes nothing.
type edits struct {
	drop  [][]byte // names of the fields that go
	known [256]bool
	lines []byte // that come
}

func newEdits(conf lb.HeaderEdits) *edits {
	if len(conf.Set)+len(conf.Add)+len(conf.Remove) == 0 {
		return nil
	}
	e := &edits{}
	for _, name := range conf.Remove {
		e.without(name)
	}
	for _, h := range conf.Set {
		e.without(h.Name)
		e.lines = http1.AppendField(e.lines, h.Name, h.Value)
	}
	for _, h := range conf.Add {
		e.lines = http1.AppendField(e.lines, h.Name, h.Value)
	}
	return e
}

func (e *edits) without(name string) {
	e.drop = append(e.drop, []byte(name))
	if id := http1.LookupName([]byte(name)); id != http1.NameOther {
		e.known[id] = true
	}
}

// drops reports whether a field goes.
func (e *edits) drops(f *http1.Field) bool {
	if e == nil {
		return false
	}
	if f.ID != http1.NameOther {
		return e.known[f.ID]
	}
	for _, name := range e.drop {
		if len(name) == len(f.Name) && bytes.EqualFold(name, f.Name) {
			return true
		}
	}
	return false
}

// trailers are those that stay of a request's or an answer's: those that no field of a header may say, either.
func (e *edits) trailers(all []http1.Field) []http1.Field {
	return slices.DeleteFunc(all, func(f http1.Field) bool { return imitates(&f) || e.drops(&f) })
}

// has reports whether a known field is not to be made by the proxy itself.
func (e *edits) has(id http1.Name) bool { return e != nil && e.known[id] }

func (e *edits) append(dst []byte) []byte {
	if e == nil {
		return dst
	}
	return append(dst, e.lines...)
}
