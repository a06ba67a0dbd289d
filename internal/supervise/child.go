package supervise

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"time"
)

// ChildState is how far a child's life is.
type ChildState string

// The states of a child that lives.
const (
	Starting ChildState = "starting"
	Serving  ChildState = "serving"  // it has said that it is ready
	Draining ChildState = "draining" // it was told to finish, or to end
)

// child is a process. Place, cmd, link and born are fixed; the supervisor's lock
// guards the rest.
type child struct {
	Place
	cmd    *exec.Cmd
	link   *Link
	born   time.Time
	state  ChildState
	due    time.Time     // when what it has begun must be finished; zero: it was not told to finish
	ended  bool          // it was told to end, finished or not
	timers []*time.Timer // that end it if it does not end by itself
}

// start starts a child or puts down that it could not, which counts as a death.
func (s *Supervisor) start(p Place) {
	s.config.Accounts.Admit(p.Slot, p.Generation)
	c, err := s.spawn(p)
	if err != nil {
		s.config.Accounts.Reclaim(p.Slot)
		s.bury(Death{Place: p, Reason: err.Error()})
		return
	}
	s.children[p.Slot] = c
	s.config.Log.Info("child started", "slot", p.Slot, "generation", p.Generation, "pid", c.cmd.Process.Pid)
	go func() {
		_ = c.cmd.Wait()
		c.link.Close()
		s.ended(c)
	}()
	s.announce()
}

func (s *Supervisor) spawn(p Place) (*child, error) {
	cmd, err := s.config.Command(p)
	if err != nil {
		return nil, fmt.Errorf("make command of child %d: %w", p.Slot, err)
	}
	conn, end, err := pair()
	if err != nil {
		return nil, fmt.Errorf("link child %d: %w", p.Slot, err)
	}
	defer end.Close()
	cmd.ExtraFiles = append([]*os.File{end}, cmd.ExtraFiles...)
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	cmd.SysProcAttr.Setpgid = true // a terminal's ^C is for the master, which then decides
	if err := startSlack(cmd, s.config.TimerSlack); err != nil {
		conn.Close()
		return nil, fmt.Errorf("start child %d: %w", p.Slot, err)
	}
	c := &child{Place: p, cmd: cmd, born: time.Now(), state: Starting}
	c.link = newLink(conn, func(ctx context.Context, m Message) (any, error) {
		if m.Kind == kindReady {
			s.ready(c)
			return nil, nil
		}
		return s.config.Handle(ctx, p, m)
	})
	return c, nil
}

func (s *Supervisor) ready(c *child) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if c.state == Starting {
		c.state = Serving
		s.announce()
	}
}

// ended settles what a dead child leaves, and starts its successor.
func (s *Supervisor) ended(c *child) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, t := range c.timers {
		t.Stop()
	}
	s.children[c.Slot] = nil
	s.config.Accounts.Reclaim(c.Slot)
	s.cpu += c.cmd.ProcessState.UserTime() + c.cmd.ProcessState.SystemTime()
	s.bury(Death{
		Place: c.Place, PID: c.cmd.Process.Pid, Lived: time.Since(c.born),
		Reason: c.cmd.ProcessState.String(), Asked: c.state == Draining,
	})
	s.fill()
}

// drain tells a child to finish within a time, and sees to it that it ends. One that was told before
// gets no more time than it had.
func (s *Supervisor) drain(c *child, within time.Duration) {
	due := time.Now().Add(within)
	if c.state == Draining && !due.Before(c.due) {
		return
	}
	c.state, c.due = Draining, due
	go func() { // one that does not hear it is ended by the timers
		ctx, cancel := context.WithTimeout(context.Background(), within)
		defer cancel()
		_ = c.link.Call(ctx, kindDrain, within, nil)
	}()
	c.endAfter(within+s.config.Grace, s.config.Grace)
	s.announce()
}

// terminate ends a child, by force after the grace.
func (s *Supervisor) terminate(c *child) {
	c.state, c.due, c.ended = Draining, time.Now(), true
	_ = c.cmd.Process.Signal(syscall.SIGTERM)
	c.endAfter(s.config.Grace, s.config.Grace)
	s.announce()
}

// endAfter sends TERM after a time and KILL after another. A process that has
// been waited for gets no signal: package os sees to it.
func (c *child) endAfter(term, kill time.Duration) {
	send := func(sig syscall.Signal) func() { return func() { _ = c.cmd.Process.Signal(sig) } }
	c.timers = append(c.timers, time.AfterFunc(term, send(syscall.SIGTERM)), time.AfterFunc(term+kill, send(syscall.SIGKILL)))
}
