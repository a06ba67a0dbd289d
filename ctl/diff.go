package ctl

import (
	"fmt"
	"reflect"
	"strings"

	"lbctl/internal/lb"
)

// diff lists what makes b of a. A service that comes or goes is one change,
// whatever it holds; a backend is the same one if its address is.
func diff(a, b lb.Config) []Change {
	var changes []Change
	compare(a.Checks, b.Checks, func(c lb.Check) string { return c.Name }, func(op Op, old, now *lb.Check) {
		c := Change{Op: op, Kind: "check"}
		switch op {
		case Create:
			c.Name, c.Detail = now.Name, fmt.Sprintf("%s every %s", now.Kind, now.Interval)
		case Delete:
			c.Name = old.Name
		case Modify:
			c.Name, c.Detail = now.Name, fields(*old, *now)
			if c.Detail == "" {
				return // an empty map for a nil one
			}
		}
		changes = append(changes, c)
	})
	compare(a.Services, b.Services, func(s lb.Service) string { return s.Name }, func(op Op, old, now *lb.Service) {
		c := Change{Op: op, Kind: "service"}
		switch op {
		case Create:
			c.Name, c.Detail = now.Name, fmt.Sprintf("%s %s, %s, %d backends", now.Plane, now.Address(), now.Policy, len(now.Backends))
		case Delete:
			c.Name = old.Name
		case Modify:
			changes = append(changes, diffService(*old, *now)...)
			return
		}
		changes = append(changes, c)
	})
	if detail := fields(a.Timeouts, b.Timeouts); detail != "" {
		changes = append(changes, Change{Op: Modify, Kind: "timeouts", Name: "of flows", Detail: detail})
	}
	return changes
}

func diffService(a, b lb.Service) []Change {
	var changes []Change
	head, headNow := a, b
	head.Backends, headNow.Backends = nil, nil
	if detail := fields(head, headNow); detail != "" {
		changes = append(changes, Change{Op: Modify, Kind: "service", Name: b.Name, Detail: detail})
	}
	compare(a.Backends, b.Backends, func(b lb.Backend) string { return b.Addr.String() }, func(op Op, old, now *lb.Backend) {
		c := Change{Op: op, Kind: "backend", Service: b.Name}
		switch op {
		case Create:
			c.Name, c.Detail = now.Name, fmt.Sprintf("%s, weight %d", now.Addr, now.Weight)
		case Delete:
			c.Name, c.Detail = old.Name, old.Addr.String()
		case Modify:
			c.Name, c.Detail = now.Name, fields(*old, *now)
		}
		changes = append(changes, c)
	})
	return changes
}

// compare pairs the elements of a and b by key and tells of each that is new,
// gone or not deeply equal: first the ones in b, in order, then the gone ones.
func compare[T any](a, b []T, key func(T) string, tell func(op Op, old, now *T)) {
	olds, left := map[string]*T{}, map[string]bool{}
	for i := range a {
		olds[key(a[i])], left[key(a[i])] = &a[i], true
	}
	for i := range b {
		old, ok := olds[key(b[i])]
		delete(left, key(b[i]))
		switch {
		case !ok:
			tell(Create, nil, &b[i])
		case !reflect.DeepEqual(*old, b[i]):
			tell(Modify, old, &b[i])
		}
	}
	for i := range a {
		if left[key(a[i])] {
			tell(Delete, &a[i], nil)
		}
	}
}

// fields returns "weight 1 -> 3, name a -> b" for two structs of one type.
func fields(a, b any) string {
	return strings.Join(fieldDiffs("", reflect.ValueOf(a), reflect.ValueOf(b)), ", ")
}

func fieldDiffs(name string, a, b reflect.Value) []string {
	if k := a.Kind(); reflect.DeepEqual(a.Interface(), b.Interface()) || (k == reflect.Map || k == reflect.Slice) && a.Len()+b.Len() == 0 {
		return nil
	}
	if _, prints := a.Interface().(fmt.Stringer); prints || a.Kind() != reflect.Struct {
		return []string{fmt.Sprintf("%s %s -> %s", name, word(a), word(b))}
	}
	var diffs []string
	for i := range a.NumField() {
		field, _, _ := strings.Cut(a.Type().Field(i).Tag.Get("json"), ",")
		if name != "" {
			field = name + "." + field
		}
		diffs = append(diffs, fieldDiffs(field, a.Field(i), b.Field(i))...)
	}
	return diffs
}

func word(v reflect.Value) string {
	switch k := v.Kind(); {
	case (k == reflect.String || k == reflect.Slice || k == reflect.Map) && v.Len() == 0:
		return "none"
	case k == reflect.Slice:
		var words []string
		for i := range v.Len() {
			words = append(words, word(v.Index(i)))
		}
		return strings.Join(words, " ")
	}
	return fmt.Sprint(v.Interface())
}
