package l4

import (
	"fmt"
	"sync"

	"lbctl/internal/lb"
)

// words are the verdicts' names and sentences, in the order of their numbers.
// bpf/verdicts.h has put them into the object file.
var words = sync.OnceValues(func() ([]lb.Verdict, error) {
	spec, err := loadXdp()
	if err != nil {
		return nil, err
	}
	table := make([]xdpWords, spec.Maps[xdpMapVerdicts].MaxEntries)
	if err := spec.Variables[xdpVarVerdictWords].Get(table); err != nil {
		return nil, fmt.Errorf("read names of verdicts: %w", err)
	}
	out := make([]lb.Verdict, len(table))
	for i, w := range table {
		out[i] = lb.Verdict{Name: toText(w.Name[:]), Text: toText(w.Sentence[:])}
	}
	return out, nil
})

func toText(chars []int8) string {
	var out []byte
	for _, c := range chars {
		if c == 0 {
			break
		}
		out = append(out, byte(c))
	}
	return string(out)
}

// verdicts returns how many packets met each.
func (p *Plane) verdicts() ([]lb.Verdict, error) {
	names, err := words()
	if err != nil {
		return nil, err
	}
	out := make([]lb.Verdict, len(names))
	for i, v := range names {
		var perCPU []uint64
		if err := p.objects.Verdicts.Lookup(uint32(i), &perCPU); err != nil {
			return nil, fmt.Errorf("read verdict %s: %w", v.Name, err)
		}
		for _, n := range perCPU {
			v.Packets += n
		}
		out[i] = v
	}
	return out, nil
}
