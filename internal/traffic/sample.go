package traffic

import (
	"context"
	"fmt"
	"runtime"
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
			after, ended = p.sampleEnd(ctx), true
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

// sampleStart and sampleEnd ask the planes outside the window that the CPU
// samples span, because asking them costs CPU too.
func (p Probes) sampleStart(ctx context.Context) sample {
	var s sample
	s.askPlanes(ctx, p)
	s.readCPU(p)
	return s
}

func (p Probes) sampleEnd(ctx context.Context) sample {
	var s sample
	s.readCPU(p)
	s.askPlanes(ctx, p)
	return s
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

func (s *sample) readCPU(p Probes) {
	s.at = time.Now()
	var err error
	if s.machine, err = machineTime(); err != nil {
		s.errs = append(s.errs, err.Error())
	}
	if p.Groups == nil {
		return
	}
	s.procs = map[string]map[int]time.Duration{}
	for name, pids := range p.Groups() {
		s.procs[name] = map[int]time.Duration{}
		for _, pid := range pids {
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
	c.Busy = c.Machine.busy(c.Elapsed, runtime.NumCPU())
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
