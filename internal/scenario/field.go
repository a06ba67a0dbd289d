package scenario

import (
	"reflect"
	"strconv"
	"strings"
	"sync"
)

// field is one key of a section of the Spec, as its struct tags describe it:
//
//	yaml      the key
//	doc       what it means, for errors, the schema and docs/scenario.md
//	default   what it is if not typed; in parentheses if it depends on something
//	required  "true" if it has no default
//	short     "true" if its value alone stands for the whole section
//
// The keys of an embedded struct are the section's own.
type field struct {
	index    []int // for reflect.Value.FieldByIndex
	name     string
	doc      string
	def      string
	required bool
	short    bool
	typ      reflect.Type
}

type fields []field

var fieldCache sync.Map // reflect.Type -> fields

// fieldsOf returns the keys of a section in the order of its struct.
func fieldsOf(t reflect.Type) fields {
	if cached, ok := fieldCache.Load(t); ok {
		return cached.(fields)
	}
	var out fields
	for i := range t.NumField() {
		f := t.Field(i)
		if f.Anonymous && f.Type.Kind() == reflect.Struct {
			for _, inner := range fieldsOf(f.Type) {
				inner.index = append([]int{i}, inner.index...)
				out = append(out, inner)
			}
		}
		if name := f.Tag.Get("yaml"); name != "" {
			out = append(out, field{
				index: f.Index, name: name, typ: f.Type,
				doc: f.Tag.Get("doc"), def: f.Tag.Get("default"),
				required: f.Tag.Get("required") == "true", short: f.Tag.Get("short") == "true",
			})
		}
	}
	fieldCache.Store(t, out)
	return out
}

func (fs fields) named(name string) *field {
	for i := range fs {
		if fs[i].name == name {
			return &fs[i]
		}
	}
	return nil
}

func (fs fields) names() []string {
	var out []string
	for _, f := range fs {
		out = append(out, f.name)
	}
	return out
}

// takes reports whether a text is a value of the field; false if it is no scalar.
func (f *field) takes(text string) bool {
	v, ok := reflect.New(f.typ).Interface().(interface{ takes(text string) bool })
	return ok && v.takes(text)
}

func (fs fields) short() *field {
	for i := range fs {
		if fs[i].short {
			return &fs[i]
		}
	}
	return nil
}

func (fs fields) anyRequired() bool { return fs.needed() != "" }

// needed names the required keys: `"name" and "services"`.
func (fs fields) needed() string {
	var names []string
	for _, f := range fs {
		if f.required {
			names = append(names, strconv.Quote(f.name))
		}
	}
	return strings.Join(names, " and ")
}

// filled returns a copy of a section in which each scalar that was not typed
// has the default of its tag. Its Pos stays zero, so it still counts as not typed.
func filled[T any](section T) T {
	v := reflect.ValueOf(&section).Elem()
	for _, f := range fieldsOf(v.Type()) {
		d, ok := v.FieldByIndex(f.index).Addr().Interface().(interface{ fill(text string) })
		if ok && f.def != "" && f.def[0] != '(' {
			d.fill(f.def)
		}
	}
	return section
}

func (v *Val[T]) takes(text string) bool {
	var value T
	return scalarOf(&value).parse(text) == nil
}

func (v *Val[T]) fill(text string) {
	if v.IsSet() {
		return
	}
	if err := scalarOf(&v.Value).parse(text); err != nil {
		panic("scenario: the default " + text + " in a struct tag: " + err.Error()) // TestDefaultsParse visits each
	}
}
