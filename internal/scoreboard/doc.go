// Package scoreboard is the memory that a master process shares with its
// workers: who does what, and the accounts that decisions need to be exact
// across processes. It knows nothing of what the workers serve.
//
// It is one memfd, mapped shared by all, in six regions:
//
//	header   what it is and how large; refused if it is not what is expected
//	children one line per process slot: the configuration it may still use, its threads at rest
//	slots    one per worker thread, written by that thread only
//	shared   one group of words per cell, written by everybody
//	rows     per process slot one account per cell, written by that process only
//	details  likewise: how long requests took, and how they ended
//
// A cell is the account of a service or a backend. What a cell has in flight is
// kept twice: in the shared word that decisions read, and in the row of the
// process that has it, so that the master can take off what a dead process
// leaves behind, whatever it died of.
//
// A worker opens the Board; the master also holds a Ledger, which says who owns
// which cell and settles accounts. Every word is atomic, none is behind a lock:
// a process that dies holds up nobody. A page that was never used takes no
// memory, not even when it is read.
package scoreboard
