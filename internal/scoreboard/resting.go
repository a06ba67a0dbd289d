package scoreboard

// Rest says that n more threads of a process, less if n is negative, have nothing to do, and that the
// kernel wakes one of them for the next client.
func (b *Board) Rest(child int, n int64) { b.children[child].resting.Add(n) }

// Resting is how many such threads all processes have. One that is dead has none as soon as it is reclaimed.
func (b *Board) Resting() (n int64) {
	for i := range b.children {
		n += max(b.children[i].resting.Load(), 0)
	}
	return n
}

// Come says that a thread of a process has begun to listen.
func (b *Board) Come(child int) { b.children[child].come.Add(1) }

// Came is how often threads have, of all processes.
func (b *Board) Came() (n uint64) {
	for i := range b.children {
		n += b.children[i].come.Load()
	}
	return n
}
