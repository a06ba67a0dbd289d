package balance

// First. HAProxy: src/lb_fas.c, "balance first": the first backend in service
// order that is below its MaxConn takes all, so that the last ones may be
// switched off while there is little to do. Weights and slow start are ignored.
// A choice takes as many steps as backends are full.
type first struct {
	places []place
}

func (f first) choose(a *ask) *place {
	for i := range f.places {
		if p := &f.places[i]; a.open(p) && p.take(p.limit) {
			return p
		}
	}
	return nil
}
