package scenario

import (
	"errors"
	"fmt"
	"net/netip"
	"path/filepath"
	"reflect"
	"strings"
	"time"

	"lbctl/internal/lb"
)

// Standalone is what a StandaloneSpec means. A path that was not typed is empty:
// its default depends on where it runs.
type Standalone struct {
	Name       string
	Interfaces []string
	Hook       lb.Hook
	Dir        string
	Pins       string
	MaxFlows   int
	API        API
	Locals     []netip.Prefix // of fullnat; at most one of each family
	Config     lb.Config

	spec *StandaloneSpec
}

// API is where the API is served on TCP: nowhere if Addr is not valid.
type API struct {
	Addr      netip.AddrPort
	TokenFile string
}

// LoadStandalone reads the file at path. able says what of a service the plane
// cannot do, nil if it can. The error holds Errors if the file was read but
// makes no balancer.
func LoadStandalone(path string, able func(lb.Service) error) (*Standalone, error) {
	data, err := readFile(path)
	if err != nil {
		return nil, fmt.Errorf("load configuration: %w", err)
	}
	return ParseStandalone(path, data, able)
}

// ParseStandalone is LoadStandalone of a text. Without a name of its own the
// balancer has that of the file.
func ParseStandalone(file string, data []byte, able func(lb.Service) error) (*Standalone, error) {
	spec := &StandaloneSpec{src: &source{file: file, language: "configuration"}}
	if err := spec.src.parse(data, spec); err != nil {
		return nil, err
	}
	return spec.resolve(able)
}

func (s *StandaloneSpec) resolve(able func(lb.Service) error) (*Standalone, error) {
	r := &resolver{source: s.src.fresh(), spec: &Spec{Checks: s.Checks}}
	typed := filled(*s)
	timeouts := filled(s.Timeouts)
	out := &Standalone{
		Name: balancerName(r, s.src.file, s.Name), Hook: lb.Hook(typed.Hook.Value),
		Dir: string(s.Dir.Value), Pins: string(s.Pins.Value), MaxFlows: int(typed.MaxFlows.Value),
		API:  API{s.API.Address.Value.AddrPort, string(s.API.TokenFile.Value)},
		spec: s,
	}
	seen := map[string]bool{}
	for _, i := range s.Interfaces.Items {
		name := string(i.Value)
		if seen[name] {
			r.fail(i.Pos, "", "interfaces: %s is there twice", name)
		}
		seen[name] = true
		out.Interfaces = append(out.Interfaces, name)
	}
	out.Locals = s.locals(r)
	r.checks()
	r.l4Services(s.Services, able)
	out.Config = r.config()
	out.Config.Timeouts = lb.Timeouts{TCP: time.Duration(timeouts.TCP.Value), FIN: time.Duration(timeouts.FIN.Value), UDP: time.Duration(timeouts.UDP.Value)}
	return out, r.err()
}

// balancerName is what was typed, or the file's name.
func balancerName(r *resolver, file string, typed Val[LabName]) string {
	if typed.IsSet() {
		return string(typed.Value)
	}
	base := filepath.Base(file)
	base = strings.TrimSuffix(base, filepath.Ext(base))
	var name LabName
	if name.parse(base) != nil {
		r.fail(Pos{}, "", "%q, the file's name, cannot be the balancer's: want %s, as the file's name or by the key \"name\"", base, name.want())
	}
	return string(name)
}

// locals are the prefixes of local addresses.
func (s *StandaloneSpec) locals(r *resolver) (out []netip.Prefix) {
	seen := map[bool]bool{}
	for _, item := range s.Locals.Items {
		p := item.Value.Prefix
		if seen[p.Addr().Is6()] {
			r.fail(item.Pos, "", "local_addresses: there is another prefix of that family")
		}
		seen[p.Addr().Is6()] = true
		out = append(out, p)
	}
	return out
}

// settled are the keys that a running balancer cannot change: all but services, checks and timeouts.
var settled = []string{"name", "interfaces", "hook", "api", "local_addresses", "dir", "pins", "max_flows"}

// Restart notes each key in which next differs from s and which takes a restart.
// The error, if any, is of type Errors, with places in next's file.
func (s *Standalone) Restart(next *Standalone) error {
	return restart(next.spec.src.fresh(), settled, *s, *next, *next.spec)
}

// restart notes each of these keys in which two meanings differ, where the Spec of
// the second has it. What is meant by a key and its Spec's field have the same name.
func restart(src *source, keys []string, was, next, spec any) error {
	typed := reflect.ValueOf(spec)
	fields := fieldsOf(typed.Type())
	for _, key := range keys {
		index := fields.named(key).index
		goName := typed.Type().FieldByIndex(index).Name
		a, b := reflect.ValueOf(was).FieldByName(goName).Interface(), reflect.ValueOf(next).FieldByName(goName).Interface()
		if !reflect.DeepEqual(a, b) {
			at := typed.FieldByIndex(index).FieldByName("Pos").Interface().(Pos)
			src.fail(at, "", "%s: this takes a restart, which forwarding does not notice", key)
		}
	}
	return src.err()
}

// Refuse returns err as an error at the place of an interface in the file.
func (s *Standalone) Refuse(name string, known []string, err error) error {
	src := s.spec.src.fresh()
	for _, i := range s.spec.Interfaces.Items {
		if string(i.Value) == name {
			src.fail(i.Pos, nearest(name, known), "interfaces: %v", err)
		}
	}
	return errors.Join(src.err())
}
