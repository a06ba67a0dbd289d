package scoreboard

import "sync/atomic"

// account is a process slot's part of a cell. Its counters outlive the process:
// the next one in that slot counts on.
type account struct {
	connections, requests, bytesIn, bytesOut, errors, retries atomic.Uint64
	inFlight, queued                                          held
}

// held is how many of something a process has. The low half is the number, the
// high half counts the changes, so that whoever reads all rows twice can tell
// that none changed in between (see Ledger.Settle).
type held struct{ word atomic.Uint64 }

const (
	oneMore = 1<<32 + 1
	oneLess = 1<<32 - 1
)

func (h *held) read() (number int64, changes uint64) {
	v := h.word.Load()
	return int64(int32(v)), v >> 32
}

// drop is the heir's: the number becomes 0.
func (h *held) drop() (number int64) {
	number, changes := h.read()
	h.word.Store((changes + 1) << 32)
	return number
}

// Row is where a process keeps its part of the accounts. Its threads share it.
type Row struct {
	board *Board
	child int
}

// Row returns the row of a process slot.
func (b *Board) Row(child int) Row { return Row{b, child} }

// Cell returns this process's hold on a cell. It is three pointers; keep it.
func (r Row) Cell(i int) Cell {
	return Cell{r.account(i), &r.board.shared[i], r.board.detail(r.child, i)}
}

func (r Row) account(cell int) *account { return &r.board.accounts[r.child*r.board.sizes.Cells+cell] }

// Cell is a process's hold on the account of a service or a backend. Its methods
// may be called by all threads of the process.
type Cell struct {
	own    *account
	shared *Shared
	detail *detail // nil: nothing beyond the account is counted
}

// Scratch returns a cell of no board, for who only tries something out.
func Scratch() Cell { return Cell{own: new(account), shared: new(Shared)} }

// Plain returns the cell without the counts beyond its account.
func (c Cell) Plain() Cell { return Cell{own: c.own, shared: c.shared} }

// Shared returns what all processes know of the cell.
func (c Cell) Shared() *Shared { return c.shared }

// Begin puts one in flight.
//
// The own part goes last up and first down, so that at every instant the shared
// word says at least what the rows together hold. A process killed between the
// two leaves the shared word one too high once Reclaim has taken off what its
// row says; that is bounded by one per killed thread, and Ledger.Settle repairs
// it.
func (c Cell) Begin() {
	c.shared.InFlight.Add(1)
	c.Begun()
}

// Begun is the second half of Begin, for who has put one on Shared's InFlight.
func (c Cell) Begun() { c.own.inFlight.word.Add(oneMore) }

// End takes off what Begin put on.
func (c Cell) End() {
	c.own.inFlight.word.Add(oneLess)
	c.shared.InFlight.Add(-1)
}

// Enqueue counts one more that waits and returns how many that makes in all
// processes. It is kept as Begin's is.
func (c Cell) Enqueue() int64 {
	n := c.shared.Queued.Add(1)
	c.own.queued.word.Add(oneMore)
	return n
}

// Dequeue takes off what Enqueue put on.
func (c Cell) Dequeue() {
	c.own.queued.word.Add(oneLess)
	c.shared.Queued.Add(-1)
}

// AddConnection counts a connection.
func (c Cell) AddConnection() { c.own.connections.Add(1) }

// AddRequest counts a request.
func (c Cell) AddRequest() { c.own.requests.Add(1) }

// AddBytesIn counts bytes towards the backend.
func (c Cell) AddBytesIn(n int) { c.own.bytesIn.Add(uint64(n)) }

// AddBytesOut counts bytes towards the client.
func (c Cell) AddBytesOut(n int) { c.own.bytesOut.Add(uint64(n)) }

// AddError counts an error.
func (c Cell) AddError() { c.own.errors.Add(1) }

// AddRetry counts a retry.
func (c Cell) AddRetry() { c.own.retries.Add(1) }
