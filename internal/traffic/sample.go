package traffic

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"lbctl/internal/lb"
)

// run makes one turn.
func (p Probes) run(ctx context.Context, t turn) Run {
	r := Run{Arm: t.arm.Name, Workload: t.workload.Name, Round: t.round, Half: t.half, Start: time.Now()}
	var before, after sample
	var began, ended bool
	result, err := p.Fork(ctx, t.workload.load(t.arm), func(e Event) {
		switch e {
		case Measuring:
			before, began = p.sampleStart(ctx), true
		case Measured:
			after, ended = p.sampleEnd(ctx, before), true
		}
	})
	r.Result = result
	if err != nil {
		r.Error = err.Error()
		return r
	}
	if !began || !ended {
		r.Warnings = append(r.Warnings, "the generator did not say when its window began and ended: no CPU figures")
		return r
	}
	r.CPU = after.cpuSince(before, &r.Warnings)
	r.Plane = after.countedSince(before, t.arm.Service, &r.Warnings)
	return r
}

// sample is the state of all counters at one edge of a window.
type sample struct {
	at      time.Time
	machine MachineTime
	procs   map[string]map[int]time.Duration // CPU by component and pid
	planes  map[lb.Plane]lb.Stats
	errs    []string
}

// sampleStart and sampleEnd ask the planes, and look for processes, outside the
// window that the CPU samples span, because that costs CPU too.
func (p Probes) sampleStart(ctx context.Context) sample {
	s := sample{procs: map[string]map[int]time.Duration{}}
	s.askPlanes(ctx, p)
	groups := p.groups()
	s.readMachine()
	s.readProcesses(groups)
	return s
}

func (p Probes) sampleEnd(ctx context.Context, start sample) sample {
	s := sample{procs: map[string]map[int]time.Duration{}}
	s.readMachine()
	s.readProcesses(start.pids())
	s.readProcesses(p.groups()) // those that started meanwhile
	s.askPlanes(ctx, p)
	return s
}

func (p Probes) groups() map[string][]int {
	if p.Groups == nil {
		return nil
	}
	return p.Groups()
}

func (s *sample) pids() map[string][]int {
	groups := map[string][]int{}
	for name, procs := range s.procs {
		groups[name] = slices.Collect(maps.Keys(procs))
	}
	return groups
}

func (s *sample) askPlanes(ctx context.Context, p Probes) {
	if p.Stats == nil {
		return
	}
	var err error
	if s.planes, err = p.Stats(ctx); err != nil {
		s.errs = append(s.errs, fmt.Sprintf("read plane statistics: %v", err))
	}
}

func (s *sample) readMachine() {
	s.at = time.Now()
	var err error
	if s.machine, err = machineTime(); err != nil {
		s.errs = append(s.errs, err.Error())
	}
}

// readProcesses reads the CPU clocks of the processes that were not read yet.
func (s *sample) readProcesses(groups map[string][]int) {
	for name, pids := range groups {
		if s.procs[name] == nil {
			s.procs[name] = map[int]time.Duration{}
		}
		for _, pid := range pids {
			if _, read := s.procs[name][pid]; read {
				continue
			}
			if d, err := processCPU(pid); err == nil {
				s.procs[name][pid] = d
			}
		}
	}
}

// processCPU reads the CPU clock of a process: all its threads, also those that
// ended, in ns. Work that the kernel does for the network in interrupts that hit
// the process is in it too.
func processCPU(pid int) (time.Duration, error) {
	const sched = 2 // CPUCLOCK_SCHED, include/linux/posix-timers_types.h: make_process_cpuclock
	var ts unix.Timespec
	if err := unix.ClockGettime(int32(^pid<<3|sched), &ts); err != nil {
		return 0, fmt.Errorf("read CPU clock of process %d: %w", pid, err)
	}
	return time.Duration(ts.Nano()), nil
}

func (s sample) cpuSince(from sample, warnings *[]string) CPU {
	*warnings = append(*warnings, from.errs...)
	*warnings = append(*warnings, s.errs...)
	c := CPU{Elapsed: s.at.Sub(from.at), Machine: s.machine.since(from.machine), Groups: map[string]time.Duration{}}
	c.Busy = c.Machine.busy(c.Elapsed)
	for name, procs := range s.procs {
		for pid, d := range procs {
			c.Groups[name] += d - from.procs[name][pid] // one that started meanwhile spent all its time in the window
		}
	}
	for name, procs := range from.procs {
		for pid := range procs {
			if _, ok := s.procs[name][pid]; !ok {
				*warnings = append(*warnings, fmt.Sprintf("process %d of %s ended during the run: its CPU is not counted", pid, name))
			}
		}
	}
	return c
}
