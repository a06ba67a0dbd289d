package supervise

import (
	"context"
	"errors"
	"log/slog"
	"os/exec"
	"sync"
	"time"
)

// Place is what a child is started for.
type Place struct {
	Slot       int    // of the process; no two living children have the same
	Generation uint64 // of the configuration
	Serial     uint64 // of the start: tells a child from all that were in its slot before
}

// Accounts hear of the processes in the slots. Their methods are called with the
// supervisor locked, so they may not call it.
type Accounts interface {
	// Admit says that a child is about to start.
	Admit(slot int, generation uint64)
	// Reclaim says that it is dead, or did not start.
	Reclaim(slot int)
}

// Config is a Supervisor's, fixed.
type Config struct {
	// Slots is the most children there can be. Replacing a generation without
	// a pause takes twice as many as are wanted; with fewer, the rest of the new
	// one starts as the old one ends. Where children that were told to finish
	// have the slots that Reload or Spawn needs, those that were started first end
	// for it, finished or not.
	Slots int
	// Command returns the command that starts a child, not started. Its
	// ExtraFiles get the numbers from FirstFD on and stay the caller's; its
	// output goes to files or nowhere, because a pipe that a grandchild holds
	// would hide the child's death. It is called with the supervisor locked.
	Command  func(Place) (*exec.Cmd, error)
	Accounts Accounts
	// Handle answers the children's messages.
	Handle func(context.Context, Place, Message) (any, error)
	// DrainTimeout is how long a child may take to finish what it has begun when
	// others take its place, or there are too many. It knows, and is to end by itself
	// then; if it has not done so after Grace it gets TERM, and after Grace once
	// more KILL.
	DrainTimeout, Grace time.Duration
	// TimerSlack is how late a child's timers may fire (prctl(2), PR_SET_TIMERSLACK),
	// those of its language's runtime among them; 0: as late as the caller's.
	TimerSlack time.Duration
	Log        *slog.Logger
}

var (
	// ErrNoSlot means that every slot has a process.
	ErrNoSlot = errors.New("no process slot is free")
	// ErrOldGeneration means that a generation's number was used before.
	ErrOldGeneration = errors.New("generation is not newer than the last")
	// ErrNoChild means that a child has ended. Another may be in its slot.
	ErrNoChild = errors.New("that child is no more")
	// ErrOverruled means that a reload was given up for another command.
	ErrOverruled = errors.New("another command came in between")
)

// Supervisor keeps children running. Its methods are safe for concurrent use.
type Supervisor struct {
	config    Config
	reloading sync.Mutex // held by one Reload at a time

	mu         sync.Mutex
	children   []*child // by slot; nil: free
	generation uint64   // that is kept at its number; others end
	newest     uint64   // generation that was ever tried
	wanted     int      // children of it
	stopped    bool     // by Drain and its like: nothing starts until the next Reload
	brake      brake
	retry      *time.Timer // fills when the brake is off; nil: not set
	deaths     []Death
	serial     uint64        // of the last start
	unasked    uint64        // deaths
	cpu        time.Duration // of the dead
	stops      uint64        // of all children, asked for
	changed    chan struct{} // closed at the next change of children or what is wanted
}

// New returns a supervisor without children: see Reload.
func New(c Config) *Supervisor {
	return &Supervisor{config: c, children: make([]*child, c.Slots), changed: make(chan struct{})}
}

// Spawn raises the number of children that is kept. After Drain, Quit or Terminate
// it does nothing until the next Reload.
func (s *Supervisor) Spawn(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopped {
		return
	}
	s.wanted += n
	s.makeRoom()
	s.fill()
}

// at finds a child, nil if it is no more.
func (s *Supervisor) at(p Place) *child {
	if p.Slot < 0 || p.Slot >= len(s.children) {
		return nil
	}
	if c := s.children[p.Slot]; c != nil && c.Place == p {
		return c
	}
	return nil
}

// Retire lowers that number by a child, which finishes and ends.
func (s *Supervisor) Retire(p Place) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.at(p)
	if c == nil {
		return ErrNoChild
	}
	if c.state != Draining {
		if c.Generation == s.generation {
			s.wanted--
		}
		s.drain(c, s.config.DrainTimeout)
	}
	return nil
}

// announce wakes those who wait for a change.
func (s *Supervisor) announce() {
	close(s.changed)
	s.changed = make(chan struct{})
}

// await returns nil as soon as done, which is called with the supervisor locked,
// does.
func (s *Supervisor) await(ctx context.Context, done func() (bool, error)) error {
	for {
		s.mu.Lock()
		ok, err := done()
		changed := s.changed
		s.mu.Unlock()
		if ok || err != nil {
			return err
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
