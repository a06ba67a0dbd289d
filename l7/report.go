package l7

import (
	"os"
	"time"

	"lbctl/internal/scoreboard"
	"lbctl/internal/supervise"
)

// Workers is what the processes of the plane do.
type Workers struct {
	Shape      Shape           `json:"shape"`
	Loop       string          `json:"loop,omitempty"`   // of model loop: epoll or io_uring, and why
	Events     string          `json:"events,omitempty"` // of model loop: which of these
	Generation uint64          `json:"generation"`       // of workers; HUP makes the next
	Started    uint64          `json:"started"`          // workers, since the master was
	Died       uint64          `json:"died"`             // those of them that nobody told to end
	Processes  []WorkerProcess `json:"processes"`
	Deaths     []WorkerDeath   `json:"deaths"` // the last ones, oldest first

	// By all workers since the master was started, the dead ones included.
	scoreboard.Served
	CPU       time.Duration `json:"cpu"`        // that they have taken
	MasterCPU time.Duration `json:"master_cpu"` // that the master has taken
}

// WorkerProcess is one process.
type WorkerProcess struct {
	Slot       int           `json:"slot"`
	PID        int           `json:"pid"`
	Generation uint64        `json:"generation"`
	State      string        `json:"state"` // one of ProcessStates
	Age        time.Duration `json:"age"`

	Connections int64 `json:"connections"` // of clients
	Held        int64 `json:"held"`        // those of them that hold no thread: of event

	scoreboard.Served
	CPU time.Duration `json:"cpu"`

	Threads []WorkerThread `json:"threads"`
}

// ProcessStates are those that a worker process can be in while it lives.
var ProcessStates = []string{string(supervise.Starting), string(supervise.Serving), string(supervise.Draining)}

// WorkerThread is one thread of a process.
type WorkerThread struct {
	State       string        `json:"state"` // Apache's letter
	For         time.Duration `json:"for"`   // it has been in that state
	Connections int64         `json:"connections"`
	scoreboard.Served
}

// WorkerDeath says how a process ended.
type WorkerDeath struct {
	Slot   int           `json:"slot"`
	PID    int           `json:"pid"`
	Lived  time.Duration `json:"lived"`
	Reason string        `json:"reason"`
	Asked  bool          `json:"asked"` // it was told to end
	At     time.Time     `json:"at"`
}

// report implements workers.
func (p *processes) report() Workers {
	st := p.Status()
	w := Workers{
		Shape: p.shape, Generation: st.Generation, Started: st.Started, Died: st.Died, Processes: []WorkerProcess{}, Deaths: []WorkerDeath{},
		Served: p.master.ledger.Served(), CPU: st.CPU, MasterCPU: cpuTime(os.Getpid()),
	}
	if p.shape.Model == Loop {
		w.Loop, w.Events = p.loop, p.kind.String()
	}
	threads, held := p.threads()
	for _, c := range st.Children {
		process := WorkerProcess{
			Slot: c.Slot, PID: c.PID, Generation: c.Generation, State: string(c.State), Age: time.Since(c.Born),
			Connections: held[c.Slot], Held: held[c.Slot], CPU: cpuTime(c.PID), Threads: threads[c.Slot],
		}
		w.CPU += process.CPU
		for _, t := range process.Threads {
			process.Connections += t.Connections
			process.Served = process.Served.Add(t.Served)
		}
		if c.State == supervise.Draining {
			finishing(process.Threads)
		}
		w.Processes = append(w.Processes, process)
	}
	for _, d := range st.Deaths {
		w.Deaths = append(w.Deaths, WorkerDeath{d.Slot, d.PID, d.Lived, d.Reason, d.Asked, d.At})
	}
	w.CPU = p.grown(w.CPU)
	return w
}

// grown is the CPU time that was reported last, or now if that is more: what a worker
// has taken cannot be seen between its end and its being put down among the dead.
func (p *processes) grown(now time.Duration) time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cpu = max(p.cpu, now)
	return p.cpu
}

// threads are those of each process slot, and held the connections at the listener
// thread of event, which has no slot of its own and uses the first one's number. A
// thread of a model other than loop has one connection, or none.
func (p *processes) threads() (threads map[int][]WorkerThread, held map[int]int64) {
	threads, held = map[int][]WorkerThread{}, map[int]int64{}
	now := scoreboard.Now()
	for _, t := range p.master.board.Workers() {
		if t.State == scoreboard.Vacant {
			continue
		}
		thread := WorkerThread{
			State: string(rune(t.State)), For: time.Duration(now - t.Since), Connections: t.Connections, Served: t.Served,
		}
		if p.shape.Model != Loop {
			held[t.Child] += t.Connections
			thread.Connections = 0
			if t.State.Busy() {
				thread.Connections = 1
			}
		}
		threads[t.Child] = append(threads[t.Child], thread)
	}
	return threads, held
}

// finishing gives the busy threads of a process that ends Apache's G, the idle ones I.
func finishing(threads []WorkerThread) {
	for i := range threads {
		t := &threads[i]
		if t.State == string(rune(scoreboard.Waiting)) {
			t.State = string(rune(scoreboard.Cleaning))
		} else {
			t.State = string(rune(scoreboard.Finishing))
		}
	}
}
