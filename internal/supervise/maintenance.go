package supervise

// maxSpawn is the most children that one step starts.
const maxSpawn = 32

// Maintenance is Apache's keeping of idle servers, a step a second: while fewer
// than MinSpare are idle, 1, 2, 4 … 32 children are started, twice as many each
// second; while more than MaxSpare are idle, one a second is let go. A fixed
// number of children is MinSpare = MaxSpare = Max, with all of them called idle.
type Maintenance struct {
	MinSpare, MaxSpare int // idle servers: children, or threads of children
	Max                int // children

	rate int // of the next spawn; 0 is 1
}

// Step returns how many children to start and to let go. Idle servers include
// those that start, so that what is on its way is not ordered again; total
// counts children.
func (m *Maintenance) Step(idle, total int) (spawn, reap int) {
	rate := max(m.rate, 1)
	m.rate = 1
	switch {
	case idle > m.MaxSpare:
		return 0, 1
	case idle >= m.MinSpare || total >= m.Max:
		return 0, 0
	}
	m.rate = min(2*rate, maxSpawn)
	return min(rate, m.Max-total), 0
}
