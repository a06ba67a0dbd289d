package scenario

import (
	"strconv"
	"strings"
)

// PortRange is one port, a range of ports, or any port.
type PortRange struct{ First, Last uint16 } // inclusive; 0 and 0: any

const (
	anyPort          = "any"
	portRangePattern = `^(any|[0-9]{1,5}(-[0-9]{1,5})?)$`
)

func (p *PortRange) parse(text string) error {
	if text == anyPort {
		*p = PortRange{}
		return nil
	}
	low, high, isRange := strings.Cut(text, "-")
	if !isRange {
		high = low
	}
	var first, last Port
	if first.parse(low) != nil || last.parse(high) != nil || first > last {
		return errIllFormed
	}
	*p = PortRange{uint16(first), uint16(last)}
	return nil
}

func (p *PortRange) want() string {
	return `a port from 1 to 65535, a range of them such as "8000-8099", or any`
}

func (p *PortRange) schema() map[string]any {
	return map[string]any{"type": []string{"integer", "string"}, "minimum": 1, "maximum": 65535, "pattern": portRangePattern}
}

func (p *PortRange) suggest(text string) string {
	for _, meant := range []string{strings.NewReplacer("..", "-", ":", "-", " ", "").Replace(text), nearest(text, []string{anyPort})} {
		if meant != text && meant != "" && new(PortRange).parse(meant) == nil {
			return meant
		}
	}
	if text == "*" || text == "all" || text == "0" {
		return anyPort
	}
	return ""
}

func (p PortRange) one() bool { return p.First == p.Last && p.First != 0 }

func (p PortRange) String() string {
	switch {
	case p == PortRange{}:
		return anyPort
	case p.one():
		return strconv.Itoa(int(p.First))
	}
	return strconv.Itoa(int(p.First)) + "-" + strconv.Itoa(int(p.Last))
}

// maxListeners is how many ports of a range a server listens on: each is a socket.
const maxListeners = 64

// listened are the ports that a lab's server is to be found at: all of a short
// range, else the first, and 80 if it may be any.
func (p PortRange) listened() (out []uint16) {
	switch {
	case p == PortRange{}:
		return []uint16{80}
	case int(p.Last)-int(p.First) >= maxListeners:
		return []uint16{p.First}
	}
	for port := int(p.First); port <= int(p.Last); port++ {
		out = append(out, uint16(port))
	}
	return out
}
