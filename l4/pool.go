package l4

// pool hands out numbers below its size, the lowest free one first.
type pool struct {
	used []bool
}

func newPool(size uint32) *pool { return &pool{used: make([]bool, size)} }

// take returns false if all are in use.
func (p *pool) take() (uint32, bool) {
	for i, used := range p.used {
		if !used {
			p.used[i] = true
			return uint32(i), true
		}
	}
	return 0, false
}

func (p *pool) mark(n uint32)    { p.used[n] = true }
func (p *pool) release(n uint32) { p.used[n] = false }
