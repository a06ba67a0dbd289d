package l7

import (
	"time"

	"lbctl/internal/scoreboard"
	"lbctl/internal/supervise"
)

// Workers is what the processes of the plane do.
type Workers struct {
	Shape      Shape           `json:"shape"`
	Loop       string          `json:"loop,omitempty"` // of model loop: epoll or io_uring, and why
	Generation uint64          `json:"generation"`     // of workers; HUP makes the next
	Died       uint64          `json:"died"`           // workers that nobody told to end
	Processes  []WorkerProcess `json:"processes"`
	Deaths     []WorkerDeath   `json:"deaths"` // the last ones, oldest first
}

// WorkerProcess is one process.
type WorkerProcess struct {
	Slot       int            `json:"slot"`
	PID        int            `json:"pid"`
	Generation uint64         `json:"generation"`
	State      string         `json:"state"` // starting, serving, draining
	Age        time.Duration  `json:"age"`
	Threads    []WorkerThread `json:"threads"`
}

// WorkerThread is one thread of a process.
type WorkerThread struct {
	State       string        `json:"state"` // Apache's letter
	For         time.Duration `json:"for"`   // it has been in that state
	Connections int64         `json:"connections,omitempty"`
	CPU         time.Duration `json:"cpu"` // a second old at most
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
	w := Workers{Shape: p.shape, Generation: st.Generation, Died: st.Died, Processes: []WorkerProcess{}, Deaths: []WorkerDeath{}}
	if p.shape.Model == Loop {
		w.Loop = p.loop
	}
	threads := map[int][]WorkerThread{}
	now := scoreboard.Now()
	for _, t := range p.master.board.Workers() {
		state := t.State
		if state == scoreboard.Vacant {
			continue
		}
		threads[t.Child] = append(threads[t.Child], WorkerThread{
			State: string(rune(state)), For: time.Duration(now - t.Since), Connections: t.Connections, CPU: t.CPU,
		})
	}
	for _, c := range st.Children {
		process := WorkerProcess{c.Slot, c.PID, c.Generation, string(c.State), time.Since(c.Born), threads[c.Slot]}
		if c.State == supervise.Draining {
			finishing(process.Threads)
		}
		w.Processes = append(w.Processes, process)
	}
	for _, d := range st.Deaths {
		w.Deaths = append(w.Deaths, WorkerDeath{d.Slot, d.PID, d.Lived, d.Reason, d.Asked, d.At})
	}
	return w
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
